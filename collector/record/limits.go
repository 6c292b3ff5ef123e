package record

import "fmt"

// Limits of one record and one batch. A [Builder] and [ParseJSON] refuse what is beyond them, and [Batch.Decode] refuses a
// frame that claims it. Collectors cut texts and values down to them, and count that they did.
const (
	// MaxText is the most bytes that a record's text may have. A frame of one such record still fits the message of 1 MiB
	// that NATS servers accept by default.
	MaxText = 512 << 10
	// MaxAttrs is the most attributes that a record, or a header's scope, may have.
	MaxAttrs = 64
	// MaxKey is the most bytes of an attribute's key.
	MaxKey = 256
	// MaxValue is the most bytes of an attribute's value, and of a header's source.
	MaxValue = 16 << 10
	// MaxFrame is the most bytes of a batch before compression. It is the bound of a hostile frame, not a good size: collectors
	// send a batch at a quarter of a megabyte, and never one larger than the stream's server takes.
	MaxFrame = 4 << 20
	// Padding is how many readable zero bytes follow the texts of a batch, so that a scanner may load whole words up to
	// and over the end.
	Padding = 16
)

// check reports the first way in which a breaks the rules of a set: sorted by key, each key once, all inside the limits.
func (a Attrs) check() error {
	if len(a) > MaxAttrs {
		return fmt.Errorf("%d attributes: at most %d are allowed", len(a), MaxAttrs)
	}
	for i := range a {
		switch k := a[i].Key; {
		case k == "":
			return fmt.Errorf("attribute %d has no key", i)
		case len(k) > MaxKey:
			return fmt.Errorf("key %.40q... of attribute %d has %d bytes: at most %d are allowed", k, i, len(k), MaxKey)
		case len(a[i].Value) > MaxValue:
			return fmt.Errorf("attribute %q has %d bytes: at most %d are allowed", k, len(a[i].Value), MaxValue)
		case i > 0 && a[i-1].Key >= k:
			return fmt.Errorf("attribute %q comes after %q: keys must be sorted, each once", k, a[i-1].Key)
		}
	}
	return nil
}
