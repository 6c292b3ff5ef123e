package receive

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// credentials are the digests of what lets a request in. Digests have one length, so that comparing them tells nothing by its time.
type credentials [][sha256.Size]byte

func (c credentials) have(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	found := 0
	for i := range c {
		found |= subtle.ConstantTimeCompare(c[i][:], sum[:])
	}
	return found == 1
}

func parseTokens(contents [][]byte) (credentials, error) {
	var c credentials
	for line := range bytes.Lines(contents[0]) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			c = append(c, sha256.Sum256(line))
		}
	}
	if len(c) == 0 {
		return nil, errors.New("no token is in it: write one a line")
	}
	return c, nil
}

func parseUsers(contents [][]byte) (credentials, error) {
	var c credentials
	n := 0
	for line := range bytes.Lines(contents[0]) {
		n++
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			continue
		}
		if bytes.IndexByte(line, ':') <= 0 {
			return nil, fmt.Errorf("line %d is not user:password", n)
		}
		c = append(c, sha256.Sum256(line))
	}
	if len(c) == 0 {
		return nil, errors.New("no user is in it: write user:password, one a line")
	}
	return c, nil
}

// Allows reports whether a request with this Authorization header is let in. Without token and users files every one is.
func (g *Guard) Allows(authorization string) bool {
	if g.tokens == nil && g.users == nil {
		return true
	}
	scheme, rest, _ := strings.Cut(authorization, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case g.tokens != nil && strings.EqualFold(scheme, "bearer"):
		return g.tokens.get().have(rest)
	case g.users != nil && strings.EqualFold(scheme, "basic"):
		pair, err := base64.StdEncoding.DecodeString(rest)
		return err == nil && g.users.get().have(string(pair))
	}
	return false
}

// challenge is the WWW-Authenticate header of a refusal.
func (g *Guard) challenge() string {
	if g.tokens == nil {
		return `Basic realm="forewarn"`
	}
	return `Bearer realm="forewarn"`
}
