package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
	"github.com/forewarn/forewarn/signatures"
)

// alone is the pace of a partition whose only neighbour has nothing to do.
func alone(partition int) *pace {
	p := newPace(2, 64)
	p.rest(1 - partition)
	return p
}

// sent is a publisher that remembers what it was given. While hold is set Flush waits for it.
type sent struct {
	mu   sync.Mutex
	all  []sentMessage
	hold chan struct{}
	fail error
}

type sentMessage struct {
	to        string
	partition int
	id        string
	data      []byte
}

var _ publisher = (*sent)(nil)

func (s *sent) add(to string, partition int, id string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.all = append(s.all, sentMessage{to, partition, id, data})
	return nil
}

func (s *sent) PublishHits(_ context.Context, partition int, id string, data []byte) error {
	return s.add("hits", partition, id, data)
}

func (s *sent) PublishWarning(_ context.Context, id string, data []byte) error {
	return s.add("warnings", 0, id, data)
}

func (s *sent) PublishRecords(_ context.Context, partition int, id string, data []byte) error {
	return s.add("records", partition, id, data)
}

func (s *sent) Flush(ctx context.Context) error {
	if s.hold == nil {
		return nil
	}
	select {
	case <-s.hold:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *sent) take() []sentMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

func memoryStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{InMemory: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func testMetrics(t *testing.T) *metrics {
	t.Helper()
	m, err := newMetrics(nil)
	require.NoError(t, err)
	return m
}

func testScanner(t *testing.T, out publisher) *scanner {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	return scannerOf(t, out, program(t, "memory", "memory-too"), log)
}

func scannerOf(t *testing.T, out publisher, p *matcher.Program, log *slog.Logger) *scanner {
	t.Helper()
	dead, metrics := newDeadLetters(memoryStore(t), log, time.Now), testMetrics(t)
	return &scanner{
		partition: 1, hits: 3, out: out, dead: dead, metrics: metrics, log: log, pace: alone(1), markEvery: 100 * time.Millisecond, windowMax: 4, fetch: 32, now: time.Now,
		workers: newWorkers(2, 3, func() *matcher.Program { return p }, newInputs(time.Now, time.Minute), NewCensus(time.Now), metrics),
	}
}

// acks remembers the last acknowledgement.
type acks struct {
	mu      sync.Mutex
	through uint64
}

func (a *acks) ack(seq uint64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.through = seq
	return nil
}

func (a *acks) get() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.through
}

// decoded gives what was sent to HITS: hits by partition in order, and the marks of each partition.
func decoded(t *testing.T, all []sentMessage) (hits map[int][]string, marks map[int][]string) {
	t.Helper()
	hits, marks = map[int][]string{}, map[int][]string{}
	for _, m := range all {
		var d hitsDecoder
		hh, mm, err := d.decode(m.data)
		require.NoError(t, err)
		for _, h := range hh {
			require.Equal(t, m.partition, HitPartition(h.Signature, h.Key, 3))
			hits[m.partition] = append(hits[m.partition], fmt.Sprintf("%s %s", h.Key[:len(h.Key)-1], h.Record.Text))
		}
		for _, x := range mm {
			marks[m.partition] = append(marks[m.partition], fmt.Sprintf("%s@%d", x.Source, (x.Time-start.UnixNano())/1e9))
		}
	}
	return hits, marks
}

func TestScannerSendsHitsAtOnceAndMarksAfterThem(t *testing.T) {
	out := &sent{}
	s := testScanner(t, out) // outside of the bubble: the store has goroutines
	frames := [][]byte{
		frame(t, "logs/n1", 10, false, line("n1", 1, "memory is getting low"), line("n2", 2, "memory is getting low")),
		frame(t, "logs/n1", 11, false),
		frame(t, "logs/n9", 12, true),
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		in, a := make(chan stream.Message), &acks{}
		done := make(chan error)
		go func() { done <- s.run(ctx, t.Context(), in, a.ack) }()
		for i, f := range frames {
			in <- stream.Message{Seq: uint64(i + 1), Data: f}
		}
		synctest.Wait()
		hits, marks := decoded(t, out.take())
		n := 0
		for _, h := range hits {
			n += len(h)
		}
		require.Equal(t, 4, n, "two records of two signatures are there before any timer")
		require.Empty(t, marks)
		require.Zero(t, a.get(), "nothing is acknowledged before its mark is stored")

		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		hits, marks = decoded(t, out.take())
		require.Empty(t, hits)
		for p := range 3 {
			require.Equal(t, []string{"logs/n1@11", "logs/n9@12"}, marks[p], "the last mark of each source goes to every partition")
		}
		require.EqualValues(t, 3, a.get())

		in <- stream.Message{Seq: 4, Data: frames[1]}
		cancel() // what is under way is finished
		require.NoError(t, <-done)
		require.EqualValues(t, 4, a.get())
	})
}

func TestScannerAcknowledgesNothingThatIsNotStored(t *testing.T) {
	out := &sent{hold: make(chan struct{})}
	s := testScanner(t, out)
	f := frame(t, "logs/n1", 10, false, line("n1", 1, "memory is getting low"))
	synctest.Test(t, func(t *testing.T) {
		drain, stop := context.WithCancel(t.Context())
		in, a := make(chan stream.Message), &acks{}
		done := make(chan error)
		out.hold = make(chan struct{}) // of this bubble
		go func() { done <- s.run(t.Context(), drain, in, a.ack) }()
		in <- stream.Message{Seq: 1, Data: f}
		time.Sleep(time.Second)
		synctest.Wait()
		_, marks := decoded(t, out.take())
		require.Empty(t, marks, "no mark overtakes a hit")
		stop()
		require.ErrorIs(t, <-done, context.Canceled)
		require.Zero(t, a.get())
	})
}

func TestScannerPassesOverWhatIsNoBatch(t *testing.T) {
	out := &sent{}
	s := testScanner(t, out)
	in, a := make(chan stream.Message, 3), &acks{}
	in <- stream.Message{Seq: 7, Data: []byte("this is no batch")}
	in <- stream.Message{Seq: 8, Data: nil}
	in <- stream.Message{Seq: 9, Data: frame(t, "logs/n1", 10, false, line("n1", 1, "memory is getting low"))}
	close(in)
	require.NoError(t, s.run(t.Context(), t.Context(), in, a.ack))
	require.EqualValues(t, 9, a.get())
	hits, _ := decoded(t, out.take())
	require.NotEmpty(t, hits)
	require.EqualValues(t, 2, s.metrics.badBatches.Value())
	dead := s.dead.last()
	require.Len(t, dead, 2)
	require.Equal(t, "RECORDS", dead[0].Stream)
	require.EqualValues(t, 7, dead[0].Sequence)
	require.NotEmpty(t, dead[0].Reason)
}

func TestAnIDOfHitsDependsOnBatchAndProgram(t *testing.T) {
	ids := func(p *matcher.Program, seq uint64, f []byte) []string {
		out := &sent{}
		s := scannerOf(t, out, p, slog.New(slog.DiscardHandler))
		in := make(chan stream.Message, 1)
		in <- stream.Message{Seq: seq, Data: f}
		close(in)
		require.NoError(t, s.run(t.Context(), t.Context(), in, (&acks{}).ack))
		var list []string
		for _, m := range out.take() {
			if m.id != "" {
				list = append(list, m.id)
			}
		}
		return list
	}
	a, b := program(t, "a"), program(t, "a", "b")
	one := frame(t, "logs/n1", 10, false, line("n1", 1, "memory is getting low"))
	two := frame(t, "logs/n1", 10, false, line("n1", 2, "memory is getting low"))
	first := ids(a, 1, one)
	require.Equal(t, first, ids(a, 1, one), "a batch that comes again gives the same ids")
	require.NotContains(t, ids(b, 1, one), first[0], "its hits of another program are not repeats")
	require.NotEqual(t, first, ids(a, 1, two), "nor are those of a stream that was made anew")
}

func TestManyHitsOfOneBatchAreSentInSeveralMessages(t *testing.T) {
	out := &sent{}
	s := testScanner(t, out)
	var records []record.Record
	for i := range 6 {
		text := append([]byte(fmt.Sprintf("%d memory is getting low ", i)), make([]byte, 200<<10)...)
		r := line("n1", i, "x")
		r.Text, r.ID = text, uint64(i+1)
		records = append(records, r)
	}
	in := make(chan stream.Message, 1)
	in <- stream.Message{Seq: 1, Data: frame(t, "logs/n1", 10, false, records...)}
	close(in)
	require.NoError(t, s.run(t.Context(), t.Context(), in, (&acks{}).ack))
	all := out.take()
	seen := map[string]bool{}
	n := 0
	for _, m := range all {
		require.Less(t, len(m.data), 1<<20)
		require.False(t, m.id != "" && seen[m.id], "an id is used once")
		seen[m.id] = true
	}
	hits, _ := decoded(t, all)
	for _, h := range hits {
		n += len(h)
	}
	require.Equal(t, 12, n)
}

func TestRecordsThatTheServerDoesNotTakeDoNotHoldUpTheIntake(t *testing.T) {
	out := &sent{fail: fmt.Errorf("publish records: %w", stream.ErrTooLarge)}
	tk := &taker{out: out, dead: newDeadLetters(memoryStore(t), slog.New(slog.DiscardHandler), time.Now), metrics: testMetrics(t), now: time.Now}
	in, a := make(chan stream.Message, 1), &acks{}
	in <- stream.Message{Seq: 3, Data: []byte(`{"kind":"log","time":1,"text":"x"}`)}
	close(in)
	require.NoError(t, tk.run(t.Context(), t.Context(), in, a.ack))
	require.EqualValues(t, 3, a.get())
	require.EqualValues(t, 1, tk.metrics.intakeBad.Value())
}

func TestHitsThatTheServerDoesNotTakeHoldUpNothing(t *testing.T) {
	out := &sent{fail: fmt.Errorf("publish hits: %w", stream.ErrTooLarge)}
	s := testScanner(t, out)
	in, a := make(chan stream.Message, 1), &acks{}
	in <- stream.Message{Seq: 7, Data: frame(t, "logs/n1", 0, false, line("n1", 1, "memory is getting low"))}
	close(in)
	require.NoError(t, s.run(t.Context(), t.Context(), in, a.ack))
	require.EqualValues(t, 7, a.get(), "or it would come again for ever")
	require.EqualValues(t, 2, s.metrics.lostHits.Value())
	require.Contains(t, s.dead.last()[0].Reason, "too large")
}

func TestMetricsAreCleanAndTold(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	m, err := newMetrics(r)
	require.NoError(t, err)
	m.tracker.read = func() (map[string]uint64, map[openKind]int) {
		return map[string]uint64{"late": 3}, map[openKind]int{{"a", signatures.High, matcher.Forming}: 2, {"b", signatures.Low, matcher.Forming}: 1}
	}
	m.tell(&matcher.Change{Warning: matcher.Warning{Signature: "a", Severity: signatures.High, State: matcher.InIncident, Lead: time.Hour}, Was: matcher.Forming}, []matcher.Reached{{Stage: "incident"}})
	m.lag.WithLabelValues("HITS", "track-0").Set(1)
	m.signatures.WithLabelValues("armed").Set(1)
	m.scanned(100, 10, 1)
	problems, err := testutil.GatherAndLint(r)
	require.NoError(t, err)
	require.Equal(t, []promlint.Problem(nil), problems)
	n, err := testutil.GatherAndCount(r, "forewarn_pipeline_open_warnings")
	require.NoError(t, err)
	require.Equal(t, 3, n)
	_, err = newMetrics(r)
	require.Error(t, err, "a second pipeline on one registry is an error, not a panic")
}

func TestOneRecordOfTheFutureDoesNotMoveTheIntakesMark(t *testing.T) {
	out := &sent{}
	tk := &taker{
		out: out, dead: newDeadLetters(memoryStore(t), slog.New(slog.DiscardHandler), time.Now), metrics: testMetrics(t),
		now: func() time.Time { return start.Add(time.Minute) }, delay: 10 * time.Second,
	}
	in := make(chan stream.Message, 2)
	in <- stream.Message{Seq: 1, Data: []byte(`{"kind":"log","time":"2099-01-01T00:00:00Z","text":"a wrong clock"}`)}
	in <- stream.Message{Seq: 2, Data: []byte(`{"kind":"log","time":"2026-03-01T12:00:30Z","text":"a right one"}`)}
	close(in)
	require.NoError(t, tk.run(t.Context(), t.Context(), in, (&acks{}).ack))
	all := out.take()
	require.Len(t, all, 1)
	var b record.Batch
	require.NoError(t, b.Decode(all[0].data))
	require.Equal(t, 2, b.Len(), "both are scanned")
	require.Equal(t, start.Add(50*time.Second).UnixNano(), b.Header().Mark)
}

func TestTheIntakeTakesWhatIsGoodAndKeepsWhatIsNot(t *testing.T) {
	out := &sent{}
	tk := &taker{
		partition: 1, out: out, dead: newDeadLetters(memoryStore(t), slog.New(slog.DiscardHandler), time.Now), metrics: testMetrics(t),
		now: func() time.Time { return start.Add(time.Minute) }, delay: 10 * time.Second,
	}
	in, a := make(chan stream.Message, 4), &acks{}
	for i, s := range []string{
		`{"kind":"log","time":"2026-03-01T12:00:30Z","text":"one"}`, `{"kind":"log"}`, `nonsense`,
		`{"kind":"log","time":"2026-03-01T12:00:20Z","text":"two"}`,
	} {
		in <- stream.Message{Seq: uint64(i + 1), Data: []byte(s)}
	}
	close(in)
	require.NoError(t, tk.run(t.Context(), t.Context(), in, a.ack))
	require.EqualValues(t, 4, a.get())
	all := out.take()
	require.Len(t, all, 1)
	require.Equal(t, 1, all[0].partition)
	var b record.Batch
	require.NoError(t, b.Decode(all[0].data))
	require.Equal(t, 2, b.Len())
	require.Equal(t, IntakeSource, b.Header().Source)
	require.Zero(t, b.Header().Kinds, "it vouches for nothing")
	require.Equal(t, start.Add(20*time.Second).UnixNano(), b.Header().Mark, "its mark stays behind its newest record")
	require.EqualValues(t, 2, tk.metrics.intakeBad.Value())
	require.Contains(t, tk.dead.last()[0].Reason, "time is missing")

	out.fail = errors.New("closed")
	in = make(chan stream.Message, 1)
	in <- stream.Message{Seq: 5, Data: []byte(`{"kind":"log","time":1,"text":"x"}`)}
	close(in)
	require.ErrorContains(t, tk.run(t.Context(), t.Context(), in, a.ack), "closed")
	require.EqualValues(t, 4, a.get())
}

func TestTheIntakeNamesTheClusterUnlessTheRecordDoes(t *testing.T) {
	out := &sent{}
	tk := &taker{
		out: out, dead: newDeadLetters(memoryStore(t), slog.New(slog.DiscardHandler), time.Now), metrics: testMetrics(t),
		now: func() time.Time { return start.Add(time.Minute) }, delay: 10 * time.Second, attrs: record.Attrs{{Key: record.Cluster, Value: "prod-eu"}},
	}
	in := make(chan stream.Message, 3)
	for i, s := range []string{`"attrs":{"a":"1","z":"2"}`, `"attrs":{"k8s.cluster.name":"edge"}`, `"text":"c"`} {
		in <- stream.Message{Seq: uint64(i + 1), Data: []byte(`{"kind":"log","time":"2026-03-01T12:00:30Z",` + s + `}`)}
	}
	close(in)
	require.NoError(t, tk.run(t.Context(), t.Context(), in, (&acks{}).ack))
	var b record.Batch
	require.NoError(t, b.Decode(out.take()[0].data))
	var clusters []string
	for i := range b.Len() {
		clusters = append(clusters, b.At(i).Attrs.Value(record.Cluster))
	}
	require.Equal(t, []string{"prod-eu", "edge", "prod-eu"}, clusters)
}

func TestTheIntakeLetsNoSecretOn(t *testing.T) {
	secrets, err := collector.NewSecrets(collector.SecretOptions{})
	require.NoError(t, err)
	out := &sent{}
	tk := &taker{
		out: out, dead: newDeadLetters(memoryStore(t), slog.New(slog.DiscardHandler), time.Now), metrics: testMetrics(t), clean: secrets.Cleaner(),
		now: func() time.Time { return start.Add(time.Minute) }, delay: 10 * time.Second,
	}
	in := make(chan stream.Message, 2)
	in <- stream.Message{Seq: 1, Data: []byte(`{"kind":"log","time":"2026-03-01T12:00:30Z","text":"login with password=hunter2 failed","attrs":{"db.password":"hunter2"}}`)}
	in <- stream.Message{Seq: 2, Data: []byte(`{"kind":"log","time":"2026-03-01T12:00:31Z","text":"nothing here"}`)}
	close(in)
	require.NoError(t, tk.run(t.Context(), t.Context(), in, (&acks{}).ack))
	all := out.take()
	require.Len(t, all, 1)
	require.NotContains(t, string(all[0].data), "hunter2")
	var b record.Batch
	require.NoError(t, b.Decode(all[0].data))
	require.Equal(t, 2, b.Len())
	require.EqualValues(t, 2, tk.metrics.intakeSecrets.Value())
}
