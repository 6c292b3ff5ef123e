package matcher_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// eventSignatures are about the kind and the fields of events: a reason with a type, an object, a part of the message.
func eventSignatures(n int) (list []*signatures.Signature) {
	kinds := []string{"Pod", "Node", "Deployment", "PersistentVolumeClaim", "Job"}
	for i := range n {
		c := &signatures.EventCondition{Type: is("Warning"), Reason: is(fmt.Sprintf("Failed%d", i))}
		switch i % 4 {
		case 1:
			c.Object = &signatures.ObjectMatch{Kind: is(kinds[i/4%len(kinds)])}
		case 2:
			c.Object = &signatures.ObjectMatch{Kind: is(kinds[i/4%len(kinds)]), Namespace: signatures.Match{Not: []string{"kube-system"}}}
		case 3:
			c.Message = signatures.Text{All: []string{"deadline exceeded", "back-off"}}
		}
		list = append(list, one(fmt.Sprintf("event-%d", i), signatures.Condition{Event: c}))
	}
	return list
}

// sharedReasons are signatures of which a hundred ask for each common reason, and for the namespace and the name besides.
func sharedReasons(n int) (list []*signatures.Signature) {
	for i := range n {
		c := &signatures.EventCondition{Type: is("Warning"), Reason: is(commonReasons()[i%10]), Object: &signatures.ObjectMatch{
			Namespace: is(fmt.Sprintf("ns-%d", i/10%100)), Name: signatures.Match{Prefix: []string{"web-", "api-"}},
		}}
		list = append(list, one(fmt.Sprintf("shared-%d", i), signatures.Condition{Event: c}))
	}
	return list
}

func commonReasons() []string {
	return []string{"Pulled", "Created", "Started", "Killing", "Scheduled", "BackOff", "Unhealthy", "SuccessfulCreate", "NodeReady", "ScalingReplicaSet"}
}

// eventBatches are what a collector of events sends: a thousand of them, of some objects that each say several things. One in a hundred
// has a reason that some signature is about.
func eventBatches(tb testing.TB, n, sets int) (list []*record.Batch) {
	tb.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	reasons := commonReasons()
	for range n {
		attrs := make([]record.Attrs, sets)
		for i := range attrs {
			reason := reasons[random.IntN(len(reasons))]
			if random.IntN(100) == 0 {
				reason = fmt.Sprintf("Failed%d", random.IntN(20_000))
			}
			attrs[i] = record.NewAttrs(map[string]string{
				record.EventReason: reason, record.EventType: []string{"Normal", "Warning"}[random.IntN(2)], record.EventSource: "kubelet",
				record.ObjectKind: "Pod", record.ObjectName: fmt.Sprintf("web-%x", random.Uint32()), record.Namespace: fmt.Sprintf("ns-%d", random.IntN(40)),
				record.Pod: fmt.Sprintf("web-%x", random.Uint32()), record.Node: fmt.Sprintf("node-%d", random.IntN(100)), record.Cluster: "main",
			})
		}
		var b record.Builder
		require.NoError(tb, b.Reset(record.Header{Source: "events", Kinds: 1 << record.Event}))
		for i := range 1000 {
			require.NoError(tb, b.Add(&record.Record{
				Kind: record.Event, Time: int64(i), ID: random.Uint64(), Count: 1, Attrs: attrs[random.IntN(sets)],
				Text: fmt.Appendf(nil, "Pulled image registry.example.com/app:%d in %dms", random.IntN(100), random.IntN(1000)),
			}))
		}
		var batch record.Batch
		require.NoError(tb, batch.Decode(b.AppendTo(nil)))
		list = append(list, &batch)
	}
	return list
}

// BenchmarkScanEvents tells how many events a second of processor time are scanned for conditions on their fields. Its batches have a
// set of attributes for 10 records, or one for each.
func BenchmarkScanEvents(b *testing.B) {
	reasons, shared := mustCompile(b, eventSignatures(10_000)...), mustCompile(b, sharedReasons(1000)...)
	for _, c := range []struct {
		name string
		sets int
		*matcher.Program
	}{{"reasons/sets-100", 100, reasons}, {"reasons/sets-1000", 1000, reasons}, {"shared/sets-100", 100, shared}, {"shared/sets-1000", 1000, shared}} {
		b.Run(c.name, func(b *testing.B) {
			p, sets := c.Program, c.sets
			batches := eventBatches(b, 20, sets)
			s := matcher.NewScratch(p)
			for _, batch := range batches {
				p.Scan(batch, s)
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			hits, records := 0, 0
			began := threadTime()
			b.ReportAllocs()
			for b.Loop() {
				for _, batch := range batches {
					hits += len(p.Scan(batch, s))
					records += batch.Len()
				}
			}
			b.ReportMetric(float64(records)/(threadTime()-began).Seconds()/1e6, "Mrecords/cpu-s")
			require.NotZero(b, hits)
		})
	}
}
