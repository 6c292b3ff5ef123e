package console_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/console/scene"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/signatures"
)

// titles are those of the cards, in their order.
func titles(page string) (all []string) {
	for _, m := range regexp.MustCompile(`(?s)<li class="card.*?class="open"[^>]*>([^<]*)<`).FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	return all
}

func TestTheOverviewAnswersByUrgency(t *testing.T) {
	r := newRig(t, nil)
	page := r.get("/")
	require.Equal(t, []string{
		"A container crashes at each start and stays in back-off",         // it happened
		"A node runs out of memory and evicts its pods one after another", // imminent, in 6 minutes
		"etcd loses its leader because its disk is slow",                  // imminent, in 17 minutes
		"A volume is filling up and its application will stop writing",    // forming, in 5 hours
		"CoreDNS turns queries away and is about to fall over",            // forming, nobody knows when
	}, titles(page))
	text := plain(page)
	for _, want := range []string{
		"What is about to break? 1 happened 2 imminent 2 forming",
		"node worker-7 about in 6 min incident: between 2 min and 14 min (80 %), from 126 sightings",
		"forewarned 5 min before", "no forecast yet", "from slope of the metric",
		"Do first look See which pods are on the node", "kubectl describe node worker-7", "acknowledged by ines",
		"next Several pods were evicted within minutes (1 of 3 pods within 10m)",
		"Lately over", "averted etcd loses its leader", "watching, 1 silent",
	} {
		require.Contains(t, text, want)
	}
	require.Contains(t, page, `aria-label="3 of 3 stages seen: The node has less memory than it needs 11 min ago, `, "the picture has words")
	require.Contains(t, page, `incident about in 6 min, between 2 min and 14 min (80 %)"`)
}

func TestWhatIsHeldBackSaysSo(t *testing.T) {
	r := newRig(t, func(c *console.Config) {
		c.Held = func(w *matcher.Warning) string {
			if w.Signature == "etcd-slow-disk" {
				return "silence 5c by ines"
			}
			return ""
		}
	})
	require.Equal(t, 1, strings.Count(plain(r.get("/")), "held back: silence 5c by ines"))
	require.Contains(t, plain(r.get("/warnings/"+r.told[2].Warning.ID)), "held back: silence 5c by ines")
}

func TestFiltersAreInTheAddress(t *testing.T) {
	r := newRig(t, nil)
	for path, want := range map[string]int{
		"/?severity=critical": 3, "/?severity=high": 5, "/?state=imminent": 2, "/?namespace=orders": 1, "/?namespace=search": 1, "/?q=heartbeat": 1, "/?q=ETCD+disk": 1,
		"/?q=nothing+of+the+sort": 0, "/?severity=high&state=forming&namespace=orders": 1, "/?page=2": 0, "/?page=-1&severity=": 5,
	} {
		page := r.get(path)
		require.Len(t, titles(page), want, path)
		require.Contains(t, plain(page), "1 happened 2 imminent 2 forming", "the answer is about everything")
	}
	page := r.get("/?severity=critical&q=%22%3E%3Cscript%3E")
	require.Contains(t, page, "<option selected>critical</option>")
	require.Contains(t, page, `value="&#34;&gt;&lt;script&gt;"`)
	require.Contains(t, plain(page), "0 of 5 fit the filter. ")
	require.Contains(t, plain(page), "No open warning fits the filter.")
}

func TestWhenNothingIsOpenItSaysWhatIsWatched(t *testing.T) {
	r := newEmptyRig(t, nil)
	require.Contains(t, plain(r.get("/")), "Reading what was told so far", "an empty view that has not been told everything claims nothing")
	r.view.CaughtUp()
	text := plain(r.get("/"))
	for _, want := range []string{
		"Nothing, as far as forewarn can see.", "It is quiet, and forewarn is awake.", "56 signatures are compared with every record.",
		"log 39 685 045 records of 2 sources", "sample 99 441 records of 2 sources, 1 silent", "The last record came", "Nothing has finished yet.",
	} {
		require.Contains(t, text, want)
	}

	r = newEmptyRig(t, func(c *console.Config) { c.Facts = &scene.Facts{} })
	r.view.CaughtUp()
	require.Contains(t, plain(r.get("/")), "No matcher is running: that nothing is shown means nothing.")
	r = newEmptyRig(t, func(c *console.Config) { c.Facts = &scene.Facts{Err: errors.New("no answer")} })
	r.view.CaughtUp()
	require.Contains(t, plain(r.get("/")), "How forewarn itself is cannot be told at the moment.")
}

func TestAStormIsAPageAndASummary(t *testing.T) {
	r := newRig(t, nil)
	for i := range 400 {
		x, err := r.cast.Raise(scene.Role{
			Signature: "crash-loop", Key: []record.Attr{{Key: "namespace", Value: "shop"}, {Key: "pod", Value: fmt.Sprintf("web-%03d", i)}},
			State: matcher.Forming, Ages: []time.Duration{time.Minute},
		})
		require.NoError(t, err)
		r.view.Tell(x)
	}
	page := r.get("/")
	require.Len(t, titles(page), 30)
	require.Contains(t, plain(page), "402 forming")
	require.Contains(t, plain(page), "What they are 401 A container crashes at each start")
	require.Contains(t, plain(page), "375 less urgent ones")
	seen := 30
	for next := "/?page=2"; next != ""; {
		page = r.get(next)
		seen += len(titles(page))
		next = ""
		if m := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(page); m != nil {
			next = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	require.Equal(t, 405, seen)
}

func TestAWarningIsToldInFull(t *testing.T) {
	r := newRig(t, writable)
	w := &r.told[0].Warning
	again := *w
	again.Revision, again.Incomplete = 9, []string{"12 records came late"}
	r.view.Tell(told(again))
	text := plain(r.get("/warnings/" + w.ID))
	for _, want := range []string{
		"imminent critical", w.Title, "node worker-7", w.Impact, "Incomplete: 12 records came late",
		"The kubelet tries to win memory back", "2 records", "Evicted The node was low on resource: memory.", "pod indexer-6c9d7f5b8-wk2lp", "journal/worker-7",
		"next Several pods were evicted within minutes 1 of 3 pods within 10m",
		"drain Drain the node if the pressure stays", "kubectl drain worker-7 --ignore-daemonsets", "done 30 times before, helped 24", "no record of it yet",
		"here 9 5 3 1", "elsewhere 214 121 84 9", "The incident about in 6 min, between 2 min and 14 min (80 %), from 126 sightings",
		"kubernetes.io/docs/concepts/", "revision 9", "revision 4", w.ID, "Nobody has said anything of it yet.", "Acknowledge",
	} {
		require.Contains(t, text, want)
	}
	require.Contains(t, plain(r.get("/warnings/"+r.told[4].Warning.ID)), "Unknown: metrics/worker-9 is silent", "what is silent is named")
	require.Contains(t, plain(r.get("/warnings/"+r.told[5].Warning.ID)), "nothing was heard of it for 2h")

	a := r.send("GET", "/warnings/nosuch", nil)
	require.Equal(t, http.StatusNotFound, a.StatusCode)
	require.Contains(t, plain(a.body), "No warning of this name is known here.")
}

func TestHealthShowsWhatIsLostSilentAndFailing(t *testing.T) {
	r := newRig(t, nil)
	text := plain(r.get("/health"))
	for _, want := range []string{
		"4 messages wait", "6 sources alive, 1 silent", "215 lost, late or evicted", "forewarn-0 v0.9.0 56 1 0 8 182 MiB 41 GiB",
		"metrics/worker-9 sample 48 211", "silent: absence is unknown", "rate limit 5120", "not connected", "scan-0 3", "evicted detail 3",
		"oncall 412 3 0 0 2 none", "hook 398 57 1 2 0 post https://hooks.example.org/forewarn: 503 Service Unavailable", `node=&#34;worker-4&#34;`, "kernel upgrade", "INTAKE 0 0 B empty",
	} {
		require.Contains(t, text, want)
	}
	r = newRig(t, func(c *console.Config) { c.Facts = &scene.Facts{Err: errors.New("the server is away")} })
	text = plain(r.get("/health"))
	require.Contains(t, text, "It could not be asked just now: the server is away")
	require.Contains(t, text, "No matching process has told its state")
}

func TestPagesAreWholeWithoutScripts(t *testing.T) {
	r := newRig(t, writable)
	for _, path := range []string{"/", "/health", "/warnings/" + r.told[0].Warning.ID} {
		page := r.get(path)
		for _, landmark := range []string{"<header", "<nav aria-label=", `<main id="main"`, `href="#main"`, `aria-live="polite"`, "<h1>", `lang="en"`} {
			require.Contains(t, page, landmark)
		}
		require.NotRegexp(t, `\sstyle=|\son[a-z]+=|<script(?: type="module")?>|javascript:`, page, "the policy would refuse it")
		ids := map[string]bool{}
		for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(page, -1) {
			require.False(t, ids[m[1]], "%s stands twice on %s", m[1], path)
			ids[m[1]] = true
		}
	}
	a := r.send("GET", "/nosuch", nil)
	require.Equal(t, http.StatusNotFound, a.StatusCode)
	require.Contains(t, a.body, "There is no such page.")
	a = r.send("GET", "/nosuch", nil, "Accept", "application/json")
	require.JSONEq(t, `{"error":"There is no such page.","mend":"It may have had another address in an older forewarn."}`, a.body)
}

// The first view is the page with everything that it loads, as it travels.
func TestTheFirstViewIsBelow200KB(t *testing.T) {
	r := newRig(t, writable)
	for _, path := range []string{"/", "/health", "/warnings/" + r.told[0].Warning.ID} {
		packed, whole := 0, 0
		fetch := func(path string) string {
			a := r.send("GET", path, nil, "Accept-Encoding", "gzip")
			require.Equal(t, http.StatusOK, a.StatusCode, path)
			require.Equal(t, "gzip", a.Header.Get("Content-Encoding"))
			z, err := gzip.NewReader(strings.NewReader(a.body))
			require.NoError(t, err)
			b, err := io.ReadAll(z)
			require.NoError(t, err)
			packed, whole = packed+len(a.body), whole+len(b)
			return string(b)
		}
		page := fetch(path)
		files := regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`).FindAllStringSubmatch(page, -1)
		require.Len(t, files, 6, "modules that are imported are named in the page too, so that they come at once")
		for _, f := range files {
			fetch(f[1])
		}
		require.Less(t, whole, 200_000, "%s, unpacked", path)
		require.Less(t, packed, 30_000, "%s, as it travels", path)
	}
}

func TestFilesAreKeptByBrowsers(t *testing.T) {
	r := newRig(t, nil)
	path := regexp.MustCompile(`/static/[0-9a-f]+/console\.css`).FindString(r.get("/"))
	require.NotEmpty(t, path)
	a := r.send("GET", path, nil)
	require.Equal(t, "public, max-age=31536000, immutable", a.Header.Get("Cache-Control"))
	require.Equal(t, "text/css; charset=utf-8", a.Header.Get("Content-Type"))
	again := r.send("GET", path, nil, "If-None-Match", a.Header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, again.StatusCode)
	require.Empty(t, again.body)
	old := r.send("GET", "/static/000000000000/console.css", nil)
	require.Equal(t, http.StatusOK, old.StatusCode, "a page of an older console finds the new file")
	require.Equal(t, "no-cache", old.Header.Get("Cache-Control"))
	require.Equal(t, http.StatusNotFound, r.send("GET", "/static/000000000000/layout.html", nil).StatusCode, "templates are no files")
	require.Equal(t, http.StatusNotFound, r.send("GET", "/static/0/..%2f..%2fgo.mod", nil).StatusCode)
}

func TestAConsoleMayLiveBelowAPath(t *testing.T) {
	r := newRig(t, func(c *console.Config) { c.Options.URL = "http://127.0.0.1/ops/forewarn/" })
	for _, prefix := range []string{"/ops/forewarn", ""} { // the proxy may take it off, or not
		page := r.get(prefix + "/")
		require.Contains(t, page, `href="/ops/forewarn/health"`)
		require.Contains(t, page, `href="/ops/forewarn/warnings/`)
		require.Contains(t, page, `action="/ops/forewarn/"`)
		require.NotRegexp(t, `(?:href|src|action)="/(?:static|health|warnings)`, page)
		css := regexp.MustCompile(`/ops/forewarn/static/[0-9a-f]+/console\.css`).FindString(page)
		require.NotEmpty(t, r.get(strings.TrimPrefix(css, "/ops/forewarn")))
		require.NotEmpty(t, r.get(css))
	}
	a := r.send("GET", "/ops/forewarn", nil)
	require.Equal(t, "/ops/forewarn/", a.Header.Get("Location"))
}

func TestTheAPIGivesWarnings(t *testing.T) {
	r := newRig(t, nil)
	a := r.send("GET", "/api/warnings?state=imminent", nil)
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	require.Contains(t, a.body, `"elsewhere":{"reached":214`, "with what was seen before")
	require.Equal(t, 2, strings.Count(a.body, `"state":"imminent"`))
	require.Contains(t, r.send("GET", "/api/warnings/"+r.told[5].Warning.ID, nil).body, `"state":"averted"`)
	a = r.send("GET", "/api/warnings/nosuch", nil)
	require.Equal(t, http.StatusNotFound, a.StatusCode)
	require.Contains(t, a.body, `"error"`)
}

// Links in messages are followed weeks later.
func TestAWarningThatTheViewLetGoIsFoundInTheArchive(t *testing.T) {
	var asked []string
	var old []pipeline.Told
	r := newRig(t, func(c *console.Config) {
		c.Options.Writable = true
		c.Archive = func(_ context.Context, id string) ([]pipeline.Told, error) {
			asked = append(asked, id)
			if id == "broken" {
				return nil, errors.New("the stream does not answer")
			}
			return old, nil
		}
	})
	w := r.told[5].Warning
	w.ID = "long-ago"
	first := w
	first.State, first.Revision, first.Closed = matcher.Imminent, 1, nil
	old = []pipeline.Told{told(first), told(w)}
	text := plain(r.get("/warnings/long-ago"))
	require.Contains(t, text, "averted medium")
	require.Contains(t, text, "revision 1")
	require.Contains(t, r.get("/api/warnings/long-ago"), `"state":"averted"`)
	require.Equal(t, http.StatusSeeOther, r.post("/warnings/long-ago", url.Values{"csrf": {csrf(t, r.get("/warnings/long-ago"))}, "verdict": {"averted"}, "remedy": {"0"}}).StatusCode)
	require.Len(t, r.book.Feedback("long-ago"), 1)
	require.Equal(t, http.StatusNotFound, r.send("GET", "/warnings/nosuch", nil).StatusCode)
	require.Equal(t, http.StatusInternalServerError, r.send("GET", "/warnings/broken", nil).StatusCode)
	asked = nil
	r.get("/warnings/" + r.told[0].Warning.ID)
	require.Equal(t, http.StatusNotFound, r.send("GET", "/warnings/"+strings.Repeat("x", 500), nil).StatusCode)
	require.Empty(t, asked, "what the view holds, and what is no id, is not looked for")
}

// TestACardSaysFirstWhatEveryNotifierSaysFirst: the safest remedy with the best record, wherever it stands in the list.
func TestACardSaysFirstWhatEveryNotifierSaysFirst(t *testing.T) {
	r := newRig(t, nil)
	i := slices.IndexFunc(r.told, func(x pipeline.Told) bool { return !x.Warning.State.Final() })
	x := r.told[i]
	x.Warning.Revision += 100
	x.Warning.Remedies = []signatures.Remedy{{Risk: signatures.Data, Do: "delete what is there"}, {Risk: signatures.Look, Do: "look at it before"}}
	r.view.Tell(x)
	page := r.get("/")
	require.Contains(t, page, "look at it before")
	require.NotContains(t, page, "delete what is there")
}
