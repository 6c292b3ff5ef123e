package matcher

import (
	"cmp"
	"slices"
)

// candidateSlot is a progress that may be evicted, while it is not touched again.
type candidateSlot struct {
	touched uint64
	slot    uint32
}

// evictionBatch is the share of the progresses that is looked for at a time: looking at all of them costs a few milliseconds for
// a million, and so a fraction of a microsecond for each that is evicted.
const evictionBatch = 64

// evict makes room: the progress that was hit least recently goes, and its warning is closed as far as anyone can know. A hit
// makes no note of its order but a number, so the ones with the least are found when they are needed. Whatever is hit after that has a
// greater one than all of them.
func (t *Tracker) evict() {
	for {
		last := len(t.oldest) - 1
		if last < 0 {
			t.findOldest()
			continue
		}
		c := t.oldest[last]
		t.oldest = t.oldest[:last]
		if s := t.table.at(c.slot); s.block == 0 || s.touched != c.touched {
			continue
		}
		t.stats.EvictedProgress++
		p := t.rouse(c.slot)
		t.wake(p)
		t.giveUp(p, "more than the allowed number of progresses were open, and this one was heard of least recently", flawEvicted)
		return
	}
}

func (t *Tracker) findOldest() {
	all := make([]uint64, 0, t.table.count)
	for n := range t.table.each {
		all = append(all, t.table.at(n).touched)
	}
	want := len(all)/evictionBatch + 1
	bound := nthLeast(all, want-1)
	for n := range t.table.each {
		if s := t.table.at(n); s.touched <= bound {
			t.oldest = append(t.oldest, candidateSlot{s.touched, n})
		}
	}
	slices.SortFunc(t.oldest, func(a, b candidateSlot) int { return cmp.Compare(b.touched, a.touched) })
}

// nthLeast returns what would be at place n if list were sorted, and mixes list up.
func nthLeast(list []uint64, n int) uint64 {
	for lo, hi := 0, len(list)-1; ; {
		if lo >= hi {
			return list[n]
		}
		pivot := list[(lo+hi)/2]
		i, j := lo, hi
		for i <= j {
			for list[i] < pivot {
				i++
			}
			for list[j] > pivot {
				j--
			}
			if i <= j {
				list[i], list[j] = list[j], list[i]
				i++
				j--
			}
		}
		switch {
		case n <= j:
			hi = j
		case n >= i:
			lo = i
		default:
			return list[n]
		}
	}
}
