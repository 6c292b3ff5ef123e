package matcher

import (
	"slices"

	"github.com/forewarn/forewarn/signatures/literal/teddy"
)

// maxTeddy is how many runs package teddy is used for: with more, chance hits cost more than the tables.
const maxTeddy = 48

// newTeddy returns what finds the runs of a tier with vector instructions, or nil where the tables are better.
func newTeddy(x *textIndex, t *tier) *teddy.Tables {
	if !teddy.Available() || t.run() != teddy.Run || len(t.refs) > 4*maxTeddy {
		return nil
	}
	var runs [][teddy.Run]byte
	for i := range t.refs {
		r := &t.refs[i]
		start := x.words[r.word].start + r.offset
		run := [teddy.Run]byte(x.blob[start : start+teddy.Run])
		for k := range run {
			run[k] |= 0x20
		}
		runs = append(runs, run)
	}
	slices.SortFunc(runs, func(a, b [teddy.Run]byte) int { return slices.Compare(a[:], b[:]) })
	if runs = slices.Compact(runs); len(runs) > maxTeddy {
		return nil
	}
	var d teddy.Tables
	for i, run := range runs { // neighbours, which have much in common, share a bucket
		bucket := i * teddy.Buckets / len(runs)
		for k, b := range run {
			d.Add(bucket, k, b)
			d.Add(bucket, k, b&^0x20) // the same byte without the bit that folding sets
		}
	}
	return &d
}

// scanVector appends the places in [from, to) where a run may begin, and where the tables find one in what is left over at the end. to is at
// most len(text)-7.
func (t *tier) scanVector(d *teddy.Tables, dst []uint32, text []byte, from, to int) []uint32 {
	blocks := min(max(to-from, 0)/teddy.Block, teddy.Blocks(from, len(text)))
	dst = d.AppendPlaces(dst, text, from, blocks)
	return t.appendPositions(dst, text, from+teddy.Block*blocks, to, false)
}
