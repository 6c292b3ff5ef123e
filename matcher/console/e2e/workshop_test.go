//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/console/scene"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
)

// shipped is the catalogue, armed.
type shipped struct{ armed console.Armed }

var _ console.Arms = shipped{}

// Armed implements [console.Arms].
func (s shipped) Armed() console.Armed { return s.armed }

// here runs trials in this process.
type here struct{}

var _ console.Runner = here{}

// Run implements [console.Runner].
func (here) Run(ctx context.Context, t *console.Trial) (*console.Outcome, error) {
	return console.Try(ctx, t, console.Bounds{Shown: 200})
}

// newWorkshop is a console with the catalogue, of which some signatures have a record and some cannot fire.
func newWorkshop(t *testing.T) *stage {
	t.Helper()
	set, problems := signatures.LoadFS(catalog.FS, signatures.Options{})
	require.Empty(t, signatures.Errors(problems))
	return newStage(t, func(c *console.Config) {
		c.Arms = shipped{console.Armed{Set: set, Disarmed: []string{"cni-of-another-cloud"}, Refused: []string{"mine.yaml:3:1: unknown key \"stage\"\n    stage:\n    ^"}}}
		c.Runner = here{}
		right, lead := 0.92, 840.0
		wrong := 0.4
		c.Scores = func() []sightings.Scorecard {
			return []sightings.Scorecard{
				{Signature: "etcd-slow-disk", Finished: 31, Incidents: 12, Averted: 14, Expired: 5, Right: 24, Wrong: 2, Precision: &right, Lead: &lead, Noise: 0.3, Advice: "keep", Reason: "9 of 10 were right, 14 min before"},
				{Signature: "crash-loop", Finished: 240, Incidents: 30, Averted: 61, Expired: 149, Right: 20, Wrong: 30, Precision: &wrong, Noise: 11.5, Advice: "tune", Reason: "more than half were false alarms"},
			}
		}
		now := time.Now().Unix()
		c.Facts.(*scene.Facts).State.Processes[0].Seen = &pipeline.Seen{
			Since: time.Now().Add(-9 * 24 * time.Hour), Kinds: map[string]map[string]int64{"event": {"BackOff": now}, "change": {"Pod": now}, "log": {"etcd": now, "kubelet": now}, "sample": {"up": now}},
		}
	})
}

// picture takes a picture of the whole page into the directory that LOOK names, if there is one.
func (x *tab) picture(name string) {
	x.t.Helper()
	dir := os.Getenv("LOOK")
	if dir == "" {
		return
	}
	beyond := true
	b := call(x, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &beyond}).Data
	require.NoError(x.t, os.MkdirAll(dir, 0o750))
	require.NoError(x.t, os.WriteFile(filepath.Join(dir, name+".png"), b, 0o600))
}

const tried = `document.querySelector("#outcome") && !document.querySelector("#outcome").hasAttribute("aria-busy")`

func TestTheWorkshopInLightDarkAndOnAPhone(t *testing.T) {
	script := axe(t)
	b := startBrowser(t)
	s := newWorkshop(t)
	for name, w := range map[string]window{"light": desk, "dark": night, "phone": phone, "dark phone": {375, 812, true}} {
		t.Run(name, func(t *testing.T) {
			x := newTab(t, b, w)
			for _, p := range []shown{
				{"signatures", "/signatures"},
				{"signatures by noise", "/signatures?sort=noise&severity=high"},
				{"no signature fits", "/signatures?q=nothing+of+the+sort"},
				{"signature", "/signatures/etcd-slow-disk"},
				{"blind signature", "/signatures/pvc-filling-up"},
				{"blind spots", "/blind-spots"},
				{"playground", "/playground"},
				{"playground of a sample", "/playground?signature=pvc-filling-up&test=1"},
			} {
				x.open(s.URL + p.path)
				if strings.HasPrefix(p.path, "/playground") {
					x.until("it was tried", tried)
				}
				x.requireFits(p.name)
				x.requireNoViolation(script, p.name)
				x.picture(strings.ReplaceAll(p.name+" "+name, " ", "-"))
			}
		})
	}
}

func TestThePlaygroundFollowsWhatIsTyped(t *testing.T) {
	script := axe(t)
	b := startBrowser(t)
	s := newWorkshop(t)
	x := newTab(t, b, desk)
	x.open(s.URL + "/playground?signature=etcd-slow-disk&test=1")
	x.until("the example was tried", `document.querySelectorAll(".told li").length === 4`)
	require.Equal(t, []string{"forming", "imminent", "incident", "resolved"}, x.all(".told .state"))
	require.NotEmpty(t, x.all(".gutter .at-met"))
	require.NotEmpty(t, x.all(".gutter .at-hit"))

	set := func(id, text string) {
		t.Helper()
		_ = ask[*int](x, `(() => { const e = document.getElementById("`+id+`"); e.focus(); e.value = `+text+`; e.dispatchEvent(new Event("input", {bubbles: true})); return null; })()`)
	}
	set("p-yaml", `e.value.replace("count: 20", "count: 30")`)
	x.until("it fires no more", `document.querySelectorAll(".told li").length === 0 && document.querySelector("[data-play-state]").textContent.includes("no warning")`)
	require.Contains(t, strings.Join(x.all(".steps li:first-child .hint"), " "), "at best 24 of 30 within 2m")
	require.Equal(t, "p-yaml", ask[string](x, "document.activeElement.id"), "who types keeps the cursor")

	set("p-yaml", `e.value.replace("  - name: late-heartbeat", "  - nam: late-heartbeat")`)
	x.until("the mistake is told", `document.querySelector("[data-said=p-yaml] .at-error")`)
	require.NotEmpty(t, x.all(".gutter .at-error"))
	x.requireNoViolation(script, "a mistake")
	x.picture("playground-mistake")
	x.do(chromedp.Click(chromedp.CSS("[data-said=p-yaml] .at-error button")))
	require.Contains(t, ask[string](x, `(() => { const e = document.getElementById("p-yaml"); return e.value.slice(e.selectionStart, e.selectionEnd); })()`), "nam: late-heartbeat", "the line is chosen")
	require.Equal(t, "p-yaml", ask[string](x, "document.activeElement.id"))

	set("p-yaml", `e.value.replace("- nam:", "- name:").replace("count: 30", "count: 2")`)
	set("p-input", `"2026-03-01T10:00:00Z slow fdatasync\n2026-03-01T10:00:01Z <img src=x onerror='window.pwned=1'>\n2026-03-01T10:00:02Z slow fdatasync\n"`)
	x.until("it fires for what was pasted", `document.querySelector("[data-play-state]").textContent === "3 records, 2 met something, 1 warning: averted"`)
	require.False(t, ask[bool](x, `"pwned" in window`), "a text of a record ran")
	require.Empty(t, ask[string](x, `document.getElementById("p-example").value`), "it is no example any more")
	x.do(chromedp.Click(chromedp.CSS("[data-only-hits]")))
	require.Equal(t, 2, ask[int](x, `[...document.querySelectorAll(".tried > li")].filter((e) => e.offsetParent).length`))
	_ = ask[*int](x, `(document.querySelector("#p-armed").value = "all", document.querySelector("#p-armed").dispatchEvent(new Event("input", {bubbles: true})), null)`)
	x.until("all are tried", `document.querySelector("#outcome").textContent.includes("56 signatures tried")`)
	require.Equal(t, 2, ask[int](x, `[...document.querySelectorAll(".tried > li")].filter((e) => e.offsetParent).length`), "the filter stays")
	x.do(chromedp.Click(chromedp.CSS(".tried > li.hit summary")), chromedp.Click(chromedp.CSS(".tried > li.hit [data-explain]")))
	x.until("every signature says why not", `document.querySelectorAll("#r-1 .lacks li").length > 50`)
	x.requireNoViolation(script, "all signatures")
}

// The keyboard alone is enough: to the page, into the pane, to try at once, and on.
func TestThePlaygroundByKeyboard(t *testing.T) {
	b := startBrowser(t)
	s := newWorkshop(t)
	x := newTab(t, b, desk)
	x.open(s.URL + "/")
	x.press("g", "y")
	x.until("it was tried", tried+` && document.querySelector(".told")`)
	_ = ask[*int](x, `(document.getElementById("p-input").focus(), null)`)
	x.press("x")
	require.Contains(t, ask[string](x, `document.getElementById("p-input").value`), "x", "keys are text here")
	x.press("\t")
	require.NotEqual(t, "p-input", ask[string](x, "document.activeElement.id"), "Tab goes on: nobody is caught in the pane")
	x.press("g", "s")
	x.until("the list is there", `document.querySelector("table.catalogue") && !document.querySelector("[data-help]").hidden`)
	x.press("/")
	require.Equal(t, "f-text", ask[string](x, "document.activeElement.id"))
	_ = ask[*int](x, `(document.activeElement.value = "", null)`) // the protocol sends the character too, although the page has taken the key
	for _, c := range "fdatasync" {
		x.press(string(c))
	}
	x.press("\r")
	x.until("it is found", `document.querySelectorAll("table.catalogue tbody tr").length === 1 && !document.querySelector("[data-help]").hidden`)
	x.press("j", "\r")
	x.until("its page is there", `document.querySelector(".ladder")`)
}

// What signatures of strangers say is text.
func TestHostileSignaturesAreText(t *testing.T) {
	evil := `"><script>window.pwned=1</script><img src=x onerror="window.pwned=1">` + "\u202egpj.exe" + strings.Repeat("W", 2000)
	script := axe(t)
	b := startBrowser(t)
	bad := &signatures.Signature{
		ID: "evil", Title: evil, Severity: signatures.High, Impact: evil, Cause: evil, Components: []string{evil}, References: []string{"javascript:window.pwned=1", evil}, By: signatures.Key{evil},
		Stages:   []signatures.Stage{{Name: "a", Title: evil, When: signatures.Condition{Log: &signatures.LogCondition{Regex: evil, Component: signatures.Match{Equals: []string{evil}}}}}},
		Remedies: []signatures.Remedy{{Do: evil, Risk: signatures.Look, Command: evil}},
		Tests:    []signatures.Test{{Name: evil, Records: []signatures.TestRecord{{Log: evil}}}},
	}
	set, problems := signatures.NewSet([]*signatures.Signature{bad})
	require.Empty(t, problems)
	s := newStage(t, func(c *console.Config) {
		c.Arms = shipped{console.Armed{Set: set, From: map[string]string{"evil": evil}, Refused: []string{evil}, Disarmed: []string{evil}, Problem: evil}}
		c.Runner = here{}
		c.Scores = func() []sightings.Scorecard {
			return []sightings.Scorecard{{Signature: "evil", Finished: 1, Advice: "keep", Reason: evil}}
		}
		c.Facts.(*scene.Facts).State.Processes[0].Seen = &pipeline.Seen{Since: time.Now().Add(-time.Hour * 24), Kinds: map[string]map[string]int64{"log": {"x": 1}}}
	})
	for _, w := range []window{desk, phone} {
		x := newTab(t, b, w)
		for _, path := range []string{"/signatures", "/signatures/evil", "/blind-spots", "/playground"} {
			x.open(s.URL + path)
			if path == "/playground" {
				x.until("it was tried", tried)
			}
			x.requireFits(path)
			x.requireNoViolation(script, path)
			require.False(t, ask[bool](x, `"pwned" in window`), "%s: a text ran", path)
		}
	}
}
