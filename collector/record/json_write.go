package record

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends the JSON form of r, as one line without its end, and returns the longer slice. [ParseJSON] reads it
// back as the same record, except that attributes with invalid UTF-8 get U+FFFD for it.
func AppendJSON(dst []byte, r *Record) []byte {
	dst = append(dst, `{"kind":"`...)
	dst = append(dst, r.Kind.String()...)
	dst = append(dst, `","time":"`...)
	dst = time.Unix(0, r.Time).UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, '"')
	if r.Observed != 0 {
		dst = append(dst, `,"observed":"`...)
		dst = time.Unix(0, r.Observed).UTC().AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, '"')
	}
	if r.Seq != 0 {
		dst = append(dst, `,"seq":`...)
		dst = strconv.AppendUint(dst, r.Seq, 10)
	}
	dst = fmt.Appendf(dst, `,"id":"%016x"`, r.ID) // as a string: many readers keep numbers as float64
	if r.Kind == Event && r.Count > 1 {
		dst = append(dst, `,"count":`...)
		dst = strconv.AppendUint(dst, uint64(r.Count), 10)
	}
	if r.Kind == Sample {
		dst = append(dst, `,"value":`...)
		switch {
		case math.IsNaN(r.Value):
			dst = append(dst, `"NaN"`...)
		case math.IsInf(r.Value, 0):
			dst = fmt.Appendf(dst, `"%+g"`, r.Value)
		default:
			dst = strconv.AppendFloat(dst, r.Value, 'g', -1, 64)
		}
	}
	switch {
	case len(r.Text) == 0:
	case utf8.Valid(r.Text):
		dst = append(dst, `,"text":`...)
		dst = appendString(dst, string(r.Text))
	default:
		dst = append(dst, `,"text_base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, r.Text)
		dst = append(dst, '"')
	}
	for i, a := range r.Attrs {
		if i == 0 {
			dst = append(dst, `,"attrs":{`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(dst, a.Key)
		dst = append(dst, ':')
		dst = appendString(dst, a.Value)
	}
	if len(r.Attrs) > 0 {
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// appendString writes a JSON string. Unlike encoding/json it leaves <, > and & as they are: logs are full of them.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r) // RuneError is U+FFFD
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}
