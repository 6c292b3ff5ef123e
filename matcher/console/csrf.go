package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
)

// A form carries a token that is derived from a cookie which no script and no other site can read. The server keeps nothing, so any replica takes the form.

const visitBytes = 18

// visit returns the secret of this browser, and gives it one if it has none.
func (k *Console) visit(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(k.cookieName("visit")); err == nil && len(c.Value) == base64.RawURLEncoding.EncodedLen(visitBytes) {
		return c.Value
	}
	v := secret(visitBytes)
	http.SetCookie(w, k.cookie("visit", v, 0))
	return v
}

// secret returns random bytes as text.
func secret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

func formKey(visit string) []byte {
	m := hmac.New(sha256.New, []byte(visit))
	_, _ = m.Write([]byte("forewarn console form")) // a hash takes everything
	return m.Sum(nil)
}

// formToken is another text at each call, so that it cannot be guessed from the sizes of compressed pages.
func formToken(visit string) string {
	key := formKey(visit)
	b := make([]byte, 2*len(key))
	_, _ = rand.Read(b[:len(key)]) // it never fails
	for i := range key {
		b[len(key)+i] = b[i] ^ key[i]
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// stale says what is wrong with what is sent to the API without a form that holds: a browser's page is too old, and a program has no token.
func (k *Console) stale(r *http.Request) error {
	if _, err := r.Cookie(k.cookieName("visit")); err != nil {
		return errNoToken
	}
	return errStaleForm
}

// formHolds reports whether the request carries the token of its own browser, as the field csrf or the header X-Csrf-Token.
func (k *Console) formHolds(r *http.Request) bool {
	c, err := r.Cookie(k.cookieName("visit"))
	if err != nil {
		return false
	}
	text := r.Header.Get("X-Csrf-Token")
	if text == "" {
		text = r.PostFormValue("csrf")
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	key := formKey(c.Value)
	if err != nil || len(b) != 2*len(key) {
		return false
	}
	for i := range key {
		b[len(key)+i] ^= b[i]
	}
	return hmac.Equal(b[len(key):], key)
}

// cookieName keeps other sites of the same domain from setting ours, where HTTPS allows that.
func (k *Console) cookieName(name string) string {
	if k.c.Options.secure() && k.base == "" {
		return "__Host-forewarn-" + name
	}
	return "forewarn-" + name
}

func (k *Console) cookie(name, value string, seconds int) *http.Cookie {
	return &http.Cookie{
		Name: k.cookieName(name), Value: value, Path: k.base + "/", MaxAge: seconds, HttpOnly: true, Secure: k.c.Options.secure(), SameSite: http.SameSiteStrictMode,
	}
}
