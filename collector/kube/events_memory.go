package kube

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// eventKey tells an event from all others: its uid's 16 bytes, or the hash of a uid that is none.
type eventKey [16]byte

func eventKeyOf(uid string) (k eventKey) {
	if len(uid) == 36 {
		digits := make([]byte, 0, 32)
		for i, c := range []byte(uid) {
			if i != 8 && i != 13 && i != 18 && i != 23 {
				digits = append(digits, c)
			}
		}
		if _, err := hex.Decode(k[:], digits); err == nil {
			return k
		}
	}
	binary.LittleEndian.PutUint64(k[:], xxhash.Sum64String(uid))
	binary.LittleEndian.PutUint64(k[8:], xxhash.Sum64String(uid+"\x00"))
	return k
}

// eventSeen is what is remembered of an event.
type eventSeen struct {
	count uint32
	last  uint32 // when it happened last, in Unix seconds: the oldest are forgotten first
	round uint32 // the list in which it was seen last; not saved
}

// eventMemory knows how often each event was counted that the server still has. Its zero value is empty and has no bound.
type eventMemory struct {
	limit int
	seen  map[eventKey]eventSeen
	round uint32
}

func (m *eventMemory) count(k eventKey) uint32 { return m.seen[k].count }

// put remembers an event, and returns how many older ones it forgot to have room.
func (m *eventMemory) put(k eventKey, count, last uint32) (forgotten []eventKey) {
	if m.seen == nil {
		m.seen = map[eventKey]eventSeen{}
	}
	if _, known := m.seen[k]; !known && m.limit > 0 && len(m.seen) >= m.limit {
		forgotten = m.oldest(max(m.limit/10, 1))
		for _, old := range forgotten {
			delete(m.seen, old)
		}
	}
	m.seen[k] = eventSeen{count, last, m.round}
	return forgotten
}

func (m *eventMemory) oldest(n int) []eventKey {
	all := make([]eventKey, 0, len(m.seen))
	for k := range m.seen {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b eventKey) int { return cmp.Compare(m.seen[a].last, m.seen[b].last) })
	return all[:min(n, len(all))]
}

// list begins a list of everything that the server has.
func (m *eventMemory) list() { m.round++ }

// listed says that the list has the event.
func (m *eventMemory) listed(k eventKey) {
	if x, ok := m.seen[k]; ok {
		x.round = m.round
		m.seen[k] = x
	}
}

// listEnd forgets what the list did not have, and returns that.
func (m *eventMemory) listEnd() (gone []eventKey) {
	for k, x := range m.seen {
		if x.round != m.round {
			gone = append(gone, k)
			delete(m.seen, k)
		}
	}
	return gone
}

// eventCount is one entry of a saved memory. A count of 0 is an event that was forgotten.
type eventCount struct {
	key         eventKey
	count, last uint32
}

const eventCountSize = 24

func (m *eventMemory) counts() []eventCount {
	all := make([]eventCount, 0, len(m.seen))
	for k, x := range m.seen {
		all = append(all, eventCount{k, x.count, x.last})
	}
	return all
}

func (m *eventMemory) apply(counts []eventCount) {
	for _, c := range counts {
		if c.count == 0 {
			delete(m.seen, c.key)
			continue
		}
		m.put(c.key, c.count, c.last)
	}
}

// eventState is what is saved: a whole memory, or what was added to a whole one since. Its form:
//
//	"fwE1" | whole: the sum of the snapshot that it follows, 0 for a snapshot | version | counts | frames | sum of all before
//
// Integers are little endian; version, counts and frames, and each frame, have their length in front.
type eventState struct {
	follows uint64 // the sum of the snapshot; 0 when this is one
	version string // everything up to this resource version was emitted; empty when a list is needed
	counts  []eventCount
	frames  [][]byte // what may have been emitted, or not
}

const eventStateMagic = "fwE1"

// appendTo appends the saved form, and returns its sum as well.
func (s *eventState) appendTo(b []byte) ([]byte, uint64) {
	start, le := len(b), binary.LittleEndian
	b = append(b, eventStateMagic...)
	b = le.AppendUint64(b, s.follows)
	b = append(le.AppendUint32(b, uint32(len(s.version))), s.version...)
	b = le.AppendUint32(b, uint32(len(s.counts)))
	for _, c := range s.counts {
		b = le.AppendUint32(le.AppendUint32(append(b, c.key[:]...), c.count), c.last)
	}
	b = le.AppendUint32(b, uint32(len(s.frames)))
	for _, f := range s.frames {
		b = append(le.AppendUint32(b, uint32(len(f))), f...)
	}
	sum := max(xxhash.Sum64(b[start:]), 1)
	return le.AppendUint64(b, sum), sum
}

var errEventState = errors.New("it is damaged")

// decode reads a saved form and returns its sum. Frames alias b.
func (s *eventState) decode(b []byte) (uint64, error) {
	le := binary.LittleEndian
	if len(b) < len(eventStateMagic)+8+4+4+4+8 || string(b[:len(eventStateMagic)]) != eventStateMagic {
		return 0, fmt.Errorf("%w: it does not begin as it should", errEventState)
	}
	sum := le.Uint64(b[len(b)-8:])
	if b = b[:len(b)-8]; max(xxhash.Sum64(b), 1) != sum {
		return 0, fmt.Errorf("%w: its sum is wrong", errEventState)
	}
	b = b[len(eventStateMagic):]
	s.follows, b = le.Uint64(b), b[8:]
	bad := false
	take := func(n, size int) []byte {
		if bad = bad || n < 0 || n > len(b)/size; bad {
			return nil
		}
		var part []byte
		part, b = b[:n*size], b[n*size:]
		return part
	}
	length := func() int {
		if part := take(4, 1); part != nil {
			return int(le.Uint32(part))
		}
		return 0
	}
	s.version = string(take(length(), 1))
	counts := take(length(), eventCountSize)
	s.counts = make([]eventCount, 0, len(counts)/eventCountSize)
	for c := range slices.Chunk(counts, eventCountSize) {
		s.counts = append(s.counts, eventCount{eventKey(c[:16]), le.Uint32(c[16:]), le.Uint32(c[20:])})
	}
	for range length() {
		if s.frames = append(s.frames, take(length(), 1)); bad {
			break
		}
	}
	if bad || len(b) > 0 {
		return 0, fmt.Errorf("%w: its lengths do not fit", errEventState)
	}
	return sum, nil
}
