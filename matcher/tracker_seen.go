package matcher

// seenSegment is how many ids are stored together.
const seenSegment = 1024

// maxSeen is how many ids there can be: then the index is as large as an entry can say.
const maxSeen = 1 << (seenFar - 1)

// seenIDs remembers the newest hits by the hash of their record id, signature and key, in a ring. The ring is stored in
// segments, so that a commit writes only the end of it. The index finds their places: open addressing with linear probing, and never
// more than half full.
//
// Most ids that are looked for are new, and a look at the ring would cost as much as all else. So an entry says more than a place:
// above it what there is room for of the id, and in the upper bits how far it lies from its home, up to farthest.
type seenIDs struct {
	bound  int
	ring   []uint64
	next   uint64       // how many were ever added; the newest is at (next-1) % bound
	index  []uint32     // places in the ring, from 1
	bits   int          // of len(index)
	dirty  map[int]bool // segments that changed
	soiled int          // the last of them that was noted, or -1
}

const (
	seenFar  = 28 // the first bit of how far an entry lies from its home
	farthest = 1<<(32-seenFar) - 1
)

func newSeenIDs(bound int) *seenIDs {
	s := &seenIDs{bound: bound, dirty: map[int]bool{}, soiled: -1}
	s.size(8)
	return s
}

func (s *seenIDs) size(bits int) { s.index, s.bits = make([]uint32, 1<<bits), bits }

// home is where the search for an id begins. An id is a product, whose upper bits are the mixed ones.
func (s *seenIDs) home(id uint64) uint32 { return uint32(id >> (64 - s.bits)) }

// about is what an entry says of an id at an offset from its home, beside its place.
func (s *seenIDs) about(id uint64, far uint32) uint32 {
	return min(far, farthest)<<seenFar | uint32(id<<s.bits>>(64-seenFar+s.bits))<<s.bits
}

// find returns the entry of an id, or the free one where it belongs, and how far that is from its home.
func (s *seenIDs) find(id uint64) (entry, far uint32, found bool) {
	mask := uint32(len(s.index) - 1)
	for home := s.home(id); ; far++ {
		entry = (home + far) & mask
		x := s.index[entry]
		if x == 0 {
			return entry, far, false
		}
		if x&^mask == s.about(id, far) && s.ring[x&mask-1] == id {
			return entry, far, true
		}
	}
}

// add reports whether id is new, and whether an old one was forgotten for it.
func (s *seenIDs) add(id uint64) (added, forgot bool) {
	if _, _, repeat := s.find(id); repeat {
		return false, false
	}
	at := int(s.next % uint64(s.bound))
	if at < len(s.ring) {
		s.forget(at)
		s.ring[at] = id
		forgot = true
	} else {
		if len(s.ring) == cap(s.ring) {
			s.ring = append(make([]uint64, 0, min(max(2*len(s.ring), seenSegment), s.bound)), s.ring...)
		}
		s.ring = append(s.ring, id)
	}
	s.enter(at)
	s.next++
	if segment := at / seenSegment; segment != s.soiled {
		s.dirty[segment], s.soiled = true, segment
	}
	return true, forgot
}

// enter makes the id at a place of the ring to be found. Of an id that is there twice one place is.
func (s *seenIDs) enter(at int) {
	if 2*len(s.ring) > len(s.index) {
		s.grow()
	}
	id := s.ring[at]
	if entry, far, found := s.find(id); !found {
		s.index[entry] = s.about(id, far) | uint32(at+1)
	}
}

// grow makes the index fit the ring.
func (s *seenIDs) grow() {
	old, mask := s.index, uint32(len(s.index)-1)
	bits := s.bits
	for 2*len(s.ring) > 1<<bits {
		bits++
	}
	s.size(bits)
	for _, x := range old {
		if x != 0 {
			s.enter(int(x&mask - 1))
		}
	}
}

// forget takes the id at a place of the ring out of the index.
func (s *seenIDs) forget(at int) {
	mask := uint32(len(s.index) - 1)
	hole, _, found := s.find(s.ring[at])
	if !found || s.index[hole]&mask != uint32(at+1) { // a gap, or an id that is twice in what was restored
		return
	}
	for i := hole; ; { // what was pushed on by this entry moves back
		i = (i + 1) & mask
		x := s.index[i]
		if x == 0 {
			s.index[hole] = 0
			return
		}
		far := x >> seenFar
		if far == farthest { // or more
			far = (i - s.home(s.ring[x&mask-1])) & mask
		}
		if by := (i - hole) & mask; far >= by {
			s.index[hole] = x&(1<<seenFar-1) | min(far-by, farthest)<<seenFar
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
	s.enter(at)
}

// segment returns the ids of a segment.
func (s *seenIDs) segment(i int) []uint64 {
	from := i * seenSegment
	return s.ring[from:min(from+seenSegment, len(s.ring))]
}
