package matcher_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// horizon is how far everything is settled when all of a case's marks have been given.
func (c *foldCase) horizon() int64 {
	var newest int64
	for _, l := range c.sources {
		newest = max(newest, l.mark)
	}
	watermark := int64(forever)
	for _, l := range c.sources {
		if !l.ended && l.mark >= newest-c.silentAfter {
			watermark = min(watermark, l.mark)
		}
	}
	return watermark - c.lateness
}

// keyText is the correlation key as people read it.
func keyText(key []record.Attr, r *record.Record, source string) string {
	if key == nil {
		if file := r.Attrs.Value(record.FilePath); file != "" {
			return file
		}
		if pod, container := r.Attrs.Value(record.Pod), r.Attrs.Value(record.Container); pod != "" && container != "" {
			return pod + "/" + container
		}
		return source
	}
	var values []string
	for _, a := range key {
		values = append(values, a.Value)
	}
	return strings.Join(values, "/")
}

// oracleWarnings folds a whole case: the episodes of each signature and key, as text, the untold ones last.
func oracleWarnings(c *foldCase, untold bool) map[string][]string {
	warnings := map[string][]string{}
	for _, sig := range c.signatures {
		type progress struct {
			key  []record.Attr
			seen []observation
		}
		keys := map[string]*progress{}
		for i := range c.records {
			r := &c.records[i]
			on, off := naiveRoles(sig, &r.record)
			if on|off == 0 {
				continue
			}
			key := naiveKey(sig.By, &r.record)
			text := keyText(key, &r.record, r.source)
			if keys[text] == nil {
				keys[text] = &progress{key: key}
			}
			keys[text].seen = append(keys[text].seen, observation{source: r.source, on: on, off: off, record: &r.record})
		}
		for text, p := range keys {
			for _, o := range fold(sig, p.key, p.seen, c.sources, c.horizon()) {
				if o.told || untold {
					name := sig.ID + " " + text
					warnings[name] = append(warnings[name], o.String())
				}
			}
		}
	}
	return warnings
}

func TestOracleGivesWhatWasWorkedOutByHand(t *testing.T) {
	t.Parallel()
	for _, c := range specCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, list := range oracleWarnings(c.foldCase(t), true) {
				got = append(got, list...)
			}
			require.Equal(t, c.want, got)
		})
	}
}
