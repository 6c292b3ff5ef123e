package matcher

import (
	"maps"
	"math/bits"
	"slices"

	"github.com/forewarn/forewarn/collector/record"
)

// Hundreds of signatures may ask for the same reason or metric, and differ in the namespace, the object's kind or a label. Their conditions
// are divided by such a second attribute, and those that still have much company by a third: a value's list then says which
// attribute to look at as well, and what is found under both values together is the condition's place.

const (
	// firstDivision is the first of the numbers in a list that stand for the attribute by which some of its conditions are divided.
	firstDivision = 1<<31 | 1<<30
	// maxCrowd is how many conditions of one value are looked at one by one: a look-up costs as much as some of them.
	maxCrowd = 6
	// maxDivisions bounds how many attributes are looked at together.
	maxDivisions = 6
)

// need is an attribute that every record which meets a condition has, with one of these values, in the form in which they are hashed.
type need struct {
	key    string
	values []string
}

// needs are the attributes that a record must have to meet the condition or to end it.
func (c *clause) needs() []need {
	list := c.met.needs(nil)
	if c.ended == nil {
		return list
	}
	other := c.ended.needs(nil)
	return slices.DeleteFunc(list, func(n need) bool {
		return !slices.ContainsFunc(other, func(o need) bool { return o.key == n.key && slices.Equal(o.values, n.values) })
	})
}

func (e *expr) needs(list []need) []need {
	switch e.op {
	case opAttr:
		if len(e.match.equals) > 0 && !e.absentOK && !slices.Contains(e.match.equals, "") {
			n := need{key: e.key}
			for _, v := range e.match.equals {
				n.values = append(n.values, indexedValue(e.key, v))
			}
			list = append(list, n)
		}
	case opPath:
		list = append(list, need{record.ChangePath, []string{indexedValue(record.ChangePath, e.key)}})
	case opAll:
		for i := range e.kids {
			list = e.kids[i].needs(list)
		}
	case opKind, opValue, opText, opLine, opAny, opNot, opField, opRegex, opJQ, opCEL: // they ask for no certain attribute
	}
	return list
}

// indexedValue is the form in which a value is looked up.
func indexedValue(key, value string) string {
	if key == record.ChangePath {
		value = wildPath(value)
	}
	return lowerASCII(value)
}

// joinHash is the hash of two values together.
func joinHash(first, second uint64) uint64 {
	return (first ^ bits.RotateLeft64(second, 29)) * 0xD6E8FEB86659FD93
}

// divider files the conditions of values.
type divider struct {
	*fieldIndexer
	part  *fieldPart
	slots []fieldSlot // of all values
}

// file files the conditions and gates of a value, sorted, under its hash, dividing them by attributes that are not used yet.
func (d *divider) file(h uint64, list, used []uint32) {
	end, _ := slices.BinarySearch(list, firstGate)
	conds, more := list[:end], slices.Clone(list[end:])
	for len(conds) > maxCrowd && len(used) < maxDivisions {
		key, ok := d.best(conds, used)
		if !ok {
			break
		}
		used = append(slices.Clip(used), key)
		together := map[uint64][]uint32{}
		var rest []uint32
		for _, c := range conds {
			n := d.need(c, key)
			if n == nil {
				rest = append(rest, c)
			}
			for _, v := range n {
				both := joinHash(h, v)
				if kids := together[both]; len(kids) == 0 || kids[len(kids)-1] != c {
					together[both] = append(kids, c)
				}
			}
		}
		for _, both := range slices.Sorted(maps.Keys(together)) {
			d.file(both, together[both], used)
		}
		more = append(more, firstDivision+key)
		conds = rest
	}
	first := uint32(len(d.part.conds))
	d.part.conds = append(append(d.part.conds, conds...), more...)
	d.slots = append(d.slots, fieldSlot{h, first, uint32(len(d.part.conds))})
}

// need returns the hashes of the values that a condition needs of an attribute.
func (d *divider) need(cond, key uint32) (hashes []uint64) {
	for _, n := range d.needs[cond] {
		if n.key == key {
			return n.hashes
		}
	}
	return nil
}

// best returns the attribute that leaves the smallest crowd, if one divides the conditions at all.
func (d *divider) best(conds, used []uint32) (key uint32, ok bool) {
	type count struct {
		all, most int
		values    map[uint64]int
	}
	counts := map[uint32]*count{}
	for _, c := range conds {
		for _, n := range d.needs[c] {
			if slices.Contains(used, n.key) {
				continue
			}
			x := counts[n.key]
			if x == nil {
				x = &count{values: map[uint64]int{}}
				counts[n.key] = x
			}
			x.all++
			for _, v := range n.hashes {
				x.values[v]++
				x.most = max(x.most, x.values[v])
			}
		}
	}
	spared := max(maxCrowd, len(conds)/8) - 1
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[k].all - counts[k].most; n > spared {
			key, ok, spared = k, true, n
		}
	}
	return key, ok
}

// hashedNeed is a need as the index looks it up.
type hashedNeed struct {
	key    uint32
	hashes []uint64
}

// note remembers what else a condition needs.
func (x *fieldIndexer) note(cond uint32, needs []need) {
	if x.needs == nil {
		x.needs = map[uint32][]hashedNeed{}
	}
	list := make([]hashedNeed, 0, len(needs))
	for _, n := range needs {
		var h hashedNeed
		x.seconds, h.key = x.seconds.with(n.key)
		for _, v := range n.values {
			h.hashes = append(h.hashes, hashField(h.key, []byte(v)))
		}
		list = append(list, h)
	}
	x.needs[cond] = list
}
