package crd

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

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// server is the part of an API server that custom resources need: lists in pages, watches from a version, merge patches of the status.
type server struct {
	testing.TB
	config *rest.Config

	mu        sync.Mutex
	more      *sync.Cond
	version   int
	objects   map[string]map[string]any // by the path of the object
	log       []event
	compacted int            // watches from before it are expired
	absent    bool           // the kinds are not known
	refuse    int            // how many patches are answered with 500
	patches   map[string]int // by the path of the object
	cut       int            // watches with a number up to this are ended
	watches   int
	done      bool
}

type event struct {
	version int
	plural  string
	kind    string
	object  map[string]any
}

func newServer(tb testing.TB) *server {
	tb.Helper()
	s := &server{TB: tb, objects: map[string]map[string]any{}, patches: map[string]int{}}
	s.more = sync.NewCond(&s.mu)
	h := httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(func() {
		s.mu.Lock()
		s.done = true
		s.more.Broadcast()
		s.mu.Unlock()
		h.CloseClientConnections()
		h.Close()
	})
	s.config = &rest.Config{Host: h.URL, QPS: 1000, Burst: 1000}
	return s
}

// put makes the object of the text, as JSON of its spec, or changes it.
func (s *server) put(ref Ref, spec string) {
	s.Helper()
	var body map[string]any
	require.NoError(s, json.Unmarshal([]byte(spec), &body))
	s.mu.Lock()
	defer s.mu.Unlock()
	path := path(ref)
	object, kind := s.objects[path], "MODIFIED"
	generation := 1
	if object == nil {
		kind = "ADDED"
		object = map[string]any{}
	} else {
		meta := object["metadata"].(map[string]any)
		generation = meta["generation"].(int) + 1
	}
	s.version++
	meta := map[string]any{"name": ref.Name, "uid": "uid-" + path, "generation": generation, "resourceVersion": strconv.Itoa(s.version)}
	if ref.Namespace != "" {
		meta["namespace"] = ref.Namespace
	}
	next := map[string]any{"apiVersion": Group + "/" + Version, "kind": string(ref.Kind), "metadata": meta, "spec": body}
	if object["status"] != nil {
		next["status"] = object["status"]
	}
	s.store(ref, kind, next)
}

func (s *server) remove(ref Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	object := s.objects[path(ref)]
	delete(s.objects, path(ref))
	s.log = append(s.log, event{s.version, ref.Kind.Resource().Resource, "DELETED", object})
	s.more.Broadcast()
}

func (s *server) store(ref Ref, kind string, object map[string]any) {
	s.objects[path(ref)] = object
	s.log = append(s.log, event{s.version, ref.Kind.Resource().Resource, kind, object})
	s.more.Broadcast()
}

// set changes how the server behaves.
func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.more.Broadcast()
}

func (s *server) status(ref Ref) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.objects[path(ref)]; o != nil {
		return statusOf(o["status"])
	}
	return Status{}
}

func (s *server) patched(ref Ref) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.patches[path(ref)]
}

func path(ref Ref) string {
	if ref.Namespace == "" {
		return ref.Kind.Resource().Resource + "/" + ref.Name
	}
	return "namespaces/" + ref.Namespace + "/" + ref.Kind.Resource().Resource + "/" + ref.Name
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.Path, "/apis/"+Group+"/"+Version+"/")
	w.Header().Set("Content-Type", "application/json")
	s.mu.Lock()
	absent := s.absent
	s.mu.Unlock()
	switch {
	case !ok || absent:
		failure(w, http.StatusNotFound, "NotFound")
	case r.Method == http.MethodPatch:
		s.patch(w, r, strings.TrimSuffix(rest, "/status"))
	case r.URL.Query().Get("watch") == "true":
		s.watch(w, r, rest)
	default:
		s.list(w, r, rest)
	}
}

func failure(w http.ResponseWriter, code int, reason string) {
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, code)
}

func (s *server) list(w http.ResponseWriter, r *http.Request, plural string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []any
	for _, p := range slices.Sorted(maps.Keys(s.objects)) {
		if strings.Contains("/"+p, "/"+plural+"/") {
			items = append(items, s.objects[p])
		}
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	meta := map[string]any{"resourceVersion": strconv.Itoa(s.version)}
	if limit, _ := strconv.Atoi(r.URL.Query().Get("limit")); limit > 0 && from+limit < len(items) {
		meta["continue"] = strconv.Itoa(from + limit)
		items = items[from : from+limit]
	} else {
		items = items[from:]
	}
	if items == nil {
		items = []any{}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": Group + "/" + Version, "kind": "List", "metadata": meta, "items": items})
}

func (s *server) watch(w http.ResponseWriter, r *http.Request, plural string) {
	at, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-r.Context().Done():
			s.set(func() {})
		case <-stop:
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches++
	number := s.watches
	out := json.NewEncoder(w)
	w.(http.Flusher).Flush()
	for !s.done && s.cut < number && r.Context().Err() == nil {
		if at < s.compacted {
			_ = out.Encode(map[string]any{"type": "ERROR", "object": map[string]any{
				"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": http.StatusGone,
			}})
			return
		}
		for _, e := range s.log {
			if e.version > at && e.plural == plural {
				_ = out.Encode(map[string]any{"type": e.kind, "object": e.object})
			}
		}
		at = s.version
		w.(http.Flusher).Flush()
		s.more.Wait()
	}
}

func (s *server) patch(w http.ResponseWriter, r *http.Request, at string) {
	var body struct {
		Metadata struct{ UID string }
		Status   map[string]any
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	defer s.mu.Unlock()
	object := s.objects[at]
	switch {
	case err != nil || !strings.HasSuffix(r.URL.Path, "/status"):
		failure(w, http.StatusBadRequest, "BadRequest")
		return
	case object == nil:
		failure(w, http.StatusNotFound, "NotFound")
		return
	case object["metadata"].(map[string]any)["uid"] != body.Metadata.UID:
		failure(w, http.StatusConflict, "Conflict")
		return
	case s.refuse > 0:
		s.refuse--
		failure(w, http.StatusInternalServerError, "InternalError")
		return
	}
	s.patches[at]++
	s.version++
	status := map[string]any{}
	if old, ok := object["status"].(map[string]any); ok {
		maps.Copy(status, old)
	}
	for k, v := range body.Status {
		if status[k] = v; v == nil {
			delete(status, k)
		}
	}
	meta := map[string]any{}
	maps.Copy(meta, object["metadata"].(map[string]any))
	meta["resourceVersion"] = strconv.Itoa(s.version)
	next := map[string]any{"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": meta, "spec": object["spec"], "status": status}
	s.objects[at] = next
	parts := strings.Split(at, "/")
	s.log = append(s.log, event{s.version, parts[len(parts)-2], "MODIFIED", next})
	s.more.Broadcast()
	_ = json.NewEncoder(w).Encode(next)
}
