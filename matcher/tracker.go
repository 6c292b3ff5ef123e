package matcher

import (
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
	options   TrackerOptions
	program   Lookup
	plans     map[uint64]*plan // nil values are digests that are not known
	numbers   []*plan          // by plan.number; nil when it is free
	lastPlan  *plan            // of the last hit
	table     table
	blocks    blocks
	wheel     wheel
	live      []*progress // what does not rest; nil where a place is free
	spare     []uint32    // the free places
	pool      []*progress // progresses that came to rest, for the next ones
	warm      []*progress // a ring of those that could rest
	warmed    int
	kept      []*kept // hits that are settled, for the next ones
	timers    timers
	waits     waits
	oldest    []candidateSlot // for eviction, the next one last
	seen      *seenIDs
	water     *Watermark
	horizon   int64
	names     map[string]string // sources, so that hits share one copy
	firsts    firsts
	touches   uint64
	evidence  evidenceLog
	changes   []Change
	firings   []Firing
	over      bool // nothing more will come
	dirty     []dirtySlot
	replaced  []evidence          // what the store holds of the progresses that changed
	dropped   []evidence          // what it holds and nobody needs
	removed   map[string]bool     // storage keys
	restored  bool                // progresses came from Restore and are not linked yet
	details   map[evidence][]byte // evidence that came from Restore
	old       bool                // what came from Restore is of an older format
	metaTold  metaState           // what was last given to Dirty
	stats     Stats
	packed    writer   // scratch
	storedKey []byte   // scratch
	looked    progress // scratch
	fired     []uint32
	manner    manner
	hashes    [approached]uint64 // scratch
	touched   uint32             // what approach read, so that it is read
}

// progress is one signature and key that does not rest.
type progress struct {
	plan     *plan
	key      splitKey // the last part is in its block
	slot     uint32
	asleep   bool // settled and told are in the block still
	settled  fold
	prompt   *fold   // settled with pending on top; nil when that is the same, or when nobody asked yet
	folded   int     // how many of pending are in prompt
	pending  []*kept // in order
	pendings []*kept // memory for a few
	weight   uint64  // while asleep: of what pending hits add to the current stage
	told     []told
	complete uint64 // the number of the last frame that was collected
	floor    int64  // nothing older can be folded any more, beside the horizon

	due   int64
	place int // in the timers, or -1
	warm  int // its place among the warm, from 1
	dirt  int // its place in the dirty, when it is one of them
}

// NewTracker returns a tracker without state for the signatures of p.
func NewTracker(p Lookup, o TrackerOptions) (*Tracker, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	return &Tracker{
		options: o, program: p, plans: map[uint64]*plan{}, table: newTable(), seen: newSeenIDs(o.MaxSeen), evidence: evidenceLog{next: 1, base: 1, bound: o.MaxEvidence},
		water: newWatermark(o), horizon: longAgo, names: map[string]string{}, firsts: newFirsts(), removed: map[string]bool{}, metaTold: metaState{horizon: longAgo, evidence: 1},
	}, nil
}

// plan returns the signature of a digest, or nil.
func (t *Tracker) plan(digest uint64) *plan {
	if p := t.lastPlan; p != nil && p.Digest == digest {
		return p
	}
	p, known := t.plans[digest]
	if !known {
		if c := t.program.Lookup(digest); c != nil {
			p = newPlan(c, t.options.Lateness)
			p.keepAll = t.options.Firings
			t.number(p)
			t.plans[digest] = p
		}
	}
	t.lastPlan = p
	return p
}

// number gives a plan its number.
func (t *Tracker) number(p *plan) {
	at := slices.Index(t.numbers, nil)
	if at < 0 {
		at = len(t.numbers)
		t.numbers = append(t.numbers, nil)
	}
	p.number = uint32(at)
	t.numbers[at] = p
}

// Observe takes a hit and copies what it keeps. A hit whose record id is 0 is never a repeat.
func (t *Tracker) Observe(h *Hit) {
	t.ready()
	t.observe(h, progressHash(h.Signature, h.Key))
}

// ObserveAll takes hits in their order, as [Tracker.Observe] does, and faster than one by one.
func (t *Tracker) ObserveAll(hits []Hit) {
	t.ready()
	for from := 0; from < len(hits); from += approached {
		some := hits[from:min(from+approached, len(hits))]
		hashes := t.approach(some)
		for i := range some {
			t.observe(&some[i], hashes[i])
		}
	}
}

// observe takes a hit. The hash is that of its signature and key.
func (t *Tracker) observe(h *Hit, hash uint64) {
	t.tidy()
	t.stats.Hits++
	pl := t.plan(h.Signature)
	if pl == nil {
		t.stats.Stale++
		return
	}
	n := t.find(pl, h.Key, hash)
	if h.Record.ID != 0 {
		added, forgot := t.seen.add(seenID(hash, h.Record.ID))
		if forgot {
			t.stats.ForgottenIDs++
		}
		if !added {
			t.stats.Repeats++
			if n != noSlot && t.table.at(n).live&slotLive != 0 { // what rests has nothing pending
				t.repeat(t.rouse(n), h)
			}
			return
		}
	}
	if n == noSlot {
		n = t.begin(pl, h.Key, hash)
	}
	p := t.rouse(n)
	t.touch(p)
	k := t.newKept(pl, h)
	switch late := k.time <= t.horizon || k.time < p.floor; {
	case late:
		t.wake(p)
		t.late(p, k)
	case t.quietly(p, k):
		return
	default:
		t.wake(p)
		t.wait(p, k)
	}
	t.tell(p)
	t.schedule(p)
}

func (t *Tracker) touch(p *progress) {
	t.touches++
	t.table.at(p.slot).touched = t.touches
	t.soil(p)
}

// soil marks p for the next Dirty. It is called before p changes, because what is stored of it may have to be removed.
func (t *Tracker) soil(p *progress) {
	s := t.table.at(p.slot)
	if s.live&slotDirty == 0 {
		s.live |= slotDirty
		p.dirt = len(t.dirty)
		t.dirty = append(t.dirty, dirtySlot{slot: p.slot})
	}
	t.capture(p, nil)
}

// capture notes which evidence of a progress that is about to change, and of its refresh, is stored.
func (t *Tracker) capture(p *progress, refresh refresh) {
	s := t.table.at(p.slot)
	if p.asleep || s.live&(slotDirty|slotCaptured) != slotDirty {
		return
	}
	s.live |= slotCaptured
	from := len(t.replaced)
	take := func(n evidence) {
		if n < t.evidence.base && !slices.Contains(t.replaced[from:], n) {
			t.replaced = append(t.replaced, n)
		}
	}
	p.eachEvidence(take)
	refresh.eachEvidence(take)
	t.dirty[p.dirt].from, t.dirty[p.dirt].to = uint32(from), uint32(len(t.replaced))
}

// dirtySlot is a progress that changed since the last Dirty, and where in replaced its stored evidence is.
type dirtySlot struct{ slot, from, to uint32 }

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
	t.forget(k)
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
	t.add(p, at, k)
	p.weight = noWeight
	if at < p.folded { // it comes before what was folded
		p.refold()
	} else {
		p.foldOn()
	}
	if len(p.pending) > t.options.MaxPending {
		t.settleEarly(p)
	}
}

// add puts a hit among the pending.
func (t *Tracker) add(p *progress, at int, k *kept) {
	if cap(p.pendings) == 0 {
		p.pendings = make([]*kept, 0, 4)
		p.pending = append(p.pendings, p.pending...)
	}
	p.pending = slices.Insert(p.pending, at, k)
	t.stats.Pending++
}

// repeat takes a hit in place of the one with the same record id when it comes first in the order of folding and that one is
// not settled: which of two sources is quicker to tell the same must make no difference.
func (t *Tracker) repeat(p *progress, h *Hit) {
	at := slices.IndexFunc(p.pending, func(k *kept) bool { return k.id == h.Record.ID })
	if at < 0 {
		return
	}
	k := t.newKept(p.plan, h)
	if k.compare(p.pending[at]) >= 0 || k.time <= t.horizon || k.time < p.floor {
		t.forget(k)
		return
	}
	t.touch(p)
	t.wake(p)
	t.forget(p.pending[at])
	p.pending = slices.Delete(p.pending, at, at+1)
	t.stats.Pending--
	p.refold()
	t.wait(p, k)
	t.tell(p)
	t.schedule(p)
}

// settleEarly folds the oldest pending hit for good. Timers that are not settled wait on.
func (t *Tracker) settleEarly(p *progress) {
	k := p.pending[0]
	t.stats.Pending--
	t.stats.SettledEarly++
	p.floor = max(p.floor, k.time)
	closed := p.settled.closed()
	p.settled.flawed(flawSettledEarly)
	p.settled.hit(t.settler(p), k)
	t.take(p, 1)
	if p.folded == 0 || p.prompt.closed() != closed { // the flaw is of the episode that was open then
		p.refold()
		return
	}
	p.folded-- // it is in the prompt fold already
	p.prompt.flawed(flawSettledEarly)
}

// take drops the n oldest pending hits.
func (t *Tracker) take(p *progress, n int) {
	t.forget(p.pending[:n]...)
	clear(p.pending[:n])
	if p.pending = p.pending[n:]; len(p.pending) == 0 {
		p.pending, p.weight = p.pendings[:0], 0
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
	for name, value := range keyText(p.key.text()).parts() {
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

// Changes returns what happened since the last call, oldest first: the order in which hits came and, of what an Advance
// settled, the order of the times.
func (t *Tracker) Changes() []Change {
	t.ready()
	c := t.changes
	t.changes = nil
	return c
}

// seenID is what is remembered of a hit: a product, so that its upper bits are mixed.
func seenID(hash, record uint64) uint64 { return (hash ^ record) * 0x9e3779b97f4a7c15 }

func progressHash(digest uint64, key []byte) uint64 {
	return xxhash.Sum64(key) ^ digest*0x9ddfea08eb382d69
}

func when(t int64) time.Time { return time.Unix(0, t).UTC() }
