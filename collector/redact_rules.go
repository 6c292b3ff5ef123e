package collector

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// farBack bounds how far a rule looks back from its mark.
const farBack = 512

// urlPassword finds the password of scheme://user:password@host, and of user:password@tcp(host), from its @.
func urlPassword(text []byte, _ *mark, start, end, floor int) (from, to int) {
	begin, ats := start, 0
	for begin > floor && start-begin < farBack && !endsURL(text[begin-1]) {
		if text[begin-1] == '@' {
			if ats++; ats > 8 { // no password; a text of nothing else must not cost its length for each
				return -1, 0
			}
		}
		if text[begin-1] == '/' && begin-2 >= floor && text[begin-2] == '/' && begin-3 >= floor && text[begin-3] == ':' {
			break
		}
		begin--
	}
	isURL := begin > floor && text[begin-1] == '/'
	if !isURL && !bytes.HasPrefix(text[end:], []byte("tcp(")) && !bytes.HasPrefix(text[end:], []byte("unix(")) {
		return -1, 0
	}
	// A password may have an @ of its own; the last one before the host counts.
	for i := end; i < len(text) && i-end < farBack && !endsURL(text[i]) && text[i] != '/' && text[i] != '?' && text[i] != '#'; i++ {
		if text[i] == '@' {
			start = i
		}
	}
	authority := text[begin:start]
	colon := bytes.IndexByte(authority, ':')
	slash := bytes.IndexByte(authority, '/')
	switch {
	case slash >= 0 && (colon < 0 || slash < colon || allDigits(authority[colon+1:slash])):
		return -1, 0 // the @ is in a path
	case colon < 0:
		if len(authority) >= 16 && mixed(authority) {
			return begin, start
		}
		return -1, 0
	case colon+1 == len(authority) || harmless(authority[colon+1:]):
		return -1, 0
	}
	return begin + colon + 1, start
}

func endsURL(c byte) bool {
	return c <= ' ' || c == '"' || c == '\'' || c == '<' || c == '>' || c == '`' || c == '=' || c == '|' || c == '\\'
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}

// address finds an e-mail address from its @.
func address(text []byte, _ *mark, start, end, floor int) (from, to int) {
	from, to = start, end
	for from > floor && start-from < 64 && (isNameByte(text[from-1]) || text[from-1] == '.' || text[from-1] == '+' || text[from-1] == '%') {
		from--
	}
	dot := -1
	for to < len(text) && to-end < 255 && (isNameByte(text[to]) || text[to] == '.') {
		if text[to] == '.' {
			dot = to
		}
		to++
	}
	if dot == to-1 && dot > 0 { // the end of a sentence
		to--
		dot = end + bytes.LastIndexByte(text[end:to], '.')
	}
	if from == start || dot <= end || to-dot < 3 || allDigits(text[dot+1:to]) {
		return -1, 0
	}
	return from, to
}

// bearer finds the token of a bearer header.
func bearer(text []byte, _ *mark, start, end, floor int) (from, to int) {
	to = run(text, end, isTokenByte)
	if to-end < 16 || !mixed(text[end:to]) && !afterAuthorization(text, start, floor) {
		return -1, 0
	}
	return end, to
}

// basic finds the user and password of a basic header. Outside an authorization header they must be such when they are unpacked.
func basic(text []byte, _ *mark, start, end, floor int) (from, to int) {
	to = run(text, end, isTokenByte)
	value := text[end:to]
	if len(value) < 4 {
		return -1, 0
	}
	if afterAuthorization(text, start, floor) && mixed(value) {
		return end, to
	}
	for _, e := range [...]*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		plain, err := e.AppendDecode(nil, bytes.TrimRight(value, "="))
		if err == nil && bytes.IndexByte(plain, ':') >= 0 && printable(plain) {
			return end, to
		}
	}
	return -1, 0
}

// afterAuthorization reports whether what begins at start is the value of such a header.
func afterAuthorization(text []byte, start, floor int) bool {
	return bytes.Contains(bytes.ToLower(text[min(max(floor, start-24), start):start]), []byte("authorization"))
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// authorization finds what an authorization header holds under any other scheme, or none.
func authorization(text []byte, _ *mark, _, end, _ int) (from, to int) {
	f, ok := field(text, end)
	if !ok || f.flag {
		return -1, 0
	}
	from = f.value
	for range 2 { // a scheme may stand before it
		to = run(text[:min(len(text), from+judged)], from, isTokenByte)
		if to-from >= 16 && mixed(text[from:to]) {
			return from, run(text, to, isTokenByte)
		}
		if to >= len(text) || text[to] != ' ' {
			break
		}
		from = to + 1
	}
	return -1, 0
}

// cookie finds the cookies of a header.
func cookie(text []byte, _ *mark, _, end, _ int) (from, to int) {
	f, ok := field(text, end)
	if !ok || f.flag {
		return -1, 0
	}
	inside := func(c byte) bool { return strings.IndexByte("\"'\n\r\\]", c) < 0 }
	value := text[f.value:min(len(text), f.value+farBack)] // a cookie's name is short
	value = value[:run(value, 0, inside)]
	if bytes.IndexByte(value, '=') < 1 || bytes.HasPrefix(value, []byte(removed)) {
		return -1, 0
	}
	return f.value, run(text, f.value, inside)
}

// privateKey finds the body of a PEM block.
func privateKey(text []byte, _ *mark, start, end, floor int) (from, to int) {
	head := text[min(max(floor, start-40), start):start]
	if i := bytes.LastIndex(head, []byte("-----")); i < 0 || !bytes.HasPrefix(head[i:], []byte("-----BEGIN")) {
		return -1, 0
	}
	i := bytes.Index(text[end:min(len(text), end+16)], []byte("-----"))
	if i < 0 {
		return -1, 0
	}
	from, to = end+i+5, len(text)
	if n := bytes.Index(text[from:], []byte("-----END")); n >= 0 {
		to = from + n
	}
	if to-from < 16 { // one whose key was taken out already
		return -1, 0
	}
	return from, to
}

// encodedKey finds a PEM block that is encoded once more, as in a kubeconfig or a Secret. Certificates look the same at the beginning.
func encodedKey(text []byte, _ *mark, start, _, _ int) (from, to int) {
	head, err := base64.StdEncoding.AppendDecode(nil, text[start:min(len(text), start+48)])
	if err != nil || !bytes.Contains(head, []byte("PRIVATE")) {
		return -1, 0
	}
	return start, run(text, start, isTokenByte)
}

// token finds a token that begins with its mark.
func token(text []byte, m *mark, start, end, _ int) (from, to int) {
	if m.body.alone && start > 0 && isLetterOrDigit(text[start-1]) && m.text[0] != '.' {
		return -1, 0
	}
	to = run(text, end, m.body.is)
	if n := to - end; n < m.body.least || m.body.most > 0 && n > m.body.most {
		return -1, 0
	}
	if m.text == ".atlasv1." {
		for start > 0 && isLetterOrDigit(text[start-1]) {
			start--
		}
	}
	return start, to
}

// azureSecret finds a client secret of Entra: three letters, a digit, Q~ and 31 to 34 more.
func azureSecret(text []byte, _ *mark, start, end, floor int) (from, to int) {
	to = end + run(text[end:min(len(text), end+40)], 0, isAzureByte)
	if n := to - end; start-3 < floor || n < 31 || n > 34 {
		return -1, 0
	}
	return start - 3, to
}

func isAzureByte(c byte) bool { return isNameByte(c) || c == '.' || c == '~' }

// run returns where the bytes of a kind end that begin at i.
func run(text []byte, i int, is func(byte) bool) int {
	for i < len(text) && is(text[i]) {
		i++
	}
	return i
}

// mixed reports whether b has a digit or both cases of letters, which words do not.
func mixed(b []byte) bool {
	var upper, lower bool
	for i, c := range b {
		switch {
		case c-'0' <= 9:
			return true
		case c-'A' <= 'Z'-'A':
			upper = upper || i > 0
		case c-'a' <= 'z'-'a':
			lower = true
		}
	}
	return upper && lower
}

func isTokenByte(c byte) bool {
	return isNameByte(c) || c == '.' || c == '/' || c == '+' || c == '=' || c == '~'
}

func isNameByte(c byte) bool { return isLetterOrDigit(c) || c == '_' || c == '-' }

func isLetterOrDigit(c byte) bool { return c-'0' <= 9 || c|0x20-'a' <= 'z'-'a' }

func isUpperOrDigit(c byte) bool { return c-'0' <= 9 || c-'A' <= 'Z'-'A' }
