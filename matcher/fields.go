package matcher

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// findField returns the value of the named field of a structured line, as text, and whether the line has it.
//
// A line whose first character is { is read as JSON: the last of several equal keys counts, as in encoding/json; a name with
// dots is first looked for as it is, then stepped into; strings are unescaped, null is absent, and everything else is
// given as it is written. A JSON line that was cut short is read as far as it goes. Every other line is read as logfmt
// (key=value and key="quoted value", which klog writes too), where the first of several equal keys counts.
//
// The value aliases the line or buf, which is returned for use by the next call.
func findField(line []byte, name string, buf []byte) (value, buf2 []byte, found bool) {
	i := skipSpace(line, 0)
	if i < len(line) && line[i] == '{' {
		j := skipSpace(line, i+1)
		if j == len(line) || line[j] == '"' || line[j] == '}' {
			return jsonField(line, i, name, buf)
		}
	}
	return logfmtField(line, name, buf)
}

// span is a piece of a line; an end of 0 means that there is none.
type span struct{ start, end int }

// jsonField looks for name in the object that opens at b[i].
func jsonField(b []byte, i int, name string, buf []byte) (value, buf2 []byte, found bool) {
	for {
		head, rest, dotted := strings.Cut(name, ".")
		var whole, step span
		for i++; ; i++ { // over the members; b[i] is the brace or a comma
			m, ok := jsonMember(b, i)
			if !ok {
				break
			}
			if keyIs(m.key, name, &buf) {
				whole = m.value
			}
			if dotted && keyIs(m.key, head, &buf) {
				step = span{m.value.start, m.end}
			}
			if i = skipSpace(b, m.end); i >= len(b) || b[i] != ',' {
				break
			}
		}
		if whole.end > 0 {
			return jsonValue(b[whole.start:whole.end], buf)
		}
		if step.end <= step.start || b[step.start] != '{' {
			return nil, buf, false
		}
		b, i, name = b[:step.end], step.start, rest
	}
}

// member is one key of an object and its value.
type member struct {
	key   []byte // the inside of its quotes, as it is written
	value span   // without an end when that was cut off
	end   int    // where the value ends, or the line
}

// jsonMember reads the member that begins at or after b[i].
func jsonMember(b []byte, i int) (m member, ok bool) {
	if i = skipSpace(b, i); i >= len(b) || b[i] != '"' {
		return m, false
	}
	if m.key, i, ok = jsonString(b, i); !ok {
		return m, false
	}
	if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
		return m, false
	}
	i = skipSpace(b, i+1)
	var complete bool
	if m.end, complete = skipValue(b, i); complete {
		m.value = span{i, m.end}
	} else {
		m.value.start = i
	}
	return m, true
}

func jsonValue(v, buf []byte) (value, buf2 []byte, found bool) {
	if v[0] == '"' {
		value, buf = unescapeJSON(v[1:len(v)-1], buf)
		return value, buf, true
	}
	if string(v) == "null" {
		return nil, buf, false
	}
	return v, buf, true
}

// keyIs compares a key as it is written between its quotes.
func keyIs(key []byte, name string, buf *[]byte) bool {
	if string(key) == name {
		return bytes.IndexByte(key, '\\') < 0
	}
	if len(key) < len(name) || isPlain(key) {
		return false
	}
	k, b := unescapeJSON(key, *buf)
	*buf = b
	return string(k) == name
}

// isPlain reports whether a JSON string's inside means what it says.
func isPlain(s []byte) bool {
	for _, c := range s {
		if c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// jsonString returns the inside of the string that opens at b[i] and the place after its closing quote.
func jsonString(b []byte, i int) (inside []byte, end int, ok bool) {
	for j := i + 1; j < len(b); j++ {
		switch b[j] {
		case '"':
			return b[i+1 : j], j + 1, true
		case '\\':
			j++
		}
	}
	return nil, len(b), false
}

// skipValue returns the end of the JSON value at b[i], and whether it was seen to end. It counts brackets and does not recurse,
// so that no line can exhaust the stack.
func skipValue(b []byte, i int) (end int, complete bool) {
	if i >= len(b) {
		return i, false
	}
	switch b[i] {
	case '"':
		_, end, ok := jsonString(b, i)
		return end, ok
	case '{', '[':
		depth := 0
		for i < len(b) {
			switch b[i] {
			case '"':
				_, end, ok := jsonString(b, i)
				if !ok {
					return end, false
				}
				i = end
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1, true
				}
			}
			i++
		}
		return i, false
	}
	start := i
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] > ' ' {
		i++
	}
	return i, i < len(b) && i > start
}

// unescapeJSON gives what encoding/json reads for the inside of a string: escapes resolved, and U+FFFD for what is
// not valid UTF-8 or a lone surrogate.
func unescapeJSON(s, buf []byte) (value, buf2 []byte) {
	if isPlain(s) {
		return s, buf
	}
	buf = buf[:0]
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			if s[i] == 'u' {
				r, n := escapedRune(s[i-1:])
				buf = utf8.AppendRune(buf, r)
				i += n - 1
				continue
			}
			if plain := unescapeByte(s[i]); plain != 0 {
				buf = append(buf, plain)
			} else {
				buf = append(buf, '\\', s[i])
			}
			i++
		case c < utf8.RuneSelf:
			buf = append(buf, c)
			i++
		default:
			r, n := utf8.DecodeRune(s[i:])
			buf = utf8.AppendRune(buf, r)
			i += n
		}
	}
	return buf, buf
}

// unescapeByte returns what a backslash and c mean, or 0 when they mean nothing.
func unescapeByte(c byte) byte {
	switch c {
	case '"', '\\', '/':
		return c
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// escapedRune reads a \uXXXX, or two of them that make one rune, at the start of s, and says how many bytes it took.
func escapedRune(s []byte) (r rune, n int) {
	r, ok := hex4(s)
	if !ok {
		return utf8.RuneError, min(6, len(s))
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if low, ok := hex4(s[6:]); ok {
		if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
			return both, 12
		}
	}
	return utf8.RuneError, 6
}

func hex4(s []byte) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// logfmtField looks for name=value among the words of a line. Quoted texts are skipped as a whole, so that a key inside a
// message is not taken for a field.
func logfmtField(b []byte, name string, buf []byte) (value, buf2 []byte, found bool) {
	for i := 0; i < len(b); {
		if i = skipSpace(b, i); i == len(b) {
			break
		}
		if b[i] == '"' {
			_, i, _ = jsonString(b, i)
			continue
		}
		start := i
		for i < len(b) && b[i] > ' ' && b[i] != '=' && b[i] != '"' {
			i++
		}
		if i == len(b) || b[i] != '=' {
			if i == start {
				i++ // a control character
			}
			continue
		}
		wanted := string(b[start:i]) == name
		i++
		if i < len(b) && b[i] == '"' {
			inside, end, _ := jsonString(b, i)
			if wanted {
				if inside == nil { // it is not closed: the line was cut short
					inside = b[i+1:]
				}
				value, buf = unescapeJSON(inside, buf)
				return value, buf, true
			}
			i = end
			continue
		}
		start = i
		for i < len(b) && b[i] > ' ' {
			i++
		}
		if wanted {
			return bytes.TrimRight(b[start:i], ","), buf, true
		}
	}
	return nil, buf, false
}

// fieldNumber reads a number, or a duration such as 1.2s or 1m30s in seconds.
func fieldNumber(v []byte) (float64, bool) {
	if len(v) == 0 || len(v) > 64 {
		return 0, false
	}
	number, duration := true, true
	for _, c := range v { // what cannot be one is left out here, because the errors of the parsers allocate
		digit := c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+'
		number = number && (digit || c == 'e' || c == 'E')
		duration = duration && (digit || c == 'h' || c == 'm' || c == 's' || c == 'u' || c == 'n' || c >= utf8.RuneSelf)
	}
	text := viewString(v)
	if number {
		f, err := strconv.ParseFloat(text, 64)
		return f, err == nil
	}
	if last := v[len(v)-1]; duration && (last == 's' || last == 'm' || last == 'h') {
		d, err := time.ParseDuration(text)
		return d.Seconds(), err == nil
	}
	return 0, false
}

// viewString lets bytes be read as a string without a copy; the string is valid only as long as b is not written.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// viewBytes lets a string be read as bytes without a copy; the bytes must not be written.
func viewBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
