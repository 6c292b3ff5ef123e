package bench

import (
	"fmt"
	"hash"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// Corpus is the work that a workload makes: records in batches as they travel, and the signatures that are looked for in them.
type Corpus struct {
	Name       string
	Set        string
	Patterns   []Pattern               // of the largest set, in order; nil for signatures of the user's own
	Signatures []*signatures.Signature // likewise
	Frames     [][]byte                // wire frames, as the stream carries them
	Batches    []*record.Batch         // the frames, decoded
	Records    int
	Bytes      int     // of text, with a new line for each record
	Digest     string  // of records and signatures: other digests are other work
	Expect     *Expect // nil when nobody knows
}

// pod is who speaks in one log stream.
type pod struct {
	name, namespace, node, container string
	shape                            *Shape
}

// attrs are those of the pod's log records.
func (p *pod) attrs() record.Attrs {
	return record.NewAttrs(map[string]string{
		record.Pod: p.name, record.Namespace: p.namespace, record.Node: p.node, record.Container: p.container,
		record.Component: p.shape.Component, record.FilePath: "/var/log/pods/" + p.namespace + "_" + p.name + "/" + p.container + "/0.log",
	})
}

// podsPerNode is how many streams of log lines a collector reads at a time, and so how many sets of attributes a batch has.
const podsPerNode = 16

// makePods makes n pods, as many of each shape as its weight asks for.
func makePods(r *rand.Rand, n int, shapes []*Shape, weights []int) []pod {
	total := 0
	for _, w := range weights {
		total += w
	}
	pods := make([]pod, n)
	f := filler{Rand: r}
	for i := range pods {
		thing := things[r.IntN(len(things))]
		pods[i] = pod{
			name:      string(f.of(f.of(append([]byte(thing), '-'), hexes, 9), letters, 5)),
			namespace: "team-" + words[r.IntN(len(words))], node: fmt.Sprintf("node-%d", i/podsPerNode), container: thing,
			shape: shapes[weighted(i*7%total, weights)],
		}
	}
	return pods
}

// weighted returns which of the weights the number at, below their sum, falls on.
func weighted(at int, weights []int) int {
	for i, w := range weights {
		if at < w {
			return i
		}
		at -= w
	}
	return len(weights) - 1
}

// start is the time of the first record.
var start = time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)

// writer writes the records of a workload.
type writer struct {
	filler
	w        *Workload
	patterns []Pattern
	kinds    []record.Kind
	weights  []int
	total    int
	attrs    []record.Attrs // of the pods
	text     []byte
}

func newWriter(w *Workload, patterns []Pattern) (*writer, error) {
	shapes, weights, err := w.shapes()
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(uint64(w.Seed), 1))
	x := &writer{filler: filler{Rand: random, now: start, pods: makePods(random, w.Keys, shapes, weights)}, w: w, patterns: patterns}
	for _, k := range record.Kinds() {
		if n := w.Records[k.String()]; n > 0 {
			x.kinds, x.weights, x.total = append(x.kinds, k), append(x.weights, n), x.total+n
		}
	}
	for i := range x.pods {
		x.attrs = append(x.attrs, x.pods[i].attrs())
	}
	return x, nil
}

// nodes is how many nodes the pods are on.
func (x *writer) nodes() int { return (len(x.pods) + podsPerNode - 1) / podsPerNode }

// next makes the next record of a node. Its text is valid until the next one.
func (x *writer) next(node int) record.Record {
	on := node * podsPerNode
	at := on + x.IntN(min(podsPerNode, len(x.pods)-on))
	x.pod = &x.pods[at]
	x.now = x.now.Add(time.Duration(x.IntN(400_000)))
	r := record.Record{Kind: x.kinds[0], Time: x.now.UnixNano(), Observed: x.now.UnixNano(), Count: 1}
	if len(x.kinds) > 1 {
		r.Kind = x.kinds[weighted(x.IntN(x.total), x.weights)]
	}
	x.text = x.text[:0]
	if r.Kind == record.Log {
		r.Attrs = x.attrs[at]
		x.line()
	} else {
		x.fields(&r)
	}
	r.Text = x.text
	return r
}

// line makes the text of a log record.
func (x *writer) line() {
	shape := x.pod.shape
	carrier := func() lineTemplate { return shape.carriers[x.IntN(len(shape.carriers))] }
	switch p, chance := (*Pattern)(nil), x.Float64()*100; {
	case chance < x.w.MatchPercent:
		if p = x.planted(record.Log); p == nil {
			x.text = x.append(x.text, carrier(), x.nearMiss())
		} else if p.Whole {
			x.text = append(x.text, p.Example...)
		} else {
			x.text = x.append(x.text, carrier(), p.Example)
		}
	case chance < x.w.MatchPercent+x.w.NearMissPercent:
		x.text = x.append(x.text, carrier(), x.nearMiss())
	default:
		x.text = x.append(x.text, shape.ordinary[x.IntN(len(shape.ordinary))], "")
	}
}

// planted chooses a pattern for records of a kind: each step of the counts, from few signatures to many, gets as many, so that
// larger sets find more. It is nil when luck finds none of the kind.
func (x *writer) planted(kind record.Kind) *Pattern {
	counts := x.w.Signatures.Counts
	for range 50 {
		step := x.IntN(len(counts))
		from := 0
		if step > 0 {
			from = counts[step-1]
		}
		if p := &x.patterns[from+x.IntN(counts[step]-from)]; p.kind() == kind {
			return p
		}
	}
	return nil
}

// nearMiss is a message such as the signatures are about, that none of them is about.
func (x *writer) nearMiss() string {
	p := nearMiss(x.Uint64())
	switch x.IntN(10) {
	case 0:
		return p.camel()
	case 1, 2:
		return p.short()
	}
	return p.text(x.IntN(len(openings)))
}

// Corpus makes the workload's records and signatures.
func (w *Workload) Corpus() (*Corpus, error) {
	c := &Corpus{Name: w.Name, Set: w.Signatures.Set, Expect: w.Expect}
	if err := w.signatures(c); err != nil {
		return nil, err
	}
	x, err := newWriter(w, c.Patterns)
	if err != nil {
		return nil, err
	}
	digest := xxhash.New()
	if err := c.fill(x, digest); err != nil {
		return nil, err
	}
	for i := range c.Signatures {
		d := c.Signatures[i].Digest()
		_, _ = digest.Write(d[:])
	}
	c.Digest = fmt.Sprintf("%016x", digest.Sum64())
	if e := w.Expect; e != nil && e.Digest != c.Digest {
		return nil, fmt.Errorf("workload %s: its generator makes other work than the expected one (%s instead of %s); if that was meant, run go test ./bench -run Expected -update", w.Name, c.Digest, e.Digest)
	}
	return c, nil
}

// fill makes batches until there is as much text as the workload asks for; records without text count with their attributes. Each batch
// is of one node, in turn.
func (c *Corpus) fill(x *writer, digest hash.Hash) error {
	var b record.Builder
	var kinds uint8
	for _, k := range x.kinds {
		kinds |= 1 << k
	}
	target, made := x.w.SizeMB*1e6, 0
	for node := 0; made < target; node = (node + 1) % x.nodes() {
		if err := b.Reset(record.Header{Source: fmt.Sprintf("node-%d", node), Kinds: kinds}); err != nil {
			return fmt.Errorf("begin a batch: %w", err)
		}
		for b.Size() < x.w.BatchKB<<10 && made < target {
			r := x.next(node)
			c.Records++
			c.Bytes += len(r.Text) + 1
			made += len(r.Text) + 1
			if r.Kind != record.Log {
				made += recordSize
			}
			r.Seq, r.ID = uint64(c.Records), mix(uint64(c.Records))|1
			if err := b.Add(&r); err != nil {
				return fmt.Errorf("add record %d: %w", c.Records, err)
			}
		}
		b.SetMark(x.now.UnixNano(), false)
		if err := c.add(b.AppendTo(nil)); err != nil {
			return err
		}
		_, _ = digest.Write(c.Frames[len(c.Frames)-1])
	}
	return nil
}

// recordSize is what a record that is not a line of text counts as, in bytes of text.
const recordSize = 128

// add takes a frame.
func (c *Corpus) add(frame []byte) error {
	batch := &record.Batch{}
	if err := batch.Decode(frame); err != nil {
		return fmt.Errorf("decode a batch: %w", err)
	}
	c.Frames, c.Batches = append(c.Frames, frame), append(c.Batches, batch)
	return nil
}

// signatures makes the patterns and, of each, a signature with one stage.
func (w *Workload) signatures(c *Corpus) error {
	all, err := sets()
	if err != nil {
		return err
	}
	kind := all[w.Signatures.Set]
	for i := range w.most() {
		p := kind.make(i)
		c.Patterns = append(c.Patterns, p)
		c.Signatures = append(c.Signatures, &signatures.Signature{
			ID: fmt.Sprintf("%s-%06d", w.Signatures.Set, i), Title: "A text of the workload was seen", Severity: signatures.Medium,
			By: signatures.Key{"pod"}, Stages: []signatures.Stage{{Name: "seen", When: p.Condition()}},
			Clear: signatures.Clear{Quiet: signatures.Duration(time.Hour)},
		})
	}
	return nil
}

// Compile makes the program of the first n signatures.
func (c *Corpus) Compile(n int) (*matcher.Program, error) {
	p, problems := matcher.Compile(c.Signatures[:n], matcher.CompileOptions{Sample: c.sample()})
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s: %d of %d signatures are refused, the first of them: %w", c.Name, len(problems), n, problems[0])
	}
	return p, nil
}

// sample is the text that a program may learn from: the first megabyte.
func (c *Corpus) sample() []byte {
	const enough = 1 << 20
	var text []byte
	for _, b := range c.Batches {
		if text = append(text, b.Text()...); len(text) >= enough {
			break
		}
	}
	return slices.Clip(text)
}

// Expected returns how many hits the first n signatures have; ok is false when nobody knows.
func (c *Corpus) Expected(n int) (want Counts, ok bool) {
	if c.Expect == nil {
		return want, false
	}
	i := slices.IndexFunc(c.Expect.Of, func(x Counts) bool { return x.Signatures == n })
	if i < 0 {
		return want, false
	}
	return c.Expect.Of[i], true
}
