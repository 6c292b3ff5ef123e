package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

// Latency is the distribution of the time that warnings took, in nanoseconds. It is exact: each one is kept.
type Latency struct {
	Samples                  int
	P50, P90, P99, P999, Max time.Duration
	// Curve holds the quantiles of a plot: 0.1 % apart at the end, 1 % apart before.
	Curve []time.Duration
}

// latencyOf sorts the samples.
func latencyOf(samples []time.Duration) (l Latency) {
	if len(samples) == 0 {
		return l
	}
	slices.Sort(samples)
	at := func(q float64) time.Duration { return samples[max(0, int(math.Ceil(q*float64(len(samples))))-1)] }
	l = Latency{Samples: len(samples), P50: at(.5), P90: at(.9), P99: at(.99), P999: at(.999), Max: at(1)}
	for i := range 100 {
		l.Curve = append(l.Curve, at(float64(i)/100))
	}
	for i := range 11 {
		l.Curve = append(l.Curve, at(.99+float64(i)/1000))
	}
	return l
}

// watch takes the warnings and counts them off against what was planted.
type watch struct {
	load *load
	from time.Time // what was sent before has no part in the latencies

	mu       sync.Mutex
	times    [][]uint8       // by source and number: how often it was told anew
	storms   map[string]bool // by pod
	distinct uint64          // planted records that were told
	samples  []time.Duration
	ended    time.Time // of the last one
	strange  []string  // what nothing was planted for
	repeated int
}

func newWatch(l *load) *watch {
	return &watch{load: l, times: make([][]uint8, len(l.sources)), storms: map[string]bool{}}
}

// run takes warnings until ctx ends.
func (w *watch) run(ctx context.Context, feed *pipeline.Feed) error {
	for {
		warning, _, done, err := feed.Next(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to stop
		}
		if err != nil {
			return err
		}
		w.take(&warning, time.Now())
		if err := done(); err != nil {
			return err
		}
	}
}

func (w *watch) take(x *matcher.Warning, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x.State != matcher.Forming && x.State != matcher.Imminent {
		w.odd(x)
		return
	}
	pod := x.KeyText[strings.LastIndexByte(x.KeyText, '/')+1:]
	kind, rest, _ := strings.Cut(pod, "-")
	from, number, _ := strings.Cut(rest, "-")
	source, err := strconv.Atoi(from)
	n, err2 := strconv.Atoi(number)
	switch {
	case err != nil || err2 != nil || source >= len(w.times):
		w.odd(x)
	case kind == stormPod:
		w.storms[rest], w.ended = true, now
	case kind != plantedPod || x.Revision != 1:
		w.odd(x)
	default:
		if more := n + 1 - len(w.times[source]); more > 0 {
			w.times[source] = append(w.times[source], make([]uint8, more)...)
		}
		t := &w.times[source][n]
		if *t > 0 {
			w.repeated++
			return
		}
		*t = 1
		w.distinct++
		w.ended = now
		if !x.Opened.Before(w.from) {
			w.samples = append(w.samples, now.Sub(x.Opened))
		}
	}
}

func (w *watch) odd(x *matcher.Warning) {
	if len(w.strange) < 10 {
		w.strange = append(w.strange, fmt.Sprintf("%s %s revision %d: %s", x.Signature, x.KeyText, x.Revision, x.State))
	}
}

// wait waits until all that was planted was told and all was scanned. What is missing is told by check.
func (w *watch) wait(ctx context.Context, scanned func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	seen, since := uint64(math.MaxUint64), time.Now()
	for {
		missing, n := w.missing()
		if missing == 0 && scanned() {
			return nil
		}
		if n != seen {
			seen, since = n, time.Now()
		}
		if time.Since(since) > w.load.o.patience {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// missing returns how many warnings were not told of those that are due, and how many were.
func (w *watch) missing() (missing int, got uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	want := 0
	for _, s := range w.load.sources {
		want += int(s.planted) + s.stormed()
	}
	return want - int(w.distinct) - len(w.storms), w.distinct + uint64(len(w.storms))
}

// check reports what is missing, and what was too much.
func (w *watch) check() error {
	var all []error
	if missing, got := w.missing(); missing != 0 {
		all = append(all, fmt.Errorf("%w: %d warnings of %d did not come", ErrLost, missing, int(got)+missing))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range w.load.sources {
		for n := range s.planted {
			if n >= uint64(len(w.times[i])) || w.times[i][n] == 0 {
				all = append(all, fmt.Errorf("%w: the first that is missing of %s is number %d", ErrLost, s.name, n))
				break
			}
		}
	}
	if w.repeated > 0 {
		all = append(all, fmt.Errorf("%d warnings came twice", w.repeated))
	}
	if len(w.strange) > 0 {
		all = append(all, fmt.Errorf("warnings came that nothing was planted for, the first: %s", strings.Join(w.strange, "; ")))
	}
	return errors.Join(all...)
}

func (w *watch) told() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.distinct + uint64(len(w.storms))
}

func (w *watch) last() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended.IsZero() {
		return time.Now()
	}
	return w.ended
}

func (w *watch) latency() Latency {
	w.mu.Lock()
	defer w.mu.Unlock()
	return latencyOf(w.samples)
}
