package matcher

import (
	"encoding/binary"
	"math/bits"
)

// refresh is what hits did that refresh one rung which was reached, as most hits of an open progress do. That is a few numbers, so as long as
// nobody looks at the state they are kept behind its body, and taken in when it is decoded or stored. It is nil when there is nothing.
type refresh []byte

// What lies where in a refresh.
const (
	refreshRole   = 0
	refreshDirt   = 1  // 4 bytes: the progress's place among the dirty; it is always one of them
	refreshTime   = 5  // of the newest
	refreshWeight = 13 // of all
	refreshFirst  = 21 // the evidence of the first one,
	refreshSecond = 29 // of the second
	refreshLatest = 37 // and of the last of those after them
	refreshSize   = refreshLatest + 8
)

func (r refresh) uint32(at int) uint32     { return binary.LittleEndian.Uint32(r[at:]) }
func (r refresh) uint64(at int) uint64     { return binary.LittleEndian.Uint64(r[at:]) }
func (r refresh) set(at int, x uint64)     { binary.LittleEndian.PutUint64(r[at:], x) }
func (r refresh) evidence(at int) evidence { return evidence(r.uint64(at)) }

// eachEvidence calls fn with the evidence of a refresh.
func (r refresh) eachEvidence(fn func(evidence)) {
	if r == nil {
		return
	}
	for _, at := range [...]int{refreshFirst, refreshSecond, refreshLatest} {
		if n := r.evidence(at); n != 0 {
			fn(n)
		}
	}
}

// add takes a hit, and returns the evidence that is not needed any more.
func (r refresh) add(k *kept) (old evidence) {
	if k.time > int64(r.uint64(refreshTime)) {
		r.set(refreshTime, uint64(k.time))
	}
	r.set(refreshWeight, r.uint64(refreshWeight)+uint64(k.weight))
	switch {
	case k.text == 0:
		return 0
	case r.evidence(refreshFirst) == 0:
		r.set(refreshFirst, uint64(k.text))
	case r.evidence(refreshSecond) == 0:
		r.set(refreshSecond, uint64(k.text))
	default:
		old = r.evidence(refreshLatest)
		r.set(refreshLatest, uint64(k.text))
	}
	return old
}

// takeIn folds a refresh.
func (f *fold) takeIn(r refresh) {
	if r == nil {
		return
	}
	role, at := r[refreshRole], int64(r.uint64(refreshTime))
	f.at = max(f.at, at)
	w := &f.windows[role]
	w.last = max(w.last, at)
	for i := range f.open.met {
		if m := &f.open.met[i]; m.role == role {
			m.count += r.uint64(refreshWeight)
			r.eachEvidence(func(n evidence) { m.add(0, n) })
		}
	}
	f.see(at)
}

// refresh settles what is due of a progress that is asleep without a look at its state; false when that is not possible. No timer of it
// may be due.
func (t *Tracker) refresh(p *progress) bool {
	if !p.asleep || p.weight == noWeight {
		return false
	}
	h := t.head(p.slot)
	x, _ := openFacts(h.rest)
	n, role := p.refreshing(x, t.horizon)
	if n == 0 || h.refresh != nil && h.refresh[refreshRole] != role {
		return false
	}
	t.soil(p)
	r := h.refresh
	if r == nil {
		r = t.beginRefresh(p, role)
	}
	for _, k := range p.pending[:n] {
		if old := r.add(k); old != 0 && old < t.evidence.base {
			t.dropped = append(t.dropped, old)
		}
	}
	t.stats.Pending -= n
	t.take(p, n)
	if len(p.pending) > 0 {
		t.timers.set(p, p.pending[0].time)
		return true
	}
	t.timers.remove(p)
	t.retire(p)
	return true
}

// refreshing is how many pending hits are due, when all of these do no more than refresh one rung.
func (p *progress) refreshing(x facts, horizon int64) (n int, role byte) {
	if !x.open || x.now == loud {
		return 0, 0
	}
	var roles uint64
	for ; n < len(p.pending) && p.pending[n].time <= horizon; n++ {
		on := p.pending[n].on & p.plan.rungs
		if on == 0 {
			return 0, 0
		}
		roles |= on
	}
	if roles&(roles-1) != 0 || roles >= 1<<x.now {
		return 0, 0
	}
	return n, byte(bits.TrailingZeros64(roles))
}

// beginRefresh makes room for a refresh behind the body of p.
func (t *Tracker) beginRefresh(p *progress, role byte) refresh {
	w := &t.packed
	w.b = append(w.b[:0], t.blocks.bytes(t.table.at(p.slot).block)...)
	w.b[0] |= blockRefresh
	n := len(w.b)
	w.b = append(w.b, make([]byte, refreshSize)...)
	r := refresh(w.b[n:])
	r[refreshRole] = role
	binary.LittleEndian.PutUint32(r[refreshDirt:], uint32(p.dirt))
	r.set(refreshTime, 1<<63) // longAgo
	t.place(p, w.b)
	return t.head(p.slot).refresh
}

// takeInRefresh takes the refresh of a slot in, if it has one, and returns its progress to be looked at; dirt is its place among the dirty.
func (t *Tracker) takeInRefresh(n uint32, dirt int) *progress {
	h := t.head(n)
	if h.refresh == nil {
		return nil
	}
	x := &t.looked
	var p *progress
	if at := t.table.at(n).live & slotLive; at != 0 {
		if p = t.live[at-1]; !p.asleep {
			return nil // it was taken in, and its block is not read any more
		}
		x.pending = p.pending
	}
	x.plan, x.key, x.slot, x.dirt = t.numbers[h.plan], t.keyOf(h), n, dirt
	t.unpackBody(x, h)
	t.capture(x, h.refresh)
	x.settled.takeIn(h.refresh)
	t.store(x)
	if p != nil {
		p.key = x.key
	}
	return x
}
