package matcher

import (
	"slices"
	"sync/atomic"

	"github.com/forewarn/forewarn/signatures"
)

// additions are what came to a program after its indexes were built.
type additions struct {
	from     int // entries from here on
	byDigest digestTable
	values   []fieldAnchor // what the added part of the field index was built of
	absent   []fieldAnchor
	words    []addedWord
	older    int          // how many of them are in the first index
	text     [2]textIndex // of the older and the newer words, so that one more word is cheap however many there are
}

// addedWord is a literal that anchors an added condition.
type addedWord struct {
	anchor anchor
	cond   uint32
	gated  bool
}

// With returns a program with other signatures: without those whose short digests are in remove, and with those in add. It takes about a
// millisecond however large the program is, because it shares its tables: they are extended, what is removed is marked, and only
// the indexes of what was added since the last [Compile] are built anew. p stays what it was and may be in use.
//
// It refuses what Compile refuses. A signature that it adds under the id of another one replaces that only when the other one is removed. What was
// added costs a little more memory and time than what was compiled: after some thousands, see [Program.Drift], compile anew.
//
// A program whose bodies are elsewhere needs those of add there too.
func (p *Program) With(add []*signatures.Signature, remove []uint64) (*Program, []signatures.Problem) {
	n := *p
	n.gone = slices.Clone(p.gone)
	for _, digest := range remove {
		if at, ok := n.find(digest); ok {
			n.remove(at)
		}
	}
	if len(add) == 0 {
		return &n, nil
	}
	if p.grown.CompareAndSwap(false, true) {
		n.grown = new(atomic.Bool)
	} else {
		n.fork()
	}
	n.keys, n.disarmed = slices.Clip(n.keys), slices.Clone(n.disarmed) // few, and so copied
	if n.rare == nil {
		n.rare = newSketch(nil)
	}
	b := newBuilder(&n, n.rare)
	b.ids, b.taken = n.known(add)
	b.fields = fieldIndexer{keys: n.fields.keys, values: slices.Clip(n.added.values), absent: slices.Clip(n.added.absent)}
	b.added = &n.added
	n.added.words = slices.Clip(n.added.words)
	problems := b.addAll(add)
	b.fileShort()
	b.finish()
	n.added.byDigest = newDigestTable(n.entries, n.added.from)
	n.fields.added, n.fields.keys = b.fields.part(), b.fields.keys
	n.added.values, n.added.absent = b.fields.values, b.fields.absent
	n.added.index(b)
	n.plan()
	return &n, problems
}

// Drift returns how many signatures were added and removed since the program was compiled.
func (p *Program) Drift() int {
	added := len(p.entries) - p.added.from
	return added + len(p.entries) - p.live
}

// remove marks an entry as taken out.
func (p *Program) remove(n uint32) {
	for uint32(len(p.gone)) <= n/64 {
		p.gone = append(p.gone, 0)
	}
	p.gone[n/64] |= 1 << (n % 64)
	p.sum.remove(p.entries[n].digest)
	p.live--
}

// known returns the ids and short digests of signatures in the program that those to be added could clash with.
func (p *Program) known(add []*signatures.Signature) (ids map[string]bool, taken map[uint64]bool) {
	ids, taken = make(map[string]bool, len(add)), map[uint64]bool{}
	hashes := make(map[uint64]string, len(add))
	for _, s := range add {
		hashes[hashID(s.ID)] = s.ID
	}
	for i := range p.entries {
		e := &p.entries[i]
		if id, ok := hashes[e.id]; ok && !p.removed(uint32(i)) {
			ids[id] = true
			taken[e.short()] = true
		}
	}
	return ids, taken
}

// fork copies the tables, because another program has extended them.
func (p *Program) fork() {
	t := &p.tests
	t.nodes, t.bytes, t.words, t.literals = slices.Clone(t.nodes), slices.Clone(t.bytes), slices.Clone(t.words), slices.Clone(t.literals)
	t.matchers, t.lists, t.limits, t.fields = slices.Clone(t.matchers), slices.Clone(t.lists), slices.Clone(t.limits), slices.Clone(t.fields)
	t.regexes, t.cels, t.jqs = t.regexes.fork(), t.cels.fork(), t.jqs.fork()
	p.conditions, p.entries, p.recipes = slices.Clone(p.conditions), slices.Clone(p.entries), slices.Clone(p.recipes)
	p.own = slices.Clone(p.own)
	patterns := *p.patterns
	patterns.steps, patterns.patterns = slices.Clip(patterns.steps), slices.Clip(patterns.patterns)
	p.patterns = &patterns
	p.grown = new(atomic.Bool)
}

// maxNewer is how many words are filed anew with each addition; those before them are when there are more.
const maxNewer = 64

// index builds the indexes of the words that were added.
func (a *additions) index(b *builder) {
	if a.words = slices.Clip(a.words); len(a.words)-a.older > maxNewer {
		a.older = len(a.words)
		a.text[0] = indexWords(b, a.words)
	}
	a.text[1] = indexWords(b, a.words[a.older:])
}

func indexWords(b *builder, words []addedWord) textIndex {
	texts := textIndexer{keep: true, off: b.program.options.off}
	for i := range words {
		texts.add(&words[i].anchor, words[i].cond, words[i].gated)
	}
	return texts.index(b.rare)
}

// addText files a condition under a literal, and returns the number of the tier that it is in.
func (b *builder) addText(a *anchor, cond uint32, gated bool) uint32 {
	if b.added != nil {
		b.added.words = append(b.added.words, addedWord{*a, cond, gated})
		return uint32(b.texts.tierOf(a.value))
	}
	return uint32(b.texts.add(a, cond, gated))
}

// addPatterns files a condition under expressions. The first that are added to a program in use need an index of their own: scratches see
// by it that they need other automata.
func (b *builder) addPatterns(texts []string, p pattern) bool {
	if b.added != nil && !b.ownPatterns {
		c := *b.program.patterns
		b.program.patterns, b.ownPatterns = &c, true
	}
	return b.program.patterns.add(texts, p)
}
