package format

import "bytes"

// Sample is how many bytes [Detect] looks at; more don't help it.
const Sample = 64 << 10

// Family is one family of formats.
type Family struct {
	// Name is what people call it.
	Name string
	// detects says whether the beginning of an input is of the family. whole says that the sample is all there is for now.
	detects func(sample []byte) bool
	open    func(in Input, sample []byte) Parser
}

// families lists all families in the order in which they are tried. The last takes anything.
var families = [...]Family{
	{"lines", func([]byte) bool { return true }, newLines},
}

// Names returns the names of all families.
func Names() []string {
	names := make([]string, len(families))
	for i := range families {
		names[i] = families[i].Name
	}
	return names
}

// Detect finds the family of an input by its beginning. It needs one whole line, or the whole of a shorter input; from
// [Sample] bytes on it needs nothing more. Nothing is refused: what is of no other family is plain text.
func Detect(sample []byte) *Family {
	sample = bytes.TrimPrefix(sample, []byte("\xef\xbb\xbf"))
	for i := range families {
		if families[i].detects(sample) {
			return &families[i]
		}
	}
	return &families[len(families)-1]
}

// Open returns a parser of the family. sample is the beginning of the input, which is written to the parser nonetheless.
func (f *Family) Open(in Input, sample []byte) Parser {
	return f.open(in.withDefaults(), sample)
}
