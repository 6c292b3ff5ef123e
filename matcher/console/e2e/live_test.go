//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/console/scene"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

// raise tells the console of a crash loop of a pod.
func (s *stage) raise(t *testing.T, pod string, state matcher.State, revision uint32) pipeline.Told {
	t.Helper()
	told, err := s.cast.Raise(scene.Role{
		Signature: "crash-loop", Key: []record.Attr{{Key: "namespace", Value: "shop"}, {Key: "pod", Value: pod}}, State: state, Revision: revision,
		Ages: []time.Duration{time.Minute, time.Second}, Reason: "it is quiet",
	})
	require.NoError(t, err)
	s.view.Tell(told)
	return told
}

const focused = `document.activeElement.textContent`

func TestAnOpenPageFollows(t *testing.T) {
	b := startBrowser(t)
	s := newStage(t, nil)
	x := newTab(t, b, desk)
	x.open(s.URL + "/")
	x.until("it is told how things are", `document.body.dataset.told`)
	x.do(chromedp.Focus(chromedp.CSS("#open li:nth-child(3) a.open")))
	was := ask[string](x, focused)

	told := s.raise(t, "web-1", matcher.Imminent, 1)
	id := "w-" + told.Warning.ID
	x.until("a card comes", fmt.Sprintf(`document.getElementById(%q)`, id))
	require.Equal(t, []string{"incident", "imminent", "imminent", "imminent", "forming", "forming"}, x.all("#open .card .state"), "at its place")
	x.until("the answer is new", `document.querySelector("#answer").textContent.includes("3 imminent")`)
	x.until("it is read aloud", `document.querySelector("#said").textContent === "imminent: A container crashes at each start and stays in back-off, shop/web-1"`)
	require.Equal(t, was, ask[string](x, focused), "whoever reads is not disturbed")
	require.False(t, ask[bool](x, fmt.Sprintf(`document.querySelector("#%s .copy")?.hidden ?? true`, id)), "its buttons live")

	x.do(chromedp.Focus(chromedp.CSS("#" + id + " a.open")))
	s.raise(t, "web-1", matcher.InIncident, 2)
	x.until("the card is higher", fmt.Sprintf(`document.querySelector("#open li:nth-child(1)").id === %q`, id))
	require.Equal(t, id+"-title", ask[string](x, `document.activeElement.parentElement.id`), "the focus stays on what it was on")

	s.raise(t, "web-1", matcher.Resolved, 3)
	x.until("it is over", fmt.Sprintf(`!document.getElementById(%q) && document.querySelector("#finished li").id === %q`, id, "f-"+told.Warning.ID))
	require.NotEqual(t, "BODY", ask[string](x, `document.activeElement.tagName`), "the focus is not lost with it")
}

func TestAPageThatWasCutOffCatchesUp(t *testing.T) {
	b := startBrowser(t)
	s := newStage(t, nil)
	x := newTab(t, b, desk)
	x.open(s.URL + "/")
	x.until("it is told how things are", `document.body.dataset.told`)
	s.gone.Store(true)
	s.CloseClientConnections()
	x.until("it says that it is cut off", `!document.querySelector(".lost-link").hidden`)
	told := s.raise(t, "web-2", matcher.Forming, 1)
	s.gone.Store(false)
	x.until("what was missed comes", fmt.Sprintf(`document.getElementById("w-%s") && document.querySelector(".lost-link").hidden`, told.Warning.ID))
	_ = x.complaints() // the browser told of the connection
}

func TestAnOpenWarningFollows(t *testing.T) {
	b := startBrowser(t)
	s := newStage(t, nil)
	w := s.told[0].Warning
	x := newTab(t, b, desk)
	x.open(s.URL + "/warnings/" + w.ID)
	x.until("it is told how things are", `document.body.dataset.told`)
	x.do(chromedp.SendKeys(chromedp.CSS("#note"), "half a sen"))
	w.Revision, w.State = 9, matcher.InIncident
	w.Reached = append(w.Reached, matcher.Reached{Stage: "incident", Title: "Several pods were evicted within minutes", Time: time.Now()})
	s.view.Tell(pipeline.Told{Warning: w})
	x.until("it happened", `document.querySelector("#warning-head .state").textContent === "incident"`)
	x.until("its history is longer", `document.querySelectorAll("#warning-history li").length === 2`)
	x.do(chromedp.SendKeys(chromedp.CSS("#note"), "tence"))
	require.Equal(t, "half a sentence", ask[string](x, `document.querySelector("#note").value`), "what somebody writes stays")
}

func TestKeys(t *testing.T) {
	b := startBrowser(t)
	s := newStage(t, nil)
	x := newTab(t, b, desk)
	x.open(s.URL + "/")
	cards := x.all("#open a.open, #finished a.open")

	x.press(kb.Tab)
	require.Equal(t, "Skip to the content", ask[string](x, focused))
	require.GreaterOrEqual(t, ask[float64](x, `document.activeElement.getBoundingClientRect().top`), 0.0, "it is seen")
	x.press(kb.Enter)
	require.Equal(t, "main", ask[string](x, `document.activeElement.id`))

	x.press("j")
	require.Equal(t, cards[0], ask[string](x, focused))
	require.NotEqual(t, "none", ask[string](x, `getComputedStyle(document.activeElement).outlineStyle`), "where one is can be seen")
	x.press("j", kb.ArrowDown)
	require.Equal(t, cards[2], ask[string](x, focused))
	x.press("k", kb.ArrowUp, "k")
	require.Equal(t, cards[0], ask[string](x, focused), "it stops at the first")

	x.press("/")
	require.Equal(t, "q", ask[string](x, `document.activeElement.name`))
	x.press("j", "?")
	require.Regexp(t, `^/?j\?$`, ask[string](x, `document.querySelector("[name=q]").value`), "in a field keys are letters; the slash comes of how keys are sent here")
	x.press(kb.Escape)
	require.NotEqual(t, "q", ask[string](x, `document.activeElement.name || ""`), "Escape leaves it")
	require.Empty(t, ask[string](x, `document.querySelector("[name=q]").value+location.search`), "and what was written is not meant")

	x.press("?")
	require.True(t, ask[bool](x, `document.querySelector("#help").open`))
	x.press(kb.Escape)
	require.False(t, ask[bool](x, `document.querySelector("#help").open`))

	x.press("g", "p")
	x.until("the other page is there", `location.pathname === "/health"`)
	x.until("its scripts have run", `!document.querySelector("[data-help]").hidden`)
	x.press("g", "o")
	x.until("the overview is there", `location.pathname === "/" && document.querySelector("#open")`)
	x.until("its scripts have run", `!document.querySelector("[data-help]").hidden`)
	x.press("j", kb.Enter)
	x.until("it is opened", `document.querySelector("#warning-head h1")?.textContent === `+fmt.Sprintf("%q", cards[0]))

	x.open(s.URL + "/")
	x.press("?")
	x.do(chromedp.Click(chromedp.CSS("[data-keys-off]")))
	x.press(kb.Escape, "j")
	require.NotEqual(t, cards[0], ask[string](x, focused), "keys were turned off")
}

// Everything that can be acted on is reached by Tab, and seen when it is.
func TestEverythingIsReachedByTab(t *testing.T) {
	b := startBrowser(t)
	s := newStage(t, nil)
	for _, p := range []string{"/", "/warnings/" + s.told[0].Warning.ID, "/health"} {
		x := newTab(t, b, desk)
		x.open(s.URL + p)
		want := ask[int](x, `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, [tabindex='0']")].filter((e) => e.checkVisibility() && (e.type !== "radio" || e === document.querySelector("[name=remedy]"))).length`)
		seen := map[string]bool{}
		for range want {
			x.press(kb.Tab)
			v := ask[struct{ Path, Outline string }](x, `(() => {
				const e = document.activeElement;
				let path = "";
				for (let p = e; p; p = p.parentElement) path = [...(p.parentElement?.children || [])].indexOf(p) + "." + path;
				return {Path: e.tagName + path, Outline: getComputedStyle(e).outlineStyle};
			})()`)
			require.NotEqual(t, "none", v.Outline, "%s of %s", v.Path, p)
			seen[v.Path] = true
		}
		require.Len(t, seen, want, p)
	}
}
