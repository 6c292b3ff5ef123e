package matcher

import "math/bits"

// progressSlot is one progress in the table: what is asked of it while nothing of it is looked at. It has no pointer, and 32 bytes.
type progressSlot struct {
	touched uint64 // the number of its last hit
	hash    uint32
	due     uint32 // the tick of the wheel that it is linked to
	prev    uint32 // in the wheel
	next    uint32
	block   block  // its key and, while it rests, its state; 0 when the slot is free
	live    uint32 // while it does not rest: its place among the live, from 1
}

// These bits of progressSlot.live say what the next Dirty has to know.
const (
	slotDirty    = 1 << 31 // it changed
	slotCaptured = 1 << 30 // what is stored of it was noted
	slotLive     = slotCaptured - 1
)

const (
	slotPage  = 4096
	noSlot    = 0 // slots are counted from 1
	leastHome = 8 // the bits of the smallest index
)

// table finds progresses by the hash of signature and key. Slots never move, so that what points to one can be a number.
//
// The index is open addressing with linear probing. An entry is a slot's number and, in the bits above it, those of the hash
// that its home does not say: most of what is not sought is passed without a look at its slot.
type table struct {
	pages []*[slotPage]progressSlot
	free  uint32 // the first free slot; they are linked by next
	used  uint32 // slots that were ever given out
	count int
	index []uint32
	bits  int // of len(index)
}

func newTable() table { return table{index: make([]uint32, 1<<leastHome), bits: leastHome} }

func (t *table) at(n uint32) *progressSlot { return &t.pages[n/slotPage][n%slotPage] }

// tag is what an entry says of a hash.
func (t *table) tag(hash uint32) uint32 { return hash << t.bits }

func (t *table) home(hash uint32) uint32 { return hash >> (32 - t.bits) }

func (t *table) number(entry uint32) uint32 { return entry & (1<<t.bits - 1) }

// first and following walk the slots that may be of this hash: noSlot after the last one.
func (t *table) first(hash uint32) (n, place uint32) { return t.from(hash, t.home(hash)) }

func (t *table) following(hash, place uint32) (n, next uint32) {
	return t.from(hash, (place+1)&uint32(len(t.index)-1))
}

func (t *table) from(hash, place uint32) (n, at uint32) {
	mask, tag := uint32(len(t.index)-1), t.tag(hash)
	for {
		e := t.index[place]
		if e == 0 {
			return noSlot, place
		}
		if e&^mask == tag {
			return e & mask, place
		}
		place = (place + 1) & mask
	}
}

// add gives out a slot.
func (t *table) add(hash uint32) uint32 {
	if (t.count+1)*4 > len(t.index)*3 {
		t.grow()
	}
	n := t.free
	if n != noSlot {
		t.free = t.at(n).next
	} else {
		t.used++
		n = t.used
		if int(n/slotPage) >= len(t.pages) {
			t.pages = append(t.pages, new([slotPage]progressSlot))
		}
	}
	*t.at(n) = progressSlot{hash: hash}
	t.count++
	t.enter(n, hash)
	return n
}

func (t *table) enter(n, hash uint32) {
	mask := uint32(len(t.index) - 1)
	place := t.home(hash)
	for t.index[place] != 0 {
		place = (place + 1) & mask
	}
	t.index[place] = t.tag(hash) | n
}

// grow doubles the index. A number always fits into it: there are never more slots than three quarters of its places.
func (t *table) grow() {
	t.bits++
	old := t.index
	t.index = make([]uint32, 1<<t.bits)
	mask := uint32(len(old) - 1)
	for _, e := range old {
		if e != 0 {
			t.enter(e&mask, t.at(e&mask).hash)
		}
	}
}

// drop takes a slot back.
func (t *table) drop(n uint32) {
	s := t.at(n)
	mask := uint32(len(t.index) - 1)
	place := t.home(s.hash)
	for t.number(t.index[place]) != n {
		place = (place + 1) & mask
	}
	for hole := place; ; { // what was pushed on by this entry moves back, so that no search ends early
		place = (place + 1) & mask
		e := t.index[place]
		if e == 0 {
			t.index[hole] = 0
			break
		}
		if home := t.home(t.at(t.number(e)).hash); (place-home)&mask >= (place-hole)&mask {
			t.index[hole] = e
			hole = place
		}
	}
	*s = progressSlot{next: t.free}
	t.free = n
	t.count--
}

// each yields the slots that are in use, in the order of their numbers.
func (t *table) each(yield func(uint32) bool) {
	for n := uint32(1); n <= t.used; n++ {
		if t.at(n).block != 0 && !yield(n) {
			return
		}
	}
}

// wheel holds resting progresses by the tick in which something of theirs is due, and costs nothing until then. A tick is a
// little more than a second; what lies within one is put in order by the heap of the live.
//
// Level l has a list for each value of byte l of a tick. A slot lies at the highest byte in which its tick differs from now.
// The tick of a slot may be earlier than what is due: a later due time is found when the tick comes.
type wheel struct {
	now   uint32
	heads [4][256]uint32
}

const tickBits = 30

// tickOf is the tick of a time. Those of before 1970 are 0, and those after 2106 the last.
func tickOf(t int64) uint32 {
	if t < 0 {
		return 0
	}
	return uint32(min(t>>tickBits, 1<<32-2))
}

// noTick is the tick of what is never due; the wheel does not hold it.
const noTick = 1<<32 - 1

func (w *wheel) list(tick uint32) *uint32 {
	level := (bits.Len32(tick^w.now) - 1) / 8
	return &w.heads[level][byte(tick>>(8*level))]
}

// link puts a slot at a tick after now.
func (w *wheel) link(t *table, n, tick uint32) {
	s, head := t.at(n), w.list(tick)
	s.due, s.prev, s.next = tick, 0, *head
	if *head != 0 {
		t.at(*head).prev = n
	}
	*head = n
}

// unlink takes a slot out, if it is in.
func (w *wheel) unlink(t *table, n uint32) {
	s := t.at(n)
	if s.due == 0 {
		return
	}
	if s.prev != 0 {
		t.at(s.prev).next = s.next
	} else {
		*w.list(s.due) = s.next
	}
	if s.next != 0 {
		t.at(s.next).prev = s.prev
	}
	s.due, s.prev, s.next = 0, 0, 0
}

// advance moves now on and appends the slots whose ticks have come to fired; they are not linked any more.
func (w *wheel) advance(t *table, tick uint32, fired []uint32) []uint32 {
	if tick <= w.now {
		return fired
	}
	top := (bits.Len32(tick^w.now) - 1) / 8
	from, to := int(byte(w.now>>(8*top))), int(byte(tick>>(8*top)))
	var again uint32 // of the last list some are due and some are not
	again, w.heads[top][to] = w.heads[top][to], 0
	for l := range top {
		for i := range w.heads[l] {
			fired = w.take(t, &w.heads[l][i], fired)
		}
	}
	for i := from + 1; i < to; i++ {
		fired = w.take(t, &w.heads[top][i], fired)
	}
	w.now = tick
	for n := again; n != 0; {
		s := t.at(n)
		next, due := s.next, s.due
		s.due, s.prev, s.next = 0, 0, 0
		if due <= tick {
			fired = append(fired, n)
		} else {
			w.link(t, n, due)
		}
		n = next
	}
	return fired
}

func (w *wheel) take(t *table, head *uint32, fired []uint32) []uint32 {
	for n := *head; n != 0; {
		s := t.at(n)
		fired = append(fired, n)
		n = s.next
		s.due, s.prev, s.next = 0, 0, 0
	}
	*head = 0
	return fired
}
