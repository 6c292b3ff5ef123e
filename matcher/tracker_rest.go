package matcher

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// A progress rests while it has no pending hits: its slot and a block of bytes are all there is of it. A hit rouses it, which
// makes a progress that is asleep: it can take hits of which nobody can be told anything. Whatever has to look at its state wakes
// it, and when everything is settled it comes to rest again.
//
// A block is the number of the plan, the key in two parts, the facts that quietly asks for, the body of the snapshot, and mostly
// nothing, or a refresh.

// manner is how tests make a tracker work that must give the same however it does.
type manner uint8

const (
	mannerAwake  manner = 1 << iota // nothing rests and nothing is quiet
	mannerLoud                      // nothing is quiet
	mannerAsleep                    // what can't rest is put to sleep after every step
	mannerCold                      // what can rest does so at once
	mannerTidy                      // memory is tidied often
)

// facts are what a block says before its body.
type facts struct {
	open bool
	told bool
	now  uint8  // the current stage, or loud
	have uint64 // the weight in its window
}

const (
	loud     = 0x3f          // every hit may be told of
	noWeight = math.MaxInt64 // what is pending is not only what quietly took
)

// head is what a block begins with.
type head struct {
	plan, first uint32
	last        []byte // of the key
	rest        []byte // the facts and the body
	refresh     refresh
}

// blockRefresh is the bit of a block's first byte that says that there is a refresh. The number of the plan is in those above it.
const blockRefresh = 1

// head splits the block of a slot.
func (t *Tracker) head(n uint32) (h head) {
	b := t.blocks.bytes(t.table.at(n).block)
	if b[0]&blockRefresh != 0 {
		cut := len(b) - refreshSize
		b, h.refresh = b[:cut:cut], b[cut:]
	}
	x, size := binary.Uvarint(b)
	b = b[size:]
	h.plan = uint32(x >> 1)
	x, size = binary.Uvarint(b)
	b = b[size:]
	h.first = uint32(x)
	x, size = binary.Uvarint(b)
	b = b[size:]
	h.last, h.rest = b[:x:x], b[x:]
	return h
}

// keyOf is the key of a block. It is valid as long as that lies where it is.
func (t *Tracker) keyOf(h head) splitKey { return splitKey{t.firsts.list[h.first], viewString(h.last)} }

// find returns the slot of a signature and key, or noSlot.
func (t *Tracker) find(pl *plan, key []byte, hash uint64) uint32 {
	short := uint32(hash >> 32)
	first, last := t.firsts.split(key, false)
	for n, place := t.table.first(short); n != noSlot; n, place = t.table.following(short, place) {
		if h := t.head(n); h.plan == pl.number && h.first == first && bytes.Equal(h.last, last) {
			return n
		}
	}
	return noSlot
}

// begin makes a progress, and room for it.
func (t *Tracker) begin(pl *plan, key []byte, hash uint64) uint32 {
	for t.table.count >= t.options.MaxProgress {
		t.evict()
	}
	n := t.table.add(uint32(hash >> 32))
	p := progress{plan: pl, settled: newFold()}
	w := t.pack(&p, key)
	at, b := t.blocks.alloc(len(w))
	copy(b, w)
	t.table.at(n).block = at
	return n
}

// pack writes the block of p into the scratch.
func (t *Tracker) pack(p *progress, key []byte) []byte {
	w := &t.packed
	first, last := t.firsts.split(key, true)
	w.b = w.b[:0]
	w.uint(uint64(p.plan.number) << 1)
	w.uint(uint64(first))
	w.text(viewString(last))
	return t.packBody(p)
}

// repack writes the block of p anew, which has one.
func (t *Tracker) repack(p *progress) []byte {
	w := &t.packed
	h := t.head(p.slot)
	w.b = w.b[:0]
	w.uint(uint64(h.plan) << 1)
	w.uint(uint64(h.first))
	w.text(viewString(h.last))
	return t.packBody(p)
}

func (t *Tracker) packBody(p *progress) []byte {
	w := &t.packed
	x := p.facts()
	first := x.now
	if x.open {
		first |= 1 << 7
	}
	if x.told {
		first |= 1 << 6
	}
	w.byte(first)
	w.uint(x.have)
	w.body(p)
	return w.b
}

func (p *progress) facts() facts {
	f := &p.settled
	x := facts{open: f.open != nil, told: len(p.told) > 0, now: loud}
	if !p.plan.plain || f.waiting != nil || slices.ContainsFunc(p.told, func(x told) bool { return x.retracted }) {
		return x
	}
	x.now = 0
	if f.windows != nil {
		for int(x.now) < len(p.plan.Stages) && f.windows[x.now].satisfied {
			x.now++
		}
		if int(x.now) < len(p.plan.Stages) {
			x.have = f.windows[x.now].weight
		}
	}
	return x
}

func openFacts(b []byte) (x facts, body []byte) {
	x.open, x.told, x.now = b[0]&(1<<7) != 0, b[0]&(1<<6) != 0, b[0]&loud
	have, n := binary.Uvarint(b[1:])
	x.have = have
	return x, b[1+n:]
}

// rouse returns the progress of a slot: asleep, when it rested.
func (t *Tracker) rouse(n uint32) *progress {
	s := t.table.at(n)
	if at := s.live & slotLive; at != 0 {
		return t.live[at-1]
	}
	h := t.head(n)
	p := t.fresh()
	p.plan, p.key, p.slot, p.asleep = t.numbers[h.plan], t.keyOf(h), n, true
	if h.refresh != nil {
		p.dirt = int(h.refresh.uint32(refreshDirt))
	}
	t.enliven(p)
	return p
}

// fresh returns a progress whose state's memory can be used again.
func (t *Tracker) fresh() *progress {
	last := len(t.pool) - 1
	if last < 0 {
		return &progress{floor: longAgo, due: never, place: -1}
	}
	p := t.pool[last]
	t.pool = t.pool[:last]
	p.asleep, p.weight, p.floor, p.due, p.place, p.warm = false, 0, longAgo, never, -1, 0
	return p
}

// enliven puts p among the live.
func (t *Tracker) enliven(p *progress) {
	at := uint32(len(t.live))
	if last := len(t.spare) - 1; last >= 0 {
		at = t.spare[last]
		t.spare = t.spare[:last]
		t.live[at] = p
	} else {
		t.live = append(t.live, p)
	}
	t.table.at(p.slot).live |= at + 1
}

// wake decodes the state of a progress that is asleep. Its pending hits are not folded.
func (t *Tracker) wake(p *progress) {
	if !p.asleep {
		return
	}
	h := t.head(p.slot)
	t.unpackBody(p, h)
	p.asleep, p.prompt, p.folded = false, nil, 0
	t.capture(p, h.refresh)
	p.settled.takeIn(h.refresh)
}

// unpack reads the block of a slot into p.
func (t *Tracker) unpack(p *progress, n uint32) {
	h := t.head(n)
	t.unpackBody(p, h)
	p.settled.takeIn(h.refresh)
}

// unpackBody reads a block but for its refresh.
func (t *Tracker) unpackBody(p *progress, h head) {
	_, body := openFacts(h.rest)
	r := reader{b: body, version: snapshotVersion}
	r.body(p)
	if p.complete = 0; p.settled.frame != nil { // what rests was collected
		p.complete = p.settled.frame.total
	}
}

// peek returns the progress of a slot to be looked at. It belongs to the table, or is a copy.
func (t *Tracker) peek(n uint32) *progress {
	if t.table.at(n).live&slotLive != 0 {
		p := t.rouse(n)
		t.wake(p)
		p.foldOn()
		return p
	}
	h := t.head(n)
	p := &progress{plan: t.numbers[h.plan], key: t.keyOf(h), slot: n, floor: longAgo, due: never, place: -1}
	t.unpack(p, n)
	return p
}

// rest packs p when nothing of it is under way. Due is when it has to be looked at again.
func (t *Tracker) rest(p *progress, due int64) bool {
	if t.manner&mannerAwake != 0 {
		return false
	}
	tick := uint32(noTick)
	if due != never {
		tick = tickOf(due)
	}
	if len(p.pending) > 0 || p.floor != longAgo || tick <= t.wheel.now {
		if t.manner&mannerAsleep != 0 {
			t.store(p)
			p.asleep, p.prompt, p.folded, p.weight = true, nil, 0, noWeight
		}
		return false
	}
	t.store(p)
	t.timers.remove(p)
	t.retire(p)
	s := t.table.at(p.slot)
	if s.due == 0 || s.due > tick { // else it is found early, and is put where it belongs then
		t.wheel.unlink(&t.table, p.slot)
		if tick != noTick {
			t.wheel.link(&t.table, p.slot, tick)
		}
	}
	return true
}

// warmSize is how many progresses stay as they are when they could rest: those that are hit again and again need not be packed each time.
const warmSize = 1024

// keepWarm reports whether p stays as it is for now. For a new one the one that came first goes to rest, if it still can.
func (t *Tracker) keepWarm(p *progress) bool {
	if t.manner&^mannerTidy != 0 || len(p.pending) > 0 || p.floor != longAgo {
		return false
	}
	if p.warm != 0 {
		return true
	}
	if t.warm == nil {
		t.warm = make([]*progress, warmSize)
	}
	at := t.warmed % warmSize
	t.warmed++
	if old := t.warm[at]; old != nil && old.warm == at+1 {
		old.warm = 0
		if due, gone := t.dueOf(old); !gone && len(old.pending) == 0 {
			t.rest(old, due)
		}
	}
	t.warm[at], p.warm = p, at+1
	return true
}

// store writes the block of p.
func (t *Tracker) store(p *progress) {
	t.place(p, t.repack(p))
}

// place puts what is to be the block of p where there is room.
func (t *Tracker) place(p *progress, w []byte) {
	s := t.table.at(p.slot)
	at, b := t.blocks.resize(s.block, len(w))
	copy(b, w)
	if at != s.block {
		s.block = at
		p.key = t.keyOf(t.head(p.slot))
	}
}

// poolSize is how many progresses are kept for use again. More are under way only while many hits wait.
const poolSize = 4096

// retire takes p off the live.
func (t *Tracker) retire(p *progress) {
	s := t.table.at(p.slot)
	at := s.live&slotLive - 1
	s.live &^= slotLive
	t.live[at] = nil
	t.spare = append(t.spare, at)
	p.pending, p.prompt, p.folded, p.key, p.warm = p.pendings[:0], nil, 0, splitKey{}, 0
	if len(t.pool) < poolSize {
		t.pool = append(t.pool, p)
	}
}

// tick looks at what rests and is due by now, or not long from now.
func (t *Tracker) tick() {
	if t.horizon == longAgo {
		return
	}
	t.fired = t.wheel.advance(&t.table, tickOf(t.horizon), t.fired[:0])
	for _, n := range t.fired {
		p := t.rouse(n)
		t.wake(p)
		t.schedule(p)
	}
}

// tidy gives memory back when much of it lies unused.
func (t *Tracker) tidy() {
	now := t.manner&mannerTidy != 0 && t.touches%32 == 0
	if now || t.blocks.loose() {
		t.compact()
	}
	if now || t.evidence.full(t.options.Details == nil) {
		t.stats.ShedEvidence += t.evidence.sweep(t.evidenceInUse())
	}
}

// compact moves all blocks together.
func (t *Tracker) compact() {
	old := t.blocks
	t.blocks = blocks{}
	for n := range t.table.each {
		s := t.table.at(n)
		b := old.bytes(s.block)
		at, to := t.blocks.alloc(len(b))
		copy(to, b)
		s.block = at
		if x := s.live & slotLive; x != 0 {
			t.live[x-1].key = t.keyOf(t.head(n))
		}
	}
}

// evidenceInUse lists the evidence of all progresses that may have some in memory, in order.
func (t *Tracker) evidenceInUse() (used []evidence) {
	take := func(x evidence) { used = append(used, x) }
	if t.options.Details == nil {
		for n := range t.table.each {
			t.evidenceOf(n, take)
		}
	} else { // that of the others is stored
		for _, d := range t.dirty {
			if t.table.at(d.slot).live&slotDirty != 0 {
				t.evidenceOf(d.slot, take)
			}
		}
	}
	slices.Sort(used)
	return slices.Compact(used)
}

// evidenceOf calls fn with the evidence of a progress.
func (t *Tracker) evidenceOf(n uint32, fn func(evidence)) {
	s := t.table.at(n)
	var p *progress
	if s.live&slotLive != 0 {
		if p = t.rouse(n); !p.asleep {
			p.eachEvidence(fn)
			return
		}
		for _, k := range p.pending {
			if k.text != 0 {
				fn(k.text)
			}
		}
	}
	h := t.head(n)
	_, body := openFacts(h.rest)
	if r := (reader{b: body, version: snapshotVersion}); h.refresh == nil && r.eachEvidence(fn) {
		return
	}
	x := &t.looked
	x.plan, x.key = t.numbers[h.plan], t.keyOf(h)
	t.unpack(x, n)
	x.eachEvidence(fn)
}

// eachEvidence calls fn with everything that p may show.
func (p *progress) eachEvidence(fn func(evidence)) {
	some := func(n evidence) {
		if n != 0 {
			fn(n)
		}
	}
	ofEpisode := func(e *episode) {
		for i := range e.met {
			some(e.met[i].first)
			some(e.met[i].second)
			some(e.met[i].latest)
		}
	}
	f := &p.settled
	if f.open != nil {
		ofEpisode(f.open)
	}
	for i := range f.windows {
		for j := range f.windows[i].items {
			some(f.windows[i].items[j].text)
		}
	}
	for i := range f.deferred {
		some(f.deferred[i].text)
	}
	for i := range f.holds {
		some(f.holds[i].step.text)
	}
	if f.frame != nil {
		f.frame.eachEvidence(some)
	}
	for i := range p.told {
		ofEpisode(p.told[i].episode)
	}
	for _, k := range p.pending {
		some(k.text)
	}
}
