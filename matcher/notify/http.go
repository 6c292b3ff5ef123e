package notify

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxAnswer is how much of an answer is read; the longest that anything here looks at are a few hundred bytes.
const maxAnswer = 64 << 10

// post sends one body, JSON unless header says otherwise, and sorts the answer: 2xx is taken, 408, 425, 429 and 5xx are worth another try (with
// Retry-After, RFC 9110 section 10.2.3), and every other status means that the same body will never be taken.
func post(ctx context.Context, client *http.Client, to string, header http.Header, body []byte) error {
	_, err := ask(ctx, client, to, header, body)
	return err
}

// ask is post that returns the answer's body.
func ask(ctx context.Context, client *http.Client, to string, header http.Header, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, Permanent(fmt.Errorf("post to %s: %w", redacted(to), withoutURL(err)))
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Content-Type", cmp.Or(header.Get("Content-Type"), "application/json"))
	req.Header.Set("User-Agent", "forewarn")
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("post to %s: %w", redacted(to), withoutURL(err))
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if res.StatusCode/100 == 2 {
		if err != nil {
			return nil, fmt.Errorf("post to %s: read the answer: %w", redacted(to), err)
		}
		return answer, nil
	}
	err = &statusError{res.StatusCode, fmt.Sprintf("post to %s: status %d: %s", redacted(to), res.StatusCode, cmp.Or(answerText(answer, to, header), http.StatusText(res.StatusCode)))}
	switch {
	case retryableStatus(res.StatusCode):
		if wait := parseRetryAfter(res.Header.Get("Retry-After"), time.Now()); wait > 0 {
			return nil, after{err, wait}
		}
		return nil, err
	case res.StatusCode/100 == 3:
		return nil, Permanent(fmt.Errorf("%w: it redirects to %s: configure that URL", err, redacted(res.Header.Get("Location"))))
	default:
		return nil, Permanent(err)
	}
}

func retryableStatus(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests || status >= 500
}

// answerText is the beginning of an answer in one line. A server that repeats what it was sent, its own address among that, must not make a secret known.
func answerText(answer []byte, to string, header http.Header) string {
	s := strings.ToValidUTF8(string(answer), "?")
	hide := func(secret string) {
		if len(secret) >= 6 { // shorter ones are words
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	if _, secret, ok := strings.Cut(header.Get("Authorization"), " "); ok {
		hide(secret)
	}
	if u, err := url.Parse(to); err == nil {
		password, _ := u.User.Password()
		hide(password)
		for _, values := range u.Query() {
			for _, v := range values {
				hide(v)
				hide(url.QueryEscape(v))
			}
		}
		hide(u.RawQuery)
		parts := strings.Split(u.Path, "/")
		for i, part := range strings.Split(u.EscapedPath(), "/") {
			if !plainWord(part) {
				hide(part)
				hide(parts[min(i, len(parts)-1)])
			}
		}
	}
	return oneLine(strings.TrimSpace(strings.ToValidUTF8(s[:min(len(s), 512)], "?")))
}

// plainWord reports whether a part of a path may be shown: a short word, which is no token.
func plainWord(part string) bool {
	return len(part) <= 3 || len(part) <= 12 && !strings.ContainsFunc(part, func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' })
}

// parseRetryAfter reads seconds or an HTTP date; anything else is 0.
func parseRetryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// redacted leaves out what a URL may carry of secrets: user, query and all of the path but its first part (chat webhooks
// keep their token there), which goes too where it is no plain word; a path of one part goes whole.
func redacted(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "a URL that does not parse"
	}
	path := strings.TrimPrefix(u.Path, "/")
	switch first, rest, _ := strings.Cut(path, "/"); {
	case rest != "" && plainWord(first):
		path = first + "/..."
	case first != "":
		path = "..."
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() + "/" + path
}

// withoutURL takes the URL, which may hold a secret, out of net/http's error.
func withoutURL(err error) error {
	if e, ok := err.(*url.Error); ok { //nolint:errorlint // Client.Do returns exactly this type
		return e.Err
	}
	return err
}

// checkURL refuses what is no absolute HTTP URL.
func checkURL(name, raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%s: %q is not an absolute http or https URL: write it like https://host/path", name, redacted(raw))
	}
	return nil
}
