package format

import "bytes"

// members walks the members of one JSON object without decoding it. It is lenient: what is not JSON ends the walk.
type members struct {
	b    []byte
	i    int
	last []byte // the key that was read last, though its value may not be whole
}

// newMembers begins at the object that b starts with.
func newMembers(b []byte) members {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return members{}
	}
	return members{b: b, i: i + 1}
}

// next returns the next member: its key without quotes and its value as it is written, both with escapes as they are.
func (m *members) next() (key, value []byte, ok bool) {
	b := m.b
	i := skipSpace(b, m.i)
	if i < len(b) && b[i] == ',' {
		i = skipSpace(b, i+1)
	}
	if i >= len(b) || b[i] != '"' {
		return nil, nil, false
	}
	end := stringEnd(b, i)
	if end < 0 {
		return nil, nil, false
	}
	key = b[i+1 : end-1]
	m.last = key
	i = skipSpace(b, end)
	if i >= len(b) || b[i] != ':' {
		return nil, nil, false
	}
	i = skipSpace(b, i+1)
	end = valueEnd(b, i)
	if end < 0 {
		return nil, nil, false
	}
	m.i = end
	return key, b[i:end], true
}

// elements calls f with each element of the JSON list v as it is written. Like members it is lenient.
func elements(v []byte, f func(element []byte)) {
	i := skipSpace(v, 0)
	if i >= len(v) || v[i] != '[' {
		return
	}
	for i = skipSpace(v, i+1); i < len(v) && v[i] != ']'; i = skipSpace(v, i) {
		if v[i] == ',' {
			i++
			continue
		}
		end := valueEnd(v, i)
		if end < 0 {
			return
		}
		f(v[i:end])
		i = end
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the index after the string that begins with the quote at b[i], or -1 when it does not end.
func stringEnd(b []byte, i int) int {
	for j := i + 1; j < len(b); {
		q := bytes.IndexByte(b[j:], '"')
		if q < 0 {
			return -1
		}
		q += j
		slashes := 0
		for q-slashes > i+1 && b[q-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return q + 1
		}
		j = q + 1
	}
	return -1
}

// valueEnd returns the index after the value that begins at b[i], or -1 when it does not end.
func valueEnd(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		depth := 0
		for i < len(b) {
			switch b[i] {
			case '"':
				if i = stringEnd(b, i); i < 0 {
					return -1
				}
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return -1
	}
	for j := i; j < len(b); j++ {
		if c := b[j]; c == ',' || c == '}' || c == ']' || c <= ' ' {
			if j == i {
				return -1
			}
			return j
		}
	}
	return len(b)
}

// unquoted strips the quotes of a string without escapes; any other value is returned as it is.
func unquoted(v []byte) []byte {
	if len(v) >= 2 && v[0] == '"' {
		return v[1 : len(v)-1]
	}
	return v
}

// appendString decodes the JSON string v, quotes included, and appends it to dst. Broken escapes are kept as they are.
func appendString(dst, v []byte) []byte {
	if len(v) < 2 || v[0] != '"' {
		return append(dst, v...)
	}
	v = v[1 : len(v)-1]
	for {
		s := bytes.IndexByte(v, '\\')
		if s < 0 || s+1 >= len(v) {
			return append(dst, v...)
		}
		dst = append(dst, v[:s]...)
		switch c := v[s+1]; c {
		case 'n':
			dst = append(dst, '\n')
		case 't':
			dst = append(dst, '\t')
		case 'r':
			dst = append(dst, '\r')
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'u':
			r, n := unicodeEscape(v[s:])
			if n > 0 {
				dst = append(dst, string(r)...)
				v = v[s+n:]
				continue
			}
			dst = append(dst, '\\', 'u')
		default: // a quote, a slash or a backslash
			dst = append(dst, c)
		}
		v = v[s+2:]
	}
}

// unicodeEscape reads \uXXXX, or two of them for a character beyond the first 65,536.
func unicodeEscape(v []byte) (r rune, n int) {
	r = hex4(v, 2)
	if r < 0 {
		return 0, 0
	}
	if r >= 0xD800 && r < 0xDC00 && len(v) >= 12 && v[6] == '\\' && v[7] == 'u' {
		if low := hex4(v, 8); low >= 0xDC00 && low < 0xE000 {
			return (r-0xD800)<<10 + (low - 0xDC00) + 0x10000, 12
		}
	}
	return r, 6
}

func hex4(v []byte, i int) (r rune) {
	if i+4 > len(v) {
		return -1
	}
	for _, c := range v[i : i+4] {
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// jsonFields are what a JSON log line says of itself.
type jsonFields struct {
	time  int64
	level Level
}

// json reads the stamp of a JSON object, and notes its level in s.fields on the way.
func (s *Stamps) json(b []byte) (ns int64, end int) {
	s.fields = jsonFields{}
	m := newMembers(b)
	for {
		key, value, ok := m.next()
		if !ok {
			break
		}
		switch {
		case s.fields.time == 0 && isTimeKey(key):
			s.fields.time = s.jsonTime(value)
		case s.fields.level == NoLevel && isLevelKey(key):
			s.fields.level = jsonLevel(value)
		case s.fields.level == NoLevel && len(key) == 1 && key[0] == 's': // MongoDB
			s.fields.level = letterLevel(unquoted(value))
		default:
			continue
		}
		if s.fields.time != 0 && s.fields.level != NoLevel {
			break
		}
	}
	if s.fields.time == 0 {
		return 0, 0
	}
	return s.fields.time, 1
}

// jsonTime reads a string, a number, {"$date": ...} or {"$numberLong": ...}, 0 when it is no time.
func (s *Stamps) jsonTime(v []byte) int64 {
	for range 3 {
		if len(v) == 0 || v[0] != '{' {
			break
		}
		m := newMembers(v)
		key, inner, ok := m.next()
		if !ok || string(key) != "$date" && string(key) != "$numberLong" {
			return 0
		}
		v = inner
	}
	text := unquoted(v)
	ns, end := s.leading(text, 0)
	if end == 0 && bytes.HasPrefix(text, []byte(`\/Date(`)) {
		ns, _ = epoch(text, len(`\/Date(`))
	} else if end == 0 && bytes.HasPrefix(text, []byte("/Date(")) {
		ns, _ = epoch(text, len("/Date("))
	}
	return ns
}

func isLevelKey(key []byte) bool {
	switch string(key) {
	case "level", "lvl", "severity", "levelname", "loglevel", "logLevel", "log.level", "Level", "log_level", "severity_text", "@l":
		return true
	}
	return false
}

// jsonLevel reads a level's name, or the numbers of pino and bunyan.
func jsonLevel(v []byte) Level {
	if len(v) > 0 && isDigit(v[0]) {
		n, _ := number(v, 0)
		switch {
		case n >= 10 && n < 70 && n%10 == 0:
			return [...]Level{Trace, Debug, Info, Warn, Error, Fatal}[n/10-1]
		default:
			return NoLevel
		}
	}
	return levelOf(unquoted(v))
}
