package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
)

// silence tells of targets that do not answer. All targets together are one source, which is alive as long as the scraper is. A target that does not
// answer becomes a source of its own, that gives samples of its scope and stands still at the time of the last answer: so it comes to be
// silent, and absence is unknown in its scope and nowhere else. When it answers again that source ends and gives nothing any more.
//
// Who is silent is kept over restarts, or a target that is well again after one would stay silent.
type silence struct {
	name        string // the first part of the sources' names
	emit        collector.Emit
	checkpoints collector.Checkpoints
	log         *slog.Logger

	mu      sync.Mutex
	silent  map[string]record.Attrs // scopes by the target's name
	unsaved bool
}

// resume reads who was silent when the process ended. What can't be read is told of and done without.
func (s *silence) resume() {
	s.silent = map[string]record.Attrs{}
	if s.checkpoints == nil {
		return
	}
	b, err := s.checkpoints.Load(s.name)
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, &s.silent)
	}
	if err != nil {
		s.log.Warn("which targets were silent can't be read: those that are well again stay silent until they are forgotten", slog.Any("error", err))
	}
}

// begin says that a target does not answer since a time. That it goes on needs not be said.
func (s *silence) begin(ctx context.Context, target string, scope record.Attrs, since time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.silent[target]; ok && slices.Equal(known, scope) {
		return nil
	}
	s.silent[target] = scope
	s.unsaved = true
	return s.tell(ctx, target, 1<<record.Sample, since, false)
}

// end says that a target answers, or is no target any more. It costs nothing when it was not silent.
func (s *silence) end(ctx context.Context, target string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over(ctx, target, now)
}

// keep ends the silence of all targets but these.
func (s *silence) keep(ctx context.Context, targets map[string]bool, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.silent)) {
		if !targets[name] {
			if err := s.over(ctx, name, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *silence) over(ctx context.Context, target string, now time.Time) error {
	if _, ok := s.silent[target]; !ok {
		return nil
	}
	if err := s.tell(ctx, target, 0, now, true); err != nil {
		return err
	}
	delete(s.silent, target)
	s.unsaved = true
	return nil
}

func (s *silence) tell(ctx context.Context, target string, kinds uint8, mark time.Time, ended bool) error {
	var b record.Builder
	if err := b.Reset(record.Header{Source: s.name + "/" + target, Scope: s.silent[target], Kinds: kinds}); err != nil {
		return fmt.Errorf("tell that %s is silent: %w", target, err)
	}
	b.SetMark(mark.UnixNano(), ended)
	return s.emit(ctx, b.AppendTo(nil))
}

// save keeps who is silent, if that has changed. It is called every second, so that an outage of all targets is one write and not one for each.
func (s *silence) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checkpoints == nil || !s.unsaved {
		return nil
	}
	b, err := json.Marshal(s.silent)
	if err != nil {
		return err
	}
	if err := s.checkpoints.Save(s.name, b); err != nil {
		return err
	}
	s.unsaved = false
	return nil
}
