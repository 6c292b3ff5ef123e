package matcher

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Program is the compiled form of a set of signatures. It is immutable: any number of goroutines may scan with it at the same
// time, each with a [Scratch] of its own.
//
// It holds what scanning and tracking need, in flat tables; see [tests]. What is only told to people is in the signatures' bodies, which a
// program that was loaded, or given away by [Program.WithBodies], does not keep.
type Program struct {
	tests
	conditions []condition // those of one signature lie together
	entries    []row       // the signatures
	recipes    []byte      // what the tracker needs of each: see recipe
	keys       []keyShape  // few, because most signatures correlate by the same things
	byDigest   digestTable
	gone       []uint64 // a bit for each entry that was taken out; nil while none was
	live       int      // the entries that were not
	sum        digestSum
	disarmed   []string

	fields   fieldIndex
	text     textIndex
	patterns *patternIndex
	added    additions // what was added since the indexes were built
	passes   []textPass
	rare     *sketch // what was learned of texts when it was compiled; nil when it was loaded

	options CompileOptions // without the sample
	bodies  Bodies
	own     []*signatures.Signature // by entry, while the program keeps them itself

	// grown is set once the tables were extended in place; who comes second copies them. Programs of the same tables share it.
	grown *atomic.Bool
}

// Bodies gives whole signatures by their digests in hex, and says whether there is one. A store is one.
type Bodies interface {
	Signature(digest string) (*signatures.Signature, bool, error)
}

// condition is the condition of one role of one signature.
type condition struct {
	signature uint32
	met       uint32 // the node that says that it is on
	ended     uint32 // the node that says that it is off; none when it can't be
	role      uint8
	_         [3]uint8
}

// row is one signature.
type row struct {
	digest [32]byte
	id     uint64 // the hash of its id
	recipe uint32 // where it begins
	key    uint32
}

// short is the short digest, which hits carry.
func (e *row) short() uint64 { return binary.BigEndian.Uint64(e.digest[:8]) }

// keyShape is what a signature correlates by.
type keyShape struct {
	words  []string // as the author wrote them
	parts  []KeyPart
	stream bool // it falls back to the stream in any case
}

func newKeyShape(words []string) keyShape {
	parts := KeyParts(words)
	return keyShape{words: words, parts: parts, stream: len(parts) == 0 || slices.Contains(words, "stream")}
}

// CompileOptions say what is known of the place where a program will run. The zero value knows nothing, which disarms nothing.
type CompileOptions struct {
	// KubernetesVersion is the cluster's version, such as v1.31.2.
	KubernetesVersion string
	// Components are the versions of the software in it, by service.name.
	Components map[string]string
	// Facts are other attributes that are known of the cluster.
	Facts map[string]string
	// Sample is some text such as the program will scan, a megabyte or so. It makes the choice of what to look for
	// better and the scan faster; it never changes a result.
	Sample []byte

	off switches // for tests
}

// switches turn parts of the scan off, which never changes a result.
type switches uint8

const (
	offLong   switches = 1 << iota // long literals are looked for as short ones are
	offMarks                       // what tells the literals of a run apart is not looked at
	offVector                      // no vector instructions
	offLazy                        // package regexp alone confirms expressions
	offProof                       // what the index found is tested again
	offSets                        // the automaton of a component's expressions is run over all texts
	allOff    switches = 1<<iota - 1
)

// Lookup returns the signature with this short digest, or nil. Hits carry it. It is made anew each time: keep it.
func (p *Program) Lookup(digest uint64) *Compiled {
	if n, ok := p.find(digest); ok {
		return p.compiled(n)
	}
	return nil
}

// find returns the number of the entry with a short digest.
func (p *Program) find(digest uint64) (uint32, bool) {
	if n, ok := p.byDigest.find(p.entries, digest, p.removed); ok {
		return n, true
	}
	return p.added.byDigest.find(p.entries, digest, p.removed)
}

// Contains reports whether a signature with this short digest is in the program.
func (p *Program) Contains(digest uint64) bool {
	_, ok := p.find(digest)
	return ok
}

// Digests yields the short digests of all signatures.
func (p *Program) Digests() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for i := range p.entries {
			if !p.removed(uint32(i)) && !yield(p.entries[i].short()) {
				return
			}
		}
	}
}

// removed reports whether an entry was taken out.
func (p *Program) removed(n uint32) bool {
	return n/64 < uint32(len(p.gone)) && p.gone[n/64]>>(n%64)&1 != 0
}

// Signatures returns the signatures of the program, in the order in which they were compiled. The caller owns the slice.
func (p *Program) Signatures() []*Compiled {
	list := make([]*Compiled, 0, p.live)
	for n := range uint32(len(p.entries)) {
		if !p.removed(n) {
			list = append(list, p.compiled(n))
		}
	}
	return list
}

// Disarmed returns the ids of those signatures that do not apply to what is known, and are not in the program.
func (p *Program) Disarmed() []string { return slices.Clone(p.disarmed) }

// Len returns the number of signatures in the program.
func (p *Program) Len() int { return p.live }

// Digest is the same for programs of the same signatures, whatever their order and however they were put together: 32 bytes in hex.
func (p *Program) Digest() string { return p.sum.text(p.live) }

// Has reports whether there is a signature with this id.
func (p *Program) Has(id string) bool {
	_, ok := p.byID(id)
	return ok
}

// byID returns the number of the signature with this id.
func (p *Program) byID(id string) (uint32, bool) {
	h := hashID(id)
	for i := range p.entries {
		n := uint32(i)
		if p.entries[i].id == h && !p.removed(n) {
			if c := p.compiled(n); c != nil && c.Signature.ID == id {
				return n, true
			}
		}
	}
	return 0, false
}

// WithBodies returns the program with another source of bodies, and does not keep its own any more.
func (p *Program) WithBodies(b Bodies) *Program {
	c := *p
	c.bodies, c.own = b, nil
	return &c
}

// Body returns the whole signature with this short digest, from where the program has its bodies.
func (p *Program) Body(digest uint64) (*signatures.Signature, error) {
	n, ok := p.find(digest)
	switch {
	case !ok:
		return nil, fmt.Errorf("signature %016x is not in the program", digest)
	case p.own != nil:
		return p.own[n], nil
	case p.bodies == nil:
		return nil, fmt.Errorf("the program was loaded without the body of signature %016x", digest)
	}
	text := hex.EncodeToString(p.entries[n].digest[:])
	s, ok, err := p.bodies.Signature(text)
	if err == nil && !ok {
		err = fmt.Errorf("the body of signature %s is missing", text)
	}
	return s, err
}

// texts are the indexes of literals.
func (p *Program) texts() [textParts]*textIndex {
	return [...]*textIndex{&p.text, &p.added.text[0], &p.added.text[1]}
}

// plan makes what follows from the indexes of literals.
func (p *Program) plan() {
	p.passes = passesOf(p.texts())
	for i := range p.passes {
		if t := &p.passes[i]; p.options.off&offVector != 0 {
			t.teddy = nil
		} else {
			t.gather = t.stride == 4 && gathersPay()
		}
	}
}

// ScanStats count what scans did, since the scratch was made. They are the caller's to read between scans.
type ScanStats struct {
	Batches    uint64
	Records    uint64
	Bytes      uint64 // of text
	Candidates uint64 // conditions that were looked at in full
	Hits       uint64
	Regexes    uint64 // regular expressions that were run
	CEL        uint64 // CEL expressions that were evaluated
	CELErrors  uint64 // those of them that failed or were too dear, and jq programs that were too dear; the condition is then not met
	JQ         uint64 // jq programs that were run
}

// Scratch is the memory of one goroutine's scans. The zero Scratch is ready for use with any program; it grows to what the
// batches need and is then reused.
type Scratch struct {
	Stats ScanStats

	program    *Program
	hits       []Hit
	keys       []byte
	candidates []uint64 // record<<32 | condition
	text       textScan
	setConds   []uint32 // the conditions of all attribute sets, one set after the other
	setEnds    []uint32
	gates      uint8 // which tiers of the text's index some record of the batch needs
	patterns   patternScan
	regexes    scratchRegexes

	needPatterns bool // some record of the batch does
	lowered      []byte
	unescaped    []byte
	line         []byte
	record       record.Record
}

// NewScratch returns a scratch with memory for scans with p.
func NewScratch(p *Program) *Scratch {
	s := &Scratch{}
	s.prepare(p)
	return s
}

// prepare makes s fit for p.
func (s *Scratch) prepare(p *Program) {
	if s.program == p {
		return
	}
	s.program = p
	s.text.base = 1
	for i, x := range p.texts() {
		s.text.seen[i] = fresh(s.text.seen[i], len(x.words))
	}
	s.patterns.prepare(p.patterns)
	clear(s.patterns.seen)
}

// fresh returns a slice of n zeros, in the memory of s if there is enough.
func fresh(s []uint64, n int) []uint64 {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}
