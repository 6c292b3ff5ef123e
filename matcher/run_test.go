package matcher_test

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// plan is how a case is run: none of it may change what is told.
type plan struct {
	name       string
	seed       uint64 // of the order of arrival
	partitions int
	batch      int // arrivals between two commits
	crashes    int // percent of the batches that are lost before their commit, and come again
	late       int // percent of the records that may come too late
	stop       int // percent of the arrivals after which it stops and people ask what they were told; 0 for all of them
}

// shard is one tracker and what its store holds.
type shard struct {
	tracker *matcher.Tracker
	stored  map[string][]byte
}

// reading is a record as one source gave it.
type reading struct {
	source string
	id     uint64
}

// ledger checks what every delivery of a warning must hold to, and keeps the last.
type ledger map[string]matcher.Change

func (l ledger) take(c matcher.Change, late bool) error {
	w := &c.Warning
	before, known := l[w.ID]
	switch {
	case !known && (w.Revision != 1 || c.Was != ""):
		return fmt.Errorf("warning %s begins with revision %d, was %q", w.ID, w.Revision, c.Was)
	case known && w.Revision != before.Warning.Revision+1:
		return fmt.Errorf("warning %s goes from revision %d to %d", w.ID, before.Warning.Revision, w.Revision)
	case known && c.Was != before.Warning.State:
		return fmt.Errorf("warning %s was %q and says that it was %q", w.ID, before.Warning.State, c.Was)
	case known && (w.Signature != before.Warning.Signature || w.KeyText != before.Warning.KeyText):
		return fmt.Errorf("warning %s belongs to %s %s and to %s %s", w.ID, before.Warning.Signature, before.Warning.KeyText, w.Signature, w.KeyText)
	case w.State.Final() != (w.Closed != nil):
		return fmt.Errorf("warning %s is %s and closed %v", w.ID, w.State, w.Closed)
	case known && before.Settled && w.Retracted:
		return fmt.Errorf("warning %s is taken back after it was settled", w.ID)
	case len(w.Incomplete) > 0 && !late:
		return fmt.Errorf("warning %s is incomplete: %v", w.ID, w.Incomplete)
	}
	if known && before.Settled {
		for _, r := range before.Warning.Reached {
			if !slices.ContainsFunc(w.Reached, func(x matcher.Reached) bool { return x.Stage == r.Stage && x.Time.Equal(r.Time) }) {
				return fmt.Errorf("warning %s loses stage %s of %s, which was settled", w.ID, r.Stage, r.Time)
			}
		}
	}
	l[w.ID] = c
	return nil
}

// told writes the warnings that stand in the form of the oracle's.
func (l ledger) told() map[string][]string {
	told := map[string][]string{}
	for _, c := range l {
		if w := &c.Warning; !w.Retracted {
			told[w.Signature+" "+w.KeyText] = append(told[w.Signature+" "+w.KeyText], warningText(w))
		}
	}
	for _, list := range told {
		slices.Sort(list)
	}
	return told
}

func warningText(w *matcher.Warning) string {
	o := outcome{opened: w.Opened.UnixNano(), state: w.State, told: true, last: w.Time.UnixNano(), silent: map[string]bool{}}
	for _, r := range w.Reached {
		o.rungs = append(o.rungs, rungTime{r.Stage, r.Time.UnixNano()})
	}
	if w.Closed != nil {
		o.closed = w.Closed.UnixNano()
	}
	if w.Incident != nil {
		o.incident = w.Incident.UnixNano()
		o.toldAt = o.incident - int64(w.Lead)
	}
	for _, name := range w.Silent {
		o.silent[name] = true
	}
	return o.String()
}

// prepared is what all runs of a case share.
type prepared struct {
	program *matcher.Program
	hits    map[reading][]matcher.Hit
}

// prepare compiles the signatures of a case and scans its records.
func (c *foldCase) prepare() (*prepared, error) {
	program, problems := matcher.Compile(c.signatures, matcher.CompileOptions{})
	if len(problems) > 0 {
		return nil, problems[0]
	}
	records := slices.Clone(c.records)
	for _, r := range c.records {
		if r.twin != "" && r.twin != r.source {
			records = append(records, sourced{source: r.twin, record: r.record})
		}
	}
	scanned, wrong := scanAll(program, records)
	if wrong != "" {
		return nil, fmt.Errorf("scan: %s", wrong)
	}
	m := &prepared{program, map[reading][]matcher.Hit{}}
	for _, h := range scanned {
		m.hits[reading{h.Source, h.Record.ID}] = append(m.hits[reading{h.Source, h.Record.ID}], h)
	}
	return m, nil
}

// run runs a case through trackers and returns what stands of what they told.
func (m *prepared) run(c *foldCase, p plan) (told map[string][]string, err error) {
	options := matcher.TrackerOptions{Lateness: time.Duration(c.lateness), SilentAfter: time.Duration(c.silentAfter)}
	shards := make([]shard, p.partitions)
	for i := range shards {
		shards[i].stored = map[string][]byte{}
		if err := shards[i].restart(m.program, options); err != nil {
			return nil, err
		}
	}
	arrivals := c.arrivals(p)
	d := newDice(p.seed)
	book := ledger{}
	for len(arrivals) > 0 {
		batch := arrivals[:min(p.batch, len(arrivals))]
		lost := d.chance(p.crashes)
		for i := range batch {
			apply(shards, &batch[i], m.hits)
		}
		for i := range shards {
			shards[i].tracker.Advance()
			if lost {
				if err := shards[i].restart(m.program, options); err != nil {
					return nil, err
				}
			} else if err := shards[i].commit(book, p.late > 0); err != nil {
				return nil, err
			}
		}
		if lost {
			continue
		}
		arrivals = arrivals[len(batch):]
	}
	return book.told(), nil
}

// restart makes a tracker of what was stored.
func (s *shard) restart(program *matcher.Program, options matcher.TrackerOptions) error {
	var err error
	if s.tracker, err = matcher.NewTracker(program, options); err != nil {
		return err
	}
	for key, value := range s.stored {
		if err := s.tracker.Restore([]byte(key), value); err != nil {
			return fmt.Errorf("restore %q: %w", key, err)
		}
	}
	return nil
}

// commit stores what changed and delivers what is to be told.
func (s *shard) commit(book ledger, late bool) error {
	for _, c := range s.tracker.Changes() {
		if err := book.take(c, late); err != nil {
			return err
		}
	}
	s.tracker.Dirty(func(key, value []byte) {
		if value == nil {
			delete(s.stored, string(key))
		} else {
			s.stored[string(key)] = slices.Clone(value)
		}
	})
	return nil
}

// apply gives one arrival to those whom it concerns.
func apply(shards []shard, a *arrival, hits map[reading][]matcher.Hit) {
	if a.record == nil {
		for i := range shards {
			shards[i].tracker.Mark(a.mark)
			shards[i].tracker.Advance()
		}
		return
	}
	for _, h := range hits[reading{a.source, a.record.ID}] {
		hash := fnv.New64a()
		_, _ = fmt.Fprintf(hash, "%d %s", h.Signature, h.Key)
		h.Key, h.Record = slices.Clone(h.Key), h.Record.Clone()
		shards[hash.Sum64()%uint64(len(shards))].tracker.Observe(&h)
		clear(h.Key) // they are the scan's, which uses their memory again
		clear(h.Record.Text)
	}
}
