package collector

import (
	"bytes"
	"strings"
)

// strength says how sure it is that what a name holds is secret.
type strength uint8

const (
	notSecret strength = iota
	weak               // secret and token are also words of sentences and names of objects
	strong
)

// secretName judges the name that b ends with: password, db_password, apiKey.
func secretName(b []byte) strength {
	n := len(b)
	for n > 0 && len(b)-n < 64 && isNameByte(b[n-1]) {
		n--
	}
	name := b[n:]
	switch {
	case ends(name, "password"), ends(name, "passwd"), ends(name, "_pass"), ends(name, "passphrase"), ends(name, "key-data"), ends(name, "amz-signature"):
		return strong
	case ends(name, "key"):
		rest := bytes.TrimRight(name[:len(name)-3], "_-")
		for _, word := range keyWords() {
			if ends(rest, word) {
				return strong
			}
		}
	case ends(name, "pwd"):
		if len(name) == 3 || name[len(name)-4] == '_' || name[len(name)-4] == '-' || ends(name, "userpwd") {
			return strong
		}
	case ends(name, "sig"):
		if len(name) == 3 && n > 0 && (b[n-1] == '?' || b[n-1] == '&') { // of a signed URL
			return strong
		}
	case ends(name, "client_secret"), ends(name, "clientsecret"), ends(name, "client-secret"):
		return strong
	case ends(name, "pullsecret"), ends(name, "tlssecret"), ends(name, "existingsecret"): // the name of a Secret
		return notSecret
	case ends(name, "secret"), ends(name, "token"):
		return weak
	}
	return notSecret
}

// ends reports whether b ends with a word of lower case letters, in any case.
func ends(b []byte, word string) bool {
	if len(b) < len(word) {
		return false
	}
	b = b[len(b)-len(word):]
	for i := range len(word) {
		c := b[i]
		if c-'A' <= 'Z'-'A' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// place is where the value of a field lies, and how it is written.
type place struct {
	value, end   int  // the end of what is judged, which may be before the value's
	separator    byte // = or :
	spaced       bool // a blank stands between the name and the value
	quoted       bool // the value is in quotes
	nameQuoted   bool
	flag         bool // name and value are apart by a blank alone
	assignSpaced bool // a blank stands before the separator
	quote        byte
	escaped      bool // the quotes are escaped
}

// maxName is how long a name may be on either side of its mark, and judged how much of a value is looked at to judge it. Without bounds a text of nothing
// but marks would cost its length for each of them.
const (
	maxName = 64
	judged  = 1 << 10
)

// field reads what stands behind a name that ends at i: a separator and the value.
func field(text []byte, i int) (place, bool) {
	var p place
	if i < len(text) && text[i] == '\\' {
		i++
	}
	if i < len(text) && (text[i] == '"' || text[i] == '\'' || text[i] == ']') {
		p.nameQuoted = true
		i++
	}
	j := blanks(text, i)
	p.assignSpaced = j > i
	switch {
	case j < len(text) && (text[j] == '=' || text[j] == ':'):
		p.separator = text[j]
		j++
		if j < len(text) && (text[j] == '>' && p.separator == '=' || text[j] == '=' && p.separator == ':') {
			j++
		} else if j < len(text) && (text[j] == '=' || text[j] == ':') { // a comparison, a C++ name
			return p, false
		}
	case j > i && !p.nameQuoted:
		p.flag = true
	default:
		return p, false
	}
	p.value = blanks(text, j)
	p.spaced = p.value > j || p.assignSpaced
	escaped := p.value+1 < len(text) && text[p.value] == '\\' && text[p.value+1] == '"'
	if escaped {
		p.value++
	}
	var quote byte
	if p.value < len(text) && (text[p.value] == '"' || text[p.value] == '\'') {
		p.quoted = true
		quote = text[p.value]
		p.value++
	}
	p.quote, p.escaped = quote, escaped
	p.end = valueEnd(text[:min(len(text), p.value+judged)], p.value, quote, escaped)
	return p, true
}

func blanks(text []byte, i int) int {
	for n := 0; i < len(text) && n < 8 && (text[i] == ' ' || text[i] == '\t'); n++ {
		i++
	}
	return i
}

// valueEnd returns where a value ends: at its closing quote, or at what no value without quotes has.
func valueEnd(text []byte, i int, quote byte, escaped bool) int {
	for i < len(text) {
		c := text[i]
		switch {
		case escaped && c == '\\' && i+1 < len(text) && text[i+1] == '"':
			return i
		case escaped && c == '"':
			return i
		case quote != 0 && c == '\\':
			i++
		case quote != 0 && c == quote:
			return i
		case quote == 0 && (c <= ' ' || c == ',' || c == '&' || c == ';' || c == '"' || c == ')' || c == '}'),
			quote == 0 && c == '\\' && i+1 < len(text) && (text[i+1] == 'n' || text[i+1] == 'r' || text[i+1] == 't' || text[i+1] == '"'):
			return i
		}
		i++
	}
	return min(i, len(text))
}

// fieldSecret finds the value of a field whose name says that it is secret. Where a name is also a word of sentences (token: expired) the value
// must look like a secret.
func fieldSecret(text []byte, m *mark, start, end, _ int) (from, to int) {
	if m.text == "identified by" {
		f, ok := field(text, end)
		if !ok || !f.flag || !f.quoted || f.end == f.value || string(text[f.value:f.end]) == removed {
			return -1, 0
		}
		return f.value, valueEnd(text, f.value, f.quote, f.escaped)
	}
	if c := text[end-1]; !isNameByte(c) { // the mark has what stands behind the name
		end--
	}
	stop := run(text[:min(len(text), end+maxName)], end, isNameByte)
	sure := secretName(text[:stop])
	if sure == notSecret {
		return -1, 0
	}
	f, ok := field(text, stop)
	if !ok {
		return -1, 0
	}
	name := start
	for name > 0 && start-name < maxName && isNameByte(text[name-1]) {
		name--
	}
	value := text[f.value:f.end]
	if strings.HasPrefix(m.text, "pwd") && len(value) > 0 && value[0] == '/' { // the working directory
		return -1, 0
	}
	if harmless(value) || !secretValue(text, name, stop, f, value, sure) {
		return -1, 0
	}
	return f.value, valueEnd(text, f.value, f.quote, f.escaped)
}

// secretValue judges the value of a field by how the field is written.
func secretValue(text []byte, name, stop int, f place, value []byte, sure strength) bool {
	switch {
	case f.flag && bytes.HasPrefix(text[name:], []byte("--")):
		return value[0] != '-' && mixed(value)
	case f.flag:
		return f.quoted && sure == strong && ends(bytes.TrimRight(text[:name], " "), "with")
	case f.separator == '=' && (!f.assignSpaced || f.quoted):
		return !reference(text[name:stop], value)
	case f.nameQuoted && f.quoted:
		return true
	case f.nameQuoted: // of JSON only strings are secrets
		return looksSecret(value)
	case sure == strong && (f.quoted || !f.spaced || wholeLine(text, name, f.end)):
		return true
	case sure == strong:
		return mixed(value) && len(value) >= 6
	}
	return looksSecret(value)
}

// reference reports whether a field called secret has the name of a Secret: namespace/name.
func reference(name, value []byte) bool {
	if len(name) != len("secret") && len(name) != len("token") {
		return false
	}
	slash := bytes.IndexByte(value, '/')
	if slash < 1 || slash == len(value)-1 {
		return false
	}
	for i, c := range value {
		if c-'a' > 'z'-'a' && c-'0' > 9 && c != '-' && c != '.' && i != slash {
			return false
		}
	}
	return true
}

// wholeLine reports whether a line has nothing but the field, as configuration does.
func wholeLine(text []byte, name, end int) bool {
	for name > 0 && (text[name-1] == ' ' || text[name-1] == '-' || text[name-1] == '\t') {
		name--
	}
	return (name == 0 || text[name-1] == '\n') && (end == len(text) || text[end] == '\n' || text[end] == '\r')
}

// looksSecret reports whether a word is none of a language, and no name or number that logs are full of.
func looksSecret(v []byte) bool {
	if len(v) < 8 || v[0] == '/' || v[0] == '0' && v[1] == 'x' || bytes.IndexByte(v, ':') >= 0 {
		return false
	}
	var upper, lower, digits, other, dashes int
	for _, c := range v {
		switch {
		case c-'A' <= 'Z'-'A':
			upper++
		case c-'a' <= 'z'-'a':
			lower++
		case c-'0' <= 9:
			digits++
		case c == '-' || c == '_':
			dashes++
		case c == '.' || c == '/' || c == '+' || c == '=' || c == '~' || c == '$' || c == '!' || c == '#' || c == '%' || c == '^' || c == '*':
			other++
		default:
			return false
		}
	}
	switch {
	case upper > 0 && lower > 0 && digits > 0 && other == 0 || upper+lower >= 4 && digits >= 2 && other > 0 && upper > 0:
		return true
	case len(v) == len("abcdef.0123456789abcdef") && v[6] == '.' && other == 1 && dashes == 0: // what kubeadm makes
		return true
	case dashes == 4 && len(v) == 36 && other == 0: // a UUID
		return true
	}
	return len(v) >= 16 && dashes == 0 && other == 0 && digits >= 3 && upper+lower >= 3
}

// harmless reports whether a value tells that there is none, or where it is.
func harmless(v []byte) bool {
	if len(v) < 3 || bytes.HasPrefix(v, []byte("${")) || bytes.HasPrefix(v, []byte("$(")) || bytes.HasPrefix(v, []byte("{{")) ||
		v[0] == '<' && v[len(v)-1] == '>' || v[0] == '[' && v[len(v)-1] == ']' {
		return true
	}
	if c := v[0]; (c == '*' || c|0x20 == 'x' || c == '.' || c == '-' || c == '#') && len(bytes.Trim(v, string(c))) == 0 {
		return true
	}
	if len(v) > 12 {
		return false
	}
	switch string(bytes.ToLower(bytes.TrimRight(v, ".!"))) {
	case "null", "nil", "none", "true", "false", "empty", "expired", "invalid", "missing", "required", "incorrect", "wrong", "unset", "redacted",
		"hidden", "unknown", "not", "yes", "undefined", "denied", "failed", "revoked", "rejected", "mismatch", "disabled", "optional", "omitted", "all", "any":
		return true
	}
	return false
}
