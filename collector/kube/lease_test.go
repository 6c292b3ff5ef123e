package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/signatures"
)

// fakeLeases is an API server of one Lease.
type fakeLeases struct {
	mu      sync.Mutex
	lease   *coordinationv1.Lease
	version int
	paths   map[string]bool
}

func (f *fakeLeases) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.paths == nil {
		f.paths = map[string]bool{}
	}
	f.paths[r.Method+" "+r.URL.Path] = true
	if r.Method != http.MethodGet {
		var x coordinationv1.Lease
		if err := json.NewDecoder(r.Body).Decode(&x); err != nil {
			status(w, http.StatusBadRequest, "BadRequest", err.Error())
			return
		}
		switch {
		case r.Method == http.MethodPost && f.lease != nil:
			status(w, http.StatusConflict, "AlreadyExists", "exists")
			return
		case r.Method == http.MethodPut && x.ResourceVersion != strconv.Itoa(f.version):
			status(w, http.StatusConflict, "Conflict", "the object has been modified")
			return
		}
		f.version++
		x.ResourceVersion = strconv.Itoa(f.version)
		f.lease = &x
	}
	if f.lease == nil {
		status(w, http.StatusNotFound, "NotFound", "no such lease")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(f.lease)
}

// worker is an inner collector that says whether it runs.
type worker struct {
	name    string
	running *atomic.Int64 // of all workers
	most    *atomic.Int64
	ran     atomic.Int64
	active  atomic.Bool
	linger  time.Duration // how long it takes to end
	end     chan error
}

func (w *worker) Run(ctx context.Context, _ collector.Emit) error {
	w.ran.Add(1)
	w.active.Store(true)
	if n := w.running.Add(1); n > w.most.Load() {
		w.most.Store(n)
	}
	defer func() {
		w.active.Store(false)
		w.running.Add(-1)
	}()
	select {
	case <-ctx.Done():
		if w.linger > 0 {
			<-time.After(w.linger) // what it does at its end takes its time
		}
		return context.Cause(ctx)
	case err := <-w.end:
		return err
	}
}

func newLed(tb testing.TB, c *Client, duration time.Duration, w *worker, log *slog.Logger) *led {
	tb.Helper()
	x, err := Led(LeaseOptions{Duration: signatures.Duration(duration)}, c, collector.Common{Name: "events", Logger: log}, w)
	require.NoError(tb, err)
	return x.(*led)
}

// TestOneProcessCollectsAndAnotherFollowsWhenItHasEnded: the Lease is given up after the collector has ended, not before.
func TestOneProcessCollectsAndAnotherFollowsWhenItHasEnded(t *testing.T) {
	t.Parallel()
	f := &fakeLeases{}
	c := newTestClient(t, f.ServeHTTP)
	var running, most atomic.Int64
	var workers []*worker
	var stops []func()
	for i := range 3 {
		w := &worker{name: fmt.Sprint(i), running: &running, most: &most, linger: 50 * time.Millisecond}
		x := newLed(t, c, time.Hour, w, nil)
		x.retry = 10 * time.Millisecond
		workers, stops = append(workers, w), append(stops, runUntilStopped(t, x, nil))
	}
	for range 3 {
		leader := -1
		require.Eventually(t, func() bool {
			for i, w := range workers {
				if w.active.Load() {
					leader = i
					return true
				}
			}
			return false
		}, patience, time.Millisecond)
		stops[leader]()
		require.False(t, workers[leader].active.Load())
	}
	require.Equal(t, int64(1), most.Load())
	require.Contains(t, f.paths, "PUT /apis/coordination.k8s.io/v1/namespaces/default/leases/forewarn-events")
}

// TestLostLeaseEndsTheCollectorBeforeAnotherCanWinIt: a process that cannot renew stops in time, and is followed.
func TestLostLeaseEndsTheCollectorBeforeAnotherCanWinIt(t *testing.T) {
	t.Parallel()
	f := &fakeLeases{}
	var cut atomic.Bool
	good := newTestClient(t, f.ServeHTTP)
	cutOff := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		if cut.Load() {
			status(w, http.StatusServiceUnavailable, "ServiceUnavailable", "no")
			return
		}
		f.ServeHTTP(w, r)
	})
	var running, most atomic.Int64
	first, second := &worker{running: &running, most: &most}, &worker{running: &running, most: &most}
	log := &logged{}
	a, b := newLed(t, cutOff, 3*time.Second, first, slog.New(slog.NewTextHandler(log, nil))), newLed(t, good, 3*time.Second, second, nil)
	a.retry, b.retry = 100*time.Millisecond, 100*time.Millisecond
	stop := runUntilStopped(t, a, nil)
	require.Eventually(t, first.active.Load, patience, time.Millisecond)
	runUntilStopped(t, b, nil)
	cut.Store(true)
	require.Eventually(t, second.active.Load, patience, time.Millisecond)
	cut.Store(false)
	require.False(t, first.active.Load())
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "another process collects") }, patience, time.Millisecond)
	stop()
	require.Contains(t, log.String(), "cannot be asked for or renewed")
	require.Less(t, strings.Count(log.String(), "cannot be asked for or renewed"), 5, "not at each of twenty tries")
}

func TestCollectorThatEndsByItselfEndsTheTerm(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]error{"in order": nil, "by an error": errors.New("broken")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeLeases{}
			var n, most atomic.Int64
			w := &worker{running: &n, most: &most, end: make(chan error, 1)}
			w.end <- want
			err := newLed(t, newTestClient(t, f.ServeHTTP), time.Hour, w, nil).Run(t.Context(), nil)
			require.Equal(t, want, err)
			require.Empty(t, *f.lease.Spec.HolderIdentity, "it is given up")
		})
	}
}

func TestForbiddenLeaseIsTold(t *testing.T) {
	t.Parallel()
	log := &logged{}
	c := newTestClient(t, func(w http.ResponseWriter, _ *http.Request) {
		status(w, http.StatusForbidden, "Forbidden", "leases is forbidden")
	})
	var n, most atomic.Int64
	x := newLed(t, c, time.Hour, &worker{running: &n, most: &most}, slog.New(slog.NewTextHandler(log, nil)))
	x.retry = 5 * time.Millisecond
	runUntilStopped(t, x, nil)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "grant it: the shipped ClusterRole") }, patience, time.Millisecond)
}

// logged is a log that is read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestLeaseOptions(t *testing.T) {
	t.Parallel()
	w := &worker{}
	x, err := Led(LeaseOptions{Off: true}, nil, collector.Common{}, w)
	require.NoError(t, err)
	require.Same(t, w, x)
	_, err = Led(LeaseOptions{Duration: signatures.Duration(time.Second)}, &Client{}, collector.Common{}, w)
	require.ErrorContains(t, err, "3s to 1h")
	require.Equal(t, "forewarn-events-prod-eu", LeaseOptions{}.LeaseName("events/Prod.EU/"))
	require.Equal(t, "team-a-changes", LeaseOptions{Name: "team-a"}.LeaseName("changes"))
}
