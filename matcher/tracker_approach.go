package matcher

// approached is how many hits are looked ahead at: enough that a core always waits for as many places of memory as it can, and few
// enough that all of them stay in its first cache.
const approached = 32

// approach reads what the next hits will look at, and returns their hashes. With a million progresses each of these places is
// a miss of every cache, and a hit waits for one after the other. Read for many hits at a time they come together.
func (t *Tracker) approach(hits []Hit) []uint64 {
	hashes := t.hashes[:len(hits)]
	var sum uint32
	ring := t.seen.next % uint64(t.seen.bound)
	for i := range hits {
		h := &hits[i]
		hashes[i] = progressHash(h.Signature, h.Key)
		sum += t.table.index[t.table.home(uint32(hashes[i]>>32))]
		sum += t.seen.index[t.seen.home(seenID(hashes[i], h.Record.ID))]
		if at := ring + uint64(i); at < uint64(len(t.seen.ring)) { // the one that it takes the place of
			sum += t.seen.index[t.seen.home(t.seen.ring[at])]
		}
	}
	var slots [approached]uint32
	for i, hash := range hashes {
		slots[i], _ = t.table.first(uint32(hash >> 32))
		if slots[i] != noSlot {
			sum += t.table.at(slots[i]).hash
		}
	}
	for _, n := range slots[:len(hits)] {
		if n == noSlot {
			continue
		}
		if at := t.table.at(n).block; at != 0 && at&largeBlock == 0 {
			raw := t.blocks.raw(at)
			sum += uint32(raw[0]) + uint32(raw[min(64, len(raw)-1)])
		}
	}
	t.touched = sum
	return hashes
}
