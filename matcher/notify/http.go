package notify

import (
	"bytes"
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

// post sends one JSON body and sorts the answer: 2xx is taken, 408, 425, 429 and 5xx are worth another try (with Retry-After, RFC 9110
// section 10.2.3), and every other status means that the same body will never be taken.
func post(ctx context.Context, client *http.Client, to string, header http.Header, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return Permanent(fmt.Errorf("post to %s: %w", redacted(to), err))
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "forewarn")
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("post to %s: %w", redacted(to), withoutURL(err))
	}
	defer func() { _ = res.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, 512)) // for the error text only
	if res.StatusCode/100 == 2 {
		return nil
	}
	err = fmt.Errorf("post to %s: status %d: %s", redacted(to), res.StatusCode, strings.TrimSpace(strings.ToValidUTF8(string(answer), "?")))
	switch {
	case res.StatusCode == http.StatusRequestTimeout, res.StatusCode == http.StatusTooEarly,
		res.StatusCode == http.StatusTooManyRequests, res.StatusCode >= 500:
		if wait := parseRetryAfter(res.Header.Get("Retry-After"), time.Now()); wait > 0 {
			return after{err, wait}
		}
		return err
	default:
		return Permanent(err)
	}
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
// keep their token there).
func redacted(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "a URL that does not parse"
	}
	path := strings.TrimPrefix(u.Path, "/")
	if first, rest, more := strings.Cut(path, "/"); more && rest != "" {
		path = first + "/..."
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
		return fmt.Errorf("%s: %q is not an absolute http or https URL: write it like https://host/path", name, raw)
	}
	return nil
}
