package matcher

import (
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/forewarn/forewarn/collector/record"
)

// fieldIndex finds conditions by exact attributes. It is asked once for each set of attributes of a batch, which many records
// share. It hashes values in lower case, and a chance collision only makes a candidate more.
type fieldIndex struct {
	keys   map[string]uint64  // the attributes that some condition is anchored by, with a seed for each
	values map[uint64]condSet // by hash of seed and value
	absent []absence
	conds  []uint32
}

// Numbers from firstGate on are not conditions: they say that a part of the text's index is needed, which is a tier, or from firstGroup on
// a group of patterns.
const (
	firstGate  = 1 << 31
	firstGroup = firstGate + 8
)

// condSet is a range of a list of condition numbers.
type condSet struct{ first, end uint32 }

type absence struct {
	key   string
	conds condSet
}

// appendConds appends the conditions that a record with these attributes could meet, and returns the tiers of the text's index that it
// needs, as bits. The groups of patterns that it needs are then in s.patterns.groups.
func (x *fieldIndex) appendConds(dst []uint32, a record.Attrs, s *Scratch) (conds []uint32, gates uint8) {
	start := len(dst)
	for i := range a {
		seed, ok := x.keys[a[i].Key]
		if !ok || a[i].Value == "" {
			continue
		}
		if found, ok := x.values[s.hashValue(seed, a[i].Key, a[i].Value)]; ok {
			dst = append(dst, x.conds[found.first:found.end]...)
		}
	}
	for i := range x.absent {
		if a.Value(x.absent[i].key) == "" {
			dst = append(dst, x.conds[x.absent[i].conds.first:x.absent[i].conds.end]...)
		}
	}
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

func (s *Scratch) hashValue(seed uint64, key, value string) uint64 {
	s.lowered = s.lowered[:0]
	if key == record.ChangePath {
		s.lowered = appendWildPath(s.lowered, value)
	} else {
		s.lowered = append(s.lowered, value...)
	}
	for i, c := range s.lowered {
		s.lowered[i] = lower(c)
	}
	return hashField(seed, s.lowered)
}

// hashField mixes the number of the attribute into the hash of the value, so that equal values of two attributes differ.
func hashField(seed uint64, lowered []byte) uint64 {
	return (xxhash.Sum64(lowered) ^ seed) * 0x9E3779B97F4A7C15
}

// fieldIndexer collects anchors for a fieldIndex.
type fieldIndexer struct {
	keys   map[string]uint64
	values map[uint64][]uint32
	absent map[string][]uint32
}

func (x *fieldIndexer) add(a *anchor, cond uint32) {
	if x.keys == nil {
		x.keys, x.values, x.absent = map[string]uint64{}, map[uint64][]uint32{}, map[string][]uint32{}
	}
	if a.absent {
		x.absent[a.key] = append(x.absent[a.key], cond)
		return
	}
	seed, ok := x.keys[a.key]
	if !ok {
		seed = uint64(len(x.keys)+1) * 0xD6E8FEB86659FD93
		x.keys[a.key] = seed
	}
	h := hashField(seed, []byte(lowerASCII(a.value)))
	x.values[h] = append(x.values[h], cond)
}

func (x *fieldIndexer) index() fieldIndex {
	out := fieldIndex{keys: x.keys, values: make(map[uint64]condSet, len(x.values))}
	pack := func(conds []uint32) condSet {
		first := uint32(len(out.conds))
		slices.Sort(conds)
		out.conds = append(out.conds, slices.Compact(conds)...)
		return condSet{first, uint32(len(out.conds))}
	}
	for h, conds := range x.values {
		out.values[h] = pack(conds)
	}
	for key, conds := range x.absent {
		out.absent = append(out.absent, absence{key, pack(conds)})
	}
	return out
}
