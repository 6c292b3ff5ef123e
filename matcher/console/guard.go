package console

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// policy is the content security policy: nothing but the console's own files, no inline script or style, nothing that turns text into markup outside of the one
// place in live.js, and no frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types forewarn"

// guard puts the headers onto every answer, and refuses what does not ask for this host. Without that check a page of a stranger, whose name leads to
// 127.0.0.1, could read a console that nobody has to sign in to.
func (k *Console) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		if k.c.Options.secure() {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if !k.ours(r.Host) {
			http.Error(w, "this console is not called "+r.Host+": open it by its own address, or set console.url to the one that people use", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ours reports whether a host is a name of this console. Where people have to sign in any name will do: their cookies are bound to one.
func (k *Console) ours(host string) bool {
	if k.c.Options.Auth.any() {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if loopback(strings.Trim(name, "[]")) {
		return true
	}
	u, err := url.Parse(k.c.Options.URL)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// newCrossOrigin refuses changes that another site's page asks for, by Sec-Fetch-Site and Origin.
func newCrossOrigin(o Options) (*http.CrossOriginProtection, error) {
	p := http.NewCrossOriginProtection()
	if u, err := url.Parse(o.URL); err == nil && u.Host != "" { // a proxy may send another Host
		if err := p.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			return nil, fmt.Errorf("console.url: %w", err)
		}
	}
	return p, nil
}
