package kube

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// patience is how long a test waits for what must happen, on a machine that is very busy.
const patience = time.Minute

// downstream is the stream behind the collectors: it keeps every frame once, and knows one that it has by its bytes, as the stream does by
// its id.
type downstream struct {
	mu      sync.Mutex
	frames  map[uint64]bool
	records []record.Record
	mark    int64
	marks   int
}

func (d *downstream) emit(_ context.Context, frame []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b record.Batch
	if err := b.Decode(frame); err != nil {
		return err
	}
	if m := b.Header().Mark; m != 0 {
		d.mark = max(d.mark, m)
		d.marks++
	}
	id := xxhash.Sum64(frame)
	if b.Len() == 0 || d.frames[id] {
		return nil
	}
	if d.frames == nil {
		d.frames = map[uint64]bool{}
	}
	d.frames[id] = true
	for i := range b.Len() {
		r := b.At(i)
		d.records = append(d.records, r.Clone())
	}
	return nil
}

func (d *downstream) all() []record.Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]record.Record(nil), d.records...)
}

func (d *downstream) promised() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Unix(0, d.mark)
}

// counts adds up the increases by event.
func (d *downstream) counts() map[string]int {
	sum := map[string]int{}
	for _, r := range d.all() {
		sum[r.Attrs.Value(record.EventName)] += int(r.Count)
	}
	return sum
}

func (d *downstream) waitFor(tb testing.TB, want map[string]int) {
	tb.Helper()
	require.Eventually(tb, func() bool {
		got := d.counts()
		for name, n := range want {
			if got[name] < n {
				return false
			}
		}
		return true
	}, patience, 5*time.Millisecond)
	require.Equal(tb, want, d.counts())
	d.requireOnce(tb)
}

func (d *downstream) requireOnce(tb testing.TB) {
	tb.Helper()
	seen := map[uint64]bool{}
	for _, r := range d.all() {
		require.False(tb, seen[r.ID], "twice: %s", record.AppendJSON(nil, &r))
		seen[r.ID] = true
	}
}

// memoryCheckpoints keep checkpoints like a bucket: a writer that did not see what another one saved since is refused.
type memoryCheckpoints struct {
	mu       *sync.Mutex
	values   map[string][]byte
	versions map[string]int
	known    map[string]int // by this writer
}

var _ collector.Checkpoints = memoryCheckpoints{}

func newMemoryCheckpoints() memoryCheckpoints {
	return memoryCheckpoints{&sync.Mutex{}, map[string][]byte{}, map[string]int{}, map[string]int{}}
}

// other returns the same checkpoints for another writer.
func (c memoryCheckpoints) other() memoryCheckpoints {
	return memoryCheckpoints{c.mu, c.values, c.versions, map[string]int{}}
}

func (c memoryCheckpoints) Load(name string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[name] = c.versions[name]
	return c.values[name], nil
}

var errOtherWriter = errors.New("another one has saved since")

func (c memoryCheckpoints) Save(name string, b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[name] != c.versions[name] {
		return errOtherWriter
	}
	c.versions[name]++
	c.known[name] = c.versions[name]
	c.values[name] = append([]byte(nil), b...)
	return nil
}

// startEvents runs a collector until the test ends or stop is called, which waits for its end.
func startEvents(tb testing.TB, f *fakeEvents, keep collector.Checkpoints, emit collector.Emit, change ...func(*events)) (stop func()) {
	tb.Helper()
	x, err := NewEvents(EventsOptions{Probe: signatures.Duration(20 * time.Millisecond)}, f.client(tb), collector.Common{Name: "events", Cluster: "test", Checkpoints: keep})
	require.NoError(tb, err)
	e := x.(*events)
	e.pause, e.quiet = time.Millisecond, time.Millisecond
	e.backoff = collector.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond}
	for _, c := range change {
		c(e)
	}
	return runUntilStopped(tb, x, emit)
}

// runUntilStopped runs a collector until the test ends or stop is called, which waits for its end.
func runUntilStopped(tb testing.TB, x collector.Collector, emit collector.Emit) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = x.Run(ctx, emit)
	}()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-ended }) }
	tb.Cleanup(stop)
	return stop
}
