package otlp

import (
	"slices"
	"strings"
)

// shape is what a metric is, as far as its name in Prometheus depends on it.
type shape uint8

const (
	plainShape   shape = iota
	gaugeShape         // a gauge may be a ratio
	counterShape       // a monotonic sum is a total
)

// promName names a metric as Prometheus would have it, by OpenTelemetry's rules of compatibility: no character that is none of a name, the unit as
// a suffix, _total for what only grows, _ratio for a gauge without a dimension.
func promName(name, unit string, is shape) string {
	tokens := strings.FieldsFunc(name, func(r rune) bool {
		return r != ':' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	main, per := units(unit)
	if main != "" && !slices.Contains(tokens, main) {
		tokens = append(tokens, main)
	}
	if per != "" && !slices.Contains(tokens, per) {
		tokens = append(tokens, "per", per)
	}
	switch {
	case is == counterShape:
		tokens = last(tokens, "total")
	case is == gaugeShape && unit == "1":
		tokens = last(tokens, "ratio")
	}
	out := strings.Join(tokens, "_")
	if out != "" && out[0]-'0' <= 9 {
		out = "_" + out
	}
	return out
}

// last puts a word at the end, once.
func last(tokens []string, word string) []string {
	return append(slices.DeleteFunc(tokens, func(t string) bool { return t == word }), word)
}

// units spells out a unit of UCUM, and what it is by.
func units(unit string) (main, per string) {
	main, per, _ = strings.Cut(unit, "/")
	main, per = strings.TrimSpace(main), strings.TrimSpace(per)
	if strings.ContainsAny(main, "{}") || main == "1" {
		main = ""
	}
	if strings.ContainsAny(per, "{}") {
		per = ""
	}
	if long, ok := longUnit(main); ok {
		main = long
	}
	if long, ok := longPer(per); ok {
		per = long
	}
	return word(main), word(per)
}

func longUnit(u string) (string, bool) {
	long := map[string]string{
		"d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds",
		"By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes",
		"GBy": "gigabytes", "TBy": "terabytes", "bit": "bits", "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams",
		"Cel": "celsius", "Hz": "hertz", "%": "percent",
	}[u]
	return long, long != ""
}

func longPer(u string) (string, bool) {
	long := map[string]string{"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}[u]
	return long, long != ""
}

// word leaves out of a unit what no name has.
func word(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r < 0x80 && isNameByte(byte(r)) {
			return r
		}
		return '_'
	}, s), "_")
}

func isNameByte(c byte) bool { return c == '_' || c-'0' <= 9 || c|0x20-'a' <= 'z'-'a' }

// labelName names a label as Prometheus would have it.
func labelName(key string) string {
	b := []byte(key)
	for i, c := range b {
		if !isNameByte(c) {
			b[i] = '_'
		}
	}
	switch {
	case len(b) > 0 && b[0]-'0' <= 9:
		return "key_" + string(b)
	case len(b) > 1 && b[0] == '_' && b[1] != '_':
		return "key" + string(b)
	}
	return string(b)
}
