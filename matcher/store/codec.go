package store

import (
	"encoding/binary"
	"fmt"
	"time"
)

// The values below are written in a small binary form: a version byte, then uvarint-prefixed strings and fixed numbers.
// Each decoder refuses what it does not understand with ErrCorrupt and never reads past its input.

const codecVersion = 1

// place is the value of tablePosition.
type place struct {
	position uint64 // the stream sequence up to which everything is in the state
	outbox   uint64 // the number that the next outbox entry gets
}

func (p place) encode() []byte {
	b := append(make([]byte, 0, 17), codecVersion)
	b = binary.BigEndian.AppendUint64(b, p.position)
	return binary.BigEndian.AppendUint64(b, p.outbox)
}

func decodePlace(b []byte) (place, error) {
	if len(b) != 17 || b[0] != codecVersion {
		return place{}, fmt.Errorf("%w: a position of %d bytes", ErrCorrupt, len(b))
	}
	return place{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])}, nil
}

// write is one change of one key: value nil deletes it. expires is in Unix seconds, 0 for never.
type write struct {
	key, value []byte
	expires    uint64
}

func (w write) encode() []byte {
	b := append(make([]byte, 0, 20+len(w.key)+len(w.value)), codecVersion, bit(w.value != nil))
	b = binary.BigEndian.AppendUint64(b, w.expires)
	b = appendBytes(b, w.key)
	return append(b, w.value...)
}

func decodeWrite(b []byte) (write, error) {
	r := reader{b: b}
	r.version()
	set := r.byte()
	w := write{expires: r.uint64()}
	w.key = r.bytes()
	if r.bad || len(w.key) == 0 || set > 1 || set == 0 && len(r.b) != 0 {
		return write{}, fmt.Errorf("%w: a staged write of %d bytes", ErrCorrupt, len(b))
	}
	if set == 1 {
		w.value = r.b
		if w.value == nil {
			w.value = []byte{}
		}
	}
	return w, nil
}

func (r *Revision) encode() []byte {
	b := append(make([]byte, 0, 128+len(r.Body)), codecVersion, bit(r.Final))
	b = binary.BigEndian.AppendUint32(b, r.Revision)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Opened.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time.UnixNano()))
	for _, s := range []string{r.ID, r.Signature, r.Severity, r.State} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return append(b, r.Body...)
}

func decodeRevision(b []byte) (Revision, error) {
	r := reader{b: b}
	r.version()
	final := r.byte()
	v := Revision{Final: final == 1, Revision: r.uint32()}
	v.Opened = time.Unix(0, int64(r.uint64())).UTC()
	v.Time = time.Unix(0, int64(r.uint64())).UTC()
	for _, s := range []*string{&v.ID, &v.Signature, &v.Severity, &v.State} {
		*s = string(r.bytes())
	}
	if r.bad || final > 1 {
		return Revision{}, fmt.Errorf("%w: a revision of %d bytes", ErrCorrupt, len(b))
	}
	v.Body = r.b
	return v, nil
}

// encode writes strings with their lengths, and everything else at its full size.
func (set *Set) encode() []byte {
	b := []byte{codecVersion}
	b = appendBytes(b, []byte(set.Reader))
	b = appendBytes(b, []byte(set.Index))
	b = binary.BigEndian.AppendUint64(b, uint64(len(set.Files)))
	for i := range set.Files {
		f := &set.Files[i]
		b = appendBytes(b, []byte(f.Path))
		b = binary.BigEndian.AppendUint64(b, uint64(f.Size))
		b = binary.BigEndian.AppendUint64(b, uint64(f.ModTime))
		b = append(append(b, f.Hash[:]...), bit(f.Unsound))
		b = binary.BigEndian.AppendUint32(b, uint32(len(f.Signatures)))
		for j := range f.Signatures {
			b = appendBytes(b, []byte(f.Signatures[j].ID))
			b = append(b, f.Signatures[j].Digest[:]...)
		}
	}
	return b
}

// decodeSet reads a set. Its strings share the memory of one.
func decodeSet(b []byte) (*Set, error) {
	all := string(b)
	r := reader{b: b}
	text := func() string {
		n := len(r.bytes())
		at := len(all) - len(r.b)
		return all[at-n : at]
	}
	r.version()
	set := &Set{Reader: text(), Index: text()}
	const least = 1 + 8 + 8 + 32 + 1 + 4 // bytes of a file
	n := r.uint64()
	if n > uint64(len(r.b)/least) {
		return nil, fmt.Errorf("%w: a set of %d files", ErrCorrupt, n)
	}
	set.Files = make([]SetFile, n)
	for i := range set.Files {
		f := &set.Files[i]
		f.Path, f.Size, f.ModTime = text(), int64(r.uint64()), int64(r.uint64())
		copy(f.Hash[:], r.take(32))
		f.Unsound = r.byte() == 1
		k := r.uint32()
		if uint64(k) > uint64(len(r.b)/33) {
			r.bad = true
		}
		if r.bad {
			break
		}
		f.Signatures = make([]SetSignature, k)
		for j := range f.Signatures {
			f.Signatures[j].ID = text()
			copy(f.Signatures[j].Digest[:], r.take(32))
		}
	}
	if r.bad || len(r.b) != 0 {
		return nil, fmt.Errorf("%w: a set of %d bytes", ErrCorrupt, len(b))
	}
	return set, nil
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendBytes(b, s []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// reader takes values off the front of b. Once something is missing it stays bad and gives zero values.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) version() {
	if r.byte() != codecVersion {
		r.bad = true
	}
}

func (r *reader) byte() byte {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if v := r.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if v := r.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (r *reader) bytes() []byte {
	n, k := binary.Uvarint(r.b)
	if k <= 0 {
		r.bad = true
		return nil
	}
	r.take(uint64(k))
	return r.take(n)
}
