package notify

import (
	"context"
	"time"
)

// load reads the state that is kept, again and again until it can; false means that ctx ended first.
func (s *serving) load(ctx context.Context) bool {
	if s.Keeper == nil {
		s.hear()
		return true
	}
	return s.repeat(ctx, "the delivery state cannot be read; it is tried again", func() error {
		stored, err := s.Keeper.Load(s.Name)
		if err != nil {
			return err
		}
		if err := s.Router.Restore(stored); err != nil {
			return err
		}
		if s.Last != nil {
			last, err := s.Last(ctx)
			if err != nil {
				return err
			}
			s.Router.Rewind(last)
		}
		s.hear()
		return nil
	})
}

// repeat does f until it succeeds; false means that ctx ended first.
func (s *serving) repeat(ctx context.Context, failing string, f func() error) bool {
	wait := s.First
	for try := 1; ; try++ {
		err := f()
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		s.note(err)
		if try == 1 {
			s.Log.Warn(failing, "destination", s.Name, "error", err)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
		wait = min(2*wait, s.Most)
	}
}

func (s *serving) save() error {
	b, err := s.Router.Encode()
	if err != nil {
		return err
	}
	if err := s.Keeper.Save(s.Name, b); err != nil {
		return err
	}
	s.Router.Saved()
	s.confirmed = time.Now()
	return nil
}

// store makes a decision and stores what follows from it, as the owner of the state. When that fails, what is kept is read again and the
// decision made on that, so that decide must pass over what was decided before. False means that ctx ended first.
func (s *serving) store(ctx context.Context, decide func(now time.Time)) bool {
	for first := true; ; first = false {
		now := time.Now()
		s.hear()
		if s.Keeper == nil {
			s.Router.Done(s.finish)
			s.finish = ""
			decide(now)
			s.Router.Saved()
			return true
		}
		if before := s.Router.Owner(); before != s.Instance {
			if before != "" && s.pending() {
				// It was sending, perhaps still is, and finds out with its next try: all tries that it began are over then.
				s.fence = now.Add(s.Timeout + 2*sure)
			}
			s.Router.Own(s.Instance)
		}
		s.Router.Done(s.finish)
		decide(now)
		err := s.save()
		if err == nil {
			s.finish = ""
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if first {
			s.Log.Warn("the delivery state cannot be stored; what is kept is read again", "destination", s.Name, "error", err)
		} else {
			select {
			case <-ctx.Done():
				return false
			case <-time.After(s.First):
			}
		}
		if !s.load(ctx) {
			return false
		}
	}
}
