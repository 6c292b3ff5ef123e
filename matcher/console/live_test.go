package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/console/scene"
	"github.com/forewarn/forewarn/matcher/sightings"
)

// event is a server-sent event.
type event struct {
	Name, ID string
	Data     struct {
		ID   string   `json:"id"`
		HTML string   `json:"html"`
		Into string   `json:"into"`
		Rank string   `json:"rank"`
		Say  string   `json:"say"`
		Keep []string `json:"keep"`
		Now  int64    `json:"now"`
	}
}

// openPage is a page that follows changes.
type openPage struct {
	t      *testing.T
	events chan event
	close  func()
}

// follow opens the events of a page; from is a Last-Event-ID.
func (r *rig) follow(path, from string) *openPage {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	q, err := http.NewRequestWithContext(ctx, "GET", r.at+path, nil)
	require.NoError(r.t, err)
	q.Header.Set("Accept", "text/event-stream")
	if from != "" {
		q.Header.Set("Last-Event-ID", from)
	}
	a, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q) //nolint:bodyclose // the goroutine below does
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, a.StatusCode)
	require.Equal(r.t, "text/event-stream", a.Header.Get("Content-Type"))
	p := &openPage{r.t, make(chan event, 10_000), cancel}
	r.t.Cleanup(cancel)
	go func() {
		defer close(p.events)
		defer func() { _ = a.Body.Close() }()
		lines := bufio.NewScanner(a.Body)
		lines.Buffer(nil, 1<<20)
		var e event
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				e.Name = value
			case "id":
				e.ID = value
			case "data":
				if json.Unmarshal([]byte(value), &e.Data) != nil {
					return
				}
			case "":
				if e.Name != "" {
					p.events <- e
				}
				e = event{}
			}
		}
	}()
	return p
}

// turn returns the events up to the next pulse, which ends what is told at once.
func (p *openPage) turn() (all []event) {
	p.t.Helper()
	for {
		select {
		case e, open := <-p.events:
			require.True(p.t, open, "the page is told no more")
			all = append(all, e)
			if e.Name == "pulse" {
				return all
			}
		case <-time.After(20 * time.Second):
			require.FailNow(p.t, "nothing was told")
		}
	}
}

// until returns the first turn with a change of an element.
func (p *openPage) until(id string) []event {
	p.t.Helper()
	for {
		all := p.turn()
		for _, e := range all {
			if e.Data.ID == id {
				return all
			}
		}
	}
}

func find(t *testing.T, all []event, id string) event {
	t.Helper()
	for _, e := range all {
		if e.Data.ID == id && e.Data.Keep == nil {
			return e
		}
	}
	require.FailNow(t, "nothing was told of "+id)
	return event{}
}

func kept(t *testing.T, all []event, list string) []string {
	t.Helper()
	for _, e := range all {
		if e.Data.ID == list && e.Data.Keep != nil {
			return e.Data.Keep
		}
	}
	require.FailNow(t, "nothing was told of what "+list+" holds")
	return nil
}

// sinceOf is the moment that a page is of.
func sinceOf(t *testing.T, page string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, `data-since="`)
	require.True(t, found)
	since, _, _ := strings.Cut(rest, `"`)
	return since
}

func TestAnOpenPageIsToldWhatChanged(t *testing.T) {
	r := newRig(t, writable)
	p := r.follow("/?since="+sinceOf(t, r.get("/")), "")
	first := p.turn()
	require.Len(t, first, 1, "nothing changed since the page was made")
	require.Equal(t, "pulse", first[0].Name)
	require.Contains(t, first[0].Data.HTML, "records seen")
	require.InDelta(t, time.Now().UnixMilli(), first[0].Data.Now, 10_000)

	x, err := r.cast.Raise(scene.Role{
		Signature: "crash-loop", Key: []record.Attr{{Key: "namespace", Value: "shop"}, {Key: "pod", Value: "web-1"}}, State: matcher.Imminent, Ages: []time.Duration{time.Minute, time.Second},
	})
	require.NoError(t, err)
	r.view.Tell(x)
	id := "w-" + x.Warning.ID
	all := p.until(id)
	card := find(t, all, id)
	require.Equal(t, "open", card.Data.Into)
	require.Contains(t, card.Data.HTML, `<li class="card st-imminent" id="`+id+`"`)
	require.Equal(t, "imminent: A container crashes at each start and stays in back-off, shop/web-1", card.Data.Say)
	require.Contains(t, find(t, all, "answer").Data.HTML, "<b>3</b> imminent")
	require.Len(t, kept(t, all, "open"), 6)
	for _, e := range all {
		require.False(t, strings.HasPrefix(e.Data.ID, "w-") && e.Data.ID != id, "what did not change is not sent again")
	}

	over := x.Warning
	closed := time.Now()
	over.Revision, over.State, over.Closed, over.Reason = 2, matcher.Averted, &closed, "it is quiet"
	r.view.Tell(told(over))
	all = p.until("f-" + over.ID)
	require.Equal(t, "finished", find(t, all, "f-"+over.ID).Data.Into)
	require.NotContains(t, kept(t, all, "open"), id)
	require.Equal(t, "f-"+over.ID, kept(t, all, "finished")[0], "what closed last comes first")

	require.NoError(t, r.book.Give(t.Context(), sightings.Feedback{Warning: r.told[0].Warning.ID, Verdict: sightings.Acknowledged, By: "jo"}))
	r.view.Touch(r.told[0].Warning.ID)
	all = p.until("w-" + r.told[0].Warning.ID)
	card = find(t, all, "w-"+r.told[0].Warning.ID)
	require.Contains(t, card.Data.HTML, "acknowledged by <bdi>jo</bdi>")
	require.Empty(t, card.Data.Say, "its state is what it was")
}

func TestABrowserThatComesAgainIsToldWhatItMissed(t *testing.T) {
	r := newRig(t, nil)
	p := r.follow("/", sinceOf(t, r.get("/")))
	last := p.turn()
	id := last[len(last)-1].ID
	p.close()
	w := r.told[3].Warning
	w.Revision, w.State = 7, matcher.Imminent
	r.view.Tell(told(w))
	all := r.follow("/", id).turn()
	require.Contains(t, find(t, all, "w-"+w.ID).Data.HTML, "st-imminent")
	for _, e := range all[:len(all)-1] {
		require.Equal(t, id, e.ID, "until everything is told it has missed it still")
	}
	require.NotEqual(t, id, all[len(all)-1].ID)

	for _, stale := range []string{"", "another.3", "x", sinceOf(t, r.get("/")) + "99"} {
		all = r.follow("/", stale).turn()
		require.Equal(t, "reset", all[0].Name, "a page of another view is made anew")
	}
}

func TestFiltersHoldForWhatIsTold(t *testing.T) {
	r := newRig(t, nil)
	p := r.follow("/?severity=critical", sinceOf(t, r.get("/?severity=critical")))
	p.turn()
	low := r.told[1].Warning // high
	low.Revision = 9
	r.view.Tell(told(low))
	w := r.told[0].Warning
	w.Revision = 9
	r.view.Tell(told(w))
	all := p.until("w-" + w.ID)
	require.NotContains(t, kept(t, all, "open"), "w-"+low.ID)
	for _, e := range all {
		require.NotEqual(t, "w-"+low.ID, e.Data.ID)
	}
	require.Contains(t, find(t, all, "answer").Data.HTML, "3 of 5 fit the filter.")
}

func TestAnOpenWarningFollowsItsWarningAlone(t *testing.T) {
	r := newRig(t, nil)
	w, other := r.told[0].Warning, r.told[1].Warning
	page := r.get("/warnings/" + w.ID)
	p := r.follow("/warnings/"+w.ID, sinceOf(t, page))
	p.turn()
	other.Revision = 9
	r.view.Tell(told(other))
	require.Len(t, p.turn(), 1)
	w.Revision, w.State = 9, matcher.InIncident
	r.view.Tell(told(w))
	all := p.until("warning-head")
	require.Equal(t, "incident: "+w.Title, find(t, all, "warning-head").Data.Say)
	for _, id := range []string{"warning-evidence", "warning-outlook", "warning-remedies", "warning-said", "warning-history"} {
		require.Contains(t, find(t, all, id).Data.HTML, `id="`+id+`"`)
	}
	require.Contains(t, find(t, all, "warning-history").Data.HTML, "revision 9")
	require.NotContains(t, find(t, all, "warning-said").Data.HTML, "csrf", "the form is not replaced under somebody's hands")
}

func TestOpenPagesAreBounded(t *testing.T) {
	r := newRig(t, nil)
	var pages []*openPage
	for range 256 {
		pages = append(pages, r.follow("/", "x"))
	}
	a := r.send("GET", "/", nil, "Accept", "text/event-stream")
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	require.Equal(t, "30", a.Header.Get("Retry-After"))
	require.NotEmpty(t, r.get("/"), "pages are still given")
	pages[0].close()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		q, err := http.NewRequestWithContext(ctx, "GET", r.at+"/", nil)
		require.NoError(t, err)
		q.Header.Set("Accept", "text/event-stream")
		a, err := r.browser.Do(q)
		require.NoError(t, err)
		defer func() { _ = a.Body.Close() }()
		return a.StatusCode == http.StatusOK
	}, 10*time.Second, 20*time.Millisecond, "the place of a page that was closed is free")
}

func TestAConsoleThatStopsEndsItsPages(t *testing.T) {
	view := &console.View{}
	k, err := console.New(console.Config{View: view, Options: console.Options{Listen: "127.0.0.1:0"}})
	require.NoError(t, err)
	addr, err := k.Listen(t.Context())
	require.NoError(t, err)
	require.Equal(t, "http://"+addr.String()+"/", k.Address())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	r := &rig{t: t, at: "http://" + addr.String(), view: view, browser: newBrowser(t)}
	p := r.follow("/", "x")
	p.turn()
	stop()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(3 * time.Second):
		require.FailNow(t, "an open page keeps the console from stopping")
	}
	for range p.events {
	}

	second, err := console.New(console.Config{View: view, Options: console.Options{Listen: addr.String()}})
	require.NoError(t, err)
	_, err = second.Listen(t.Context())
	require.NoError(t, err, "the address is free again")
	third, err := console.New(console.Config{View: view, Options: console.Options{Listen: addr.String()}})
	require.NoError(t, err)
	_, err = third.Listen(t.Context())
	require.ErrorContains(t, err, "listen for the console on "+addr.String())
	require.NoError(t, second.Close())
}
