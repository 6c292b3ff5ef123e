package signatures

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// VersionRange is a set of versions: all of its bounds hold. The zero range holds every version.
type VersionRange struct{ bounds []versionBound }

type versionBound struct {
	op      string // =, !=, <, <=, >, >=
	version []int
}

// ParseVersionRange reads bounds divided by spaces or commas, such as ">=1.24 <1.33", "1.30" or "!=1.28.3". A version of fewer
// parts stands for all that begin with it: =1.30 holds 1.30.4, <=1.30 as well, >1.30 does not.
func ParseVersionRange(text string) (VersionRange, error) {
	var r VersionRange
	words := strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == ',' })
	for i := 0; i < len(words); i++ {
		word := words[i]
		n := strings.IndexFunc(word, func(c rune) bool { return !strings.ContainsRune("<>=!", c) })
		if n < 0 && i+1 < len(words) { // ">= 1.24"
			i++
			n, word = len(word), word+words[i]
		}
		if n < 0 {
			return VersionRange{}, notRange(text)
		}
		op := word[:n]
		switch op {
		case "", "==":
			op = "="
		case "=", "!=", "<", "<=", ">", ">=":
		default:
			return VersionRange{}, notRange(text)
		}
		v, ok := parseVersion(word[n:])
		if !ok {
			return VersionRange{}, notRange(text)
		}
		r.bounds = append(r.bounds, versionBound{op: op, version: v})
	}
	if len(r.bounds) == 0 {
		return VersionRange{}, notRange(text)
	}
	return r, nil
}

func notRange(text string) error {
	return fmt.Errorf("%q is not a range of versions: write one such as >=1.24 <1.33", clip(text))
}

// parseVersion reads v1.30.4-rc.1+k3s1 as 1, 30, 4.
func parseVersion(s string) ([]int, bool) {
	s = strings.TrimPrefix(s, "v")
	if i := strings.IndexAny(s, "-+"); i >= 0 {
		s = s[:i]
	}
	var out []int
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || part[0] == '+' || len(out) == 4 {
			return nil, false
		}
		out = append(out, n)
	}
	return out, true
}

// Holds reports whether a version is in the range. known is false when the version can't be read; a signature is not disarmed then.
func (r VersionRange) Holds(version string) (holds, known bool) {
	v, ok := parseVersion(strings.TrimSpace(version))
	if !ok {
		return false, false
	}
	return !slices.ContainsFunc(r.bounds, func(b versionBound) bool { return !b.holds(v) }), true
}

func (b versionBound) holds(v []int) bool {
	order := 0
	for i, want := range b.version {
		have := 0
		if i < len(v) {
			have = v[i]
		}
		if order = have - want; order != 0 {
			break
		}
	}
	switch b.op {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

// impossible reports whether no version at all is in the range. It tries the versions around the bounds.
func (r VersionRange) impossible() bool {
	for _, b := range r.bounds {
		for _, step := range []int{-1, 0, 1} {
			v := slices.Clone(b.version)
			if v[len(v)-1] += step; v[len(v)-1] < 0 {
				continue
			}
			for _, tail := range [][]int{nil, {0}, {1 << 20}} {
				full := append(slices.Clone(v), tail...)
				if !slices.ContainsFunc(r.bounds, func(b versionBound) bool { return !b.holds(full) }) {
					return false
				}
			}
		}
	}
	return len(r.bounds) > 0
}

// Holds reports whether a signature applies where these versions and facts are true. What is not known does not disarm it: an
// absent or unreadable version, an absent fact. A nil Applies holds everywhere.
func (a *Applies) Holds(kubernetes string, components, facts map[string]string) bool {
	if a == nil {
		return true
	}
	out := func(text, version string) bool {
		if text == "" || version == "" {
			return false
		}
		r, err := ParseVersionRange(text)
		if err != nil {
			return false
		}
		holds, known := r.Holds(version)
		return known && !holds
	}
	if out(a.Kubernetes, kubernetes) {
		return false
	}
	for name, text := range a.Components {
		if out(text, components[name]) {
			return false
		}
	}
	for name, want := range a.Facts {
		if have, ok := facts[name]; ok && have != want {
			return false
		}
	}
	return true
}
