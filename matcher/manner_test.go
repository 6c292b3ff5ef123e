package matcher_test

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// memory is a store as a tracker with Details asks for it.
type memory map[string][]byte

func (m memory) Detail(key []byte) ([]byte, error) { return m[string(key)], nil }

var _ matcher.Details = memory{}

// together is the way in which hits are given many at a time.
const together = "at rest, hits together"

// mannered is a tracker that works in one way, with what it wants stored.
type mannered struct {
	name     string
	tracker  *matcher.Tracker
	together bool // hits are given as many at a time as there are between two marks
	stored   memory
	begin    func(stored memory) (*matcher.Tracker, error)
}

// manners returns a tracker for each way: the first one inflates everything and folds each hit at once, as the specification reads.
func manners(program *matcher.Program, o matcher.TrackerOptions) ([]*mannered, error) {
	var list []*mannered
	for _, x := range []struct {
		name    string
		behave  func(*matcher.Tracker)
		details bool
	}{
		{"awake", func(t *matcher.Tracker) { t.Behave(matcher.AllAwake) }, false},
		{together, func(t *matcher.Tracker) { t.Behave(matcher.AllCold) }, true},
		{"warm", func(*matcher.Tracker) {}, false},
		{"at rest", func(t *matcher.Tracker) { t.Behave(matcher.AllCold) }, false},
		{"at rest, with details", func(t *matcher.Tracker) { t.Behave(matcher.AllCold) }, true},
		{"loud", func(t *matcher.Tracker) { t.Behave(matcher.AllLoud) }, false},
		{"asleep after every step", func(t *matcher.Tracker) { t.Behave(matcher.AllAsleep) }, true},
		{"tidy", func(t *matcher.Tracker) { t.Behave(matcher.AllTidy) }, false},
		{"tidy and at rest, with details", func(t *matcher.Tracker) { t.Behave(matcher.AllTidy | matcher.AllCold) }, true},
		{"asleep and loud", func(t *matcher.Tracker) { t.Behave(matcher.AllAsleep | matcher.AllLoud) }, false},
	} {
		m := &mannered{name: x.name, together: x.name == together, stored: memory{}}
		m.begin = func(stored memory) (*matcher.Tracker, error) {
			o := o
			if x.details {
				o.Details = stored
			}
			t, err := matcher.NewTracker(program, o)
			if err == nil {
				x.behave(t)
			}
			return t, err
		}
		var err error
		if m.tracker, err = m.begin(m.stored); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// take gives arrivals to the tracker.
func (m *mannered) take(batch []arrival, hits map[reading][]matcher.Hit) {
	shards := []shard{{tracker: m.tracker}}
	if !m.together {
		for i := range batch {
			apply(shards, &batch[i], hits)
		}
		return
	}
	var some []matcher.Hit
	for i := range batch {
		a := &batch[i]
		if a.record == nil {
			m.tracker.ObserveAll(some)
			some = nil
			apply(shards, a, hits)
			continue
		}
		some = append(some, hits[reading{a.source, a.record.ID}]...)
	}
	m.tracker.ObserveAll(some)
}

// commit takes what changed.
func (m *mannered) commit() (changes []matcher.Change, dirty map[string][]byte) {
	changes = m.tracker.Changes()
	dirty = map[string][]byte{}
	m.tracker.Dirty(func(key, value []byte) {
		dirty[string(key)] = bytes.Clone(value)
	})
	for key, value := range dirty {
		if value == nil {
			delete(m.stored, key)
		} else {
			m.stored[key] = value
		}
	}
	return changes, dirty
}

// restart begins again with what is stored.
func (m *mannered) restart() error {
	t, err := m.begin(m.stored)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(m.stored)) {
		if err := t.Restore([]byte(key), m.stored[key]); err != nil {
			return err
		}
	}
	m.tracker = t
	return nil
}

// disagree says how trackers that work in different ways give something different, or "".
func disagree(list []*mannered, view bool, sigs []string) string {
	first := list[0]
	changes, dirty := first.commit()
	for _, m := range list[1:] {
		c, d := m.commit()
		switch {
		case !reflect.DeepEqual(c, changes):
			return fmt.Sprintf("%s tells\n%+v\nbut %s\n%+v", first.name, changes, m.name, c)
		case !reflect.DeepEqual(d, dirty):
			return fmt.Sprintf("%s stores\n%q\nbut %s\n%q", first.name, dirty, m.name, d)
		case first.tracker.Stats().Progresses != m.tracker.Stats().Progresses:
			return fmt.Sprintf("%s has %+v\nbut %s has\n%+v", first.name, first.tracker.Stats(), m.name, m.tracker.Stats())
		}
		if !view {
			continue
		}
		if a, b := first.tracker.Open(), m.tracker.Open(); !reflect.DeepEqual(a, b) {
			return fmt.Sprintf("%s has open\n%+v\nbut %s\n%+v", first.name, a, m.name, b)
		}
		for _, id := range sigs {
			if a, b := first.tracker.Explain(id, ""), m.tracker.Explain(id, ""); !reflect.DeepEqual(a, b) {
				return fmt.Sprintf("%s explains\n%+v\nbut %s\n%+v", first.name, a, m.name, b)
			}
		}
	}
	return ""
}

// sameInAllManners runs a case in all ways at the same time.
func sameInAllManners(c *foldCase, p plan) string {
	made, err := c.prepare()
	if err != nil {
		return err.Error()
	}
	d := newDice(p.seed)
	o := matcher.TrackerOptions{Lateness: time.Duration(c.lateness), SilentAfter: time.Duration(c.silentAfter)}
	if d.chance(30) {
		o.MaxPending = d.IntN(8) + 1
	}
	if d.chance(30) {
		o.MaxProgress = d.IntN(8) + 1
	}
	list, err := manners(made.program, o)
	if err != nil {
		return err.Error()
	}
	var sigs []string
	for _, s := range c.signatures {
		sigs = append(sigs, s.ID)
	}
	arrivals := c.arrivals(p)
	for len(arrivals) > 0 {
		batch := arrivals[:min(p.batch, len(arrivals))]
		arrivals = arrivals[len(batch):]
		view, restart := d.chance(10), d.chance(p.crashes/3)
		for _, m := range list {
			m.take(batch, made.hits)
			m.tracker.Advance()
		}
		if wrong := disagree(list, view, sigs); wrong != "" {
			return wrong
		}
		if !restart {
			continue
		}
		for _, m := range list {
			if err := m.restart(); err != nil {
				return err.Error()
			}
		}
	}
	return ""
}

func TestTrackerGivesTheSameHoweverItKeepsProgress(t *testing.T) {
	t.Parallel()
	eachCase(t, func(seed uint64) string {
		c := newDice(seed).foldCase()
		for _, p := range plans(seed, false)[:1] {
			if sameInAllManners(c, p) == "" {
				continue
			}
			small := minimise(c, func(n *foldCase) bool { return sameInAllManners(n, p) != "" })
			return fmt.Sprintf("%s: %+v\n%s%s", p.name, p, small, sameInAllManners(small, p))
		}
		return ""
	})
}
