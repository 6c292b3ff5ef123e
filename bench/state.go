package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// stateSignature is a ladder of which every hit of the benchmark stays on the first rung, so that each key has a progress and a timer.
func stateSignature() *signatures.Signature {
	return &signatures.Signature{
		ID: "state", Title: "A progress is open", Severity: signatures.Medium, By: signatures.Key{"pod"}, Tell: "often",
		Stages: []signatures.Stage{
			{Name: "seen", When: signatures.Condition{Event: &signatures.EventCondition{Reason: signatures.Match{Equals: []string{"Stalled"}}}}},
			{Name: "often", When: signatures.Condition{Event: &signatures.EventCondition{Reason: signatures.Match{Equals: []string{"Failed"}}}}},
		},
		Clear: signatures.Clear{Quiet: signatures.Duration(time.Hour)},
	}
}

// RunState opens a number of progresses and measures what they have in memory and what a further hit on any of them costs, in the order in
// which keys are shuffled. Each round is as many hits as there are progresses. Every hit must be counted and no progress evicted.
func RunState(ctx context.Context, counts []int, rounds int, tell func(string, ...any)) ([]Row, error) {
	p, problems := matcher.Compile([]*signatures.Signature{stateSignature()}, matcher.CompileOptions{})
	if len(problems) > 0 {
		return nil, fmt.Errorf("compile the signature of the benchmark: %w", problems[0])
	}
	var rows []Row
	for _, n := range counts {
		if tell != nil {
			tell("state: %d open progresses", n)
		}
		row, err := runState(ctx, p, n, rounds)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// hitsOf makes the hits of a benchmark of the tracker.
type hitsOf struct {
	hit  matcher.Hit
	key  []byte
	next uint64 // hits so far
}

// of is the next hit of a key; time goes on by a microsecond with each.
func (h *hitsOf) of(key int) *matcher.Hit {
	h.key = append(h.key[:0], "namespace=shop\x1fpod=cart-"...)
	h.key = append(strconv.AppendInt(h.key, int64(key), 10), 0x1f)
	h.next++
	h.hit.Key = h.key
	h.hit.Record.ID = mix(h.next) | 1
	h.hit.Record.Seq = h.next
	h.hit.Record.Time = start.UnixNano() + int64(h.next)*1000
	return &h.hit
}

// elsewhere is a store as a running process has one: what it was given is not in memory any more.
type elsewhere struct{}

// Detail implements matcher.Details.
func (elsewhere) Detail([]byte) ([]byte, error) { return nil, nil }

// commitEvery is after how many hits what changed is given to the store, as a partition under load does.
const commitEvery = 10_000

func runState(ctx context.Context, p *matcher.Program, n, rounds int) (Row, error) {
	row := Row{Workload: "state", Candidate: engineName, Settings: map[string]string{"progresses": strconv.Itoa(n)}}
	before := heap()
	t, err := matcher.NewTracker(p, matcher.TrackerOptions{Lateness: -1, MaxProgress: n + n/8 + 1, Details: elsewhere{}})
	if err != nil {
		return row, fmt.Errorf("make a tracker: %w", err)
	}
	h := hitsOf{hit: matcher.Hit{
		Signature: p.Signatures()[0].Digest, Source: "events/main", On: 1,
		Record: record.Record{
			Kind: record.Event, Count: 1, Text: []byte("the volume is stalled"),
			Attrs: record.NewAttrs(map[string]string{record.EventReason: "Stalled", record.Namespace: "shop", record.Pod: "cart-1"}),
		},
	}}
	settle := func() {
		t.Mark(matcher.Mark{Source: "events/main", Kinds: 1 << record.Event, Time: h.hit.Record.Time})
		t.Advance()
		t.Changes()
	}
	pass := func() {
		for i := range n {
			// A prime step visits every key once, in no order that a cache could follow.
			t.Observe(h.of(int(uint64(i) * 2_654_435_761 % uint64(n))))
			if i%1000 == 999 {
				settle()
			}
			if i%commitEvery == commitEvery-1 {
				t.Dirty(func(_, _ []byte) {})
			}
		}
		settle()
		t.Dirty(func(_, _ []byte) {})
	}
	pass()
	opened := heap() - before
	hit, memory := Metric{Name: HitTime, Unit: "ns", Less: true}, Metric{Name: Memory, Unit: "MB", Less: true, Rounds: []float64{float64(opened) / 1e6}}
	rate := Metric{Name: RecordsRate, Unit: "million hits/CPU-s"}
	times, err := measure(ctx, []candidate{{name: "state", want: -1, run: func() (int, error) { pass(); return n, nil }}}, rounds)
	if err != nil {
		return row, err
	}
	for _, x := range times[0] {
		hit.Rounds = append(hit.Rounds, float64(x.Nanoseconds())/float64(n))
	}
	rate.Rounds = speeds(times[0], n)
	s := t.Stats()
	if s.Progresses != n || s.EvictedProgress != 0 || s.Hits != h.next || s.Late != 0 {
		return row, fmt.Errorf("state: %d progresses of %d, %d evicted, %d hits of %d, %d late: whatever its speed, it is wrong", s.Progresses, n, s.EvictedProgress, s.Hits, h.next, s.Late)
	}
	row.Metrics = []Metric{hit, rate, memory}
	row.Records = n
	return row, nil
}
