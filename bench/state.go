package bench

import (
	"context"
	"fmt"
	"slices"
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

// hitsOf makes the hits of a benchmark of the tracker, as many at a time as a message of HITS has.
type hitsOf struct {
	hit  matcher.Hit
	next uint64 // hits so far
	some []matcher.Hit
	keys []byte
}

// of is the next hits: that of each key once, in no order that a cache could follow; time goes on by a microsecond with each.
func (h *hitsOf) of(keys, count int) []matcher.Hit {
	h.some, h.keys = h.some[:0], slices.Grow(h.keys[:0], count*hitKey)
	for range count {
		key := h.next * 2_654_435_761 % uint64(keys) // a prime
		h.next++
		from := len(h.keys)
		h.keys = append(h.keys, "namespace=shop\x1fpod=cart-"...)
		h.keys = append(strconv.AppendUint(h.keys, key, 10), 0x1f)
		x := h.hit
		x.Key = h.keys[from:len(h.keys):len(h.keys)]
		x.Record.ID = mix(h.next) | 1
		x.Record.Seq = h.next
		x.Record.Time = start.UnixNano() + int64(h.next)*1000
		h.some = append(h.some, x)
	}
	return h.some
}

// hitKey is how long a key of a hit is at most.
const hitKey = 64

// elsewhere is a store as a running process has one: what it was given is not in memory any more.
type elsewhere struct{}

// Detail implements matcher.Details.
func (elsewhere) Detail([]byte) ([]byte, error) { return nil, nil }

// What a partition under load does: a message has so many hits, and what changed is given to the store every so many.
const (
	messageHits = 1_000
	commitEvery = 10 * messageHits
	leastHits   = 200_000 // of a round
)

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
	// pass gives hits, and returns the time of the updates in memory and that of giving what changed to the store.
	pass := func(hits int) (update, commit time.Duration) {
		for done := 0; done < hits; done += messageHits {
			some := h.of(n, min(messageHits, hits-done))
			began := threadTime()
			t.ObserveAll(some)
			t.Mark(matcher.Mark{Source: "events/main", Kinds: 1 << record.Event, Time: some[len(some)-1].Record.Time})
			t.Advance()
			t.Changes()
			updated := threadTime()
			update += updated - began
			if h.next%commitEvery == 0 || done+messageHits >= hits {
				t.Dirty(func(_, _ []byte) {})
				commit += threadTime() - updated
			}
		}
		return update, commit
	}
	pass(n)
	opened := heap() - before
	hit, update := Metric{Name: HitTime, Unit: "ns", Less: true}, Metric{Name: TrackTime, Unit: "ns", Less: true}
	memory := Metric{Name: Memory, Unit: "MB", Less: true, Rounds: []float64{float64(opened) / 1e6}}
	hits := max(n, leastHits)
	times, err := measure(ctx, []candidate{{name: "state", want: hits, timed: func() (time.Duration, int, error) {
		updated, committed := pass(hits)
		update.Rounds = append(update.Rounds, float64(updated.Nanoseconds())/float64(hits))
		return updated + committed, hits, nil
	}}}, rounds)
	if err != nil {
		return row, err
	}
	update.Rounds = update.Rounds[1:] // the first is to warm up
	for _, x := range times[0] {
		hit.Rounds = append(hit.Rounds, float64(x.Nanoseconds())/float64(hits))
	}
	rate := Metric{Name: RecordsRate, Unit: "million hits/CPU-s", Rounds: speeds(times[0], hits)}
	s := t.Stats()
	if s.Progresses != n || s.EvictedProgress != 0 || s.Hits != h.next || s.Repeats != 0 || s.Late != 0 {
		return row, fmt.Errorf("state: %d progresses of %d, %d evicted, %d hits of %d, %d repeats, %d late: whatever its speed, it is wrong",
			s.Progresses, n, s.EvictedProgress, s.Hits, h.next, s.Repeats, s.Late)
	}
	row.Metrics = []Metric{hit, update, rate, memory}
	row.Records = n
	return row, nil
}
