package signatures

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Digest is the SHA-256 of all that decides what a signature does and says: everything but its tests and the layout of its
// file. Equal digests mean that one can stand for the other.
func (s *Signature) Digest() [sha256.Size]byte {
	c := *s
	c.Tests, c.source, c.origin = nil, nil, nil
	b, err := json.Marshal(c) // field order is fixed and map keys are sorted, so this is canonical
	if err != nil {
		// Only a NaN or an infinity in a threshold can get here, and Parse refuses both.
		b = fmt.Appendf(nil, "%#v", c)
	}
	return sha256.Sum256(b)
}

// ShortDigest is the first eight bytes of [Signature.Digest], as hits carry it.
func (s *Signature) ShortDigest() uint64 {
	d := s.Digest()
	return binary.BigEndian.Uint64(d[:8])
}
