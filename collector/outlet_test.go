package collector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// patience is how long a test waits for what will come on any machine.
const patience = 20 * time.Second

// taken keeps what an outlet emits.
type taken struct {
	mu      sync.Mutex
	texts   []string
	records []record.Record
	marks   []int64
	fail    error
}

func (k *taken) emit(_ context.Context, frame []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	var b record.Batch
	if err := b.Decode(frame); err != nil {
		return err
	}
	k.marks = append(k.marks, b.Header().Mark)
	for i := range b.Len() {
		r := b.At(i)
		k.records = append(k.records, r.Clone())
		k.texts = append(k.texts, string(r.Text))
	}
	return nil
}

func (k *taken) seen() ([]string, []int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.texts...), append([]int64(nil), k.marks...)
}

func outlet(t *testing.T, k *taken, change func(*OutletOptions)) *Outlet {
	t.Helper()
	o := OutletOptions{Source: "test/one", Kinds: []record.Kind{record.Log}, Idle: time.Millisecond, Heartbeat: -1}
	if change != nil {
		change(&o)
	}
	x, err := NewOutlet(o, k.emit)
	require.NoError(t, err)
	return x
}

func say(text string, attrs ...record.Attr) *record.Record {
	return &record.Record{Kind: record.Log, Time: 1e18, Text: []byte(text), Attrs: attrs}
}

func TestOutletGivesWhatWasAddedInOrderAndOnce(t *testing.T) {
	t.Parallel()
	var k taken
	x := outlet(t, &k, func(o *OutletOptions) { o.BatchBytes = 2000 })
	var want []string
	for i := range 500 {
		want = append(want, fmt.Sprint("line ", i))
		require.NoError(t, x.Add(t.Context(), say(want[i])))
	}
	got, _ := k.seen()
	require.Less(t, len(got), 500, "the last ones wait for more")
	require.NoError(t, x.Flush(t.Context()))
	got, _ = k.seen()
	require.Equal(t, want, got)
}

func TestOutletPutsItsAttributesBesideThoseOfTheRecord(t *testing.T) {
	t.Parallel()
	var k taken
	x := outlet(t, &k, func(o *OutletOptions) {
		o.Attrs = record.Attrs{{Key: "b", Value: "ours"}, {Key: "d", Value: "ours"}, {Key: "z", Value: "ours"}}
	})
	require.NoError(t, x.Add(t.Context(), say("x", record.Attr{Key: "a", Value: "1"}, record.Attr{Key: "d", Value: "2"}, record.Attr{Key: "e", Value: "3"})))
	require.NoError(t, x.Flush(t.Context()))
	require.Equal(t, record.Attrs{{Key: "a", Value: "1"}, {Key: "b", Value: "ours"}, {Key: "d", Value: "2"}, {Key: "e", Value: "3"}, {Key: "z", Value: "ours"}}, k.records[0].Attrs)
	require.NotZero(t, k.records[0].Observed)
}

func TestOutletGivesOutWhatIdlesAndBeatsOnlyWhatWasPromised(t *testing.T) {
	t.Parallel()
	var k taken
	x := outlet(t, &k, func(o *OutletOptions) { o.Heartbeat = time.Millisecond })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- x.Run(ctx) }()

	require.NoError(t, x.Add(ctx, say("alone")))
	require.Eventually(t, func() bool { got, _ := k.seen(); return len(got) == 1 }, patience, time.Millisecond)
	_, marks := k.seen()
	require.Equal(t, []int64{0}, marks, "nothing was promised")

	x.Alive(time.Unix(100, 0))
	x.Alive(time.Unix(99, 0)) // a promise is not taken back
	require.Eventually(t, func() bool { _, marks := k.seen(); return len(marks) == 2 }, patience, time.Millisecond)
	_, marks = k.seen()
	require.Equal(t, time.Unix(100, 0).UnixNano(), marks[1])

	require.NoError(t, x.Add(ctx, say("last words")))
	stop()
	require.NoError(t, <-ended)
	got, marks := k.seen()
	require.Equal(t, []string{"alone", "last words"}, got)
	require.Len(t, marks, 3, "one promise is told once")
}

func TestOutletKeepsWhatCouldNotBeEmitted(t *testing.T) {
	t.Parallel()
	k := taken{fail: errors.New("no room")}
	x := outlet(t, &k, nil)
	require.NoError(t, x.Add(t.Context(), say("one")))
	require.ErrorContains(t, x.Flush(t.Context()), "no room")
	require.ErrorContains(t, x.Add(t.Context(), say("two")), "no room")
	k.fail = nil
	require.NoError(t, x.Flush(t.Context()))
	require.NoError(t, x.Add(t.Context(), say("two")))
	require.NoError(t, x.Flush(t.Context()))
	got, _ := k.seen()
	require.Equal(t, []string{"one", "two"}, got, "what was refused is not added")
}

func TestFlushWaitsUntilWhatWasEmittedIsStored(t *testing.T) {
	t.Parallel()
	var k taken
	stored := errors.New("the server does not answer")
	x := outlet(t, &k, func(o *OutletOptions) { o.Stored = func(context.Context) error { return stored } })
	require.NoError(t, x.Add(t.Context(), say("one")))
	require.ErrorIs(t, x.Flush(t.Context()), stored)
	stored = nil
	require.NoError(t, x.Flush(t.Context()))
}

func TestOutletCountsWhatItRefusesAndTakesOut(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	meters, err := NewMeters(registry)
	require.NoError(t, err)
	m := meters.For("test")
	m.Connected(true)
	m.Reconnect()
	var k taken
	x := outlet(t, &k, func(o *OutletOptions) { o.Meter = m })
	x.Alive(time.Unix(1000, 0))
	for _, text := range []string{"password=hunter22 twice token=abcdefgh", "plain", strings.Repeat("x", record.MaxText+1)} {
		require.NoError(t, x.Add(t.Context(), say(text)))
	}
	require.NoError(t, x.Flush(t.Context()))
	got, _ := k.seen()
	require.Equal(t, []string{"password=[removed] twice token=[removed]", "plain"}, got)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP forewarn_collector_collected_up_to_timestamp_seconds Up to when everything that the source had was collected, in seconds since 1970.
# TYPE forewarn_collector_collected_up_to_timestamp_seconds gauge
forewarn_collector_collected_up_to_timestamp_seconds{collector="test"} 1000
# HELP forewarn_collector_connected 1 while the collector has its source, else 0.
# TYPE forewarn_collector_connected gauge
forewarn_collector_connected{collector="test"} 1
# HELP forewarn_collector_lost_total What was seen and is in no record, or not wholly, by the reason; see the READMEs of the collectors.
# TYPE forewarn_collector_lost_total counter
forewarn_collector_lost_total{collector="test",reason="refused_records"} 1
# HELP forewarn_collector_reconnects_total Times that a connection to a source was made anew.
# TYPE forewarn_collector_reconnects_total counter
forewarn_collector_reconnects_total{collector="test"} 1
# HELP forewarn_collector_records_total Records that were collected, by kind.
# TYPE forewarn_collector_records_total counter
forewarn_collector_records_total{collector="test",kind="log"} 2
# HELP forewarn_collector_removed_secrets_total Secrets that were taken out before a record left the collector.
# TYPE forewarn_collector_removed_secrets_total counter
forewarn_collector_removed_secrets_total{collector="test"} 2
`)))
	require.Equal(t, []State{{
		Collector: "test", Connected: true, Records: 2, UpTo: time.Unix(1000, 0).UTC(), Lost: map[string]uint64{"refused_records": 1}, RemovedSecrets: 2,
		Reconnects: 1,
	}}, meters.States())
	require.Same(t, m, meters.For("test"))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestOutletRefusesWhatNobodyCouldTellApart(t *testing.T) {
	t.Parallel()
	_, err := NewOutlet(OutletOptions{Source: "test/one"}, nil)
	require.ErrorContains(t, err, "kinds")
	_, err = NewOutlet(OutletOptions{Kinds: record.Kinds()}, nil)
	require.ErrorContains(t, err, "no source")
}

func TestOutletIsSharedByGoroutines(t *testing.T) {
	t.Parallel()
	var k taken
	x := outlet(t, &k, func(o *OutletOptions) { o.BatchBytes = 500; o.Attrs = record.Attrs{{Key: "k", Value: "v"}} })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- x.Run(ctx) }()
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 200 {
				if err := x.Add(ctx, say(fmt.Sprint(g, " ", i), record.Attr{Key: "g", Value: fmt.Sprint(g)})); err != nil {
					t.Error(err)
				}
				x.Alive(time.Unix(int64(i), 0))
			}
		})
	}
	all.Wait()
	stop()
	require.NoError(t, <-ended)
	got, _ := k.seen()
	require.Len(t, got, 800)
}

// enricher knows that everything is on node n.
type enricher struct{}

func (enricher) Enrich(a record.Attrs) record.Attrs { return a.With(record.Node, "n") }

func TestOutletCompletesRecordsWithWhatIsKnown(t *testing.T) {
	t.Parallel()
	var k taken
	x := outlet(t, &k, func(o *OutletOptions) {
		o.Enricher, o.Attrs = enricher{}, record.Attrs{{Key: record.Cluster, Value: "c"}}
	})
	require.NoError(t, x.Add(t.Context(), say("x", record.Attr{Key: record.Pod, Value: "p"})))
	require.NoError(t, x.Flush(t.Context()))
	require.Equal(t, record.Attrs{{Key: record.Cluster, Value: "c"}, {Key: record.Node, Value: "n"}, {Key: record.Pod, Value: "p"}}, k.records[0].Attrs)
}

// TestWhoWaitsForAnEmitWaitsNoLongerThanItsContext: one caller whose emit hangs must not take the others with it.
func TestWhoWaitsForAnEmitWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	entered := make(chan struct{}, 1)
	var k taken
	x, err := NewOutlet(OutletOptions{Source: "s", Kinds: []record.Kind{record.Log}, Heartbeat: -1}, func(ctx context.Context, frame []byte) error {
		select {
		case entered <- struct{}{}:
		default:
		}
		select {
		case <-open:
			return k.emit(ctx, frame)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	require.NoError(t, err)
	require.NoError(t, x.Add(t.Context(), say("first")))
	hangs := make(chan error, 1)
	go func() { hangs <- x.Flush(context.WithoutCancel(t.Context())) }()
	<-entered
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	x.Alive(time.Unix(1, 0))
	for range 1000 {
		require.ErrorIs(t, x.Add(gone, say(strings.Repeat("x", 1000))), context.Canceled)
	}
	require.ErrorIs(t, x.Flush(gone), context.Canceled)
	close(open)
	require.NoError(t, <-hangs)
	require.NoError(t, x.Add(t.Context(), say("last")))
	require.NoError(t, x.Flush(t.Context()))
	got, _ := k.seen()
	require.Equal(t, []string{"first", "last"}, got, "what is tried in vain does not pile up")
}
