package matcher

import "math/bits"

// seenSegment is how many ids are stored together.
const seenSegment = 1024

// seenIDs remembers the newest hits by the hash of their record id, signature and key, in a ring. The ring is stored in
// segments, so that a commit writes only the end of it. The index finds their places: open addressing with linear probing.
type seenIDs struct {
	bound  int
	ring   []uint64
	next   uint64       // how many were ever added; the newest is at (next-1) % bound
	index  []uint32     // places in the ring, from 1
	used   int          // entries of the index
	dirty  map[int]bool // segments that changed
	soiled int          // the last of them that was noted, or -1
}

func newSeenIDs(bound int) *seenIDs {
	return &seenIDs{bound: bound, index: make([]uint32, 1<<8), dirty: map[int]bool{}, soiled: -1}
}

// home is where the search for an id begins. An id is a product, whose upper bits are the mixed ones.
func (s *seenIDs) home(id uint64) int { return int(id >> (64 - bits.Len(uint(len(s.index)-1)))) }

// place finds the entry of an id, or the free one where it belongs.
func (s *seenIDs) place(id uint64) (entry int, found bool) {
	mask := len(s.index) - 1
	for i := s.home(id); ; i = (i + 1) & mask {
		x := s.index[i]
		if x == 0 {
			return i, false
		}
		if s.ring[x-1] == id {
			return i, true
		}
	}
}

// add reports whether id is new, and whether an old one was forgotten for it.
func (s *seenIDs) add(id uint64) (added, forgot bool) {
	entry, repeat := s.place(id)
	if repeat {
		return false, false
	}
	at := int(s.next % uint64(s.bound))
	if at < len(s.ring) {
		s.forget(at)
		entry, _ = s.place(id)
		s.ring[at] = id
		forgot = true
	} else {
		if len(s.ring) == cap(s.ring) {
			s.ring = append(make([]uint64, 0, min(max(2*len(s.ring), seenSegment), s.bound)), s.ring...)
		}
		s.ring = append(s.ring, id)
	}
	s.enter(entry, at)
	s.next++
	if segment := at / seenSegment; segment != s.soiled {
		s.dirty[segment], s.soiled = true, segment
	}
	return true, forgot
}

func (s *seenIDs) enter(entry, at int) {
	s.index[entry] = uint32(at + 1)
	if s.used++; s.used*4 <= len(s.index)*3 {
		return
	}
	old := s.index
	s.index = make([]uint32, 2*len(old))
	for _, x := range old {
		if x != 0 {
			entry, _ := s.place(s.ring[x-1])
			s.index[entry] = x
		}
	}
}

// forget takes the id at a place of the ring out of the index.
func (s *seenIDs) forget(at int) {
	hole, found := s.place(s.ring[at])
	if !found || s.index[hole] != uint32(at+1) { // a gap, or an id that is twice in what was restored
		return
	}
	s.used--
	mask := len(s.index) - 1
	for i := hole; ; { // what was pushed on by this entry moves back
		i = (i + 1) & mask
		x := s.index[i]
		if x == 0 {
			s.index[hole] = 0
			return
		}
		if home := s.home(s.ring[x-1]); (i-home)&mask >= (i-hole)&mask {
			s.index[hole] = x
			hole = i
		}
	}
}

// restore puts an id where it was.
func (s *seenIDs) restore(at int, id uint64) {
	if at >= len(s.ring) {
		s.ring = append(s.ring, make([]uint64, at+1-len(s.ring))...)
	}
	s.forget(at)
	s.ring[at] = id
	if entry, found := s.place(id); !found {
		s.enter(entry, at)
	}
}

// segment returns the ids of a segment.
func (s *seenIDs) segment(i int) []uint64 {
	from := i * seenSegment
	return s.ring[from:min(from+seenSegment, len(s.ring))]
}
