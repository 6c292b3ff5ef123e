package format

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/collector/record"
)

// objectState is what is remembered of an object.
type objectState struct {
	// data holds the compared fields in order of their paths, the times of their elements, and the attributes. What many objects share (paths,
	// names of nodes and workloads) is a number of names; what few share stands as it is.
	data string
	last int64  // the time of the last change
	list uint32 // the last list that had it
}

// namedLeaf is a leaf with its path.
type namedLeaf struct {
	path string
	leaf
}

// recalled is a state taken apart.
type recalled struct {
	leaves []namedLeaf
	times  []int64
	attrs  attrSet
}

// Attributes that follow from others and are left out.
const (
	uidIsID = 1 << iota
	podIsName
	podUIDIsUID
)

// sharedAttr reports whether many objects have the same value of an attribute.
func sharedAttr(key string) bool {
	switch key {
	case record.ObjectKind, record.ObjectAPI, record.Namespace, record.Node, record.WorkloadKind, record.WorkloadName:
		return true
	}
	return false
}

// remember keeps what an object is now, and when it has to be looked at again.
func (x *Objects) remember(id string, r recalled, last, due int64) {
	was, known := x.states.get(id)
	s := objectState{data: x.encode(id, r), last: last, list: x.list}
	if known {
		x.names.release(was.data)
	}
	x.states.put(id, s, x.in.Counts)
	if due != 0 {
		x.due[id] = due
	} else {
		delete(x.due, id)
	}
}

func (x *Objects) encode(id string, r recalled) string {
	b := binary.AppendUvarint(x.buf[:0], uint64(len(r.leaves)))
	times := slices.Clone(r.times)
	for _, l := range r.leaves {
		b = binary.AppendUvarint(b, uint64(x.names.retain(l.path)))
		b = appendText(b, l.value)
		if l.at > 0 && !slices.Contains(times, l.at) {
			times = append(times, l.at)
		}
	}
	slices.Sort(times)
	b = binary.AppendUvarint(b, uint64(len(times)))
	before := int64(0)
	for _, t := range times {
		b = appendSpan(b, t-before)
		before = t
	}
	kept := maps.Clone(r.attrs)
	flags := uint64(0)
	for _, f := range [...]struct {
		flag   uint64
		key, v string
	}{{uidIsID, record.ObjectUID, id}, {podIsName, record.Pod, r.attrs[record.ObjectName]}, {podUIDIsUID, record.PodUID, r.attrs[record.ObjectUID]}} {
		if f.v != "" && kept[f.key] == f.v {
			delete(kept, f.key)
			flags |= f.flag
		}
	}
	b = binary.AppendUvarint(b, flags)
	b = binary.AppendUvarint(b, uint64(len(kept)))
	for _, key := range slices.Sorted(maps.Keys(kept)) {
		b = binary.AppendUvarint(b, uint64(x.names.retain(key)))
		if sharedAttr(key) {
			b = binary.AppendUvarint(b, uint64(x.names.retain(kept[key])))
		} else {
			b = appendText(b, kept[key])
		}
	}
	x.buf = b
	return string(b)
}

// recall takes a state apart.
func (x *Objects) recall(id string, s objectState) recalled {
	r, err := decodeState(id, s.data, &x.names)
	if err != nil { // it was checked when it was stored, or loaded
		return recalled{attrs: attrSet{}}
	}
	return r
}

func decodeState(id, data string, names *names) (recalled, error) {
	d := stateReader{data: data, names: names}
	r := recalled{attrs: attrSet{}}
	n := d.length()
	r.leaves = make([]namedLeaf, 0, n)
	for range n {
		path := d.name()
		r.leaves = append(r.leaves, namedLeaf{path: path, leaf: leaf{value: d.text()}})
	}
	n = d.length()
	r.times = make([]int64, 0, n)
	before := int64(0)
	for range n {
		before += d.span()
		r.times = append(r.times, before)
	}
	flags := d.uvarint()
	for range d.length() {
		key := d.name()
		if sharedAttr(key) {
			r.attrs[key] = d.name()
		} else {
			r.attrs[key] = d.text()
		}
	}
	if flags&uidIsID != 0 {
		r.attrs[record.ObjectUID] = id
	}
	if flags&podIsName != 0 {
		r.attrs[record.Pod] = r.attrs[record.ObjectName]
	}
	if flags&podUIDIsUID != 0 {
		r.attrs[record.PodUID] = r.attrs[record.ObjectUID]
	}
	if d.bad || d.data != "" {
		return r, errBadState
	}
	return r, nil
}

var errBadState = errors.New("the state of an object is damaged")

// stateReader reads a state. What is not there is read as nothing, and noted.
type stateReader struct {
	data   string
	names  *names
	bad    bool
	adopts bool                // the names' uses are being counted
	shown  func(number uint32) // called with each number of a name
}

func (d *stateReader) uvarint() uint64 {
	v, shift := uint64(0), 0
	for i := 0; i < len(d.data) && i < binary.MaxVarintLen64; i++ {
		c := d.data[i]
		v |= uint64(c&0x7f) << shift
		if shift += 7; c < 0x80 {
			d.data = d.data[i+1:]
			return v
		}
	}
	d.data, d.bad = "", true
	return 0
}

// length reads a number of things that take a byte each at least.
func (d *stateReader) length() int {
	n := d.uvarint()
	if n > uint64(len(d.data)) {
		d.data, d.bad = "", true
		return 0
	}
	return int(n)
}

func (d *stateReader) text() string {
	n := d.length()
	s := d.data[:n]
	d.data = d.data[n:]
	return s
}

func (d *stateReader) name() string {
	n := d.uvarint()
	if n >= uint64(len(d.names.list)) || d.names.list[n].uses == 0 && !d.adopts {
		d.bad = true
		return ""
	}
	text := d.names.list[n].text
	if d.shown != nil {
		d.shown(uint32(n))
	}
	return text
}

// span reads a time that is not negative, which appendSpan wrote in seconds if it is whole seconds.
func (d *stateReader) span() int64 {
	v := d.uvarint()
	if v&1 != 0 {
		return int64(v>>1) * second
	}
	return int64(v >> 1)
}

func appendSpan(b []byte, t int64) []byte {
	if t%second == 0 {
		return binary.AppendUvarint(b, uint64(t/second)<<1|1)
	}
	return binary.AppendUvarint(b, uint64(t)<<1)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// names numbers texts that many states share, and forgets those that none uses any more.
type names struct {
	numbers map[string]uint32
	list    []sharedName
	free    []uint32
}

type sharedName struct {
	text string
	uses uint32
}

func (n *names) retain(s string) uint32 {
	if number, ok := n.numbers[s]; ok {
		n.list[number].uses++
		return number
	}
	if n.numbers == nil {
		n.numbers = map[string]uint32{}
	}
	number := uint32(len(n.list))
	if last := len(n.free) - 1; last >= 0 {
		number, n.free = n.free[last], n.free[:last]
	} else {
		n.list = append(n.list, sharedName{})
	}
	s = strings.Clone(s)
	n.list[number] = sharedName{s, 1}
	n.numbers[s] = number
	return number
}

// release lets go of the names that a state uses.
func (n *names) release(data string) {
	d := stateReader{data: data, names: n, shown: func(number uint32) {
		x := &n.list[number]
		if x.uses--; x.uses == 0 {
			delete(n.numbers, x.text)
			x.text = ""
			n.free = append(n.free, number)
		}
	}}
	d.pass()
}

// pass reads a whole state for its names.
func (d *stateReader) pass() {
	for range d.length() {
		d.name()
		d.text()
	}
	for range d.length() {
		d.span()
	}
	d.uvarint()
	for range d.length() {
		if sharedAttr(d.name()) {
			d.name()
		} else {
			d.text()
		}
	}
}
