package kube

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	eventsv1 "k8s.io/api/events/v1"

	"github.com/forewarn/forewarn/collector/format"
)

// apiEvents keeps Events as the API server does: it validates what is made, and lets nothing but series and metadata change.
type apiEvents struct {
	mu     sync.Mutex
	events map[string]eventsv1.Event
	verbs  []string
	script []int // statuses of the next answers
}

func (a *apiEvents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.script) > 0 {
		code := a.script[0]
		a.script = a.script[1:]
		reason := map[int]string{403: "Forbidden", 404: "NotFound", 422: "Invalid", 500: "InternalError", 401: "Unauthorized", 409: "AlreadyExists"}[code]
		status(w, code, reason, "scripted")
		return
	}
	namespace, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/apis/events.k8s.io/v1/namespaces/"), "/events")
	key := namespace + name
	a.verbs = append(a.verbs, r.Method)
	w.Header().Set("Content-Type", "application/json")
	switch r.Method {
	case http.MethodPost:
		var e eventsv1.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			status(w, 400, "BadRequest", err.Error())
			return
		}
		key = namespace + "/" + e.Name
		if _, exists := a.events[key]; exists {
			status(w, 409, "AlreadyExists", "it exists")
			return
		}
		switch in := e.Regarding.Namespace; {
		case e.EventTime.IsZero(), e.ReportingController == "", e.ReportingInstance == "", e.Action == "", e.Reason == "", len(e.Note) > 1024, e.Series != nil,
			e.Type != "Normal" && e.Type != "Warning", in == "" && namespace != "default", in != "" && in != namespace:
			status(w, 422, "Invalid", "the event is invalid")
			return
		}
		e.UID = "of-the-server"
		a.events[key] = e
		_ = json.NewEncoder(w).Encode(e)
	case http.MethodGet:
		e, exists := a.events[key]
		if !exists {
			status(w, 404, "NotFound", "none")
			return
		}
		_ = json.NewEncoder(w).Encode(e)
	case http.MethodPatch:
		var patch struct {
			Metadata struct{ Annotations map[string]string }
			Series   *eventsv1.EventSeries
		}
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields() // everything else is immutable
		e, exists := a.events[key]
		if err := d.Decode(&patch); err != nil || !exists || r.Header.Get("Content-Type") != "application/merge-patch+json" || patch.Series.Count < 2 || patch.Series.LastObservedTime.IsZero() {
			status(w, 422, "Invalid", "the patch is invalid")
			return
		}
		maps.Copy(e.Annotations, patch.Metadata.Annotations)
		e.Series = patch.Series
		a.events[key] = e
		_ = json.NewEncoder(w).Encode(e)
	}
}

func newEventWriter(t *testing.T) (*apiEvents, *EventWriter) {
	t.Helper()
	a := &apiEvents{events: map[string]eventsv1.Event{}}
	w, err := NewEventWriter(newTestClient(t, a.ServeHTTP))
	require.NoError(t, err)
	return a, w
}

func written(count int, at time.Time) WrittenEvent {
	return WrittenEvent{
		Name: "cart.1.forming", APIVersion: "v1", Kind: "Pod", Namespace: "shop", Object: "cart", UID: "u1", Warning: true, Reason: "ForewarnForming", Action: "Forewarn",
		Note: "memory grows", Time: at, Count: count,
	}
}

func TestAFurtherObservationCountsTheSeriesUpOnce(t *testing.T) {
	t.Parallel()
	a, w := newEventWriter(t)
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for i, count := range []int{3, 3, 4, 6, 4, 3} { // the fourth and third come again
		require.NoError(t, w.Write(t.Context(), written(count, at.Add(time.Duration(i)*time.Minute))))
	}
	require.Len(t, a.events, 1)
	e := a.events["shop/cart.1.forming"]
	require.EqualValues(t, 4, e.Series.Count, "from the third revision to the sixth")
	require.Equal(t, at.Add(3*time.Minute), e.Series.LastObservedTime.UTC())
	require.Equal(t, "Pod shop/cart u1", e.Regarding.Kind+" "+e.Regarding.Namespace+"/"+e.Regarding.Name+" "+string(e.Regarding.UID))
	node := written(1, at)
	node.Kind, node.Namespace, node.Object, node.Warning = "Node", "", "worker-1", false
	require.NoError(t, w.Write(t.Context(), node))
	require.Equal(t, "Normal", a.events["default/cart.1.forming"].Type)
}

func TestWhatTheServerNeverTakesIsTold(t *testing.T) {
	t.Parallel()
	for code, refused := range map[int]bool{403: true, 404: true, 422: true, 500: false, 401: false} {
		a, w := newEventWriter(t)
		a.script = []int{code}
		err := w.Write(t.Context(), written(1, time.Now()))
		require.Error(t, err)
		require.Equal(t, refused, IsRefused(err), "%d: %v", code, err)
		require.NoError(t, w.Write(t.Context(), written(1, time.Now())))
	}
	a, w := newEventWriter(t)
	a.script = []int{409, 404}
	err := w.Write(t.Context(), written(1, time.Now()))
	require.ErrorContains(t, err, "gone between two requests")
	require.False(t, IsRefused(err), "another try makes it anew")
}

func TestForewarnsOwnEventsAreNoRecords(t *testing.T) {
	t.Parallel()
	a, w := newEventWriter(t)
	require.NoError(t, w.Write(t.Context(), written(1, time.Now())))
	for _, e := range a.events {
		b, err := json.Marshal(e)
		require.NoError(t, err)
		o, err := format.DecodeEvent(b, nil, func(at time.Time) int64 { return at.UnixNano() })
		require.NoError(t, err)
		o.Last = 1
		require.Empty(t, o.Since(0, nil), "what forewarn tells would become what it is told by")
	}
}
