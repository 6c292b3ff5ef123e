package signatures

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxDuration keeps sums of a few durations and a Unix time inside an int64 of nanoseconds.
const maxDuration = 10 * 365 * 24 * time.Hour

var durationUnits = []struct {
	name string
	size time.Duration
}{
	{"w", 7 * 24 * time.Hour},
	{"d", 24 * time.Hour},
	{"h", time.Hour},
	{"m", time.Minute},
	{"s", time.Second},
	{"ms", time.Millisecond},
	{"us", time.Microsecond},
	{"ns", time.Nanosecond},
}

// ParseDuration reads 90s, 5m, 1h30m, 2d or 1w: numbers with units, the largest unit first, a minus in front for a negative
// one. Its error says what to write instead.
func ParseDuration(s string) (Duration, error) {
	rest, negative := strings.CutPrefix(s, "-")
	if rest == "" {
		return 0, errors.New("a duration is empty: write one such as 90s, 5m, 1h30m, 2d or 1w")
	}
	if _, err := strconv.ParseFloat(rest, 64); err == nil {
		return 0, fmt.Errorf("%q has no unit: write %ss for seconds, %sm for minutes or %sh for hours", s, s, s, s)
	}
	var sum time.Duration
	last := -1
	for rest != "" {
		n := 0
		for n < len(rest) && (rest[n] >= '0' && rest[n] <= '9' || rest[n] == '.') {
			n++
		}
		number := rest[:n]
		rest = rest[n:]
		n = 0
		for n < len(rest) && (rest[n] < '0' || rest[n] > '9') && rest[n] != '.' {
			n++
		}
		unit := unitIndex(rest[:n])
		if unit < 0 {
			return 0, notDuration(s)
		}
		if unit <= last {
			return 0, fmt.Errorf("the units of %q are not in order: write the largest first and each once, such as 1h30m", s)
		}
		last, rest = unit, rest[n:]
		part, err := multiply(number, durationUnits[unit].size)
		if err != nil {
			return 0, notDuration(s)
		}
		if sum += part; sum > maxDuration {
			return 0, fmt.Errorf("%q is longer than ten years", s)
		}
	}
	d := Duration(sum)
	if negative {
		d = -d
	}
	return d, nil
}

// multiply is exact for whole numbers; products above maxDuration come back as a little more than it.
func multiply(number string, unit time.Duration) (time.Duration, error) {
	if n, err := strconv.ParseUint(number, 10, 64); err == nil {
		if n > uint64(maxDuration/unit) {
			return maxDuration + 1, nil
		}
		return time.Duration(n) * unit, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("read number: %w", err)
	}
	return time.Duration(math.Round(min(f*float64(unit), float64(maxDuration)*1.01))), nil
}

func notDuration(s string) error {
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return fmt.Errorf("%q is not a duration: write one such as 90s, 5m, 1h30m, 2d or 1w", s)
}

func unitIndex(name string) int {
	for i, u := range durationUnits {
		if u.name == name || name == "µs" && u.name == "us" {
			return i
		}
	}
	return -1
}

// String writes the duration as [ParseDuration] reads it.
func (d Duration) String() string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	rest := uint64(d)
	if d < 0 {
		b.WriteByte('-')
		rest = uint64(-(d + 1)) + 1 // the least int64 has no positive twin
	}
	for _, u := range durationUnits {
		if u.name == "w" && rest%uint64(u.size) != 0 {
			continue // 8d reads better than 1w1d
		}
		if n := rest / uint64(u.size); n > 0 {
			b.WriteString(strconv.FormatUint(n, 10) + u.name)
			rest %= uint64(u.size)
		}
	}
	return b.String()
}

// MarshalText writes the duration as YAML does, so that a signature's JSON is a signature too.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("duration: %w", err)
	}
	*d = v
	return nil
}
