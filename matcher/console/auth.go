package console

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	sessionFor  = 12 * time.Hour
	leastToken  = 16
	tokenEvery  = 10 * time.Second // how often the token's file is looked at
	wrongTokens = 10               // so many a minute, of all clients together, before everybody has to wait
)

// keeper knows who may come in.
type keeper struct {
	options Auth
	trusted []netip.Prefix
	now     func() time.Time

	mu      sync.Mutex
	token   []byte
	looked  time.Time
	wrong   int       // wrong tokens since
	minute  time.Time // this began
	problem error     // why the token could not be read lately
}

func newKeeper(o Options) (*keeper, error) {
	k := &keeper{options: o.Auth, now: time.Now}
	if o.Auth.Proxy != nil {
		for _, t := range o.Auth.Proxy.Trusted {
			p, err := network(t)
			if err != nil {
				return nil, fmt.Errorf("console.auth.proxy.trusted: %w", err)
			}
			k.trusted = append(k.trusted, p.Masked())
		}
	}
	if o.Auth.TokenFile != "" {
		if _, err := k.secret(); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// secret returns the token. When its file cannot be read any more the last one goes on.
func (k *keeper) secret() ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.options.TokenFile == "" {
		return nil, errors.New("nobody signs in with a token here")
	}
	if k.token != nil && k.now().Sub(k.looked) < tokenEvery {
		return k.token, nil
	}
	b, err := os.ReadFile(k.options.TokenFile)
	text := strings.TrimSpace(string(b))
	if err == nil && len(text) < leastToken {
		err = fmt.Errorf("%s holds %d characters: make one of %d or more, such as with `openssl rand -hex 20`", k.options.TokenFile, len(text), leastToken)
	}
	if err != nil && k.token == nil {
		return nil, fmt.Errorf("read the console's token: %w", err)
	}
	k.looked = k.now()
	if k.problem = err; err == nil {
		k.token = []byte(text)
	}
	return k.token, nil
}

// person is who asks.
type person struct {
	name string // empty: not known by name
	api  bool   // a program with a bearer token: it has no cookies that another site could use
}

type personKey struct{}

func personOf(r *http.Request) person {
	p, _ := r.Context().Value(personKey{}).(person)
	return p
}

// who says who asks, and false when that is nobody who may.
func (k *keeper) who(r *http.Request, cookie string) (person, bool) {
	if !k.options.any() {
		return person{}, true
	}
	if p := k.options.Proxy; p != nil && k.isProxy(r.RemoteAddr) {
		// Several headers are what a client and a proxy sent between them, and nobody can tell which is whose.
		if all := r.Header.Values(p.Header); len(all) == 1 && strings.TrimSpace(all[0]) != "" {
			return person{name: strings.TrimSpace(all[0])}, true
		}
	}
	token, err := k.secret()
	if err != nil {
		return person{}, false
	}
	if given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return person{api: true}, k.try(given)
	}
	return person{}, k.sessionHolds(cookie, token)
}

func (k *keeper) isProxy(remote string) bool {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, p := range k.trusted {
		if p.Contains(a.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// try compares a token with ours. After some wrong ones everybody has to wait for the next minute, whoever it was: behind a proxy all clients look alike.
func (k *keeper) try(given string) bool {
	token, err := k.secret()
	if err != nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.now(); now.Sub(k.minute) > time.Minute {
		k.minute, k.wrong = now, 0
	}
	if k.wrong >= wrongTokens {
		return false
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256(token) // so that the length takes no time either
	if hmac.Equal(a[:], b[:]) {
		return true
	}
	k.wrong++
	return false
}

// newSession makes the value of a cookie that holds for sessionFor. It is signed with the token, so that any replica knows it, and none does after the token changed.
func (k *keeper) newSession(token []byte) string {
	body := strconv.FormatInt(k.now().Add(sessionFor).Unix(), 36) + "." + secret(12)
	return body + "." + base64.RawURLEncoding.EncodeToString(sign(body, token))
}

func (k *keeper) sessionHolds(cookie string, token []byte) bool {
	at := strings.LastIndexByte(cookie, '.')
	if at < 0 {
		return false
	}
	sum, err := base64.RawURLEncoding.DecodeString(cookie[at+1:])
	if err != nil || !hmac.Equal(sum, sign(cookie[:at], token)) {
		return false
	}
	until, _, _ := strings.Cut(cookie, ".")
	unix, err := strconv.ParseInt(until, 36, 64)
	return err == nil && k.now().Unix() < unix
}

func sign(body string, token []byte) []byte {
	m := hmac.New(sha256.New, token)
	_, _ = m.Write([]byte("forewarn console session " + body)) // a hash takes everything
	return m.Sum(nil)
}

// signedIn lets in who may, and shows the others how to sign in.
func (k *Console) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var cookie string
		if c, err := r.Cookie(k.cookieName("session")); err == nil {
			cookie = c.Value
		}
		p, ok := k.keeper.who(r, cookie)
		if !ok {
			k.turnAway(w, r)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), personKey{}, p)))
	})
}
