package collector

import "encoding/binary"

// pairs finds where anchors may begin without vector instructions. It looks at every second pair of bytes: the low byte of a pair's entry has the groups
// of marks in which the first half of what is looked for may be that pair, the high byte those in which the second half may be. Where both agree an
// anchor may begin at that place or one of its neighbours.
type pairs [1 << 16]uint16

// newPairs makes the table. A mark that begins at an even place of a text is looked for by its anchor, one at an odd place by bytes of the mark
// that are one further on, or one before, where there are four of them.
func newPairs(f *filter) *pairs {
	var p pairs
	for b := range f.buckets {
		for _, i := range f.buckets[b] {
			m := &f.marks[i]
			group := b
			if len(m.text) < 3 { // any second half would do, for others in its group too
				group = 0
			}
			p.window(group, m, m.at)
			switch {
			case len(m.text) >= m.at+5:
				p.window(group, m, m.at+1)
			case m.at > 0 || len(m.text) < 4:
				p.window(group, m, m.at-1)
			default:
				p.window(group, m, m.at+1)
			}
		}
	}
	return &p
}

// window looks for a mark by its four bytes at a place, each of which may be outside of it.
func (p *pairs) window(group int, m *mark, at int) {
	p.set(uint16(1)<<group, m.variants(at), m.variants(at+1))
	p.set(uint16(1)<<(group+8), m.variants(at+2), m.variants(at+3))
}

func (p *pairs) set(bit uint16, first, second []byte) {
	for _, x := range first {
		for _, y := range second {
			p[uint16(x)|uint16(y)<<8] |= bit
		}
	}
}

// appendPlaces appends the places where an anchor may begin. It looks at 16 bytes between two branches, which takes two thirds of the time that twice 8
// take.
func (p *pairs) appendPlaces(dst []uint32, text []byte) []uint32 {
	i := 0
	for ; i+18 <= len(text); i += 16 {
		b := text[i : i+18]
		x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		e0, e1, e2, e3 := p[uint16(x)], p[uint16(x>>16)], p[uint16(x>>32)], p[uint16(x>>48)]
		e4, e5, e6, e7 := p[uint16(y)], p[uint16(y>>16)], p[uint16(y>>32)], p[uint16(y>>48)]
		e8 := p[binary.LittleEndian.Uint16(b[16:])]
		if uint8(e0&(e1>>8)|e1&(e2>>8)|e2&(e3>>8)|e3&(e4>>8)|e4&(e5>>8)|e5&(e6>>8)|e6&(e7>>8)|e7&(e8>>8)) == 0 {
			continue
		}
		for k, e := range [...]uint16{e0 & (e1 >> 8), e1 & (e2 >> 8), e2 & (e3 >> 8), e3 & (e4 >> 8), e4 & (e5 >> 8), e5 & (e6 >> 8), e6 & (e7 >> 8), e7 & (e8 >> 8)} {
			if uint8(e) != 0 {
				dst = appendAround(dst, i+2*k, len(text))
			}
		}
	}
	for ; i < len(text); i += 2 { // behind the end are zero bytes
		x := load4(text, i)
		if uint8(p[uint16(x)]&(p[uint16(x>>16)]>>8)) != 0 {
			dst = appendAround(dst, i, len(text))
		}
	}
	return dst
}

// appendAround appends a place and its neighbours, as far as they are not there yet.
func appendAround(dst []uint32, i, size int) []uint32 {
	for at := max(i-1, 0); at <= i+1 && at < size; at++ {
		if len(dst) == 0 || dst[len(dst)-1] < uint32(at) {
			dst = append(dst, uint32(at))
		}
	}
	return dst
}
