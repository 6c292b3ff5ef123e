//go:build !amd64

package matcher

func vectors() bool { return false }

func (l *lane) gather(dst []uint32, _, from, _ int) (found []uint32, at int) { return dst, from }

func highStart([]byte) (size int, high bool) { return 0, false }
