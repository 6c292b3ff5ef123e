package matcher_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

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
