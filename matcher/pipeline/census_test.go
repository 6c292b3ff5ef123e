package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
)

// batchOf decodes a batch of records with these attributes.
func batchOf(tb testing.TB, kind record.Kind, sets ...map[string]string) *record.Batch {
	tb.Helper()
	var b record.Builder
	require.NoError(tb, b.Reset(record.Header{Source: "test", Kinds: 1 << kind}))
	for i, attrs := range sets {
		require.NoError(tb, b.Add(&record.Record{Kind: kind, Time: int64(i + 1), Count: 1, Text: []byte("x"), Attrs: record.NewAttrs(attrs)}))
	}
	var batch record.Batch
	require.NoError(tb, batch.Decode(b.AppendTo(nil)))
	return &batch
}

func TestACensusKnowsEachKindByItsName(t *testing.T) {
	now := start
	c := NewCensus(func() time.Time { return now })
	n := c.Counter()
	n.Count(batchOf(t, record.Event, map[string]string{record.EventReason: "BackOff", record.ObjectKind: "Pod", record.Component: "x"}))
	n.Count(batchOf(t, record.Log, map[string]string{record.Component: "etcd"}, map[string]string{record.FilePath: "/a"}))
	n.Count(batchOf(t, record.Change, map[string]string{record.ChangePath: "spec", record.ObjectKind: "Node"}))
	n.Count(batchOf(t, record.Sample, map[string]string{record.MetricName: "up", "label.a": "1"}, map[string]string{record.MetricName: "up", "label.a": "2"}))
	n.Count(batchOf(t, record.Alert, map[string]string{record.AlertName: "Down", record.AlertState: "firing"}))
	at := start.Unix()
	want := map[string]map[string]int64{
		"event": {"BackOff": at}, "log": {"etcd": at, "": at}, "change": {"Node": at}, "sample": {"up": at}, "alert": {"Down": at},
	}
	require.Equal(t, want, c.Seen().Kinds)
	require.Equal(t, start, c.Seen().Since)

	now = start.Add(time.Minute)
	n.Count(batchOf(t, record.Alert, map[string]string{record.AlertName: "Down"}))
	require.Equal(t, now.Unix(), c.Seen().Kinds["alert"]["Down"], "the last time counts")
}

func TestAFullCensusSaysSoAndStillKnowsWhatItHas(t *testing.T) {
	now := start
	c := NewCensus(func() time.Time { return now })
	n := c.Counter()
	for i := range maxNames + 10 {
		n.Count(batchOf(t, record.Alert, map[string]string{record.AlertName: fmt.Sprint(i)}))
	}
	n.Count(batchOf(t, record.Log, map[string]string{record.Component: strings.Repeat("x", 5000)}))
	now = start.Add(time.Hour)
	n.Count(batchOf(t, record.Alert, map[string]string{record.AlertName: "0"}))
	s := c.Seen()
	require.Len(t, s.Kinds["alert"], maxNames)
	require.Equal(t, []string{"alert"}, s.Full)
	require.Equal(t, now.Unix(), s.Kinds["alert"]["0"])
	for name := range s.Kinds["log"] {
		require.Len(t, name, maxNameBytes)
	}
}

func TestACensusOutlivesItsProcess(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(store.Options{Dir: dir, NoSync: true})
	require.NoError(t, err)
	now := start
	clock := func() time.Time { return now }
	c := NewCensus(clock)
	c.Counter().Count(batchOf(t, record.Log, map[string]string{record.Component: "etcd"}))
	require.NoError(t, c.save(s, false))
	c.Counter().Count(batchOf(t, record.Log, map[string]string{record.Component: "kubelet"}))
	require.NoError(t, c.save(s, false), "too early: nothing is written")
	require.NoError(t, c.save(s, true))

	now = start.Add(time.Hour)
	next := NewCensus(clock)
	require.NoError(t, next.restore(s))
	require.Equal(t, start, next.Seen().Since)
	require.Equal(t, map[string]int64{"etcd": start.Unix(), "kubelet": start.Unix()}, next.Seen().Kinds["log"])

	now = start.Add(censusKeep + time.Hour)
	late := NewCensus(clock)
	require.NoError(t, late.restore(s))
	require.Empty(t, late.Seen().Kinds, "it is forgotten, and what was before is not claimed to be known")
	require.False(t, late.Seen().Since.Before(now.Add(-censusKeep)))

	require.NoError(t, s.Bucket(censusBucket).Put([]byte(censusBucket), []byte("{"), 0))
	require.NoError(t, NewCensus(clock).restore(s), "damage is no reason not to start")
	require.NoError(t, s.Close())
}

func TestWhatSeveralProcessesSawIsOne(t *testing.T) {
	a := &Seen{Since: start, Kinds: map[string]map[string]int64{"log": {"etcd": 5}}}
	a.Merge(&Seen{Since: start.Add(time.Hour), Kinds: map[string]map[string]int64{"log": {"etcd": 3, "kubelet": 9}, "event": {"BackOff": 1}}, Full: []string{"event"}})
	require.Equal(t, &Seen{
		Since: start.Add(time.Hour), Full: []string{"event"},
		Kinds: map[string]map[string]int64{"log": {"etcd": 5, "kubelet": 9}, "event": {"BackOff": 1}},
	}, a)
}

// A census must cost nothing that could be noticed beside the scan.
func TestACensusAllocatesNothingOnceItKnowsTheNames(t *testing.T) {
	n := NewCensus(func() time.Time { return start }).Counter()
	b := manySets(t)
	n.Count(b)
	require.Zero(t, testing.AllocsPerRun(10, func() { n.Count(b) }))
}

// manySets is a batch with as many sets of attributes as records, which is the worst case.
func manySets(tb testing.TB) *record.Batch {
	tb.Helper()
	var sets []map[string]string
	for i := range 1000 {
		sets = append(sets, map[string]string{
			record.Namespace: "shop", record.Pod: fmt.Sprint("web-", i), record.Container: "web", record.Component: []string{"web", "db", "cache"}[i%3], record.Node: "n1",
		})
	}
	return batchOf(tb, record.Log, sets...)
}

func BenchmarkCensus(b *testing.B) {
	batch := manySets(b)
	p, problems := matcher.Compile(nil, matcher.CompileOptions{})
	require.Empty(b, problems)
	b.Run("count", func(b *testing.B) {
		n := NewCensus(time.Now).Counter()
		for b.Loop() {
			n.Count(batch)
		}
	})
	b.Run("scan", func(b *testing.B) { // of no signature at all
		s := matcher.NewScratch(p)
		for b.Loop() {
			p.Scan(batch, s)
		}
	})
	few := batchOf(b, record.Log, slices.Repeat([]map[string]string{{record.Component: "etcd", record.Pod: "etcd-0"}}, 2000)...)
	b.Run("count of a log", func(b *testing.B) {
		n := NewCensus(time.Now).Counter()
		for b.Loop() {
			n.Count(few)
		}
	})
}
