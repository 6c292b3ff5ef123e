package console_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/console/scene"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
)

func told(w matcher.Warning) pipeline.Told { return pipeline.Told{Warning: w} }

func TestEveryAnswerCarriesThePolicy(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/", "/health", "/nosuch", "/static/0/console.css", "/static/0/nosuch", "/sign-in", "/api/warnings", "/api/warnings/nosuch"} {
		h := r.send("GET", path, nil).Header
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "require-trusted-types-for 'script'"} {
			require.Contains(t, csp, want, path)
		}
		require.NotContains(t, csp, "unsafe")
		require.NotContains(t, csp, "*")
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.Equal(t, "DENY", h.Get("X-Frame-Options"), path)
		require.Empty(t, h.Get("Access-Control-Allow-Origin"))
	}
	require.Empty(t, r.send("GET", "/", nil).Header.Get("Strict-Transport-Security"))
	r = newRig(t, func(c *console.Config) { c.Options.URL = "https://forewarn.example.org" })
	require.NotEmpty(t, r.send("GET", "/", nil).Header.Get("Strict-Transport-Security"))
}

// A stranger's page whose name was made to lead to 127.0.0.1 is of another host.
func TestAConsoleWithoutSignInAnswersToItsOwnNamesAlone(t *testing.T) {
	r := newRig(t, func(c *console.Config) { c.Options.URL = "http://forewarn.example.org:8080" })
	for host, want := range map[string]int{
		"127.0.0.1:9465": 200, "localhost": 200, "[::1]:9465": 200, "forewarn.example.org:8080": 200,
		"evil.example.com": 421, "forewarn.example.org.evil.com:8080": 421, "127.0.0.1.evil.com": 421, "10.0.0.1": 421,
	} {
		require.Equal(t, want, r.send("GET", "/", nil, "Host", host).StatusCode, host)
	}
}

func TestTheTokenOpensTheConsole(t *testing.T) {
	r := newRig(t, func(c *console.Config) { c.Options.Auth.TokenFile = tokenFile(t, secretToken) })
	a := r.send("GET", "/warnings/x?y=1", nil)
	require.Equal(t, http.StatusSeeOther, a.StatusCode)
	require.Equal(t, "/sign-in?to=%2Fwarnings%2Fx%3Fy%3D1", a.Header.Get("Location"))
	for _, path := range []string{"/api/warnings", "/health", "/nosuch"} {
		require.Equal(t, http.StatusUnauthorized, r.send("GET", path, nil, "Accept", "application/json").StatusCode, path)
		require.Equal(t, http.StatusUnauthorized, r.send("GET", path, nil, "Accept", "text/event-stream").StatusCode, path)
	}

	form := r.get("/sign-in?to=%2Fwarnings%2Fx%3Fy%3D1")
	require.NotContains(t, form, "watching", "a stranger learns nothing")
	wrong := r.post("/sign-in", url.Values{"csrf": {csrf(t, form)}, "token": {"not the token at all"}})
	require.Equal(t, http.StatusUnauthorized, wrong.StatusCode)
	require.Contains(t, wrong.body, "That is not the token")
	require.Equal(t, http.StatusForbidden, r.post("/sign-in", url.Values{"token": {secretToken}}).StatusCode, "a form of another browser")

	right := r.post("/sign-in", url.Values{"csrf": {csrf(t, form)}, "token": {secretToken}, "to": {"/warnings/x?y=1"}})
	require.Equal(t, http.StatusSeeOther, right.StatusCode)
	require.Equal(t, "/warnings/x?y=1", right.Header.Get("Location"))
	cookie := right.Header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="} {
		require.Contains(t, cookie, want)
	}
	page := r.get("/")
	require.Contains(t, page, "Sign out")
	require.NotContains(t, page, secretToken)

	require.Equal(t, http.StatusForbidden, r.post("/sign-out", nil).StatusCode, "another site cannot sign people out")
	require.Equal(t, http.StatusSeeOther, r.post("/sign-out", url.Values{"csrf": {csrf(t, page)}}).StatusCode)
	require.Equal(t, http.StatusSeeOther, r.send("GET", "/", nil).StatusCode)
}

func TestWhoeverSendsPeopleHereNeedNotSignInToAskWhetherItIsReady(t *testing.T) {
	signIn := func(c *console.Config) {
		c.Options.Auth.TokenFile, c.Options.URL = tokenFile(t, secretToken), "https://sre.example.org/forewarn"
	}
	r := newEmptyRig(t, signIn)
	for _, path := range []string{"/readyz", "/forewarn/readyz"} {
		a := r.send("GET", path, nil, "Host", "10.1.2.3:9465", "Accept", "*/*")
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode, "a page would say that nothing is wrong")
		require.Equal(t, "the warnings are still being read\n", a.body)
	}
	r.view.CaughtUp()
	for _, path := range []string{"/readyz", "/forewarn/readyz"} {
		require.Equal(t, "ok\n", r.get(path))
	}
}

func TestSignInLeadsNowhereElse(t *testing.T) {
	r := newRig(t, func(c *console.Config) { c.Options.Auth.TokenFile = tokenFile(t, secretToken) })
	form := csrf(t, r.get("/sign-in"))
	for _, to := range []string{"https://evil.example.com/", "//evil.example.com", "/\\evil.example.com", "javascript:alert(1)", "evil", "/a\r\nX: y", "", "/%2f%2fevil.example.com/.."} {
		a := r.post("/sign-in", url.Values{"csrf": {form}, "token": {secretToken}, "to": {to}})
		require.Equal(t, http.StatusSeeOther, a.StatusCode)
		at, err := a.Location()
		require.NoError(t, err)
		require.Equal(t, strings.TrimPrefix(r.at, "http://"), at.Host, to)
	}
}

func TestTheCookieIsBoundToHTTPS(t *testing.T) {
	r := newRig(t, func(c *console.Config) {
		c.Options.URL, c.Options.Auth.TokenFile = "https://forewarn.example.org", tokenFile(t, secretToken)
	})
	require.Regexp(t, `^__Host-forewarn-visit=.*Secure`, r.send("GET", "/sign-in", nil).Header.Get("Set-Cookie"))
}

func TestProgramsSendTheTokenAsABearer(t *testing.T) {
	r := newRig(t, func(c *console.Config) {
		c.Options.Auth.TokenFile, c.Options.Writable = tokenFile(t, secretToken), true
	})
	path := "/api/warnings/" + r.told[0].Warning.ID + "/feedback"
	ask := func(token string) answer {
		return r.send("POST", path, strings.NewReader(`{"verdict":"averted","remedy":"scale: more nodes","by":"bot"}`), "Authorization", "Bearer "+token)
	}
	require.Equal(t, http.StatusUnauthorized, ask("").StatusCode)
	require.Equal(t, http.StatusUnauthorized, ask("wrong").StatusCode)
	require.Equal(t, http.StatusCreated, ask(secretToken).StatusCode)
	require.Len(t, r.book.Feedback(r.told[0].Warning.ID), 1)
	require.Equal(t, http.StatusBadRequest, r.send("POST", path, strings.NewReader(`{`), "Authorization", "Bearer "+secretToken).StatusCode)
	require.Equal(t, http.StatusUnprocessableEntity, r.send("POST", path, strings.NewReader(`{"verdict":"maybe"}`), "Authorization", "Bearer "+secretToken).StatusCode)
}

func TestGuessingIsSlow(t *testing.T) {
	r := newRig(t, func(c *console.Config) { c.Options.Auth.TokenFile = tokenFile(t, secretToken) })
	form := csrf(t, r.get("/sign-in"))
	for range 10 {
		require.Equal(t, http.StatusUnauthorized, r.post("/sign-in", url.Values{"csrf": {form}, "token": {"guess"}}).StatusCode)
	}
	require.Equal(t, http.StatusUnauthorized, r.post("/sign-in", url.Values{"csrf": {form}, "token": {secretToken}}).StatusCode, "everybody waits for a minute")
}

func TestAProxyNamesPeople(t *testing.T) {
	trusted := func(networks ...string) func(*console.Config) {
		return func(c *console.Config) {
			c.Options.Writable = true
			c.Options.Auth.Proxy = &console.Proxy{Header: "X-Forwarded-User", Trusted: networks}
		}
	}
	r := newRig(t, trusted("127.0.0.0/8"))
	require.Equal(t, http.StatusUnauthorized, r.send("GET", "/", nil).StatusCode, "the proxy names nobody")
	require.Equal(t, http.StatusUnauthorized, r.send("GET", "/", nil, "X-Forwarded-User", "ines", "X-Forwarded-User", "root").StatusCode, "two names are none")
	a := r.send("GET", "/warnings/"+r.told[0].Warning.ID, nil, "X-Forwarded-User", "ines")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Contains(t, plain(a.body), "signed in as ines")
	require.NotContains(t, a.body, "Who are you?")
	said := r.post("/warnings/"+r.told[0].Warning.ID, url.Values{"csrf": {csrf(t, a.body)}, "verdict": {"acknowledged"}, "by": {"somebody else"}}, "X-Forwarded-User", "ines")
	require.Equal(t, http.StatusSeeOther, said.StatusCode)
	require.Equal(t, "ines", r.book.Feedback(r.told[0].Warning.ID)[0].By, "nobody speaks for another")

	r = newRig(t, trusted("10.0.0.0/8", "192.168.1.7"))
	require.Equal(t, http.StatusUnauthorized, r.send("GET", "/", nil, "X-Forwarded-User", "ines", "X-Forwarded-For", "10.0.0.1").StatusCode, "anybody can send a header")
}

func TestFeedbackNeedsTheBrowsersOwnFormAndAWritableConsole(t *testing.T) {
	r := newRig(t, writable)
	id := r.told[0].Warning.ID
	path := "/warnings/" + id
	page := r.get(path)
	token := csrf(t, page)
	require.NotContains(t, page, `value="false-alarm" class="main"`)
	asked := r.get(path + "?verdict=false-alarm")
	require.Contains(t, asked, `value="false-alarm" class="main"`, "the link of a message leads to the button")
	require.Equal(t, 1, strings.Count(asked, `class="main"`))
	fields := func(more ...string) url.Values {
		v := url.Values{"csrf": {token}, "verdict": {"acknowledged"}, "by": {"ines"}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	stranger := newRig(t, writable)
	for name, a := range map[string]answer{
		"no token":            r.post(path, fields("csrf", "")),
		"another's token":     r.post(path, fields("csrf", csrf(t, stranger.get(path)))),
		"a broken token":      r.post(path, fields("csrf", token[:20]+"x"+token[21:])),
		"another site":        r.post(path, fields(), "Sec-Fetch-Site", "cross-site"),
		"a site beside it":    r.send("POST", path, strings.NewReader(fields().Encode()), "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-site"),
		"another origin":      r.send("POST", path, strings.NewReader(fields().Encode()), "Content-Type", "application/x-www-form-urlencoded", "Origin", "http://evil.example.com"),
		"JSON without a form": r.send("POST", "/api/warnings/"+id+"/feedback", strings.NewReader(`{"verdict":"acknowledged"}`), "Content-Type", "text/plain"),
	} {
		require.Equal(t, http.StatusForbidden, a.StatusCode, name)
	}
	require.Empty(t, r.book.Feedback(id))
	for path, body := range map[string]string{"/api/warnings/" + id + "/feedback": `{"verdict":"acknowledged"}`, "/api/playground": `{"yaml":"id: a"}`} {
		a, err := http.Post(r.at+path, "application/json", strings.NewReader(body)) //nolint:noctx,gosec // a program that has no cookie of a page
		require.NoError(t, err)
		told, err := io.ReadAll(a.Body)
		require.NoError(t, errors.Join(err, a.Body.Close()))
		require.Equal(t, http.StatusForbidden, a.StatusCode)
		require.Contains(t, string(told), "console.auth.token_file", path)
	}

	for name, v := range map[string]url.Values{"no verdict": fields("verdict", ""), "another verdict": fields("verdict", "resolved"), "averted by nothing": fields("verdict", "averted"), "no such remedy": fields("verdict", "averted", "remedy", "99")} {
		require.Equal(t, http.StatusUnprocessableEntity, r.post(path, v).StatusCode, name)
	}
	require.Equal(t, http.StatusNotFound, r.post("/warnings/nosuch", fields()).StatusCode)
	require.Equal(t, http.StatusNotFound, r.post("/health", fields()).StatusCode, "a page without a form takes none")

	a := r.post(path, fields())
	require.Equal(t, http.StatusSeeOther, a.StatusCode)
	require.Equal(t, path+"#feedback", a.Header.Get("Location"))
	require.Equal(t, http.StatusSeeOther, r.post(path, fields("verdict", "averted", "remedy", "other", "other", "moved the <b>indexer</b>", "note", strings.Repeat("long ", 1000))).StatusCode)
	require.Equal(t, http.StatusSeeOther, r.post(path, fields("verdict", "averted", "remedy", "2")).StatusCode)
	said := r.book.Feedback(id)
	require.Len(t, said, 3)
	require.Equal(t, "scale: Keep new pods away until the node has recovered.", said[2].Remedy)
	require.Equal(t, sightings.AvertedBy, said[1].Verdict)
	require.Equal(t, "moved the <b>indexer</b>", said[1].Remedy)
	require.Len(t, said[1].Note, 1000)
	require.Contains(t, plain(r.get(path)), "averted : moved the &lt;b&gt;indexer&lt;/b&gt; by ines")
	require.Contains(t, plain(r.get("/")), "acknowledged by ines")

	r = newRig(t, nil)
	page = r.get(path)
	require.NotContains(t, page, "Acknowledge</button>")
	require.Contains(t, plain(page), "This console only shows.")
	token = csrf(t, stranger.get(path))
	r.browser = stranger.browser
	require.Equal(t, http.StatusForbidden, r.post(path, fields()).StatusCode)
	require.Empty(t, r.book.Feedback(id))
}

// What a record says is shown, and does nothing.
func TestHostileTextsStayTexts(t *testing.T) {
	r := newRig(t, writable)
	evil := `<script>alert(1)</script><img src=x onerror=alert(2)>"' onmouseover="alert(3)` + "\u202egpj.exe\u202c \x1b[31mred\x1b[0m \x00"
	x, err := r.cast.Raise(scene.Role{
		Signature: "crash-loop", Key: []record.Attr{{Key: "namespace", Value: evil}, {Key: "pod", Value: strings.Repeat("long", 2000)}},
		State: matcher.Imminent, Ages: []time.Duration{time.Minute, time.Second}, Missing: evil, Incomplete: []string{evil}, Silent: []string{evil},
		Texts: []scene.Text{{Rung: 0, Age: time.Minute, Kind: record.Log, Reason: evil, Text: evil, Source: evil, Attrs: map[string]string{record.Pod: evil}}},
	})
	require.NoError(t, err)
	w := &x.Warning
	w.Title, w.Impact, w.Reason = evil, evil, evil
	w.Reached[0].Title, w.Next.Title = evil, evil
	w.References = []string{"javascript:alert(4)", "data:text/html,<script>alert(5)</script>", "https://example.org/?a=\"><script>", evil}
	w.Links = []matcher.Link{{Title: evil, URL: "javascript:alert(6)"}, {Title: "fine", URL: "https://example.org/runbook"}}
	w.Remedies[0].Do, w.Remedies[0].Command = evil, "kubectl get "+evil
	r.view.Tell(x)
	require.NoError(t, r.book.Give(t.Context(), sightings.Feedback{Warning: w.ID, Verdict: sightings.AvertedBy, Remedy: evil, By: evil, Note: evil}))
	r.facts.State.Processes[0].Inputs[0].Source = evil
	r.facts.State.Processes[0].Refused = []string{evil}
	r.facts.State.Destinations[0].LastError = evil
	for _, path := range []string{"/", "/health", "/warnings/" + w.ID} {
		page := r.get(path)
		require.Contains(t, page, "&lt;script&gt;alert(1)", path)
		for _, bad := range []string{"<script>", "<img", "onmouseover=\"", "javascript:alert", "data:text", "\u202e", "\x1b", "\x00"} {
			if bad == "javascript:alert" { // as a text it is harmless
				require.NotContains(t, page, `href="javascript`, path)
				continue
			}
			if bad == "data:text" {
				require.NotContains(t, page, `href="data`, path)
				continue
			}
			require.NotContains(t, page, bad, path)
		}
		require.Contains(t, page, "⟨202E⟩", "what turns writing around is shown as its number")
	}
	require.Contains(t, r.get("/warnings/"+w.ID), `href="https://example.org/runbook"`)
	require.Less(t, len(r.get("/")), 200_000, "long names are cut on the overview")
}

func TestWhatIsWrongIsRefusedAtTheStart(t *testing.T) {
	file := tokenFile(t, secretToken)
	for _, c := range []struct {
		want    string
		options console.Options
	}{
		{"", console.Options{Listen: "127.0.0.1:9465"}},
		{"", console.Options{Listen: "[::1]:0"}},
		{"", console.Options{Listen: "localhost:9465"}},
		{"", console.Options{Listen: ":9465", Auth: console.Auth{TokenFile: file}}},
		{"can be reached from other machines", console.Options{Listen: ":9465"}},
		{"can be reached from other machines", console.Options{Listen: "0.0.0.0:9465"}},
		{"can be reached from other machines", console.Options{Listen: "[::]:9465"}},
		{"can be reached from other machines", console.Options{Listen: "forewarn.example.org:9465"}},
		{"write an address and a port", console.Options{Listen: "9465"}},
		{"write an address and a port", console.Options{Listen: "127.0.0.1:http"}},
		{"no address of a page", console.Options{URL: "forewarn.example.org"}},
		{"no address of a page", console.Options{URL: "ftp://forewarn.example.org"}},
		{"cert_file and key_file go together", console.Options{CertFile: "x"}},
		{"without it anybody could send the header", console.Options{Auth: console.Auth{Proxy: &console.Proxy{Header: "X-User"}}}},
		{"is everybody", console.Options{Auth: console.Auth{Proxy: &console.Proxy{Header: "X-User", Trusted: []string{"0.0.0.0/0"}}}}},
		{"auth.proxy.trusted[1]", console.Options{Auth: console.Auth{Proxy: &console.Proxy{Header: "X-User", Trusted: []string{"10.0.0.1", "ten"}}}}},
		{"no header that names a person", console.Options{Auth: console.Auth{Proxy: &console.Proxy{Trusted: []string{"10.0.0.1"}}}}},
		{"no such file", console.Options{Auth: console.Auth{TokenFile: file + "x"}}},
		{"openssl rand -hex 20", console.Options{Auth: console.Auth{TokenFile: tokenFile(t, "short")}}},
	} {
		_, err := console.New(console.Config{Options: c.options, View: &console.View{}})
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.want)
	}
	_, err := os.Stat(file)
	require.NoError(t, err)
}
