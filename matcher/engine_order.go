package matcher

import "github.com/forewarn/forewarn/collector/record"

// order drops, as the reference engine of CRE rules does, what comes out of order: a record that is older than one that came before it in
// the same stream counts for no frame.
type order struct {
	newest map[string]int64 // by stream
	keys   []string         // of the attribute sets of a batch, as they are met
	key    []byte
}

// UseReferenceOrder makes the engine drop hits on frames by records that come out of order within their stream, as the reference engine of
// CRE rules does, in place of sorting them in. They are counted as disordered. It is called before the first Feed.
func (e *Engine) UseReferenceOrder() { e.order = &order{newest: map[string]int64{}} }

// filter removes from hits, which are those of b, what is out of order, and returns the rest and how many went.
func (o *order) filter(b *record.Batch, hits []Hit, p *Program) (rest []Hit, dropped uint64) {
	o.keys = o.keys[:0]
	for range b.Sets() {
		o.keys = append(o.keys, "")
	}
	var r record.Record
	next := 0
	for i := range b.Len() {
		b.Get(i, &r)
		at := b.AttrSet(i)
		if o.keys[at] == "" {
			o.key = appendStream(o.key[:0], &r, b.Header().Source)
			o.keys[at] = string(o.key)
		}
		was, known := o.newest[o.keys[at]]
		disordered := known && r.Time < was
		if !disordered {
			o.newest[o.keys[at]] = r.Time
		}
		for ; next < len(hits) && hits[next].Record.Seq == r.Seq && hits[next].Record.ID == r.ID && hits[next].Record.Time == r.Time; next++ {
			if c := p.Lookup(hits[next].Signature); disordered && c != nil && c.Frame != nil {
				dropped++
				continue
			}
			rest = append(rest, hits[next])
		}
	}
	return rest, dropped
}
