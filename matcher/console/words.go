package console

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// functions are what templates may call.
func (k *Console) functions() template.FuncMap {
	return template.FuncMap{
		"link":    func(path string) string { return k.base + path },
		"static":  func(name string) string { return k.base + k.assets.path(name) },
		"clean":   clean,
		"short":   short,
		"span":    span,
		"count":   count,
		"bytes":   byteSize,
		"clock":   func(t time.Time) string { return t.UTC().Format("15:04:05") },
		"stamp":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"ago":     func(t time.Time) string { return relative(t.Sub(k.c.Now())) },
		"web":     webAddress,
		"bare":    bareAddress,
		"plural":  plural,
		"spaced":  func(s string) string { return strings.ReplaceAll(s, "_", " ") },
		"map":     pairs,
		"has":     hasPage,
	}
}

// hasPage reports whether there is a page with the path, so that others link to it.
func hasPage(path string) bool {
	return slices.ContainsFunc(pages(), func(p page) bool { return p.path == path })
}

// pairs makes a map of names and values, for parts that need several things.
func pairs(kv ...any) (map[string]any, error) {
	if len(kv)%2 != 0 {
		return nil, fmt.Errorf("a value has no name")
	}
	m := map[string]any{}
	for i := 0; i < len(kv); i += 2 {
		m[fmt.Sprint(kv[i])] = kv[i+1]
	}
	return m, nil
}

// clean shows what a text would do to the reader instead of letting it: what turns the direction of writing around, controls, and what is no text.
// It does not escape markup; templates do.
func clean(s string) string {
	bad := func(r rune) bool {
		return r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != 0x200d && r != 0x200c || r == utf8.RuneError
	}
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if bad(r) && r != utf8.RuneError {
			_, _ = fmt.Fprintf(&b, "⟨%04X⟩", r) // a builder takes everything
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// short cuts a text that is too long for one line of a list.
func short(n int, s string) string {
	r := []rune(clean(strings.Join(strings.Fields(s), " ")))
	if len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return string(r)
}

// span writes a duration as a person says it: two units at most.
func span(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	switch {
	case d < time.Second:
		return "less than 1 s"
	case d < 100*time.Second:
		return fmt.Sprintf("%d s", int(math.Round(d.Seconds())))
	case d < 100*time.Minute:
		return fmt.Sprintf("%d min", int(math.Round(d.Minutes())))
	case d < 48*time.Hour:
		h := d.Hours()
		if h < 10 && math.Round(h*10) != math.Round(h)*10 {
			return fmt.Sprintf("%.1f h", h)
		}
		return fmt.Sprintf("%d h", int(math.Round(h)))
	default:
		return fmt.Sprintf("%d days", int(math.Round(d.Hours()/24)))
	}
}

// relative says how far from now something is.
func relative(d time.Duration) string {
	switch {
	case d > -time.Second && d < time.Second:
		return "now"
	case d > 0:
		return "in " + span(d)
	default:
		return span(d) + " ago"
	}
}

// count writes a number with thin spaces between its thousands.
func count(v any) string {
	s := fmt.Sprint(v)
	if _, err := strconv.ParseUint(s, 10, 64); err != nil || len(s) < 5 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func plural(v any, one string) string {
	s := fmt.Sprint(v)
	if s == "1" {
		return "1 " + one
	}
	return count(v) + " " + one + "s"
}

func byteSize(v any) string {
	n, err := strconv.ParseFloat(fmt.Sprint(v), 64)
	if err != nil {
		return fmt.Sprint(v)
	}
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if n < 1024 {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0") + " " + unit
		}
		n /= 1024
	}
	return fmt.Sprintf("%.1f TiB", n)
}

// webAddress returns an address that a page may link to, and "" for anything but http and https.
func webAddress(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	return u.String()
}

// bareAddress is an address as people read it: without https:// and without the middle of what is long.
func bareAddress(s string) string {
	_, bare, ok := strings.Cut(s, "://")
	if !ok {
		bare = s
	}
	bare = clean(strings.TrimSuffix(bare, "/"))
	r := []rune(bare)
	if len(r) <= 60 {
		return bare
	}
	return string(r[:28]) + "…" + string(r[len(r)-31:])
}
