package matcher

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/forewarn/forewarn/collector/record"
)

// Lookup finds a signature by its short digest; nil when there is none. A [Program] is one.
type Lookup interface {
	Lookup(digest uint64) *Compiled
}

var _ Lookup = (*Program)(nil)

// Tracker turns hits into warnings. Hits come in by [Tracker.Observe], the progress of the sources by [Tracker.Mark]; what
// is certain by then is settled by [Tracker.Advance]. Whatever people should be told is collected for [Tracker.Changes].
//
// To survive a restart, store what [Tracker.Dirty] gives in the same transaction as the changes and the position in the
// input, and give it to [Tracker.Restore] of a new Tracker.
//
// A Tracker belongs to one goroutine.
type Tracker struct {
	options  TrackerOptions
	program  Lookup
	plans    map[uint64]*plan // nil values are digests that are not known
	progress map[progressKey]*progress
	timers   timers
	recent   recency
	seen     *seenIDs
	water    *Watermark
	horizon  int64
	names    map[string]string // sources, so that hits share one copy
	touches  uint64
	changes  []Change
	firings  []Firing
	dirty    []*progress
	removed  map[string]bool // storage keys
	over     bool            // nothing more will come
	restored bool            // progresses came from Restore and are not linked yet
	metaTold metaState       // what was last given to Dirty
	stats    Stats
}

type progressKey struct {
	digest uint64
	key    string
}

// progress is one signature and key.
type progress struct {
	plan    *plan
	key     string
	hash    uint64
	settled fold
	prompt  *fold   // settled with pending on top; nil when that is the same
	folded  int     // how many of pending are in prompt
	pending []*kept // in order
	told    []told
	fired   uint64 // the number of the last frame that was collected
	floor   int64  // nothing older can be folded any more, beside the horizon

	due        int64
	place      int // in the timers, or -1
	prev, next *progress
	touched    uint64
	dirty      bool
}

// NewTracker returns a tracker without state for the signatures of p.
func NewTracker(p Lookup, o TrackerOptions) (*Tracker, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	return &Tracker{
		options: o, program: p, plans: map[uint64]*plan{}, progress: map[progressKey]*progress{}, seen: newSeenIDs(o.MaxSeen),
		water: newWatermark(o), horizon: longAgo, names: map[string]string{}, removed: map[string]bool{}, metaTold: metaState{horizon: longAgo},
	}, nil
}

// plan returns the signature of a digest, or nil.
func (t *Tracker) plan(digest uint64) *plan {
	p, known := t.plans[digest]
	if !known {
		if c := t.program.Lookup(digest); c != nil {
			p = newPlan(c, t.options.Lateness)
			p.keepAll = t.options.Firings
			t.plans[digest] = p
		}
	}
	return p
}

// Observe takes a hit and copies what it keeps. A hit whose record id is 0 is never a repeat.
func (t *Tracker) Observe(h *Hit) {
	t.ready()
	t.stats.Hits++
	pl := t.plan(h.Signature)
	if pl == nil {
		t.stats.Stale++
		return
	}
	hash := progressHash(h.Signature, h.Key)
	p := t.progress[progressKey{h.Signature, string(h.Key)}]
	if h.Record.ID != 0 {
		added, forgot := t.seen.add((hash ^ h.Record.ID) * 0x9e3779b97f4a7c15)
		if forgot {
			t.stats.ForgottenIDs++
		}
		if !added {
			t.stats.Repeats++
			if p != nil {
				t.repeat(p, h)
			}
			return
		}
	}
	if p == nil {
		p = t.begin(pl, string(h.Key), hash)
	}
	t.touch(p)
	k := pl.newKept(h, t.name(h.Source))
	if k.time <= t.horizon || k.time < p.floor {
		t.late(p, k)
	} else {
		t.wait(p, k)
	}
	t.tell(p)
	t.schedule(p)
}

// begin makes a progress, and room for it.
func (t *Tracker) begin(pl *plan, key string, hash uint64) *progress {
	for len(t.progress) >= t.options.MaxProgress {
		t.evict(t.recent.oldest)
	}
	p := &progress{plan: pl, key: key, hash: hash, settled: newFold(), floor: longAgo, due: never, place: -1}
	t.progress[progressKey{pl.Digest, key}] = p
	return p
}

func (t *Tracker) touch(p *progress) {
	t.touches++
	p.touched = t.touches
	t.recent.touch(p)
	t.soil(p)
}

// soil marks p for the next Dirty.
func (t *Tracker) soil(p *progress) {
	if !p.dirty {
		p.dirty = true
		t.dirty = append(t.dirty, p)
	}
}

// name returns one copy of a source's name for all hits.
func (t *Tracker) name(source string) string {
	if s, ok := t.names[source]; ok {
		return s
	}
	if len(t.names) >= 65536 { // names come from outside; the few that are in use come back at once
		clear(t.names)
	}
	s := strings.Clone(source)
	t.names[s] = s
	return s
}

// late folds a hit that comes too late to be sorted in as if it came now. What happened longer ago than a rung's window does not
// count there: records of different days would else become records of one instant.
func (t *Tracker) late(p *progress, k *kept) {
	now := max(t.horizon, p.floor)
	k.on &^= p.plan.outlived(k.time, now)
	k.time = now
	if k.sample {
		t.stats.LateSamples++
		p.settled.flawed(flawLateSample)
	} else {
		t.stats.Late++
		p.settled.flawed(flawLate)
		if k.on|k.off != 0 {
			p.settled.hit(t.settler(p), k)
		}
	}
	p.refold()
	if due, _, _ := p.settled.next(p.plan); due <= t.horizon { // what it made due is decided now, whenever Advance is called next
		t.settle(p)
	}
}

// wait adds a hit to those that are not settled.
func (t *Tracker) wait(p *progress, k *kept) {
	at := len(p.pending)
	for at > 0 && k.compare(p.pending[at-1]) < 0 {
		at--
	}
	p.pending = slices.Insert(p.pending, at, k)
	t.stats.Pending++
	if at < p.folded { // it comes before what was folded
		p.refold()
	} else {
		p.foldOn()
	}
	if len(p.pending) > t.options.MaxPending {
		t.settleEarly(p)
	}
}

// repeat takes a hit in place of the one with the same record id when it comes first in the order of folding and that one is
// not settled: which of two sources is quicker to tell the same must make no difference.
func (t *Tracker) repeat(p *progress, h *Hit) {
	at := slices.IndexFunc(p.pending, func(k *kept) bool { return k.id == h.Record.ID })
	if at < 0 {
		return
	}
	k := p.plan.newKept(h, t.name(h.Source))
	if k.compare(p.pending[at]) >= 0 || k.time <= t.horizon || k.time < p.floor {
		return
	}
	p.pending = slices.Delete(p.pending, at, at+1)
	t.stats.Pending--
	p.refold()
	t.wait(p, k)
	t.touch(p)
	t.tell(p)
	t.schedule(p)
}

// settleEarly folds the oldest pending hit for good. Timers that are not settled wait on.
func (t *Tracker) settleEarly(p *progress) {
	k := p.pending[0]
	p.take(1)
	t.stats.Pending--
	t.stats.SettledEarly++
	p.floor = max(p.floor, k.time)
	p.settled.flawed(flawSettledEarly)
	p.settled.hit(t.settler(p), k)
	if p.folded == 0 {
		p.refold()
		return
	}
	p.folded-- // it is in the prompt fold already
	p.prompt.flawed(flawSettledEarly)
}

// take drops the n oldest pending hits.
func (p *progress) take(n int) {
	clear(p.pending[:n])
	if p.pending = p.pending[n:]; len(p.pending) == 0 {
		p.pending = nil
	}
}

// refold makes the prompt fold anew.
func (p *progress) refold() {
	p.prompt, p.folded = nil, 0
	p.foldOn()
}

// foldOn folds pending hits until one comes after a timer, which only settling may fire.
func (p *progress) foldOn() {
	if p.folded == len(p.pending) {
		return
	}
	if p.prompt == nil {
		p.prompt = p.settled.clone()
	}
	f := folder{plan: p.plan}
	for ; p.folded < len(p.pending); p.folded++ {
		k := p.pending[p.folded]
		if due, _, _ := p.prompt.next(p.plan); due < k.time {
			return
		}
		p.prompt.hit(&f, k)
	}
}

// settler is a folder for what is certain.
func (t *Tracker) settler(p *progress) *folder {
	return &folder{
		plan: p.plan,
		absent: func(kinds uint8, deadline int64) (bool, []string) {
			sure, silent := t.silenceOf(p, kinds, deadline)
			if !sure {
				t.stats.Unknown++
			}
			return sure, silent
		},
		lost: func() { t.stats.EvictedDetail++ },
	}
}

// elsewhere reports whether a scope contradicts the progress's key.
func (p *progress) elsewhere(scope record.Attrs) bool {
	for name, value := range keyText(p.key).parts() {
		for _, attr := range p.plan.keyAttrs[name] {
			if v, ok := scope.Get(attr); ok && v != value {
				return true
			}
		}
	}
	return false
}

// Mark takes the progress of a source. What becomes certain by it is settled by the next [Tracker.Advance].
func (t *Tracker) Mark(m Mark) {
	t.ready()
	t.water.Update(m)
}

// Advance settles everything up to the horizon. It looks only at what is due.
func (t *Tracker) Advance() {
	t.ready()
	h, ok := t.water.Horizon()
	if ok {
		t.advance(h)
	}
}

func (t *Tracker) advance(horizon int64) {
	t.horizon = max(t.horizon, horizon)
	for len(t.timers) > 0 && t.timers[0].due <= t.horizon {
		p := t.timers[0]
		t.settle(p)
		t.tell(p)
		t.soil(p)
		t.schedule(p)
		if p.place >= 0 && p.due <= t.horizon { // it was settled a moment ago, so nothing is; but a loop here would have no end
			t.timers.set(p, after(t.horizon, 1))
		}
	}
}

// settle folds hits and fires timers up to the horizon, in the order of their times.
func (t *Tracker) settle(p *progress) {
	f := t.settler(p)
	n, fired := 0, false
	if last := len(p.pending) - 1; last >= 0 && p.folded > last && p.pending[last].time <= t.horizon {
		// Everything was folded promptly and no timer came between, so that is what settling it gives.
		t.stats.EvictedDetail += p.prompt.lost
		known := p.settled.closed()
		p.settled, p.prompt = *p.prompt, nil
		p.settled.lost = 0
		p.settled.done = slices.DeleteFunc(p.settled.done, func(e *episode) bool { return e.number <= known })
		n, p.folded = last+1, last+1
	}
	for {
		due, kind, place := p.settled.next(p.plan)
		f.until = after(t.horizon, 1)
		if n < len(p.pending) {
			f.until = min(f.until, p.pending[n].time)
		}
		switch {
		case n < len(p.pending) && p.pending[n].time <= min(due, t.horizon):
			p.settled.hit(f, p.pending[n])
			n++
			continue
		case due <= t.horizon:
			p.settled.fire(f, due, kind, place)
			fired = true
			continue
		}
		break
	}
	t.stats.Pending -= n
	p.take(n)
	if p.floor <= t.horizon {
		p.floor = longAgo
	}
	switch {
	case fired || n > p.folded:
		p.refold()
	case len(p.pending) == 0:
		p.prompt, p.folded = nil, 0
	default:
		p.folded -= n
	}
}

// schedule says when p has to be looked at again, and forgets it when it has nothing left.
func (t *Tracker) schedule(p *progress) {
	due, _, _ := p.settled.next(p.plan)
	if len(p.pending) > 0 {
		due = min(due, p.pending[0].time)
	}
	for i := range p.told { // what was taken back is kept until nothing can bring it back
		if p.told[i].gone(p.current()) {
			due = min(due, after(p.told[i].episode.opened, 1))
		}
	}
	if len(p.pending) == 0 && len(p.told) == 0 {
		nothing, until := p.settled.idle(p.plan)
		if nothing || until < t.horizon {
			t.remove(p)
			return
		}
		if until != never && until != longAgo {
			due = min(due, after(until, 1))
		}
	}
	t.timers.set(p, due)
}

func (t *Tracker) remove(p *progress) {
	t.stats.Pending -= len(p.pending)
	delete(t.progress, progressKey{p.plan.Digest, p.key})
	t.timers.remove(p)
	t.recent.remove(p)
	t.removed[string(p.storageKey())] = true
	p.plan = nil
}

// evict makes room: the progress that was hit least recently goes, and its warning is closed as far as anyone can know.
func (t *Tracker) evict(p *progress) {
	t.stats.EvictedProgress++
	t.giveUp(p, "more than the allowed number of progresses were open, and this one was heard of least recently", flawEvicted)
}

// Changes returns what happened since the last call, oldest first: the order in which hits came and, of what an Advance
// settled, the order of the times.
func (t *Tracker) Changes() []Change {
	t.ready()
	c := t.changes
	t.changes = nil
	return c
}

// Swap takes another set of signatures. What follows a signature that is unchanged goes on; of others, what people were told
// is closed as expired.
func (t *Tracker) Swap(p Lookup) {
	t.ready()
	t.program = p
	clear(t.plans)
	var gone []*progress
	for _, x := range t.progress {
		if next := t.plan(x.plan.Digest); next != nil {
			x.plan = next
		} else {
			gone = append(gone, x)
		}
	}
	t.closeGone(gone)
}

// closeGone gives up progresses whose signature is not there any more.
func (t *Tracker) closeGone(gone []*progress) {
	slices.SortFunc(gone, func(a, b *progress) int {
		return cmp.Or(strings.Compare(a.plan.Signature.ID, b.plan.Signature.ID), cmp.Compare(a.plan.Digest, b.plan.Digest), strings.Compare(a.key, b.key))
	})
	for _, p := range gone {
		t.giveUp(p, "the signature was changed or removed", 0)
	}
}

func progressHash(digest uint64, key []byte) uint64 {
	return xxhash.Sum64(key) ^ digest*0x9ddfea08eb382d69
}

// recency is a list of progresses by their last hit.
type recency struct{ oldest, newest *progress }

func (r *recency) touch(p *progress) {
	if r.newest == p {
		return
	}
	r.remove(p)
	p.prev = r.newest
	if r.newest != nil {
		r.newest.next = p
	} else {
		r.oldest = p
	}
	r.newest = p
}

func (r *recency) remove(p *progress) {
	if p.prev != nil {
		p.prev.next = p.next
	} else if r.oldest == p {
		r.oldest = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else if r.newest == p {
		r.newest = p.prev
	}
	p.prev, p.next = nil, nil
}

func when(t int64) time.Time { return time.Unix(0, t).UTC() }
