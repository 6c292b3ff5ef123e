//go:build !amd64

package matcher

func hasTeddy() bool { return false }

func (t *teddy) positions(dst []uint32, _ []byte, _, _ int) []uint32 { return dst }
