package matcher

import (
	"encoding/binary"
	"math/bits"
)

func isUpper(c byte) bool { return c-'A' < 26 }

func lower(c byte) byte {
	if isUpper(c) {
		return c + 'a' - 'A'
	}
	return c
}

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// containsFold reports whether text contains the word, which is in lower case, when ASCII letters compare without case. It looks for the
// first and the last byte of the word at eight places at once.
func containsFold(text []byte, word string) bool {
	n := len(word)
	if n == 0 {
		return true
	}
	first, last := uint64(word[0]|0x20)*lowBits, uint64(word[n-1]|0x20)*lowBits
	i := 0
	for ; i+n+7 <= len(text); i += 8 {
		a := (binary.LittleEndian.Uint64(text[i:]) | foldMask) ^ first
		b := (binary.LittleEndian.Uint64(text[i+n-1:]) | foldMask) ^ last
		x := a | b // a byte is zero where both may be equal
		for zero := (x - lowBits) &^ x & highBits; zero != 0; zero &= zero - 1 {
			if at := i + bits.TrailingZeros64(zero)/8; equalFold(text[at:at+n], word) {
				return true
			}
		}
	}
	for ; i+n <= len(text); i++ {
		if equalFold(text[i:i+n], word) {
			return true
		}
	}
	return false
}

// equalFold compares text with a word of the same length that is in lower case.
func equalFold(text []byte, word string) bool {
	for i, c := range text {
		if c != word[i] && lower(c) != word[i] {
			return false
		}
	}
	return true
}
