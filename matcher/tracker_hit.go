package matcher

import (
	"cmp"

	"github.com/cespare/xxhash/v2"

	"github.com/forewarn/forewarn/collector/record"
)

// streamAttr is the attribute that stands behind a key that fell back to the stream.
const streamAttr = record.FilePath

// kept is what a tracker keeps of a hit. It owns its memory and is not written again until it is forgotten.
type kept struct {
	time    int64
	seq, id uint64
	source  string
	on, off uint64
	weight  uint32
	sample  bool
	deleted bool // the object is gone, whatever the path

	value        float64
	object, path uint64   // of a change
	series       uint64   // of a sample: its labels, without the metric's name
	labels       []uint64 // of a sample that is a limit or has one
	values       []distinctValue
	text         evidence
}

// newKept copies what the fold needs of a hit.
func (t *Tracker) newKept(p *plan, h *Hit) *kept {
	r, source := &h.Record, t.name(h.Source)
	var k *kept
	if last := len(t.kept) - 1; last >= 0 {
		k, t.kept = t.kept[last], t.kept[:last]
	} else {
		k = &kept{}
	}
	*k = kept{
		time: min(max(r.Time, -latest), latest), seq: r.Seq, id: r.ID, source: source, on: h.On, off: h.Off &^ h.On,
		weight: max(r.Count, 1), sample: r.Kind == record.Sample, value: r.Value,
	}
	if (h.On|h.Off)&p.held != 0 {
		k.object, k.path = objectOf(r.Attrs), xxhash.Sum64String(r.Attrs.Value(record.ChangePath))
		k.deleted = r.Attrs.Value(record.ChangeVerb) == "deleted"
	}
	if (h.On|h.Off)&p.sampled != 0 || h.On&p.limits != 0 {
		k.series = seriesOf(r.Attrs)
		if p.limits != 0 {
			k.labels = labelsOf(r.Attrs)
		}
	}
	if h.On&p.rungs == 0 {
		return k
	}
	for role := range eachRole(h.On & p.rungs) {
		if parts := p.rung(role).Distinct; parts != nil {
			if v, whole := valueOf(parts, r.Attrs); whole {
				k.values = append(k.values, distinctValue{role, v})
			}
		}
	}
	k.text = t.evidence.add(r, source)
	return k
}

// keptSpare is how many are kept for use again.
const keptSpare = 4096

// forget lets a hit's memory be used again. Nothing holds it; what it points to may be held.
func (t *Tracker) forget(list ...*kept) {
	for _, k := range list {
		if len(t.kept) < keptSpare {
			t.kept = append(t.kept, k)
		}
	}
}

// compare is the order in which hits are folded.
func (k *kept) compare(o *kept) int {
	return cmp.Or(cmp.Compare(k.time, o.time), cmp.Compare(k.source, o.source), cmp.Compare(k.seq, o.seq), cmp.Compare(k.id, o.id))
}

// objectOf identifies the object of a change: its kind, namespace and name.
func objectOf(a record.Attrs) uint64 {
	return record.Identity(a.Value(record.ObjectKind), a.Value(record.Namespace), a.Value(record.ObjectName))
}

// seriesOf identifies a series by everything but its metric's name.
func seriesOf(a record.Attrs) uint64 {
	var d xxhash.Digest
	d.Reset()
	for i := range a {
		if a[i].Key != record.MetricName {
			hashPart(&d, a[i].Key)
			hashPart(&d, a[i].Value)
		}
	}
	return d.Sum64()
}

// labelsOf hashes each label of a series, its name into the upper half.
func labelsOf(a record.Attrs) []uint64 {
	list := make([]uint64, 0, len(a))
	for i := range a {
		if a[i].Key != record.MetricName {
			list = append(list, xxhash.Sum64String(a[i].Key)<<32|xxhash.Sum64String(a[i].Value)>>32)
		}
	}
	return list
}

// valueOf hashes the values of a `distinct`; a record that lacks one of them has no value.
func valueOf(parts []KeyPart, a record.Attrs) (hash uint64, whole bool) {
	var d xxhash.Digest
	d.Reset()
	for i := range parts {
		found := false
		for _, key := range parts[i].Attrs {
			if v := a.Value(key); v != "" {
				hashPart(&d, parts[i].Name)
				hashPart(&d, v)
				found = true
				break
			}
		}
		if !found && !parts[i].Optional {
			return 0, false
		}
	}
	return max(d.Sum64(), 1), true // 0 means that there is none
}

// hashPart adds a string, which may come in pieces, with its length, so that neighbours cannot run together.
func hashPart(d *xxhash.Digest, pieces ...string) {
	n := 0
	for _, s := range pieces {
		n += len(s)
	}
	_, _ = d.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
	for _, s := range pieces {
		_, _ = d.WriteString(s)
	}
}
