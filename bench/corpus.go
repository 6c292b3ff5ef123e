package bench

import (
	"fmt"
	"hash"
	"math/rand/v2"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Corpus is the work that a workload makes: records in batches as they travel, and the signatures that are looked for in them.
type Corpus struct {
	Patterns   []Pattern
	Signatures []*signatures.Signature
	Frames     [][]byte        // wire frames, as the stream carries them
	Batches    []*record.Batch // the frames, decoded
	Records    int
	Bytes      int    // of text, with a new line for each record
	Digest     string // of frames and signatures: other digests are other work
}

// pod is who speaks in one log stream.
type pod struct {
	name, namespace, node, container string
	shape                            *Shape
}

// attrs are those of the pod's records.
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
		at, shape := i*7%total, 0
		for at >= weights[shape] {
			at -= weights[shape]
			shape++
		}
		thing := things[r.IntN(len(things))]
		pods[i] = pod{
			name:      string(f.of(f.of(append([]byte(thing), '-'), hexes, 9), letters, 5)),
			namespace: "team-" + words[r.IntN(len(words))], node: fmt.Sprintf("node-%d", i/podsPerNode), container: thing, shape: shapes[shape],
		}
	}
	return pods
}

// start is the time of the first record.
var start = time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)

// logs writes the log records of a workload.
type logs struct {
	filler
	w        *Workload
	patterns []Pattern
	attrs    []record.Attrs
	line     []byte
	planted  int
}

// next makes the next line and returns whose it is.
func (l *logs) next(node int) (text []byte, pod int) {
	pod = (node*podsPerNode + l.IntN(podsPerNode)) % len(l.pods)
	l.filler.pod = &l.pods[pod]
	l.now = l.now.Add(time.Duration(l.IntN(400_000)))
	shape := l.filler.pod.shape
	switch x := l.Float64(); {
	case x < l.w.Matches && len(l.patterns) > 0:
		p := &l.patterns[l.IntN(len(l.patterns))]
		l.planted++
		if p.Whole {
			l.line = append(l.line[:0], p.Example...)
			break
		}
		l.line = l.append(l.line[:0], shape.carriers[l.IntN(len(shape.carriers))], p.Example)
	case x < l.w.Matches+l.w.NearMisses:
		l.line = l.append(l.line[:0], shape.carriers[l.IntN(len(shape.carriers))], l.nearMiss())
	default:
		l.line = l.append(l.line[:0], shape.ordinary[l.IntN(len(shape.ordinary))], "")
	}
	return l.line, pod
}

// nearMiss is a message as the signatures' own, that none of them is about.
func (l *logs) nearMiss() string {
	p := nearMiss(l.Uint64())
	switch l.IntN(10) {
	case 0:
		return p.camel()
	case 1, 2:
		return p.short()
	}
	return p.text(l.IntN(len(openings)))
}

// scopeBare names the components of all records in the conditions of expressions without a literal. It changes no hit, and lets them
// pass a compiler that takes such expressions of known components only.
func (c *Corpus) scopeBare(shapes []*Shape) {
	var all []string
	for _, s := range shapes {
		all = append(all, s.Component)
	}
	for i := range c.Patterns {
		if c.Patterns[i].Frame != "" {
			c.Signatures[i].Stages[0].When.Log.Component.Equals = all
		}
	}
}

// Corpus makes the workload's records and signatures.
func (w *Workload) Corpus() (*Corpus, error) {
	c := &Corpus{}
	if err := w.signatures(c); err != nil {
		return nil, err
	}
	shapes, weights, err := w.shapes()
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(w.Seed, 1))
	l := logs{filler: filler{Rand: random, now: start, pods: makePods(random, max(1, w.Keys), shapes, weights)}, w: w, patterns: c.Patterns}
	for i := range l.pods {
		l.attrs = append(l.attrs, l.pods[i].attrs())
	}
	digest := xxhash.New()
	if err := c.fill(&l, digest); err != nil {
		return nil, err
	}
	for i := range c.Patterns {
		_, _ = digest.WriteString(c.Patterns[i].Text + "\n")
	}
	c.Digest = fmt.Sprintf("%016x", digest.Sum64())
	return c, nil
}

// fill makes batches until there is as much text as the workload asks for. Each is of one node, in turn.
func (c *Corpus) fill(l *logs, digest hash.Hash) error {
	nodes := (len(l.pods) + podsPerNode - 1) / podsPerNode
	var b record.Builder
	for node := 0; c.Bytes < int(l.w.Size); node = (node + 1) % nodes {
		source := fmt.Sprintf("logs/node-%d", node)
		if err := b.Reset(record.Header{Source: source, Kinds: 1 << record.Log}); err != nil {
			return fmt.Errorf("begin a batch: %w", err)
		}
		for b.Size() < int(l.w.Batch) && c.Bytes < int(l.w.Size) {
			text, pod := l.next(node)
			c.Records++
			c.Bytes += len(text) + 1
			r := record.Record{
				Kind: record.Log, Time: l.now.UnixNano(), Observed: l.now.UnixNano(), Seq: uint64(c.Records), ID: mix(uint64(c.Records)) | 1,
				Attrs: l.attrs[pod], Text: text,
			}
			if err := b.Add(&r); err != nil {
				return fmt.Errorf("add record %d: %w", c.Records, err)
			}
		}
		b.SetMark(l.now.UnixNano(), false)
		frame := b.AppendTo(nil)
		batch := &record.Batch{}
		if err := batch.Decode(frame); err != nil {
			return fmt.Errorf("decode a batch: %w", err)
		}
		_, _ = digest.Write(batch.Text())
		c.Frames, c.Batches = append(c.Frames, frame), append(c.Batches, batch)
	}
	return nil
}

// signatures makes the patterns and, of each, a signature with one stage.
func (w *Workload) signatures(c *Corpus) error {
	kind, ok := sets()[w.Signatures.Set]
	if !ok {
		return fmt.Errorf("there is no set of signatures %q", w.Signatures.Set)
	}
	if w.Signatures.Count > kind.most {
		return fmt.Errorf("the set %s has only %d signatures, not %d", w.Signatures.Set, kind.most, w.Signatures.Count)
	}
	for i := range w.Signatures.Count {
		p := kind.make(i)
		c.Patterns = append(c.Patterns, p)
		c.Signatures = append(c.Signatures, w.signature(i, &p))
	}
	return nil
}

func (w *Workload) signature(i int, p *Pattern) *signatures.Signature {
	return &signatures.Signature{
		ID: fmt.Sprintf("%s-%06d", w.Signatures.Set, i), Title: "A text of the workload was seen", Severity: signatures.Medium,
		By: signatures.Key{"pod"}, Stages: []signatures.Stage{{Name: "seen", When: p.Condition("")}},
		Clear: signatures.Clear{Quiet: signatures.Duration(time.Hour)},
	}
}
