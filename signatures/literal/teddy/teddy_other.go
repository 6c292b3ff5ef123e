//go:build !amd64

package teddy

// Available reports whether the processor has the instructions. Without them [Tables.AppendPlaces] must not be called.
func Available() bool { return false }

// AppendPlaces is for processors that have the instructions.
func (*Tables) AppendPlaces(dst []uint32, _ []byte, _, _ int) []uint32 { return dst }
