package console_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/console/scene"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

// rig is a console with the scene of a cluster, and a browser without scripts.
type rig struct {
	t    *testing.T
	at   string
	cast *scene.Cast
	told []pipeline.Told
	view *console.View
	book *scene.Book

	facts   *scene.Facts
	browser *http.Client
}

// newRig serves a console. change may alter its configuration; empty leaves the warnings out.
func newRig(t *testing.T, change func(*console.Config)) *rig {
	t.Helper()
	r := newEmptyRig(t, change)
	for _, x := range r.told {
		r.view.Tell(x)
	}
	r.view.CaughtUp()
	return r
}

func newEmptyRig(t *testing.T, change func(*console.Config)) *rig {
	t.Helper()
	cast, err := scene.New(time.Now())
	require.NoError(t, err)
	told, book, facts, err := cast.Cluster()
	require.NoError(t, err)
	r := &rig{t: t, cast: cast, told: told, view: &console.View{}, book: book, facts: facts, browser: newBrowser(t)}
	c := console.Config{View: r.view, Book: book, Facts: facts, Version: "v0.9.0"}
	if change != nil {
		change(&c)
	}
	k, err := console.New(c)
	require.NoError(t, err)
	s := httptest.NewServer(k.Handler())
	r.at = s.URL
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return r
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// answer is what the console answered.
type answer struct {
	*http.Response

	body string
}

// send asks for something as a browser does, with headers besides as name and value.
func (r *rig) send(method, path string, body io.Reader, headers ...string) answer {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), method, r.at+path, body)
	require.NoError(r.t, err)
	q.Header.Set("Accept", "text/html,*/*;q=0.8")
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			q.Host = headers[i+1]
		}
		q.Header.Add(headers[i], headers[i+1])
		if headers[i] == "Accept" || headers[i] == "Sec-Fetch-Site" { // the last one counts
			q.Header.Set(headers[i], headers[i+1])
		}
	}
	a, err := r.browser.Do(q)
	require.NoError(r.t, err)
	b, err := io.ReadAll(a.Body)
	require.NoError(r.t, err)
	require.NoError(r.t, a.Body.Close())
	return answer{a, string(b)}
}

// get asks for a page that is there.
func (r *rig) get(path string) string {
	r.t.Helper()
	a := r.send("GET", path, nil)
	require.Equal(r.t, http.StatusOK, a.StatusCode, a.body)
	return a.body
}

// post sends a form of the same site.
func (r *rig) post(path string, values url.Values, headers ...string) answer {
	r.t.Helper()
	return r.send("POST", path, strings.NewReader(values.Encode()), append([]string{"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin"}, headers...)...)
}

// csrf is the token of the forms on a page.
func csrf(t *testing.T, page string) string {
	t.Helper()
	m := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page)
	require.NotNil(t, m, "the page has no form with a token")
	return m[1]
}

const secretToken = "correct-horse-battery-staple"

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte(token+"\n"), 0o600))
	return path
}

func writable(c *console.Config) { c.Options.Writable = true }

// plain is a page as it is read: without markup, its spaces made one.
func plain(page string) string {
	page = regexp.MustCompile(`(?s)<head>.*?</head>`).ReplaceAllString(page, "")
	return strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " ")), " ")
}
