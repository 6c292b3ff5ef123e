package kube

import (
	"encoding/json"
	"fmt"
	"maps"
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

// objectServer is as much of an API server as a reflector asks of one: lists in pages of one snapshot, watches from any version that is not
// compacted, bookmarks, and the ways in which all that fails.
type objectServer struct {
	t      *testing.T
	server *httptest.Server

	mu        sync.Mutex
	changed   *sync.Cond
	version   int
	kinds     map[string]string          // by path
	objects   map[string]map[string]item // by path and uid
	history   []happening
	compacted int
	snapshots map[string][]string // what pages are still to come, by continue token
	requests  map[string]int      // by path and list or watch
	selected  map[string]bool     // field selectors that were asked for
	refuse    map[string]int      // paths that are answered by a status
	dieAfter  int                 // bytes of a list after which the connection is cut; 0 never
	cut       int                 // how often watches were cut
	watches   int
	closed    bool
}

type item struct {
	version int
	json    string
}

type happening struct {
	version    int
	path, verb string
	json       string
}

func newObjectServer(t *testing.T) *objectServer {
	t.Helper()
	s := &objectServer{
		t: t, version: 100, kinds: map[string]string{}, objects: map[string]map[string]item{}, snapshots: map[string][]string{}, requests: map[string]int{},
		refuse: map[string]int{}, selected: map[string]bool{},
	}
	s.changed = sync.NewCond(&s.mu)
	for _, r := range append(resources(), certificates(), resource{group: "example.org", version: "v1", name: "widgets", kind: "Widget"}) {
		s.kinds[r.path()], s.objects[r.path()] = r.kind, map[string]item{}
	}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.mu.Lock()
		s.closed = true
		s.changed.Broadcast()
		s.mu.Unlock()
		s.server.CloseClientConnections()
		s.server.Close()
	})
	return s
}

func (s *objectServer) client(t *testing.T) *Client {
	t.Helper()
	c, err := newClient(&rest.Config{Host: s.server.URL, QPS: 10_000, Burst: 10_000}, 10*time.Second)
	require.NoError(t, err)
	return c
}

// set writes an object, of which a resourceVersion is made; an empty json deletes it.
func (s *objectServer) set(path, uid, object string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	version := fmt.Sprintf(`"resourceVersion":"%d"`, s.version)
	old, there := s.objects[path][uid]
	verb := "ADDED"
	switch {
	case object == "":
		verb, object = "DELETED", strings.Replace(old.json, fmt.Sprintf(`"resourceVersion":"%d"`, old.version), version, 1)
		delete(s.objects[path], uid)
	case there:
		verb = "MODIFIED"
		fallthrough
	default:
		object = strings.Replace(object, `"metadata":{`, `"metadata":{`+version+`,`, 1)
		s.objects[path][uid] = item{s.version, object}
	}
	s.history = append(s.history, happening{s.version, path, verb, object})
	s.changed.Broadcast()
}

// compact forgets what happened so far, and ends all watches.
func (s *objectServer) compact() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.compacted, s.history = s.version, nil
	s.snapshots = map[string][]string{}
	s.cut++
	s.changed.Broadcast()
}

func (s *objectServer) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.changed.Broadcast()
}

func (s *objectServer) asked(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[what]
}

func (s *objectServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	path, q := r.URL.Path, r.URL.Query()
	what := " list"
	if q.Get("watch") != "" {
		what = " watch"
	}
	s.requests[path+what]++
	s.selected[q.Get("fieldSelector")] = true
	kind, known := s.kinds[path]
	code := s.refuse[path]
	s.mu.Unlock()
	switch {
	case !known || code == http.StatusNotFound:
		status(w, http.StatusNotFound, "NotFound", "as the test says")
	case code == http.StatusForbidden:
		status(w, code, "Forbidden", "as the test says")
	case code != 0:
		status(w, code, "InternalError", "as the test says")
	case what == " watch":
		s.watch(w, r, path)
	default:
		s.list(w, path, kind, q.Get("limit"), q.Get("continue"))
	}
}

func (s *objectServer) list(w http.ResponseWriter, path, kind, limit, next string) {
	s.mu.Lock()
	version := strconv.Itoa(s.version)
	var items []string
	if next != "" {
		var ok bool
		if items, ok = s.snapshots[next]; !ok {
			s.mu.Unlock()
			status(w, http.StatusGone, "Expired", "as the test says")
			return
		}
		delete(s.snapshots, next)
		_, version, _ = strings.Cut(next, "@")
	} else {
		for _, uid := range slices.Sorted(maps.Keys(s.objects[path])) {
			items = append(items, s.objects[path][uid].json)
		}
	}
	more := ""
	if n, _ := strconv.Atoi(limit); n > 0 && len(items) > n {
		more = fmt.Sprintf("%s-%d@%s", path, len(items), version)
		s.snapshots[more] = items[n:]
		items = items[:n]
	}
	dieAfter := s.dieAfter
	s.mu.Unlock()
	list := fmt.Sprintf(`{"kind":"%sList","apiVersion":"v1","metadata":{"resourceVersion":"%s","continue":%q},"items":[%s]}`, kind, version, more, strings.Join(items, ","))
	w.Header().Set("Content-Type", "application/json")
	if dieAfter > 0 && len(items) > 0 {
		_, _ = w.Write([]byte(list[:min(dieAfter, len(list)-1)]))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write([]byte(list))
}

func (s *objectServer) watch(w http.ResponseWriter, r *http.Request, path string) {
	from, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		status(w, http.StatusBadRequest, "BadRequest", "as the test says")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	flush := http.NewResponseController(w)
	if from < s.compacted {
		_, _ = fmt.Fprintln(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version","reason":"Expired","code":410}}`)
		return
	}
	s.watches++
	defer func() { s.watches-- }()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-r.Context().Done():
			s.do(func() {})
		case <-stop:
		}
	}()
	cut := s.cut
	w.WriteHeader(http.StatusOK)
	for {
		if s.cut != cut {
			panic(http.ErrAbortHandler)
		}
		for _, h := range s.history {
			if h.version > from && h.path == path {
				_, _ = fmt.Fprintf(w, "{\"type\":%q,\"object\":%s}\n", h.verb, h.json)
				from = h.version
			}
		}
		_ = flush.Flush()
		if r.Context().Err() != nil || s.closed {
			return
		}
		s.changed.Wait()
	}
}

// pod returns a pod as the API server gives it.
func pod(uid, fields, statusFields string, at time.Time) string {
	object := map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{
			"name": "pod-" + uid, "namespace": "shop", "uid": uid, "creationTimestamp": "2026-11-20T10:00:00Z",
			"managedFields": []any{map[string]any{"manager": "m", "time": at.UTC().Format(time.RFC3339), "fieldsV1": map[string]any{"f:status": map[string]any{}}}},
		},
		"spec": json.RawMessage(`{"nodeName":"node-1","containers":[{"name":"app","image":"shop:1"}]` + fields + `}`), "status": json.RawMessage(`{` + statusFields + `}`),
	}
	b, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return string(b)
}
