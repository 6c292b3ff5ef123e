//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/console/scene"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

// shown is a page and how it comes about.
type shown struct{ name, path string }

// everyPage lists the pages of a stage.
func (s *stage) everyPage() []shown {
	return []shown{
		{"overview", "/"}, {"filtered", "/?severity=critical&state=imminent&q=memory"}, {"nothing fits", "/?q=nothing+of+the+sort"},
		{"imminent", "/warnings/" + s.told[0].Warning.ID}, {"incident", "/warnings/" + s.told[1].Warning.ID}, {"forecast", "/warnings/" + s.told[3].Warning.ID},
		{"silent", "/warnings/" + s.told[4].Warning.ID}, {"averted", "/warnings/" + s.told[5].Warning.ID}, {"resolved", "/warnings/" + s.told[6].Warning.ID},
		{"health", "/health"},
	}
}

// requireFits fails when a page is wider than its window.
func (x *tab) requireFits(what string) {
	x.t.Helper()
	wide := ask[[]string](x, `(() => {
		if (document.documentElement.scrollWidth <= innerWidth) return [];
		const inScroller = (e) => { for (let p = e.parentElement; p; p = p.parentElement) if (getComputedStyle(p).overflowX !== "visible") return true; return false; };
		const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !inScroller(e));
		return ["the page is " + document.documentElement.scrollWidth, ...wide.map((e) => e.outerHTML.slice(0, 120))].slice(0, 6);
	})()`)
	require.Empty(x.t, wide, "%s is scrolled sideways", what)
}

func TestEveryPageInLightDarkAndOnAPhone(t *testing.T) {
	script := axe(t)
	b := startBrowser(t)
	s := newStage(t, nil)
	hostile := newHostileStage(t)
	quiet := newStage(t, func(c *console.Config) { c.View = nil })
	failing := newStage(t, func(c *console.Config) { c.Facts = &scene.Facts{Err: fmt.Errorf("the server is away")} })
	locked := newStage(t, func(c *console.Config) {
		c.Options.Auth.TokenFile = filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(c.Options.Auth.TokenFile, []byte("correct-horse-battery-staple"), 0o600))
	})
	for name, w := range map[string]window{"light": desk, "dark": night, "phone": phone, "dark phone": {375, 812, true}} {
		t.Run(name, func(t *testing.T) {
			x := newTab(t, b, w)
			look := func(name, url string) {
				x.open(url)
				x.requireFits(name)
				x.requireNoViolation(script, name)
			}
			for _, p := range s.everyPage() {
				look(p.name, s.URL+p.path)
			}
			for _, p := range []shown{{"hostile overview", "/"}, {"hostile warning", "/warnings/" + hostile.told[0].Warning.ID}, {"hostile health", "/health"}} {
				look(p.name, hostile.URL+p.path)
				require.False(t, ask[bool](x, `"pwned" in window`), "a text of a record ran")
			}
			look("nothing is open", quiet.URL+"/")
			look("health is not known", failing.URL+"/health")
			look("sign in", locked.URL+"/")
			require.Empty(t, x.complaints())
			look("no such page", s.URL+"/nosuch")
			require.Len(t, x.complaints(), 1, "the browser tells of the 404")
		})
	}
}

// newHostileStage is a console whose records were written by somebody who wants to harm the reader.
func newHostileStage(t *testing.T) *stage {
	t.Helper()
	evil := `"><script>window.pwned=1</script><img src=x onerror="window.pwned=1"><svg onload=window.pwned=1>` + "\u202egpj.exe\x1b[31m" + strings.Repeat("W", 3000)
	s := newStage(t, func(c *console.Config) { c.View = nil })
	told, err := s.cast.Raise(scene.Role{
		Signature: "crash-loop", Key: []record.Attr{{Key: "namespace", Value: evil}, {Key: "pod", Value: strings.Repeat("long", 500)}}, State: matcher.Imminent,
		Ages: []time.Duration{time.Minute, time.Second}, Missing: evil, Silent: []string{evil}, Incomplete: []string{evil},
		Texts: []scene.Text{{Age: time.Minute, Kind: record.Log, Reason: evil, Text: evil, Source: evil, Attrs: map[string]string{record.Pod: evil}}},
	})
	require.NoError(t, err)
	told.Warning.Title, told.Warning.Impact = evil, evil
	told.Warning.References = []string{"javascript:window.pwned=1", evil}
	told.Warning.Remedies[0].Do, told.Warning.Remedies[0].Command = evil, evil
	s.told = []pipeline.Told{told}
	s.view.Tell(told)
	s.facts.State.Processes[0].Inputs[0].Source = evil
	s.facts.State.Processes[0].Refused = []string{evil}
	s.facts.State.Destinations[0].LastError = evil
	return s
}

func TestWithoutScriptsThePagesStillWork(t *testing.T) {
	b := startBrowser(t)
	s := newStage(t, nil)
	x := newTab(t, b, desk)
	call(x, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	x.do(chromedp.Navigate(s.URL + "/"))
	require.Len(t, x.all("#open .card h3"), 5)
	require.Empty(t, x.all("button.copy:not([hidden])"), "what needs scripts is not offered")
	x.do(chromedp.SetValue(chromedp.CSS(`[name=state]`), "imminent"), chromedp.Click(chromedp.CSS(".filter button")), chromedp.WaitVisible(chromedp.CSS("a.clear")))
	require.Len(t, x.all("#open .card h3"), 2)
	x.do(chromedp.Click(chromedp.CSS("#open li:nth-child(1) a.open")), chromedp.WaitVisible(chromedp.CSS("#feedback")))
	x.do(chromedp.SendKeys(chromedp.CSS("#by"), "jo"), chromedp.Click(chromedp.CSS(`[value="false-alarm"]`)), chromedp.WaitVisible(chromedp.CSS("ul.said")))
	require.Equal(t, "jo", s.book.Feedback(s.told[0].Warning.ID)[0].By)
}

// all are the texts of what a selector finds.
func (x *tab) all(selector string) []string {
	x.t.Helper()
	return ask[[]string](x, fmt.Sprintf(`[...document.querySelectorAll(%q)].map((e) => e.textContent)`, selector))
}

// The first view, with an empty cache: what travels, and until everything is painted, beside a page of one word that is opened in turn: what the browser and
// the machine take for any page is no part of it. On a quiet machine the view itself is there in 240 ms.
func TestTheFirstViewIsSmallAndFast(t *testing.T) {
	b := startBrowser(t)
	s := newStage(t, nil)
	word := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>word</title><h1>word</h1>")
	}))
	defer word.Close()
	type load struct{ Bytes, Answered, Painted, Ready float64 }
	open := func(url string) load {
		x := newTab(t, b, desk)
		x.do(chromedp.Navigate("about:blank"))
		x.open(url)
		x.until("it is painted", `performance.getEntriesByName("first-contentful-paint").length > 0`)
		return ask[load](x, `new Promise((done) => new PerformanceObserver((list) => {
			const page = performance.getEntriesByType("navigation")[0];
			const all = [page, ...performance.getEntriesByType("resource")];
			done({Bytes: all.reduce((n, e) => n + e.transferSize, 0), Answered: page.responseEnd, Painted: list.getEntries().at(-1).startTime, Ready: page.domContentLoadedEventEnd});
		}).observe({type: "largest-contentful-paint", buffered: true}))`)
	}
	open(s.URL + "/") // a browser that has just started is slow at whatever comes first
	fastest, least := math.Inf(1), math.Inf(1)
	for n := 0; n < 40 && (n < 3 || fastest-least >= 300); n++ {
		v, plain := open(s.URL+"/"), open(word.URL)
		require.Less(t, v.Bytes, 200_000.0)
		require.Greater(t, v.Bytes, 10_000.0, "what was measured is the page")
		fastest, least = min(fastest, max(v.Painted, v.Ready)), min(least, max(plain.Painted, plain.Ready))
		t.Logf("%.0f bytes, answered after %.0f ms, painted after %.0f ms, ready after %.0f ms; a word is painted after %.0f ms", v.Bytes, v.Answered, v.Painted, v.Ready, plain.Painted)
	}
	require.Less(t, fastest-least, 300.0, "milliseconds")
}

func TestTheThemeIsTheSystemsUntilSomebodyChooses(t *testing.T) {
	b := startBrowser(t)
	s := newStage(t, nil)
	paper := `getComputedStyle(document.body).backgroundColor`
	const light, dark = "rgb(244, 243, 238)", "rgb(13, 17, 21)"
	x := newTab(t, b, night)
	x.open(s.URL + "/")
	require.Equal(t, dark, ask[string](x, paper))
	x.do(chromedp.Click(chromedp.CSS("[data-theme-toggle]")))
	require.Equal(t, light, ask[string](x, paper))
	require.Equal(t, "Theme: light", ask[string](x, `document.querySelector("[data-theme-toggle]").textContent`))
	x.open(s.URL + "/health")
	require.Equal(t, light, ask[string](x, paper), "it is remembered, and the page comes in it")
	x.press("t")
	require.Equal(t, dark, ask[string](x, paper))
	x.press("t")
	x.open(s.URL + "/")
	require.Empty(t, ask[string](x, `document.documentElement.dataset.theme || ""`))
}

func TestTimesAreToldAlikeByServerAndBrowser(t *testing.T) {
	b := startBrowser(t)
	s := newStage(t, nil)
	x := newTab(t, b, desk)
	x.open(s.URL + "/")
	require.Equal(t, []string{"now", "in 1 s", "in 99 s", "in 2 min", "in 99 min", "in 1.7 h", "in 2 h", "in 47 h", "in 2 days", "3 min ago", "9.5 h ago", "10 h ago"},
		ask[[]string](x, `import(document.querySelector("script").src.replace("console.js", "times.js")).then((m) => [0, 1, 99, 100, 5940, 6000, 7200, 169200, 172800, -180, -34200, -36000].map(m.relative))`))
}

func TestSigningInAndOut(t *testing.T) {
	b := startBrowser(t)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("correct-horse-battery-staple"), 0o600))
	s := newStage(t, func(c *console.Config) { c.Options.Auth.TokenFile = token })
	x := newTab(t, b, desk)
	x.open(s.URL + "/health")
	x.do(chromedp.SendKeys(chromedp.CSS("#token"), "a wrong one\r"))
	x.until("it is refused", `document.querySelector("#wrong")`)
	require.Len(t, x.complaints(), 1, "the browser tells of the 401")
	x.do(chromedp.SendKeys(chromedp.CSS("#token"), "correct-horse-battery-staple\r"))
	x.until("the page that was asked for is there", `document.querySelector("#health")`)
	require.Empty(t, ask[string](x, `document.cookie`), "no script sees the session")
	x.do(chromedp.Click(chromedp.CSS(`form[action="/sign-out"] button`)))
	x.until("the form is there", `document.querySelector("#token")`)
	a, err := http.Get(s.URL + "/api/warnings")
	require.NoError(t, err)
	require.NoError(t, a.Body.Close())
	require.Equal(t, http.StatusUnauthorized, a.StatusCode)
}
