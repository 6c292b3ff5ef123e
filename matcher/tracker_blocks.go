package matcher

import "encoding/binary"

// block is the place of some bytes: the number of their page and, in units of 4 bytes, their place in it. 0 is none.
type block uint32

const (
	blockUnit  = 4
	pageUnits  = 1 << 17 // a page is 512 KiB,
	firstUnits = 1 << 11 // but the first one 8 KiB and each after it twice as long, for trackers that hold little
	blockHead  = 2       // the length
	classes    = 1024    // of sizes: one for each unit up to 4 KiB; larger blocks have memory of their own
	largeBlock = block(1 << 31)
)

// blocks holds the bytes of progresses without a pointer to one of them. Freed bytes are used again for what has the same size
// in units; when much lies free, the owner moves what is in use to a new one.
type blocks struct {
	pages [][]byte
	end   uint32 // the units of the last page that were given out
	free  [classes + 1]block
	large map[block][]byte
	last  block // the number that was given out last to a large one
	held  int   // bytes in use
	idle  int   // bytes that are free
}

func unitsOf(n int) uint32 { return uint32((n + blockHead + blockUnit - 1) / blockUnit) }

// alloc returns room for n bytes.
func (b *blocks) alloc(n int) (block, []byte) {
	units := unitsOf(n)
	if units > classes {
		if b.large == nil {
			b.large = map[block][]byte{}
		}
		at := (b.last + 1) | largeBlock
		for b.large[at] != nil {
			at = (at + 1) | largeBlock
		}
		b.last = at &^ largeBlock
		b.large[at] = make([]byte, n)
		b.held += n
		return at, b.large[at]
	}
	size := int(units) * blockUnit
	at := b.free[units]
	if at != 0 {
		b.free[units] = block(binary.LittleEndian.Uint32(b.raw(at)))
		b.idle -= size
	} else {
		if n := len(b.pages); n == 0 || b.end+units > uint32(len(b.pages[n-1])/blockUnit) {
			b.pages = append(b.pages, make([]byte, min(firstUnits<<min(n, 16), pageUnits)*blockUnit))
			b.end = 0
			if len(b.pages) == 1 {
				b.end = 1 // so that no block is 0
			}
		}
		at = block(uint32(len(b.pages)-1)*pageUnits + b.end)
		b.end += units
	}
	b.held += size
	raw := b.raw(at)
	binary.LittleEndian.PutUint16(raw, uint16(n))
	return at, raw[blockHead : blockHead+n]
}

// raw is what lies at a block, beginning with its length, and behind it.
func (b *blocks) raw(at block) []byte { return b.pages[at/pageUnits][at%pageUnits*blockUnit:] }

// bytes returns what lies in a block. It is valid until the block is freed or everything is moved.
func (b *blocks) bytes(at block) []byte {
	if at&largeBlock != 0 {
		return b.large[at]
	}
	raw := b.raw(at)
	return raw[blockHead : blockHead+int(binary.LittleEndian.Uint16(raw))]
}

// resize returns room for n bytes in the place of a block, whose content is lost unless the block stays where it is.
func (b *blocks) resize(at block, n int) (block, []byte) {
	if at&largeBlock == 0 {
		if raw := b.raw(at); unitsOf(int(binary.LittleEndian.Uint16(raw))) == unitsOf(n) {
			binary.LittleEndian.PutUint16(raw, uint16(n))
			return at, raw[blockHead : blockHead+n]
		}
	}
	b.release(at)
	return b.alloc(n)
}

func (b *blocks) release(at block) {
	if at&largeBlock != 0 {
		b.held -= len(b.large[at])
		delete(b.large, at)
		return
	}
	raw := b.raw(at)
	units := unitsOf(int(binary.LittleEndian.Uint16(raw)))
	binary.LittleEndian.PutUint32(raw, uint32(b.free[units]))
	b.free[units] = at
	b.held -= int(units) * blockUnit
	b.idle += int(units) * blockUnit
}

// loose reports whether so much lies free that moving is worth it.
func (b *blocks) loose() bool { return b.idle > b.held/16+2*pageUnits*blockUnit }
