package matcher

import (
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// told is what people know of an episode.
type told struct {
	id        uint64 // 0: it follows from named
	named     int64  // when the episode opened, as it was known when they were told first
	revision  uint32
	retracted bool
	episode   *episode // as it was when they were told; never written again
}

// tell compares what the folds say with what people were told, and collects the revisions between.
func (t *Tracker) tell(p *progress) {
	t.collectFirings(p)
	closed := p.settled.done // closed for good
	p.settled.done = nil
	for _, e := range closed {
		t.revise(p, e, true)
	}
	last := p.settled.closed()
	current := &p.settled
	if p.prompt != nil {
		current = p.prompt
		for _, e := range current.done {
			if e.number > last {
				t.revise(p, e, false)
			}
		}
	}
	if current.open != nil {
		t.revise(p, current.open, len(p.pending) == 0)
	}
	if len(p.told) > 0 {
		t.takeBack(p, current, last)
	}
}

// closed is the number of the last episode that is over.
func (f *fold) closed() uint32 {
	if f.open != nil {
		return f.open.number - 1
	}
	return f.episodes
}

// revise tells the difference between an episode and what was told of it.
func (t *Tracker) revise(p *progress, e *episode, settled bool) {
	at := slices.IndexFunc(p.told, func(x told) bool { return x.episode.number == e.number })
	if !p.plan.tells(e.path) {
		if at >= 0 { // what was told became another episode, of which nobody is told
			t.retract(p, &p.told[at])
		}
		return
	}
	if at < 0 {
		p.told = append(p.told, told{named: e.opened, episode: &episode{number: e.number}})
		at = len(p.told) - 1
	}
	x := &p.told[at]
	if x.revision > 0 && !news(x, e) {
		return
	}
	known := x.episode.path
	if x.retracted || len(known) >= len(e.path) || !slices.Equal(known, e.path[:len(known)]) {
		t.change(p, x, e, settled) // a correction, or something beside the path
		return
	}
	for n := len(known) + 1; n <= len(e.path); n++ {
		if step := e.upTo(n); n == len(e.path) {
			t.change(p, x, e, settled)
		} else if p.plan.tells(step.path) {
			t.change(p, x, step, settled)
		}
	}
}

// upTo is the episode as it was after n turns.
func (e *episode) upTo(n int) *episode {
	c := e.clone()
	c.path = c.path[:n]
	c.met = slices.DeleteFunc(c.met, func(m met) bool { return !c.reached(m.role) })
	if !c.state().final() {
		c.reason = ""
	}
	return c
}

// news reports whether there is something that a person would see.
func news(x *told, e *episode) bool {
	was := x.episode
	if x.retracted || !slices.Equal(was.path, e.path) {
		return true
	}
	if e.state().final() {
		return false
	}
	if e.flaws&^was.flaws != 0 || len(e.silent) > len(was.silent) {
		return true
	}
	if e.forecast == nil {
		return false
	}
	f := was.forecast
	return f == nil || e.forecast.expected < f.earliest || e.forecast.expected > f.latest
}

// change collects a new revision.
func (t *Tracker) change(p *progress, x *told, e *episode, settled bool) {
	c := Change{Settled: settled}
	if x.revision > 0 {
		c.Was = x.state()
	} else {
		t.stats.Told++
	}
	x.revision++
	x.retracted = false
	x.episode = e.clone()
	c.Warning = t.warning(p, x)
	t.changes = append(t.changes, c)
}

func (x *told) state() State {
	if x.retracted {
		return Expired
	}
	return x.episode.state().state()
}

// takeBack retracts what was told of episodes that never were, and forgets what is settled.
func (t *Tracker) takeBack(p *progress, current *fold, closed uint32) {
	p.told = slices.DeleteFunc(p.told, func(x told) bool {
		return x.episode.number <= closed || x.gone(current) && x.episode.opened < t.horizon
	})
	for i := range p.told {
		x := &p.told[i]
		if x.episode.number > current.episodes {
			t.retract(p, x)
		}
	}
}

// gone reports whether only a hit from before the episode could bring it back. While a candidate waits, what is deferred can.
func (x *told) gone(current *fold) bool {
	return x.retracted && x.episode.number > current.episodes && current.waiting == nil
}

// retract tells that a warning never was.
func (t *Tracker) retract(p *progress, x *told) {
	if x.retracted {
		return
	}
	c := Change{Was: x.state(), Settled: len(p.pending) == 0}
	x.revision++
	x.retracted = true
	t.stats.Retracted++
	c.Warning = t.warning(p, x)
	t.changes = append(t.changes, c)
}

// giveUp removes a progress; what people were told of it is closed as expired.
func (t *Tracker) giveUp(p *progress, reason string, mark flaw) {
	for i := range p.told {
		x := &p.told[i]
		if x.retracted || x.episode.state().final() {
			continue
		}
		e := x.episode.clone()
		at := max(e.path[len(e.path)-1].time, e.seen)
		if t.horizon != longAgo {
			at = max(at, t.horizon)
		}
		e.path = append(e.path, turn{at, noRole, codeExpired})
		e.reason = reason
		e.flaws |= mark
		t.change(p, x, e, true)
	}
	t.remove(p)
}

// name is the warning's id, which is made of what is known when an episode is told first.
func (x *told) name(p *progress) uint64 {
	if x.id != 0 {
		return x.id
	}
	var d xxhash.Digest
	d.Reset()
	hashPart(&d, p.plan.Signature.ID)
	hashPart(&d, p.key.first, p.key.last)
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], uint64(x.named))
	binary.LittleEndian.PutUint32(b[8:], x.episode.number)
	_, _ = d.Write(b[:])
	return d.Sum64()
}

func (x *told) text(p *progress) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], x.name(p))
	return hex.EncodeToString(b[:])
}
