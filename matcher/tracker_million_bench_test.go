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

// crowdShape is a signature and the hits that bring a key of it to where it stays.
type crowdShape struct {
	name  string
	body  string
	roles []uint64 // of the hits that each key gets first
	more  uint64   // of those after that
}

var crowdShapes = []crowdShape{
	{"one", "stages: [{name: a, when: {event: {reason: A}}}]\nclear: {quiet: 24h}\n", []uint64{1}, 1},
	{"window", "stages: [{name: a, when: {event: {reason: A}}, count: 1000, within: 24h}]\nclear: {quiet: 24h}\n", []uint64{1, 1}, 1},
	{"ladder", "stages: [{name: a, when: {event: {reason: A}}, count: 3, within: 24h}, {name: b, when: {event: {reason: B}}, count: 1000, within: 24h}, {name: c, when: {event: {reason: C}}}]\n" +
		"incident: {when: {event: {reason: I}}}\nclear: {quiet: 24h}\n", []uint64{1, 1, 1, 2}, 1},
}

// nowhere is a store that keeps nothing.
type nowhere struct{}

func (nowhere) Detail([]byte) ([]byte, error) { return nil, nil }

// crowd is a tracker with many keys, which are hit a microsecond apart, with a mark and a commit now and then.
type crowd struct {
	tracker *matcher.Tracker
	hit     matcher.Hit
	key     []byte
	n       int
	stored  int
}

func newCrowd(tb testing.TB, shape crowdShape, o matcher.TrackerOptions) *crowd {
	tb.Helper()
	text := "id: spec\ntitle: A case\nseverity: high\nby: pod\n" + shape.body
	list, problems := signatures.Parse("spec.yaml", []byte(text))
	require.Empty(tb, signatures.Errors(problems))
	p, problems := matcher.Compile(list, matcher.CompileOptions{})
	require.Empty(tb, problems)
	t, err := matcher.NewTracker(p, o)
	require.NoError(tb, err)
	return &crowd{tracker: t, hit: matcher.Hit{
		Signature: p.Signatures()[0].Digest, Source: "events/main",
		Record: record.Record{
			Kind: record.Event, Count: 1, Text: []byte("Back-off restarting failed container app in pod payments-api-7f9c5d8b4-xk2lp"),
			Attrs: record.NewAttrs(map[string]string{
				record.EventReason: "BackOff", record.Namespace: "payments-production", record.Pod: "payments-api-7f9c5d8b4-xk2lp", record.Container: "app", record.Node: "ip-10-0-113-27.eu-west-1.compute.internal",
			}),
		},
	}}
}

func (c *crowd) observe(key int, roles uint64) {
	c.n++
	c.key = fmt.Appendf(c.key[:0], "namespace=payments-production\x1fpod=payments-api-7f9c5d8b4-%06d\x1f", key)
	c.hit.Key, c.hit.On = c.key, roles
	c.hit.Record.Time = start + int64(c.n)*1000
	c.hit.Record.ID = uint64(c.n)
	c.tracker.Observe(&c.hit)
	if c.n%1000 == 0 {
		c.tracker.Mark(matcher.Mark{Source: "events/main", Kinds: all, Time: c.hit.Record.Time})
		c.tracker.Advance()
		c.tracker.Changes()
	}
	if c.n%200_000 == 0 {
		c.tracker.Dirty(func(_, _ []byte) { c.stored++ })
	}
}

func (c *crowd) settle() {
	c.tracker.Mark(matcher.Mark{Source: "events/main", Kinds: all, Time: c.hit.Record.Time})
	c.tracker.Advance()
	c.tracker.Changes()
	c.tracker.Dirty(func(_, _ []byte) { c.stored++ })
}

const crowdKeys = 1_000_000

// BenchmarkTrackerMillion follows a million keys: the memory that each takes, and the time of a further hit of a random one, and of one of a thousand hot ones.
func BenchmarkTrackerMillion(b *testing.B) {
	for _, shape := range crowdShapes {
		before := heap()
		c := newCrowd(b, shape, matcher.TrackerOptions{Lateness: -1, Details: nowhere{}})
		for _, roles := range shape.roles {
			for key := range crowdKeys {
				c.observe(key, roles)
			}
		}
		c.settle()
		size := float64(heap()-before) / crowdKeys

		require.Equal(b, crowdKeys, c.tracker.Stats().Progresses)
		require.Zero(b, c.tracker.Stats().Late)
		for _, keys := range []int{crowdKeys, 1000} {
			b.Run(fmt.Sprintf("shape=%s/keys=%d", shape.name, keys), func(b *testing.B) {
				d := rand.New(rand.NewPCG(1, 2))
				b.ReportAllocs()
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				began := threadTime()
				for b.Loop() {
					c.observe(d.IntN(keys), shape.more)
				}
				used := threadTime() - began
				require.Zero(b, c.tracker.Stats().Late)
				b.ReportMetric(size, "B/progress")
				b.ReportMetric(float64(b.N)/used.Seconds(), "hits/s-core")
			})
		}
	}
}
