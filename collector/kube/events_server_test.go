package kube

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// fakeEvents is an API server of events, with the parts of etcd that matter: revisions, a history that can be compacted, and lists in pages.
type fakeEvents struct {
	*httptest.Server

	mu        sync.Mutex
	change    *sync.Cond
	revision  int
	compacted int // watches from before it are too old
	history   []fakeChange
	events    map[string]fakeEvent
	closed    int  // raised to end all watches
	core      bool // there is only core/v1
	noList    bool // the server cannot begin a watch with a list
	hang      bool // nothing is answered
	lists     int
	expire    int // so many continued lists are expired
}

type fakeEvent struct {
	name, uid, message string
	count, version     int
	first, last        time.Time
}

type fakeChange struct {
	verb  string
	event fakeEvent
}

func newFakeEvents(tb testing.TB) *fakeEvents {
	tb.Helper()
	f := &fakeEvents{events: map[string]fakeEvent{}, revision: 100}
	f.change = sync.NewCond(&f.mu)
	f.Server = httptest.NewServer(f)
	tb.Cleanup(func() {
		f.do(func() { f.closed++ })
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

// client returns one with connections of its own.
func (f *fakeEvents) client(tb testing.TB) *Client {
	tb.Helper()
	c, err := newClient(&rest.Config{Host: f.URL, QPS: -1}, 10*time.Second)
	require.NoError(tb, err)
	return c
}

func (f *fakeEvents) do(what func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what()
	f.change.Broadcast()
}

// count makes an event, or makes it have happened n times by at.
func (f *fakeEvents) count(name string, n int, at time.Time) {
	f.do(func() {
		f.revision++
		e, known := f.events[name]
		verb := "MODIFIED"
		if !known {
			verb, e = "ADDED", fakeEvent{name: name, uid: fmt.Sprintf("00000000-0000-4000-8000-%012x", f.revision), first: at, message: "back-off"}
		}
		e.count, e.last, e.version = n, at, f.revision
		f.events[name] = e
		f.history = append(f.history, fakeChange{verb, e})
	})
}

func (f *fakeEvents) remove(name string) {
	f.do(func() {
		f.revision++
		e := f.events[name]
		e.version = f.revision
		delete(f.events, name)
		f.history = append(f.history, fakeChange{"DELETED", e})
	})
}

func (f *fakeEvents) compact() { f.do(func() { f.compacted = f.revision }) }
func (f *fakeEvents) endWatches() {
	f.do(func() { f.closed++ })
	f.CloseClientConnections()
}

func (e fakeEvent) json(core bool) string {
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
	meta := fmt.Sprintf(`"metadata":{"name":%q,"namespace":"shop","uid":%q,"resourceVersion":"%d","creationTimestamp":%q}`, e.name, e.uid, e.version, stamp(e.first))
	if core {
		return fmt.Sprintf(`{"kind":"Event","apiVersion":"v1",%s,"involvedObject":{"kind":"Pod","namespace":"shop","name":"web-0"},"reason":"BackOff","message":%q,"type":"Warning",`+
			`"source":{"component":"kubelet","host":"node-1"},"firstTimestamp":%q,"lastTimestamp":%q,"count":%d}`, meta, e.message, stamp(e.first), stamp(e.last), e.count)
	}
	return fmt.Sprintf(`{"kind":"Event","apiVersion":"events.k8s.io/v1",%s,"regarding":{"kind":"Pod","namespace":"shop","name":"web-0"},"reason":"BackOff","note":%q,"type":"Warning",`+
		`"eventTime":null,"deprecatedSource":{"component":"kubelet","host":"node-1"},"deprecatedFirstTimestamp":%q,"deprecatedLastTimestamp":%q,"deprecatedCount":%d}`,
		meta, e.message, stamp(e.first), stamp(e.last), e.count)
}

func (f *fakeEvents) bookmark(version int, end bool) string {
	annotation := ""
	if end {
		annotation = `,"annotations":{"k8s.io/initial-events-end":"true"}`
	}
	return fmt.Sprintf(`{"type":"BOOKMARK","object":{"kind":"Event","apiVersion":"events.k8s.io/v1","metadata":{"resourceVersion":"%d"%s}}}`+"\n", version, annotation)
}

func (f *fakeEvents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	hang := f.hang
	f.mu.Unlock()
	if hang {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch path := r.URL.Path; {
	case path == "/apis/events.k8s.io/v1" && f.core:
		status(w, http.StatusNotFound, "NotFound", "the server could not find the requested resource")
	case path == "/apis/events.k8s.io/v1":
		_, _ = io.WriteString(w, `{"kind":"APIResourceList","groupVersion":"events.k8s.io/v1"}`)
	case path == "/api/v1/events" && f.core, path == "/apis/events.k8s.io/v1/events" && !f.core:
		if r.URL.Query().Get("watch") == "true" {
			f.watch(w, r)
		} else {
			f.list(w, r)
		}
	default:
		status(w, http.StatusNotFound, "NotFound", "no such path: "+path)
	}
}

func (f *fakeEvents) list(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := r.URL.Query()
	if q.Get("continue") != "" && f.expire > 0 {
		f.expire--
		status(w, http.StatusGone, "Expired", "The provided continue parameter is too old")
		return
	}
	if q.Get("limit") != "1" {
		f.lists++
	}
	names := make([]string, 0, len(f.events))
	for name := range f.events {
		if name > q.Get("continue") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	next := ""
	if limit, _ := strconv.Atoi(q.Get("limit")); limit > 0 && len(names) > limit {
		names, next = names[:limit], names[limit-1]
	}
	items := make([]string, 0, len(names))
	for _, name := range names {
		items = append(items, f.events[name].json(f.core))
	}
	_, _ = fmt.Fprintf(w, `{"kind":"EventList","metadata":{"resourceVersion":"%d","continue":%q},"items":[%s]}`, f.revision, next, strings.Join(items, ","))
}

func (f *fakeEvents) watch(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f.mu.Lock()
	defer f.mu.Unlock()
	closed := f.closed
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-r.Context().Done():
			f.do(func() {})
		case <-stop:
		}
	}()
	write := func(s string) { _, _ = io.WriteString(w, s) }
	from, next := 0, 0
	if q.Get("sendInitialEvents") == "true" {
		if f.noList {
			status(w, http.StatusUnprocessableEntity, "Invalid", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
			return
		}
		f.lists++
		for _, e := range f.events {
			line, _ := json.Marshal(watchLine{"ADDED", json.RawMessage(e.json(f.core))})
			write(string(line) + "\n")
		}
		write(f.bookmark(f.revision, true))
		next = len(f.history)
	} else {
		from, _ = strconv.Atoi(q.Get("resourceVersion"))
		if from < f.compacted {
			if from%2 == 0 {
				status(w, http.StatusGone, "Expired", "too old resource version")
			} else {
				write(`{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"The resourceVersion for the provided watch is too old.","reason":"Expired","code":410}}` + "\n")
			}
			return
		}
	}
	w.(http.Flusher).Flush()
	for {
		for ; next < len(f.history); next++ {
			if c := f.history[next]; c.event.version > from {
				write(`{"type":"` + c.verb + `","object":` + c.event.json(f.core) + "}\n")
			}
		}
		w.(http.Flusher).Flush()
		if r.Context().Err() != nil || f.closed != closed {
			return
		}
		f.change.Wait()
	}
}
