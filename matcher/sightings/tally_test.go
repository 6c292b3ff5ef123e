package sightings

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
)

// anyTally draws from few keys and versions, so that the same one comes in many versions, and in two that claim the same one.
func anyTally(r *rand.Rand) *Tally {
	t := &Tally{
		Origin: fmt.Sprintf("%016x", r.IntN(3)), Digest: fmt.Sprintf("%064x", r.IntN(2)), Month: fmt.Sprintf("2026-%02d", 1+r.IntN(2)), Version: uint64(r.IntN(4)),
		Kubernetes: map[string]uint64{"1.31": uint64(1 + r.IntN(2))}, Rungs: []Rung{},
	}
	for range r.IntN(4) {
		x := Rung{Averted: uint64(r.IntN(3)), Incident: uint64(r.IntN(2))}
		t.Rungs = append(t.Rungs, x)
		t.Finished += x.Averted + x.Incident
	}
	return t
}

func merged(groups ...map[Key]*Tally) map[Key]*Tally {
	all := map[Key]*Tally{}
	for _, g := range groups {
		Merge(all, slices.Collect(maps.Values(g))...)
	}
	return all
}

func encoded(t *testing.T, all map[Key]*Tally) string {
	t.Helper()
	var lines []string
	for _, x := range all {
		lines = append(lines, x.encoding())
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestMergeIsCommutativeAssociativeAndIdempotent(t *testing.T) {
	for seed := range uint64(2000) {
		r := seeded(seed)
		some := func() map[Key]*Tally {
			all := map[Key]*Tally{}
			for range r.IntN(6) {
				Merge(all, anyTally(r))
			}
			return all
		}
		a, b, c := some(), some(), some()
		require.Equal(t, encoded(t, merged(a, b)), encoded(t, merged(b, a)), "seed %d", seed)
		require.Equal(t, encoded(t, merged(merged(a, b), c)), encoded(t, merged(a, merged(b, c))), "seed %d", seed)
		require.Equal(t, encoded(t, a), encoded(t, merged(a, a)), "seed %d", seed)
		require.False(t, Merge(merged(a, b), slices.Collect(maps.Values(b))...), "seed %d: nothing new is no change", seed)
	}
}

// Three clusters count, are corrected, and exchange what they know at random, over each other, twice, and late: in the end each knows the sum, once.
func TestClustersThatExchangeAtRandomAllKnowTheSameSum(t *testing.T) {
	for seed := range uint64(200) {
		r := seeded(seed)
		var books []*Book
		for i := range 3 {
			books = append(books, &Book{origin: fmt.Sprintf("%016x", i+1)})
		}
		var wire [][]byte // everything that was ever exported
		counted, seqs := uint64(0), [3]uint64{}
		for range 60 {
			i := r.IntN(3)
			switch r.IntN(3) {
			case 0:
				w := warning(int(counted), []float64{0, 1 + 10*r.Float64()}, 0, 20)
				s, _ := Of(&w, "1.30", start)
				seqs[i]++
				books[i].take(s, seqs[i])
				counted++
			case 1:
				b := exported(t, books[i].Tallies())
				wire = append(wire, b)
			case 2:
				if len(wire) > 0 {
					all, err := Read("x", strings.NewReader(string(wire[r.IntN(len(wire))])))
					require.NoError(t, err)
					books[i].share(all...)
				}
			}
		}
		for range 2 {
			for i := range books {
				for j := range books {
					books[i].share(books[j].Tallies()...)
				}
			}
		}
		for i := range books {
			here, elsewhere := books[i].Sightings()
			require.Equal(t, counted, here+elsewhere, "seed %d", seed)
		}
		require.Equal(t, encoded(t, merged(tallies(books[0]))), encoded(t, merged(tallies(books[2]))))
	}
}

func tallies(b *Book) map[Key]*Tally {
	all := map[Key]*Tally{}
	Merge(all, b.Tallies()...)
	return all
}

// Names are planted in every text of a warning and of feedback: nothing of what is exported holds one, nor a hash that a list of names could be tried
// against.
func TestNothingExportedHoldsAPlantedName(t *testing.T) {
	const name = "planted"
	w := warning(0xfeedface, []float64{0, 3}, 7, 20)
	w.ID = "b1a4ed00b1a4ed00"
	w.Signature, w.Title, w.Impact, w.Stage, w.KeyText, w.Reason = name+"-signature", name, name, name, name+"/10.1.2.3", name
	w.Key = []record.Attr{{Key: name, Value: name}, {Key: "pod", Value: "10.1.2.3"}}
	for i := range w.Reached[:2] {
		w.Reached[i].Stage, w.Reached[i].Title = name, name
	}
	w.Evidence = []matcher.Evidence{{Text: name, Source: name, Attrs: map[string]string{name: name}, Stage: name, Kind: name}}
	w.Silent, w.References = []string{name}, []string{"https://" + name}
	for i := range w.Remedies {
		w.Remedies[i].Do, w.Remedies[i].Command = name, name
	}
	w.Forecast = &matcher.Forecast{Metric: name}
	w.Links = []matcher.Link{{Title: name, URL: name}}
	s, ok := Of(&w, "v1.31.2-"+name, start)
	require.True(t, ok)
	b := &Book{origin: "0123456789abcdef"}
	b.take(s, 1)
	for i, f := range []Feedback{{Verdict: AvertedBy, Remedy: name}, {Verdict: AvertedBy, Remedy: w.Remedies[1].Name()}, {Verdict: Acknowledged}} {
		f.Warning, f.By, f.Note, f.Time = w.ID, name, name, start
		b.hear(fmt.Sprint(i), f, uint64(i+1))
	}
	require.Len(t, b.Feedback(w.ID), 3)
	out := exported(t, b.Tallies())
	for _, never := range []string{name, "10.1.2.3", w.ID, "b1a4ed", fmt.Sprint(wordsHash(w.Remedies[0].Name())), "cart", "queue", "stage", "12:00", "2026-11-2"} {
		require.NotContains(t, string(out), never)
	}
	// Every text that is there has one of four shapes, so that no field that is added later can carry another.
	var tree any
	require.NoError(t, json.Unmarshal(out, &tree))
	eachText(tree, func(path, text string) {
		switch path {
		case ".kind":
			require.Equal(t, fileKind, text)
		case ".tallies.origin":
			require.True(t, isHex(text, originDigits))
		case ".tallies.digest":
			require.True(t, isHex(text, digestDigits))
		case ".tallies.month":
			require.Regexp(t, monthShape, text)
		default:
			t.Errorf("%s holds the text %q", path, text)
		}
	})
	require.Contains(t, string(out), `"1.31":1`, "the test looks at what is really there")
}

func eachText(tree any, do func(path, text string)) {
	var walk func(path string, x any)
	walk = func(path string, x any) {
		switch x := x.(type) {
		case string:
			do(path, x)
		case []any:
			for _, y := range x {
				walk(path, y)
			}
		case map[string]any:
			for k, y := range x {
				walk(path+"."+k, y)
			}
		}
	}
	walk("", tree)
}

func TestMinorTellsNothingButTheMinor(t *testing.T) {
	for version, want := range map[string]string{
		"v1.31.2": "1.31", "1.31": "1.31", "v1.31.2-eks-1234": "1.31", "1.28+": "1.28", "": "", "acme": "", "v1.31acme": "", "10.1.2.3": "10.1", "1.31.acme.example": "1.31",
	} {
		require.Equal(t, want, Minor(version), version)
	}
}
