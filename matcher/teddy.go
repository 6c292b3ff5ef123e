package matcher

import (
	"math/bits"
	"slices"
)

// teddy finds runs of four bytes with vector instructions: for each of four neighbouring bytes two look-ups of 16 entries, one by its lower
// half and one by its upper, say which of eight buckets of runs may have it there. It needs no memory and looks at 32 places at once, where the tables need a
// look-up for every two bytes; but each run more makes chance hits more frequent. The idea is that of Hyperscan's literal matcher of this
// name.
type teddy struct{ tables [4][2][16]byte }

const (
	teddyRun = 4
	// maxTeddy is how many runs it is used for: with more, chance hits cost more than the tables.
	maxTeddy = 48
)

// newTeddy returns a teddy for the runs of a tier, or nil where the tables are better.
func newTeddy(x *textIndex, t *tier) *teddy {
	if !hasTeddy() || t.run() != teddyRun || len(t.refs) > 4*maxTeddy {
		return nil
	}
	var runs [][teddyRun]byte
	for i := range t.refs {
		r := &t.refs[i]
		start := x.words[r.word].start + r.offset
		run := [teddyRun]byte(x.blob[start : start+teddyRun])
		for k := range run {
			run[k] |= 0x20
		}
		runs = append(runs, run)
	}
	slices.SortFunc(runs, func(a, b [teddyRun]byte) int { return slices.Compare(a[:], b[:]) })
	if runs = slices.Compact(runs); len(runs) > maxTeddy {
		return nil
	}
	var d teddy
	for i, run := range runs { // neighbours, which have much in common, share a bucket
		bucket := byte(1) << (i * 8 / len(runs))
		for k, b := range run {
			d.tables[k][0][b&15] |= bucket
			d.tables[k][1][b>>4] |= bucket
			d.tables[k][1][b>>4&^2] |= bucket // the same byte without the bit that folding sets
		}
	}
	return &d
}

// scan appends the places in [from, to) where a run may begin, and where the tables find one in what is left over at the end. to is at
// most len(text)-7.
func (d *teddy) scan(t *tier, dst []uint32, text []byte, from, to int) []uint32 {
	blocks := max(0, min(to-from, len(text)-from-3)/32)
	dst = d.positions(dst, text, from, blocks)
	return t.appendPositions(dst, text, from+32*blocks, to)
}

// appendBits appends the places whose bits are set.
func appendBits(dst []uint32, at int, set uint32) []uint32 {
	for ; set != 0; set &= set - 1 {
		dst = append(dst, uint32(at+bits.TrailingZeros32(set)))
	}
	return dst
}
