package matcher_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

func TestScanAgreesWithNaiveEvaluation(t *testing.T) {
	t.Parallel()
	eachCase(t, func(seed uint64) string {
		d := newDice(seed)
		var sigs []*signatures.Signature
		for i := range d.IntN(4) + 1 {
			sigs = append(sigs, d.scanSignature(i))
		}
		var records []sourced
		for i := range d.IntN(30) + 1 {
			records = append(records, d.scanRecord(i))
		}
		wrong := scanDiffers(sigs, records)
		if wrong == "" {
			return ""
		}
		for _, s := range sigs { // one signature and one record show most mistakes
			for _, r := range records {
				if w := scanDiffers([]*signatures.Signature{s}, []sourced{r}); w != "" {
					wrong, sigs, records = w, []*signatures.Signature{s}, []sourced{r}
				}
			}
		}
		return describe(sigs, records) + wrong
	})
}

// TestScanOfManySignaturesAgreesWithNaiveEvaluation has enough of them for values that many share, which are divided.
func TestScanOfManySignaturesAgreesWithNaiveEvaluation(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		d := newDice(seed)
		var sigs []*signatures.Signature
		for i := range 50 + d.IntN(100) {
			if d.chance(50) {
				sigs = append(sigs, d.crowdedSignature(i))
			} else {
				sigs = append(sigs, d.scanSignature(i))
			}
		}
		var records []sourced
		for i := range 100 {
			records = append(records, d.scanRecord(i))
		}
		require.Empty(t, scanDiffers(sigs, records), "seed %d", seed)
	}
}

// crowdedSignature asks for one of few reasons, metrics or paths, and for something else besides.
func (d dice) crowdedSignature(i int) *signatures.Signature {
	c := d.leaf()
	switch {
	case c.Event != nil:
		c.Event.Reason = is(pick(d, "R0", "R1"))
		c.Event.Object = &signatures.ObjectMatch{Kind: is(pick(d, "Pod", "Node"))}
	case c.Sample != nil:
		c.Sample.Metric = "m0"
	case c.Change != nil:
		c.Change.Path = pick(d, "phase", "ready[*].status", "ready[x].status")
	}
	if d.chance(70) {
		c.Attrs = map[string]signatures.Match{"k8s.node.name": d.match("n0", "n1"), "k8s.pod.name": is(pick(d, "p0", "p1"), "p2")}
	}
	s := d.scanSignature(i)
	s.Stages[0].When = c
	return s
}

func describe(sigs []*signatures.Signature, records []sourced) string {
	var b strings.Builder
	for _, s := range sigs {
		text, err := yaml.Marshal(s)
		if err != nil {
			text = []byte(err.Error())
		}
		b.Write(text)
	}
	for i := range records {
		b.Write(append(record.AppendJSON(nil, &records[i].record), '\n'))
	}
	return b.String()
}

// scanDiffers scans records in batches and compares the hits with naive evaluation.
func scanDiffers(sigs []*signatures.Signature, records []sourced) string {
	program, _ := matcher.Compile(sigs, matcher.CompileOptions{}) // what nothing can anchor is refused, and not in the program
	var want, got []string
	keys := map[string]string{} // a naive key stands for exactly one key
	for _, s := range sigs {
		if program.Lookup(s.ShortDigest()) == nil {
			continue
		}
		for i := range records {
			r := &records[i].record
			if on, off := naiveRoles(s, r); on|off != 0 {
				want = append(want, fmt.Sprintf("%s %016x on %x off %x", s.ID, r.ID, on, off))
				keys[fmt.Sprint(s.ShortDigest(), r.ID)] = keyText(naiveKey(s.By, r, records[i].source))
			}
		}
	}
	hits, wrong := scanAll(program, records)
	if wrong != "" {
		return wrong
	}
	stands, back := map[string]string{}, map[string]string{}
	for _, h := range hits {
		id := program.Lookup(h.Signature).Signature.ID
		got = append(got, fmt.Sprintf("%s %016x on %x off %x", id, h.Record.ID, h.On, h.Off))
		text, key := id+" "+keys[fmt.Sprint(h.Signature, h.Record.ID)], id+" "+string(h.Key)
		if k, known := stands[text]; known && k != key {
			return fmt.Sprintf("key %q of one %q is %q of another", text, k, key)
		}
		if k, known := back[key]; known && k != text {
			return fmt.Sprintf("key %q stands for %q and %q", key, k, text)
		}
		stands[text], back[key] = key, text
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return fmt.Sprintf("naive %s\n scan %s", strings.Join(want, "\n      "), strings.Join(got, "\n      "))
	}
	return othersDiffer(program, sigs, records, hits)
}

// scanAll puts records into one batch a source and returns copies of the hits.
func scanAll(p *matcher.Program, records []sourced) (hits []matcher.Hit, wrong string) {
	records = slices.SortedStableFunc(slices.Values(records), func(a, b sourced) int { return cmp.Compare(a.source, b.source) })
	scratch := &matcher.Scratch{}
	var b record.Builder
	for len(records) > 0 {
		if err := b.Reset(record.Header{Source: records[0].source, Kinds: all}); err != nil {
			return nil, err.Error()
		}
		n := 0
		for n < len(records) && records[n].source == records[0].source {
			if err := b.Add(&records[n].record); err != nil {
				return nil, err.Error()
			}
			n++
		}
		var batch record.Batch
		if err := batch.Decode(b.AppendTo(nil)); err != nil {
			return nil, err.Error()
		}
		for _, h := range p.Scan(&batch, scratch) {
			h.Key, h.Record = slices.Clone(h.Key), h.Record.Clone()
			hits = append(hits, h)
		}
		records = records[n:]
	}
	return hits, ""
}
