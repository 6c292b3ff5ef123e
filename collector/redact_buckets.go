package collector

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/forewarn/forewarn/signatures/literal/teddy"
)

// buildRounds is how often it is tried whether a mark would be better looked for otherwise. After them nothing changes much.
const buildRounds = 5

// buildSeed chooses the order of marks; see order.
const buildSeed = 144

// build decides by which of its bytes each mark is looked for, and in which bucket, so that there are few chance hits.
func (f *filter) build(vector bool) {
	*f = filter{marks: f.marks}
	shares := byteShares()
	ways := make([][]halves, len(f.marks)) // of each mark at each place
	for i := range ways {
		m := &f.marks[i]
		ways[i] = make([]halves, max(len(m.text)-teddy.Run, 0)+1)
		for at := range ways[i] {
			ways[i][at] = m.halves(at)
		}
	}
	for round := range buildRounds {
		for _, i := range f.order() {
			if round > 0 {
				f.unplace(i)
			}
			f.place(i, ways, &shares)
		}
	}
	for b := range f.buckets {
		for _, i := range f.buckets[b] {
			m := &f.marks[i]
			for place := range teddy.Run {
				for _, c := range m.variants(m.at + place) {
					f.tables.Add(b, place, c)
				}
			}
			f.remember(m.anchor(i))
		}
	}
	if !vector {
		f.pairs = newPairs(f)
	}
}

// order returns the numbers of the marks in the order in which they are placed. Each begins where it makes fewest chance hits then, so the order decides
// how good the end is: this is the best of 2,500 that were tried on the logs that package bench makes, with 3 chance hits a kilobyte; a middling one has 6.
func (f *filter) order() []int {
	rank := make([]uint64, len(f.marks))
	order := make([]int, len(f.marks))
	for i := range f.marks {
		order[i], rank[i] = i, (xxhash.Sum64String(f.marks[i].text)^buildSeed)*0x9e3779b97f4a7c15
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank[a], rank[b]) })
	return order
}

// remember puts an anchor where compare finds it.
func (f *filter) remember(a anchor) {
	heads := []*uint16{&f.heads[headOf(a.want)]}
	if a.mask != 1<<32-1 {
		heads = heads[:0]
		for _, c := range f.marks[a.mark].variants(0) {
			heads = append(heads, &f.firsts[c])
		}
	}
	for _, head := range heads {
		f.links = append(f.links, link{a, *head})
		*head = uint16(len(f.links))
	}
}

// unplace takes a mark out of its bucket.
func (f *filter) unplace(i int) {
	for b := range f.buckets {
		if k := slices.Index(f.buckets[b], i); k >= 0 {
			f.buckets[b] = slices.Delete(f.buckets[b], k, k+1)
			return
		}
	}
}

// place puts a mark where it adds the fewest chance hits.
func (f *filter) place(i int, ways [][]halves, shares *[256]float64) {
	bucket, at, least := 0, 0, 2.0
	for b := range f.buckets {
		if (b == 0) != (len(f.marks[i].text) == 1) {
			continue // what follows a mark of one byte may be anything: others would be found by half of theirs
		}
		var alone halves
		for _, k := range f.buckets[b] {
			alone = alone.with(&ways[k][f.marks[k].at])
		}
		before := alone.chance(shares)
		for k := range ways[i] {
			with := alone.with(&ways[i][k])
			if more := with.chance(shares) - before; more < least {
				bucket, at, least = b, k, more
			}
		}
	}
	f.marks[i].at = at
	f.buckets[bucket] = append(f.buckets[bucket], i)
}

// anchor returns what the mark is looked for by. i is the mark's number.
func (m *mark) anchor(i int) anchor {
	r := anchor{mark: uint16(i)}
	for k := range min(teddy.Run, len(m.text)-m.at) {
		c := m.text[m.at+k]
		r.mask |= 0xff << (8 * k)
		if m.fold && c-'a' <= 'z'-'a' {
			r.fold |= 0x20 << (8 * k)
		}
		r.want |= uint32(c) << (8 * k)
	}
	return r
}

// variants returns the bytes that the mark may have at one of its places. Behind a token's mark is the token, else anything.
func (m *mark) variants(at int) []byte {
	if at >= 0 && at < len(m.text) {
		c := m.text[at]
		if m.fold && c-'a' <= 'z'-'a' {
			return []byte{c, c &^ 0x20}
		}
		return []byte{c}
	}
	all := make([]byte, 0, 256)
	for c := range 256 {
		if at < 0 || m.body.is == nil || m.body.is(byte(c)) {
			all = append(all, byte(c))
		}
	}
	return all
}

// halves are the lower and the upper halves of the bytes that a bucket finds at each place, as bits.
type halves [teddy.Run][2]uint16

// halves returns those of the mark's anchor at a place.
func (m *mark) halves(at int) (h halves) {
	for place := range h {
		for _, c := range m.variants(at + place) {
			h[place][0] |= 1 << (c & 15)
			h[place][1] |= 1 << (c >> 4)
		}
	}
	return h
}

func (h halves) with(o *halves) halves {
	for place := range h {
		h[place][0] |= o[place][0]
		h[place][1] |= o[place][1]
	}
	return h
}

// chance estimates at which part of all places of logs the bucket finds something.
func (h halves) chance(shares *[256]float64) float64 {
	p := 1.0
	for place := range h {
		sum := 0.0
		for upper := h[place][1]; upper != 0; upper &= upper - 1 {
			row := shares[bits.TrailingZeros16(upper)<<4:]
			for lower := h[place][0]; lower != 0; lower &= lower - 1 {
				sum += row[bits.TrailingZeros16(lower)]
			}
		}
		p *= min(sum, 1)
	}
	return p
}

// byteShares says about how often each byte stands in logs.
func byteShares() (shares [256]float64) {
	for c := range shares {
		shares[c] = 0.0005
	}
	for i, c := range []byte("etaonisrcldpumfghvbykwxzjq") { // the most frequent first
		shares[c], shares[c&^0x20] = 0.065-0.0025*float64(i), 0.004
	}
	for _, c := range []byte("0123456789 -.:/\"") {
		shares[c] = 0.02
	}
	for _, c := range []byte("=_,[]()") {
		shares[c] = 0.008
	}
	return shares
}
