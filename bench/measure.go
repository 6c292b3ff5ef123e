package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// candidate is something that does a workload's work. Either run does all of it once on the calling thread, or timed does and says how
// much processor time it took elsewhere, such as in a process of its own. Both return what was found.
type candidate struct {
	name  string
	run   func() (found int, err error)
	timed func() (took time.Duration, found int, err error)
	want  int // what must be found; negative when that is not known
}

// foundError is the error of a candidate that finds something else than it must.
type foundError struct {
	name        string
	found, want int
}

func (e foundError) Error() string {
	return fmt.Sprintf("%s found %d instead of %d: whatever its speed, it is wrong", e.name, e.found, e.want)
}

// median is the middle of the values; of an even number the lower one.
func median[T ~int64 | ~float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[(len(values)-1)/2]
}

// leastRound is how much processor time a round takes at least: a candidate that is faster does its work several times.
const leastRound = 150 * time.Millisecond

// measure runs the candidates in turn, on one thread: one round each to warm up, which also says how often the work is done in a round,
// then rounds that count. Turns make a busy minute of the machine fall on all candidates alike. It returns the processor time of the work
// in each round. A candidate that finds something else than it must is an error.
func measure(ctx context.Context, candidates []candidate, rounds int) ([][]time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	times := make([][]time.Duration, len(candidates))
	repeat := make([]int, len(candidates))
	for round := range rounds + 1 {
		for i := range candidates {
			if err := ctx.Err(); err != nil {
				return nil, context.Cause(ctx)
			}
			took, err := candidates[i].round(max(1, repeat[i]))
			if err != nil {
				return nil, err
			}
			if round > 0 {
				times[i] = append(times[i], took)
			} else if candidates[i].run != nil {
				repeat[i] = int(leastRound/max(took, 1)) + 1
			}
		}
	}
	return times, nil
}

// round does the work a number of times and returns the processor time of one.
func (c *candidate) round(repeat int) (took time.Duration, err error) {
	runtime.GC()
	found := 0
	if c.timed != nil {
		if took, found, err = c.timed(); err != nil {
			return 0, err
		}
	} else {
		began := threadTime()
		for range repeat {
			if found, err = c.run(); err != nil {
				return 0, err
			}
		}
		took = (threadTime() - began) / time.Duration(repeat)
	}
	if c.want >= 0 && found != c.want {
		return 0, foundError{c.name, found, c.want}
	}
	return max(took, 1), nil
}

// speeds turns times of a number of units into millions of them a second.
func speeds(times []time.Duration, units int) []float64 {
	out := make([]float64, len(times))
	for i, t := range times {
		out[i] = float64(units) / 1e6 / t.Seconds()
	}
	return out
}
