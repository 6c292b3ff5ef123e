package notify

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// serving is a Deliverer at work. Everything but a try belongs to its one goroutine.
type serving struct {
	*Deliverer
	items   <-chan given
	results chan result
	ticks   <-chan time.Time

	given   bool      // the feed gave something to this process, of a direct destination
	busy    bool      // a try is under way
	tick    time.Time // a tick is due
	current *given    // of a direct destination: what is being delivered
	notice  *Notice   // and its notice
	finish  string    // the notice that was delivered, until that is stored

	tries   int
	wait    time.Duration
	retryAt time.Time

	confirmed time.Time // when the state was stored last, and so was ours
	fence     time.Time // nothing is sent before: the owner before us may still be sending
	watched   time.Time // when the state was looked at last, without owning it
	beat      uint64    // of the state then
	beatAt    time.Time // since when it is that
}

// result is what became of a try.
type result struct {
	notice Notice
	tick   bool
	err    error
}

const (
	// beatEvery is how often the owner of a state with an outbox stores it, so that others see that it lives.
	beatEvery = 10 * time.Second
	// deadAfter is how long a state with something to do stays as it is before its owner counts as dead.
	deadAfter = 30 * time.Second
	// sure is for how long after it was stored the state is taken to be ours.
	sure = time.Second
)

func (s *serving) run(ctx context.Context) error {
	if !s.load(ctx) {
		return nil
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s.begin(ctx)
		s.show()
		timer.Reset(time.Until(s.wake()))
		in := s.items
		if s.Router.Direct() && (s.current != nil || s.pending()) {
			in = nil // one after the other: what is behind waits in the stream
		}
		select {
		case <-ctx.Done():
			s.end(ctx)
			return nil
		case now := <-s.ticks:
			s.tick = now
		case it, open := <-in:
			if !open || it.err != nil {
				err := it.err
				if ctx.Err() != nil {
					err = nil
				}
				s.end(ctx)
				return err
			}
			s.take(ctx, it)
		case r := <-s.results:
			s.ended(ctx, r)
		case <-timer.C:
			s.advance(ctx)
		}
	}
}

func (s *serving) pending() bool {
	_, waits := s.Router.Next()
	return waits
}

// owned reports whether the state is ours, as far as we know.
func (s *serving) owned() bool { return s.Keeper == nil || s.Router.Owner() == s.Instance }

// wake is when something is to be done that nobody tells.
func (s *serving) wake() time.Time {
	now := time.Now()
	at := now.Add(time.Hour)
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	if s.current != nil { // nothing else is done until it is delivered
		if !s.busy {
			sooner(later(s.retryAt, s.fence))
		}
		return at
	}
	if !s.owned() {
		return s.watched.Add(beatEvery)
	}
	sooner(s.Router.Due())
	if s.pending() {
		if !s.busy {
			sooner(later(s.retryAt, s.fence))
		}
		if s.Keeper != nil {
			sooner(s.confirmed.Add(beatEvery))
		}
	}
	if s.silencesChanged() {
		return now
	}
	if s.Silences != nil && s.Router.held > 0 {
		sooner(now.Add(time.Second)) // a silence may be taken back at any time
	}
	return at
}

func (s *serving) silencesChanged() bool {
	return s.Silences != nil && !s.Router.sameSilences(s.Silences())
}

// hear takes up the silences of now.
func (s *serving) hear() {
	if s.silencesChanged() {
		s.Router.Silences(s.Silences())
	}
}

// take decides on a revision, and on those that came with it.
func (s *serving) take(ctx context.Context, it given) {
	if s.Router.Direct() {
		s.takeDirect(ctx, it)
		return
	}
	batch := s.together(it)
	if !s.store(ctx, func(now time.Time) {
		for i := range batch {
			s.Router.Take(batch[i].warning, batch[i].position, now)
		}
		s.Router.Advance(now)
	}) {
		return
	}
	s.done(&batch[len(batch)-1])
}

// together collects what comes at the same time.
func (s *serving) together(it given) []given {
	batch := []given{it}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for len(batch) < most {
		select {
		case more, open := <-s.items:
			if !open || more.err != nil {
				s.items = failedFeed(more, open)
				return batch
			}
			batch = append(batch, more)
			timer.Reset(pause)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// failedFeed gives again how a feed ended.
func failedFeed(last given, open bool) <-chan given {
	c := make(chan given, 1)
	if open {
		c <- last
	}
	close(c)
	return c
}

func (s *serving) takeDirect(ctx context.Context, it given) {
	s.given = true
	s.hear()
	n := s.Router.Take(it.warning, it.position, time.Now())
	if n == nil && s.Router.Dirty() && !s.store(ctx, onceMore(func(now time.Time) { n = s.Router.Take(it.warning, it.position, now) })) {
		return
	}
	if n == nil {
		s.done(&it)
		return
	}
	s.current, s.notice = &it, n
}

// onceMore is a decision that was made already: it is made again only on another state.
func onceMore(decide func(now time.Time)) func(now time.Time) {
	made := true
	return func(now time.Time) {
		if !made {
			decide(now)
		}
		made = false
	}
}

func (s *serving) done(it *given) {
	if err := it.done(); err != nil {
		s.Log.Warn("a warning that was dealt with could not be acknowledged: it comes again, and is recognised", "destination", s.Name, "warning", it.warning.ID, "error", err)
	}
}

// advance does what is due by the clock.
func (s *serving) advance(ctx context.Context) {
	if !s.owned() {
		if s.current == nil {
			s.watch(ctx)
		}
		return
	}
	now := time.Now()
	if s.current != nil {
		return // its position is in the state, and it is not delivered
	}
	s.hear()
	s.Router.Advance(now)
	if s.Router.Dirty() || s.pending() && now.Sub(s.confirmed) >= beatEvery {
		s.store(ctx, s.Router.Advance)
	}
}

// watch looks whether the owner of the state does what is to be done, and takes its place when it does not.
func (s *serving) watch(ctx context.Context) {
	if !s.load(ctx) {
		return
	}
	now := time.Now()
	s.watched = now
	if s.owned() {
		return
	}
	beat := s.Router.st.Beat
	s.hear()
	s.Router.Advance(now)
	if !s.Router.Dirty() && !s.pending() {
		s.beat = 0
		return
	}
	if beat != s.beat {
		s.beat, s.beatAt = beat, now
	}
	if s.Router.Owner() == "" || now.Sub(s.beatAt) >= deadAfter {
		s.Log.Info("nobody else tells what waits for the destination: this process does from now on", "destination", s.Name)
		s.store(ctx, s.Router.Advance)
	}
}

// begin starts the next try, if there is something to be told.
func (s *serving) begin(ctx context.Context) {
	if s.busy {
		return
	}
	if t, ok := s.Notifier.(Ticker); ok && !s.tick.IsZero() {
		now := s.tick
		s.tick, s.busy = time.Time{}, true
		s.try(ctx, result{tick: true}, func(ctx context.Context) error { return t.Tick(ctx, now) })
		return
	}
	now := time.Now()
	if now.Before(s.retryAt) || now.Before(s.fence) {
		return
	}
	n, waits := s.Router.Next()
	switch {
	case waits && s.owned():
		// Another process may have taken our place while we waited.
		if s.Keeper != nil && now.Sub(s.confirmed) > sure && s.current == nil && (!s.store(ctx, func(time.Time) {}) || now.Before(s.fence)) {
			return
		}
		if n, waits = s.Router.Next(); !waits {
			return
		}
	case s.current != nil:
		n = *s.notice
	default:
		return
	}
	s.busy = true
	s.tries++
	n.Warnings, n.Also = slices.Clone(n.Warnings), slices.Clone(n.Also)
	s.try(ctx, result{notice: n}, func(ctx context.Context) error {
		if s.Prepare != nil {
			for i := range n.Warnings {
				s.Prepare(&n.Warnings[i])
			}
			for i := range n.Also {
				s.Prepare(&n.Also[i])
			}
		}
		return s.Notifier.Notify(ctx, n)
	})
}

// try runs f aside; its result comes by the channel, which has room for it.
func (s *serving) try(ctx context.Context, r result, f func(context.Context) error) {
	go func() {
		ctx, cancel := context.WithTimeout(ctx, s.Timeout)
		defer cancel()
		r.err = f(ctx)
		s.results <- r
	}()
}

// ended notes what became of a try.
func (s *serving) ended(ctx context.Context, r result) {
	s.busy = false
	if r.tick {
		if r.err != nil {
			s.note(r.err)
		}
		return
	}
	w := &r.notice.Warnings[0]
	switch {
	case r.err == nil:
		s.delivered.Add(uint64(len(r.notice.Warnings)))
		if s.tries > 1 {
			s.Log.Info("destination takes warnings again", "destination", s.Name, "tries", s.tries)
		}
	case IsPermanent(r.err):
		s.refused.Add(uint64(len(r.notice.Warnings)))
		s.note(r.err)
		s.Log.Error("destination refused a warning for good: mend its configuration, then see it with `forewarn status`",
			"destination", s.Name, "notice", r.notice.ID, "warning", w.ID, "revision", w.Revision, "signature", w.Signature, "key", w.KeyText, "state", w.State, "error", r.err)
	case ctx.Err() != nil:
		return
	default:
		s.again(r.err)
		return
	}
	s.tries, s.wait, s.retryAt = 0, 0, time.Time{}
	if s.current != nil && s.notice.ID == r.notice.ID {
		it := s.current
		s.current, s.notice = nil, nil
		if s.Router.Dirty() && !s.store(ctx, onceMore(func(now time.Time) { s.Router.Take(it.warning, it.position, now) })) {
			return
		}
		s.done(it)
		return
	}
	s.finish = r.notice.ID
	s.store(ctx, s.Router.Advance)
}

// again sets the time of the next try.
func (s *serving) again(err error) {
	s.failed.Add(1)
	s.note(err)
	if s.tries == 1 {
		s.wait = s.First
		s.Log.Warn("destination cannot be reached: warnings wait and will be delivered in order", "destination", s.Name, "error", err)
	}
	wait := s.wait - time.Duration(rand.Int64N(int64(s.wait)/5+1))
	s.retryAt = time.Now().Add(max(wait, min(retryAfter(err), longestWait)))
	s.wait = min(2*s.wait, s.Most)
}

// end waits for the try that is under way, and leaves the state to whoever comes next.
func (s *serving) end(ctx context.Context) {
	if s.busy {
		s.ended(ctx, <-s.results)
	}
	if s.Keeper == nil || !s.owned() || s.current != nil || s.Router.st.Beat == 0 && !s.Router.Dirty() {
		return
	}
	s.Router.Done(s.finish)
	s.Router.Own("")
	if err := s.save(); err != nil {
		s.Log.Warn("what waits for a destination could not be handed over: another process takes it over in half a minute", "destination", s.Name, "error", err)
	}
}

// show tells Counts what the router says.
func (s *serving) show() {
	c := Counts{Active: s.owned() || s.given, Router: s.Router.Counts()}
	c.Waiting, c.Held = s.Router.Pending()
	if s.current != nil {
		c.Waiting++
	}
	s.shown.Store(&c)
}
