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

func (w write) encode() []byte { return w.append(make([]byte, 0, 20+len(w.key)+len(w.value))) }

func (w write) append(b []byte) []byte {
	b = append(b, codecVersion, bit(w.value != nil))
	b = binary.BigEndian.AppendUint64(b, w.expires)
	b = appendBytes(b, w.key)
	return append(b, w.value...)
}

// piecesVersion begins a staged entry that holds many writes, each after its length. One that begins with codecVersion is a single write, as
// earlier versions staged them.
const piecesVersion = 2

func (w write) appendPiece(b []byte) []byte {
	const length = 4
	at := len(b)
	b = w.append(append(b, make([]byte, length)...))
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-length))
	return b
}

func decodePiece(b []byte) ([]write, error) {
	if len(b) == 0 || b[0] != piecesVersion {
		w, err := decodeWrite(b)
		return []write{w}, err
	}
	var list []write
	for b = b[1:]; len(b) > 0; {
		if len(b) < 4 || uint32(len(b)-4) < binary.BigEndian.Uint32(b) {
			return nil, fmt.Errorf("%w: a staged piece is cut short", ErrCorrupt)
		}
		n := 4 + binary.BigEndian.Uint32(b)
		w, err := decodeWrite(b[4:n:n])
		if err != nil {
			return nil, err
		}
		list, b = append(list, w), b[n:]
	}
	return list, nil
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
