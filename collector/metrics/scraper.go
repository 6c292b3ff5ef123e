package metrics

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
)

// scraper scrapes targets, each at its own place within the interval, so that a thousand of them are spread over it and a restart changes nothing.
type scraper struct {
	c           collector.Common
	filter      *Filter
	stats       *counters
	client      *http.Client
	interval    time.Duration
	patience    time.Duration
	discover    time.Duration
	concurrency int
	samples     int
	bodyBytes   int64
	find        []Discovery

	out     *collector.Outlet
	silence *silence
	memory  sync.Pool
	flight  inflight
	started time.Time

	mu     sync.Mutex
	known  map[string]*state
	due    queue
	listed bool // targets were found once
	deaf   int  // how many of the known targets do not answer
	wake   chan struct{}
}

// state is what is known of one target. What stands after at belongs to the scrape that is under way, if there is one.
type state struct {
	target Target
	at     time.Time // when it is scraped next
	index  int       // in the queue; -1 while it is scraped
	gone   bool      // it is no target any more

	good    time.Time // when it answered last
	failing bool
}

func (s *scraper) timeout(t *Target) time.Duration {
	return min(cmp.Or(t.Timeout, s.patience), s.every(t))
}

func (s *scraper) every(t *Target) time.Duration { return cmp.Or(t.Interval, s.interval) }

// run scrapes until ctx is done.
func (s *scraper) run(ctx context.Context) error {
	s.known, s.wake, s.started = map[string]*state{}, make(chan struct{}, 1), s.c.Clock()()
	s.memory.New = func() any { return new(scraping) }
	s.silence.resume()
	group, ctx := errgroup.WithContext(ctx)
	for _, find := range s.find {
		group.Go(func() error { return find.Run(ctx) })
	}
	group.Go(func() error { return s.search(ctx) })
	group.Go(func() error { return s.schedule(ctx) })
	return group.Wait()
}

// search looks for targets again and again.
func (s *scraper) search(ctx context.Context) error {
	failing := make([]bool, len(s.find))
	found := make([][]Target, len(s.find))
	for {
		complete := true
		for i, find := range s.find {
			list, err := find.Targets(ctx)
			switch {
			case err == nil:
				found[i] = list
				if failing[i] {
					s.c.Log().Info("targets are found again")
				}
				failing[i] = false
			case ctx.Err() != nil:
				return context.Cause(ctx)
			default:
				if !failing[i] {
					s.c.Log().Warn("targets can't be found; those that are known are scraped on", slog.Any("error", err))
				}
				failing[i] = true
				s.c.Meter.Lost("failed_discoveries", 1)
				complete = complete && found[i] != nil
			}
		}
		if err := s.set(ctx, slices.Concat(found...), complete); err != nil {
			return err
		}
		if !sleep(ctx, s.discover) {
			return context.Cause(ctx)
		}
	}
}

// set makes the list the targets. complete says that nothing which was there at the beginning is missing.
func (s *scraper) set(ctx context.Context, list []Target, complete bool) error {
	now := s.c.Clock()()
	s.mu.Lock()
	s.listed = s.listed || complete
	kept := make(map[string]bool, len(list))
	for i := range list {
		t := &list[i]
		if kept[t.Name] {
			s.c.Meter.Lost("repeated_targets", 1)
			continue
		}
		kept[t.Name] = true
		x := s.known[t.Name]
		if x == nil {
			x = &state{at: now.Add(phase(t.Name, now, s.every(t))), good: s.started}
			s.known[t.Name] = x
			x.target = *t
			heap.Push(&s.due, x)
			continue
		}
		x.target = *t
	}
	var gone []string
	for name, x := range s.known {
		if kept[name] {
			continue
		}
		delete(s.known, name)
		x.gone = true
		if x.failing {
			s.deaf--
		}
		if x.index >= 0 {
			heap.Remove(&s.due, x.index)
		}
		gone = append(gone, name)
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	for _, name := range gone { // what is no target any more makes nothing unknown
		if err := s.silence.end(ctx, name, now); err != nil {
			return err
		}
	}
	if complete {
		return s.silence.keep(ctx, kept, now)
	}
	return nil
}

// phase is how long it takes from now until the moment that the target has within each interval.
func phase(name string, now time.Time, every time.Duration) time.Duration {
	offset := time.Duration(xxhash.Sum64String(name) % uint64(every))
	return (offset - time.Duration(now.UnixNano())%every + every) % every
}

// promiseEvery is how often it is said up to when everything was given.
const promiseEvery = time.Second

// schedule starts what is due. When all scrapes that are allowed at once are under way the others wait.
func (s *scraper) schedule(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	room := make(chan struct{}, s.concurrency)
	for ctx.Err() == nil {
		now := s.c.Clock()()
		x, wait := s.next(now)
		if x != nil {
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				continue
			}
			at := s.c.Clock()().Truncate(time.Millisecond)
			done := s.flight.begin(at) // here, so that no promise comes between
			group.Go(func() error {
				defer func() { <-room }()
				return s.visit(ctx, x, at, done)
			})
			continue
		}
		if err := s.promise(now); err != nil {
			return err
		}
		t := time.NewTimer(min(wait, promiseEvery))
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-s.wake:
		}
		t.Stop()
	}
	err := group.Wait()
	return cmp.Or(err, s.silence.save(), context.Cause(ctx))
}

// next takes the target that is due, or returns how long it is until one is.
func (s *scraper) next(now time.Time) (*state, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		return nil, promiseEvery
	}
	if wait := s.due[0].at.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&s.due).(*state), 0
}

// promise says that everything up to now was given, but for the scrapes that are under way. Between its scrapes a target has nothing to give.
func (s *scraper) promise(now time.Time) error {
	s.mu.Lock()
	listed := s.listed
	s.mu.Unlock()
	if listed {
		s.out.Alive(s.flight.before(now.Truncate(time.Millisecond))) // samples have times in milliseconds
	}
	return s.silence.save()
}

// visit scrapes a target once and says when it is due again. done says that all samples of that time were added.
func (s *scraper) visit(ctx context.Context, x *state, at time.Time, done func()) error {
	s.mu.Lock()
	target := x.target
	s.mu.Unlock()
	err := s.fetch(ctx, &target, at)
	if lost, ok := errors.AsType[emitError](err); ok || ctx.Err() != nil {
		done()
		return cmp.Or(context.Cause(ctx), lost.error)
	}
	upErr := s.addUp(ctx, &target, at, err == nil)
	done()
	if upErr != nil {
		return upErr
	}
	return s.settle(ctx, x, &target, at, err)
}

// settle notes how a scrape went, and queues the target again.
func (s *scraper) settle(ctx context.Context, x *state, target *Target, at time.Time, failed error) error {
	now := s.c.Clock()()
	s.mu.Lock()
	gone, changed := x.gone, x.failing != (failed != nil)
	if changed && !gone {
		if s.deaf++; failed == nil {
			s.deaf -= 2
		}
	}
	if x.failing = failed != nil; !x.failing {
		x.good = at
	}
	good := x.good
	every := s.every(&x.target)
	missed := 0
	for x.at = x.at.Add(every); !x.at.After(now); x.at = x.at.Add(every) {
		missed++
	}
	if !gone {
		heap.Push(&s.due, x)
	}
	answering := s.deaf < len(s.known)
	s.mu.Unlock()

	s.c.Meter.Connected(answering)
	s.c.Meter.Lost("missed_scrapes", missed)
	switch {
	case failed == nil && changed:
		s.c.Log().Info("target answers again", slog.String("target", target.Name))
	case failed != nil && changed:
		s.c.Log().Warn("target does not answer: check that it runs and lets us in", slog.String("target", target.Name), slog.String("url", target.URL),
			slog.String("error", reason(failed)))
	}
	if failed == nil {
		return s.silence.end(ctx, target.Name, now)
	}
	s.c.Meter.Lost("failed_scrapes", 1)
	if gone {
		return nil
	}
	return s.silence.begin(ctx, target.Name, target.Scope, good)
}

// sleep waits. It returns false when ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
