package matcher

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// ProgramFormat is the number of the form in which programs are stored. It grows with every change of what the tables mean; a program
// of another number is compiled anew.
const ProgramFormat = 4

// programMark begins a stored program.
const programMark = "forewarn"

// headerSize is that of the mark, the format, and the checksum of what follows.
const headerSize = len(programMark) + 8 + 8

// AppendTo appends the program as bytes for [LoadProgram], without bodies and without what was given as options. A program that signatures
// were added to or taken from is not stored, and nothing is appended: compile it anew first.
func (p *Program) AppendTo(dst []byte) []byte {
	if p.Drift() > 0 {
		return dst
	}
	start := len(dst)
	w := flatWriter{b: append(dst, programMark...)}
	w.putNumber(ProgramFormat)
	w.putNumber(0) // the checksum
	p.appendTo(&w)
	putSlice(&w, p.conditions)
	putSlice(&w, p.entries)
	putSlice(&w, p.recipes)
	w.putNumber(uint64(len(p.keys)))
	for i := range p.keys {
		putTexts(&w, p.keys[i].words)
	}
	putSlice(&w, p.byDigest.slots)
	putTexts(&w, p.disarmed)
	p.fields.appendTo(&w)
	p.text.appendTo(&w)
	p.patterns.appendTo(&w)
	body := w.b[start+headerSize:]
	binary.LittleEndian.PutUint64(w.b[start+headerSize-8:], xxhash.Sum64(body))
	return w.b
}

// LoadProgram reads what [Program.AppendTo] wrote; bodies has the signatures that it was made of, and o what it was compiled with. The program
// does not alias b. Bytes that are damaged, or forged, are an error; a program is never half loaded.
func LoadProgram(b []byte, o CompileOptions, bodies Bodies) (*Program, error) {
	if len(b) < headerSize || string(b[:len(programMark)]) != programMark {
		return nil, fmt.Errorf("%w: it does not begin like one", errFlat)
	}
	head := b[len(programMark):]
	if format := binary.LittleEndian.Uint64(head); format != ProgramFormat {
		return nil, fmt.Errorf("the stored program has format %d, and this forewarn reads %d: it is compiled anew", format, ProgramFormat)
	}
	if binary.LittleEndian.Uint64(head[8:]) != xxhash.Sum64(b[headerSize:]) {
		return nil, fmt.Errorf("%w: its checksum differs", errFlat)
	}
	r := &flatReader{b: b[headerSize:]}
	o.Sample = nil
	p := &Program{options: o, bodies: bodies, patterns: &patternIndex{}, grown: new(atomic.Bool)}
	p.read(r)
	p.conditions, p.entries, p.recipes = getGrowing[condition](r), getGrowing[row](r), getGrowing[byte](r)
	for n := r.number(); n > 0 && r.err == nil; n-- {
		p.keys = append(p.keys, newKeyShape(getTexts(r)))
	}
	p.byDigest.slots = getSlice[uint32](r)
	p.disarmed = getTexts(r)
	p.checkEntries(r)
	p.fields.read(r, uint32(len(p.conditions)))
	p.text.read(r, uint32(len(p.conditions)))
	p.patterns.read(r, uint32(len(p.conditions)))
	r.check(len(r.b) == 0, "something follows it")
	if r.err != nil {
		return nil, r.err
	}
	p.live = len(p.entries)
	p.added.from = p.live
	p.plan()
	for i := range p.entries {
		p.sum.add(p.entries[i].digest)
	}
	return p, nil
}

func putTexts(w *flatWriter, list []string) {
	w.putNumber(uint64(len(list)))
	for _, s := range list {
		w.putText(s)
	}
}

func getTexts(r *flatReader) (list []string) {
	for n := r.number(); n > 0 && r.err == nil; n-- {
		list = append(list, r.text())
	}
	return list
}

func (t *tests) appendTo(w *flatWriter) {
	putSlice(w, t.nodes)
	putSlice(w, t.bytes)
	putSlice(w, t.words)
	putSlice(w, t.literals)
	putSlice(w, t.matchers)
	putSlice(w, t.lists)
	putSlice(w, t.limits)
	putSlice(w, t.fields)
	t.regexes.appendTo(w)
	t.cels.appendTo(w)
	t.jqs.appendTo(w)
}

func (t *tests) read(r *flatReader) {
	t.nodes, t.bytes, t.words, t.literals = getGrowing[testNode](r), getGrowing[byte](r), getGrowing[wordRef](r), getGrowing[literalRef](r)
	t.matchers, t.lists, t.limits, t.fields = getGrowing[matcher](r), getGrowing[uint32](r), getGrowing[limitPair](r), getGrowing[fieldTest](r)
	t.regexes.read(r)
	t.cels.read(r)
	t.jqs.read(r)
	if r.err == nil {
		t.check(r)
	}
}

// check looks at every number that leads from one table into another.
func (t *tests) check(r *flatReader) {
	inBytes := func(start, size uint32) bool { return uint64(start)+uint64(size) <= uint64(len(t.bytes)) }
	r.check(!slices.ContainsFunc(t.words, func(w wordRef) bool { return !inBytes(w.start, w.size) }), "a word lies outside")
	r.check(!slices.ContainsFunc(t.literals, func(l literalRef) bool { return !inBytes(l.start, l.size&^foldBit) }), "a literal lies outside")
	r.check(!slices.ContainsFunc(t.lists, func(n uint32) bool { return int(n) >= len(t.words) }), "a list has a word that is not there")
	r.check(!slices.ContainsFunc(t.matchers, func(m matcher) bool {
		all := uint64(m.first) + uint64(m.equals) + uint64(m.not) + uint64(m.contains) + uint64(m.prefix) + uint64(m.suffix)
		return all > uint64(len(t.lists)) || m.regex != none && int(m.regex) >= len(t.regexes.ends)
	}), "a match lies outside")
	r.check(!slices.ContainsFunc(t.fields, func(f fieldTest) bool {
		return int(f.name) >= len(t.words) || f.match != none && int(f.match) >= len(t.matchers) || f.limit != none && int(f.limit) >= len(t.limits)
	}), "the test of a field lies outside")
	t.checkNodes(r)
}

// maxNodeDepth is more than any condition that can be read has.
const maxNodeDepth = 200

// checkNodes follows the nodes as holds does, without its recursion: kids lie inside their parent, one behind the other.
func (t *tests) checkNodes(r *flatReader) {
	ends := make([]uint32, 0, maxNodeDepth) // of the parents
	for at := range t.nodes {
		for len(ends) > 0 && uint32(at) >= ends[len(ends)-1] {
			ends = ends[:len(ends)-1]
		}
		n := &t.nodes[at]
		within := uint32(len(t.nodes))
		if len(ends) > 0 {
			within = ends[len(ends)-1]
		}
		if n.end <= uint32(at) || n.end > within || len(ends) == maxNodeDepth || !t.soundNode(n, uint32(at)) {
			r.fail("test %d is not sound", at)
			return
		}
		ends = append(ends, n.end)
	}
}

func (t *tests) soundNode(n *testNode, at uint32) bool {
	below := func(x uint32, size int) bool { return uint64(x) < uint64(size) }
	switch n.op {
	case opKind:
		return n.kind.Valid()
	case opAttr:
		return below(n.a, len(t.words)) && below(n.b, len(t.matchers))
	case opPath:
		return below(n.a, len(t.words))
	case opValue:
		return below(n.a, len(t.limits))
	case opText:
		return n.a <= n.b && uint64(n.b) <= uint64(len(t.literals))
	case opAny, opAll, opLine:
		return true
	case opNot:
		return n.end > at+1
	case opField:
		return below(n.a, len(t.fields))
	case opRegex:
		return below(n.a, len(t.regexes.ends))
	case opJQ:
		return below(n.a, len(t.jqs.texts))
	case opCEL:
		return below(n.a, len(t.cels.texts))
	}
	return false
}

// checkEntries looks at what ties conditions and signatures together.
func (p *Program) checkEntries(r *flatReader) {
	if r.err != nil {
		return
	}
	last := uint32(0)
	for i := range p.conditions {
		c := &p.conditions[i]
		if c.signature < last || int(c.signature) >= len(p.entries) || c.role >= RoleLimit+MaxLimits ||
			int(c.met) >= len(p.nodes) || c.ended != none && int(c.ended) >= len(p.nodes) {
			r.fail("condition %d is not sound", i)
			return
		}
		last = c.signature
	}
	for i := range p.entries {
		if e := &p.entries[i]; int(e.recipe) > len(p.recipes) || int(e.key) >= len(p.keys) {
			r.fail("signature %d is not sound", i)
			return
		}
	}
	used := 0
	for _, n := range p.byDigest.slots {
		if int(n) > len(p.entries) {
			r.fail("a digest leads outside")
			return
		}
		if n != 0 {
			used++
		}
	}
	size := len(p.byDigest.slots)
	r.check(size&(size-1) == 0 && (size == 0 || used < size), "the table of digests is not sound")
}

func (x *fieldIndex) appendTo(w *flatWriter) {
	putTexts(w, x.keys.names)
	putTexts(w, x.seconds.names)
	putSlice(w, x.built.slots)
	putSlice(w, x.built.conds)
	putSlice(w, x.built.absent)
}

func (x *fieldIndex) read(r *flatReader, conditions uint32) {
	x.keys.names = getTexts(r)
	x.seconds.names = getTexts(r)
	x.keys.fill()
	p := &x.built
	p.slots, p.conds, p.absent = getSlice[fieldSlot](r), getSlice[uint32](r), getSlice[absence](r)
	inConds := func(first, end uint32) bool { return first <= end && uint64(end) <= uint64(len(p.conds)) }
	free := len(p.slots) == 0
	for i := range p.slots {
		free = free || p.slots[i].first == p.slots[i].end
		r.check(inConds(p.slots[i].first, p.slots[i].end), "a value leads outside")
	}
	size := len(p.slots)
	r.check(free && size&(size-1) == 0, "the table of values is not sound")
	r.check(!slices.ContainsFunc(p.absent, func(a absence) bool { return !inConds(a.first, a.end) || int(a.key) >= len(x.keys.names) }), "an absence leads outside")
	r.check(!slices.ContainsFunc(p.conds, func(c uint32) bool {
		return c >= conditions && c < firstGate || c >= firstDivision && int(c-firstDivision) >= len(x.seconds.names)
	}), "a value leads to no condition")
}
