package matcher

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/forewarn/forewarn/collector/record"
)

// Program is the compiled form of a set of signatures. It is immutable: any number of goroutines may scan with it at the same
// time, each with a [Scratch] of its own.
type Program struct {
	signatures []*Compiled
	byDigest   map[uint64]int
	disarmed   []string
	digest     string

	conditions []condition // those of one signature lie together
	fields     fieldIndex
	text       textIndex
	patterns   patternIndex
}

// condition is the condition of one role of one signature.
type condition struct {
	signature int
	role      int
	path      string // where it is written: stages[0].when
	met       expr   // it is on
	ended     *expr  // it is off; nil when it can't be
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
}

// Lookup returns the signature with this short digest, or nil. Hits carry it.
func (p *Program) Lookup(digest uint64) *Compiled {
	if i, ok := p.byDigest[digest]; ok {
		return p.signatures[i]
	}
	return nil
}

// Signatures returns the signatures of the program, in the order in which they were compiled. The caller owns the slice.
func (p *Program) Signatures() []*Compiled { return slices.Clone(p.signatures) }

// Disarmed returns the ids of those signatures that do not apply to what is known, and are not in the program.
func (p *Program) Disarmed() []string { return slices.Clone(p.disarmed) }

// Len returns the number of signatures in the program.
func (p *Program) Len() int { return len(p.signatures) }

// Digest is the same for programs of the same signatures, whatever their order: a SHA-256 in hex.
func (p *Program) Digest() string { return p.digest }

// byID returns the number of the signature with this id, or -1.
func (p *Program) byID(id string) int {
	return slices.IndexFunc(p.signatures, func(c *Compiled) bool { return c.Signature.ID == id })
}

func digestOf(list []*Compiled) string {
	sums := make([]string, len(list))
	for i, c := range list {
		sums[i] = c.DigestText
	}
	slices.Sort(sums)
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(sums)))
	h.Write(n[:])
	for _, s := range sums {
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil))
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
	positions  []uint32
	seen       []uint64 // for each literal the last record that it was found in, counted from base
	base       uint64
	setConds   []uint32 // the conditions of all attribute sets, one set after the other
	setEnds    []uint32
	setGates   []uint8
	gates      uint8 // which parts of the text's index some record of the batch needs
	patterns   patternScan
	lowered    []byte
	unescaped  []byte
	line       []byte
	record     record.Record
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
	s.base = 1
	s.seen = slices.Grow(s.seen[:0], len(p.text.words))[:len(p.text.words)]
	clear(s.seen)
	if len(p.patterns.conds) > 0 {
		s.patterns.prepare(&p.patterns)
	}
}
