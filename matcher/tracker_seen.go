package matcher

// seenSegment is how many ids are stored together.
const seenSegment = 1024

// seenIDs remembers the newest hits by the hash of their record id, signature and key, in a ring. The ring is stored in
// segments, so that a commit writes only the end of it.
type seenIDs struct {
	bound int
	ring  []uint64
	next  uint64 // how many were ever added; the newest is at (next-1) % bound
	known map[uint64]struct{}
	dirty map[int]bool // segments that changed
}

func newSeenIDs(bound int) *seenIDs {
	return &seenIDs{bound: bound, known: map[uint64]struct{}{}, dirty: map[int]bool{}}
}

// add reports whether id is new, and whether an old one was forgotten for it.
func (s *seenIDs) add(id uint64) (added, forgot bool) {
	if _, repeat := s.known[id]; repeat {
		return false, false
	}
	at := int(s.next % uint64(s.bound))
	if at < len(s.ring) {
		delete(s.known, s.ring[at])
		s.ring[at] = id
		forgot = true
	} else {
		s.ring = append(s.ring, id)
	}
	s.known[id] = struct{}{}
	s.next++
	s.dirty[at/seenSegment] = true
	return true, forgot
}

// segment returns the ids of a segment.
func (s *seenIDs) segment(i int) []uint64 {
	from := i * seenSegment
	return s.ring[from:min(from+seenSegment, len(s.ring))]
}
