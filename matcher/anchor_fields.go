package matcher

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/forewarn/forewarn/collector/record"
)

// fieldIndex finds conditions by exact attributes. It is asked once for each set of attributes of a batch, which many records
// share. It hashes values in lower case, and a chance collision only makes a candidate more.
type fieldIndex struct {
	keys  keyTable // the attributes that some condition is anchored by
	built fieldPart
	added fieldPart // what came after built was built: see Program.With
}

// fieldPart holds the anchors of some conditions.
type fieldPart struct {
	slots  []fieldSlot // an open-addressed table by hash
	conds  []uint32
	absent []absence
}

// fieldSlot is one value of an attribute. It is free when first == end.
type fieldSlot struct {
	hash       uint64 // of the attribute's number and the value
	first, end uint32 // in conds
}

// absence is an attribute that must be missing.
type absence struct{ key, first, end uint32 }

// Numbers from firstGate on are not conditions: they say that a part of the text's index is needed, which is a tier, or from firstGroup on
// a group of patterns.
const (
	firstGate  = 1 << 31
	firstGroup = firstGate + 8
)

// condSet is a range of a list of condition numbers.
type condSet struct{ first, end uint32 }

// appendConds appends the conditions that a record with these attributes could meet, and returns the tiers of the text's index that it
// needs, as bits. The groups of patterns that it needs are then in s.patterns.groups.
func (x *fieldIndex) appendConds(dst []uint32, a record.Attrs, s *Scratch) (conds []uint32, gates uint8) {
	start := len(dst)
	for i := range a {
		key, ok := x.keys.find(a[i].Key)
		if !ok || a[i].Value == "" {
			continue
		}
		h := s.hashValue(key, a[i].Key, a[i].Value)
		dst = x.built.appendValue(dst, h)
		dst = x.added.appendValue(dst, h)
	}
	dst = x.built.appendAbsent(dst, &x.keys, a)
	dst = x.added.appendAbsent(dst, &x.keys, a)
	if len(dst)-start > 1 {
		slices.Sort(dst[start:])
		dst = dst[:start+len(slices.Compact(dst[start:]))]
	}
	s.patterns.groups = s.patterns.groups[:0]
	if s.patterns.index.everywhere > 0 {
		s.patterns.groups = append(s.patterns.groups, unscoped)
	}
	end := len(dst)
	for end > start && dst[end-1] >= firstGate {
		end--
	}
	for _, n := range dst[end:] {
		if n >= firstGroup {
			s.patterns.groups = append(s.patterns.groups, n-firstGroup)
		} else {
			gates |= 1 << (n - firstGate)
		}
	}
	return dst[:end], gates
}

func (x *fieldPart) appendValue(dst []uint32, h uint64) []uint32 {
	if len(x.slots) == 0 {
		return dst
	}
	mask := uint64(len(x.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.first == s.end {
			return dst
		}
		if s.hash == h {
			return append(dst, x.conds[s.first:s.end]...)
		}
	}
}

func (x *fieldPart) appendAbsent(dst []uint32, keys *keyTable, a record.Attrs) []uint32 {
	for i := range x.absent {
		if m := &x.absent[i]; a.Value(keys.names[m.key]) == "" {
			dst = append(dst, x.conds[m.first:m.end]...)
		}
	}
	return dst
}

func (s *Scratch) hashValue(key uint32, name, value string) uint64 {
	s.lowered = s.lowered[:0]
	if name == record.ChangePath {
		s.lowered = appendWildPath(s.lowered, value)
	} else {
		s.lowered = append(s.lowered, value...)
	}
	for i, c := range s.lowered {
		s.lowered[i] = lower(c)
	}
	return hashField(key, s.lowered)
}

// hashField mixes the number of the attribute into the hash of the value, so that equal values of two attributes differ.
func hashField(key uint32, lowered []byte) uint64 {
	return (xxhash.Sum64(lowered) ^ uint64(key+1)*0xD6E8FEB86659FD93) * mulHash
}

// keyTable numbers attributes. Each record brings ten or twenty of them, and most are none that a condition is about: so a look-up
// must be cheap, and cheapest when it fails.
type keyTable struct {
	names []string
	slots []uint32 // an open-addressed table of numbers plus 1
}

// find returns the number of an attribute.
func (t *keyTable) find(name string) (uint32, bool) {
	if len(t.slots) == 0 {
		return 0, false
	}
	mask := uint32(len(t.slots) - 1)
	for i := hashKey(name) & mask; t.slots[i] != 0; i = (i + 1) & mask {
		if n := t.slots[i] - 1; t.names[n] == name {
			return n, true
		}
	}
	return 0, false
}

// hashKey tells the attributes of a record apart by their length and last bytes, which is all that it needs to do.
func hashKey(name string) uint32 {
	n := len(name)
	if n < 4 {
		return uint32(n)
	}
	last := uint32(name[n-1]) | uint32(name[n-2])<<8 | uint32(name[n-3])<<16 | uint32(name[n-4])<<24
	h := (last + uint32(name[n/2]) + uint32(n)<<13) * 0x9E3779B1
	return h ^ h>>15
}

// with returns a table that has the name as well, and its number.
func (t *keyTable) with(name string) (keyTable, uint32) {
	if n, ok := t.find(name); ok {
		return *t, n
	}
	c := keyTable{names: append(slices.Clone(t.names), name)}
	c.fill()
	return c, uint32(len(c.names) - 1)
}

// fill makes the slots. They are many, so that an attribute that is not there mostly meets a free one.
func (t *keyTable) fill() {
	t.slots = make([]uint32, 8<<bits.Len(uint(len(t.names))))
	mask := uint32(len(t.slots) - 1)
	for n, name := range t.names {
		i := hashKey(name) & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = uint32(n + 1)
	}
}

// fieldIndexer collects anchors for a fieldPart.
type fieldIndexer struct {
	keys   keyTable
	values []fieldAnchor
	absent []fieldAnchor // by the attribute's number in place of a hash
}

// fieldAnchor files a condition, or a gate, under a hash.
type fieldAnchor struct {
	hash uint64
	cond uint32
	_    uint32
}

func (x *fieldIndexer) add(a *anchor, cond uint32) {
	var key uint32
	x.keys, key = x.keys.with(a.key)
	if a.absent {
		x.absent = append(x.absent, fieldAnchor{hash: uint64(key), cond: cond})
		return
	}
	x.values = append(x.values, fieldAnchor{hash: hashField(key, []byte(lowerASCII(a.value))), cond: cond})
}

func (x *fieldIndexer) index() fieldIndex { return fieldIndex{keys: x.keys, built: x.part()} }

// part builds the tables. It sorts what was collected.
func (x *fieldIndexer) part() (out fieldPart) {
	count := 0
	for i := range groups(x.values) {
		_ = i
		count++
	}
	if count > 0 {
		out.slots = make([]fieldSlot, 2<<bits.Len(uint(count)))
	}
	mask := uint64(len(out.slots) - 1)
	for h, list := range groups(x.values) {
		i := h & mask
		for out.slots[i].first != out.slots[i].end {
			i = (i + 1) & mask
		}
		first, end := out.pack(list)
		out.slots[i] = fieldSlot{h, first, end}
	}
	for key, list := range groups(x.absent) {
		first, end := out.pack(list)
		out.absent = append(out.absent, absence{uint32(key), first, end})
	}
	return out
}

// pack appends the conditions of a group.
func (x *fieldPart) pack(list []fieldAnchor) (first, end uint32) {
	first = uint32(len(x.conds))
	for i := range list {
		if i == 0 || list[i].cond != list[i-1].cond {
			x.conds = append(x.conds, list[i].cond)
		}
	}
	return first, uint32(len(x.conds))
}

// groups sorts the anchors and yields those of each hash.
func groups(list []fieldAnchor) func(yield func(uint64, []fieldAnchor) bool) {
	compare := func(a, b fieldAnchor) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.cond, b.cond)) }
	if !slices.IsSortedFunc(list, compare) {
		slices.SortFunc(list, compare)
	}
	return func(yield func(uint64, []fieldAnchor) bool) {
		for start := 0; start < len(list); {
			end := start + 1
			for end < len(list) && list[end].hash == list[start].hash {
				end++
			}
			if !yield(list[start].hash, list[start:end]) {
				return
			}
			start = end
		}
	}
}
