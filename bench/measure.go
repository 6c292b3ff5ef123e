package bench

import (
	"runtime"
	"slices"
	"time"
)

// Candidate is something that does a workload's work. Run does all of it once and returns how many hits it found.
type Candidate struct {
	Name string
	Run  func() (hits int, err error)
}

// measured is what the rounds of one candidate gave.
type measured struct {
	times []time.Duration // processor time of each round
	hits  int             // of the last
}

// median is the middle of the values; of an even number the lower one.
func median[T ~int64 | ~float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)/2]
}

// leastRound is how much processor time a round takes at least: a candidate that is faster does its work several times.
const leastRound = 200 * time.Millisecond

// measure runs the candidates in turn: one round each to warm up, which also says how often the work is done in a round, then rounds
// that count. Turns make a busy minute of the machine fall on all candidates alike. It measures on one thread.
func measure(candidates []Candidate, rounds int) ([]measured, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out := make([]measured, len(candidates))
	repeat := make([]int, len(candidates))
	for round := range rounds + 1 {
		for i, c := range candidates {
			runtime.GC()
			times := max(1, repeat[i])
			began := threadTime()
			for range times {
				hits, err := c.Run()
				if err != nil {
					return nil, err
				}
				out[i].hits = hits
			}
			took := (threadTime() - began) / time.Duration(times)
			if round == 0 {
				repeat[i] = int(leastRound/max(took, 1)) + 1
				continue
			}
			out[i].times = append(out[i].times, took)
		}
	}
	return out, nil
}
