package collector

import "bytes"

// removed stands where a secret stood.
const removed = "[removed]"

// redactor takes secrets out of texts before they leave the collector: values of fields that are called password, token and the like (key=value,
// "key":"value"), passwords in URLs, bearer tokens, JSON web tokens, AWS key ids and private keys. What the text says otherwise
// stays as it is. It errs on the side of leaving prose alone: "invalid token: expired" tells of no secret.
type redactor struct{ buf []byte }

// redact returns text without its secrets, and how many there were. Without any it returns text itself; else the result is
// valid until the next call.
func (r *redactor) redact(text []byte) ([]byte, int) {
	if !suspicious(text) {
		return text, 0
	}
	at, n := 0, 0
	for at < len(text) {
		start, end := nextSecret(text, at)
		if start < 0 {
			break
		}
		if n == 0 {
			r.buf = r.buf[:0]
		}
		r.buf = append(append(r.buf, text[at:start]...), removed...)
		at = end
		n++
	}
	if n == 0 {
		return text, 0
	}
	r.buf = append(r.buf, text[at:]...)
	return r.buf, n
}

// suspicious reports whether text may hold a secret. Nearly all texts hold none, so this is what redaction costs: each mark is looked
// for by a byte of it that is rare or needed anyway.
func suspicious(text []byte) bool {
	for i := 0; ; i++ {
		n := bytes.IndexByte(text[i:], '=')
		if n < 0 {
			break
		}
		if i += n; endsLikeName(text, i) && secretName(text[:i]) {
			return true
		}
	}
	for i := 0; ; i++ {
		n := bytes.IndexByte(text[i:], ':')
		if n < 0 {
			break
		}
		i += n
		if i > 1 && text[i-1] == '"' && endsLikeName(text, i-1) && secretName(text[:i-1]) ||
			i+3 < len(text) && text[i+1] == '/' && text[i+2] == '/' && bytes.IndexByte(text[i:], '@') > 0 {
			return true
		}
	}
	return stands(text, 'J', 2, "eyJ") || stands(text, 'B', 0, "Bearer ") || stands(text, 'K', 1, "AKIA") ||
		stands(text, 'K', 8, "PRIVATE KEY-----")
}

// endsLikeName reports whether the byte before i is the last one of a secret's name.
func endsLikeName(text []byte, i int) bool {
	if i == 0 {
		return false
	}
	switch text[i-1] | 0x20 {
	case 'd', 't', 'n', 'y':
		return true
	}
	return false
}

// stands reports whether mark, whose byte at an index is c, is in text.
func stands(text []byte, c byte, index int, mark string) bool {
	for i := 0; ; i++ {
		n := bytes.IndexByte(text[i:], c)
		if n < 0 {
			return false
		}
		if i += n; i >= index && bytes.HasPrefix(text[i-index:], []byte(mark)) {
			return true
		}
	}
}

// nextSecret returns where the first secret from an index on begins and ends, or -1.
func nextSecret(text []byte, from int) (start, end int) {
	start = -1
	earlier := func(s, e int) {
		if s >= from && e > s && (start < 0 || s < start) {
			start, end = s, e
		}
	}
	earlier(fieldSecret(text, from, "="))
	earlier(fieldSecret(text, from, `":`))
	earlier(urlPassword(text, from))
	earlier(marked(text, from, "Bearer ", 16, isTokenByte))
	earlier(marked(text, from, "eyJ", 40, isTokenByte))
	earlier(marked(text, from, "AKIA", 16, isUpperOrDigit))
	earlier(privateKey(text, from))
	return start, end
}

// fieldSecret finds the value of a field whose name says that it is secret. between stands between name and value.
func fieldSecret(text []byte, from int, between string) (start, end int) {
	for i := from; i < len(text); {
		n := bytes.Index(text[i:], []byte(between))
		if n < 0 {
			return -1, 0
		}
		name := text[from : i+n]
		i += n + len(between)
		if !secretName(name) {
			continue
		}
		value, quote := i, byte(0)
		for between != "=" && value < len(text) && text[value] == ' ' {
			value++
		}
		if value < len(text) && (text[value] == '"' || text[value] == '\'') {
			quote = text[value]
			value++
		} else if between != "=" { // of JSON only strings are secrets
			continue
		}
		end := value
		for end < len(text) && !endsValue(text[end], quote) {
			if text[end] == '\\' && quote != 0 {
				end++
			}
			end++
		}
		end = min(end, len(text))
		if end-value >= 3 && string(text[value:end]) != removed {
			return value, end
		}
	}
	return -1, 0
}

func endsValue(c, quote byte) bool {
	if quote != 0 {
		return c == quote
	}
	return c == ' ' || c == '\t' || c == '\n' || c == ',' || c == '&' || c == ';' || c == '"' || c == ')' || c == '}'
}

// secretName reports whether the name that text ends with is that of a secret: password, db_password, apiKey.
func secretName(text []byte) bool {
	n := len(text)
	for n > 0 && len(text)-n < 40 && isNameByte(text[n-1]) {
		n--
	}
	name := text[n:]
	for _, word := range [...]string{"password", "passwd", "secret", "token", "apikey", "api_key", "api-key", "access_key", "accesskey", "private_key", "privatekey", "secret_key", "secretkey"} {
		if len(name) >= len(word) && equalFold(name[len(name)-len(word):], word) {
			return true
		}
	}
	return false
}

func equalFold(b []byte, lower string) bool {
	for i := range lower {
		c := b[i]
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// urlPassword finds the password of scheme://user:password@host.
func urlPassword(text []byte, from int) (start, end int) {
	for i := from; i < len(text); {
		n := bytes.Index(text[i:], []byte("://"))
		if n < 0 {
			return -1, 0
		}
		i += n + 3
		colon := -1
		for j := i; j < len(text) && j < i+512; j++ {
			switch c := text[j]; {
			case c == ':' && colon < 0:
				colon = j
			case c == '@' && colon > 0 && j > colon+1:
				if string(text[colon+1:j]) == removed {
					j = len(text)
					continue
				}
				return colon + 1, j
			case c == '/' || c == '?' || c <= ' ' || c == '"':
				j = len(text)
			}
		}
	}
	return -1, 0
}

// marked finds what follows or begins with a mark and has at least least bytes of a kind. The mark "Bearer " itself stays.
func marked(text []byte, from int, mark string, least int, is func(byte) bool) (start, end int) {
	for i := from; i < len(text); {
		n := bytes.Index(text[i:], []byte(mark))
		if n < 0 {
			return -1, 0
		}
		start = i + n
		end = start + len(mark)
		if mark[len(mark)-1] == ' ' {
			start = end
		}
		body := end
		for end < len(text) && is(text[end]) {
			end++
		}
		if end-body >= least {
			return start, end
		}
		i = body
	}
	return -1, 0
}

// privateKey finds the body of a PEM block.
func privateKey(text []byte, from int) (start, end int) {
	i := bytes.Index(text[from:], []byte("PRIVATE KEY-----"))
	if i < 0 {
		return -1, 0
	}
	start = from + i + len("PRIVATE KEY-----")
	end = len(text)
	if n := bytes.Index(text[start:], []byte("-----END")); n >= 0 {
		end = start + n
	}
	if end-start < 16 { // the end of a block, or one whose key was taken out already
		return -1, 0
	}
	return start, end
}

func isTokenByte(c byte) bool {
	return isNameByte(c) || c == '.' || c == '/' || c == '+' || c == '=' || c == '~'
}

func isNameByte(c byte) bool {
	return c-'0' <= 9 || c|0x20-'a' <= 'z'-'a' || c == '_' || c == '-'
}

func isUpperOrDigit(c byte) bool { return c-'0' <= 9 || c-'A' <= 'Z'-'A' }
