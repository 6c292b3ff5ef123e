package store

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/dgraph-io/badger/v4"

	"github.com/forewarn/forewarn/signatures"
)

// Set is what was read from a set of signature files: enough to do without reading them again while they are unchanged.
type Set struct {
	// Reader names what read the files, such as forewarn's version, and what decided which of their signatures are used. Another reader
	// may accept or refuse other things, so a set of another reader is as good as none.
	Reader string
	// Index is the digest of the compiled form: see [Store.LoadIndex]. Signatures may have come and gone since it was made.
	Index string
	Files []SetFile
}

// SetFile is one file of a set.
type SetFile struct {
	Path    string
	Size    int64
	ModTime int64    // Unix nanoseconds; 0 when it says nothing
	Hash    [32]byte // of its bytes, by the caller's function
	// Unsound is set when something in it was refused, which is found again only by reading it.
	Unsound    bool
	Signatures []SetSignature // in the order of the file
}

// SetSignature names a signature, whose body is under its digest.
type SetSignature struct {
	ID     string
	Digest [32]byte
}

// SaveSet stores a set under a name and replaces what was there. Bodies are those of its signatures that are not stored yet; index is its
// compiled form, nil when that is stored already. Other indexes of the name are removed. The set is written last: one that can be loaded has all
// that it names.
func (s *Store) SaveSet(name string, set *Set, bodies []*signatures.Signature, index []byte) error {
	doing := "save signature set " + name
	if err := s.room(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	s.index.Lock()
	defer s.index.Unlock()
	writes := make([]write, 0, len(bodies))
	for _, b := range bodies {
		v, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("%s: encode %s: %w", doing, b.ID, err)
		}
		d := b.Digest()
		writes = append(writes, write{key: append([]byte{tableBody}, d[:]...), value: v})
	}
	if len(writes) > 0 {
		if err := s.several("set", writes); err != nil {
			return s.explain(doing, err)
		}
	}
	if index != nil {
		if err := s.putLarge(tableIndex, indexName(name, set.Index), index); err != nil {
			return s.explain(doing, err)
		}
	}
	if err := s.putLarge(tableFiles, name, set.encode()); err != nil {
		return s.explain(doing, err)
	}
	return s.explain(doing, s.dropIndexes(name, set.Index))
}

// LoadSet returns the set that was saved under a name, and whether there is one.
func (s *Store) LoadSet(name string) (set *Set, found bool, err error) {
	doing := "load signature set " + name
	v, found, err := s.getLarge(doing, tableFiles, name)
	if err != nil || !found {
		return nil, false, err
	}
	if set, err = decodeSet(v); err != nil {
		return nil, false, fmt.Errorf("%s: %w: it is read anew from its files", doing, err)
	}
	return set, true, nil
}

// LoadIndex returns the compiled form that was stored under a digest, and whether there is one.
func (s *Store) LoadIndex(name, digest string) (index []byte, found bool, err error) {
	return s.getLarge("load the index of signature set "+name, tableIndex, indexName(name, digest))
}

// indexName is an index's own name: all of one set begin with the set's.
func indexName(name, digest string) string { return name + "\x00" + digest }

// dropIndexes removes the indexes of a set but one, and what older versions of forewarn kept in place of an index.
func (s *Store) dropIndexes(name, keep string) error {
	var gone []write
	prefix := largePrefix(tableIndex, name)
	kept := string(largePrefix(tableIndex, indexName(name, keep)))
	for _, p := range [][]byte{prefix, {tableOldSet}, {tablePosting}} {
		err := s.keys(p, func(key []byte) {
			if len(key) < len(kept) || string(key[:len(kept)]) != kept {
				gone = append(gone, write{key: key})
			}
		})
		if err != nil {
			return err
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return s.several("set", gone)
}

// Signature returns the body under a digest, and whether there is one. A body whose content does not give its digest is
// damaged and an error.
func (s *Store) Signature(digest string) (*signatures.Signature, bool, error) {
	doing := "load signature " + digest
	d, err := hex.DecodeString(digest)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", doing, err)
	}
	v, err := s.value(doing, append([]byte{tableBody}, d...))
	if err != nil || v == nil {
		return nil, false, err
	}
	sig := new(signatures.Signature)
	if err := json.Unmarshal(v, sig); err != nil {
		return nil, false, fmt.Errorf("%s: %w: %w", doing, ErrCorrupt, err)
	}
	if got := sig.Digest(); hex.EncodeToString(got[:]) != digest {
		return nil, false, fmt.Errorf("%s: %w: its content gives digest %x", doing, ErrCorrupt, got)
	}
	return sig, true, nil
}

// largeChunk is the size of the pieces of a large value: Badger puts values of that size into its value log, and a transaction takes several.
const largeChunk = 1 << 20

// putLarge writes a value in pieces, the first last: it has the size, so that a value is found when it is whole.
func (s *Store) putLarge(table byte, name string, value []byte) error {
	prefix := largePrefix(table, name)
	if err := s.atOnce([]write{{key: largeKey(prefix, 0)}}); err != nil {
		return err
	}
	var writes []write
	n := uint32(1)
	for rest := value; len(rest) > 0; n++ {
		piece := rest[:min(len(rest), largeChunk)]
		writes = append(writes, write{key: largeKey(prefix, n), value: piece})
		rest = rest[len(piece):]
	}
	err := s.keys(prefix, func(key []byte) {
		if len(key) == len(prefix)+4 && binary.BigEndian.Uint32(key[len(prefix):]) >= n {
			writes = append(writes, write{key: key}) // of a longer value that was there
		}
	})
	if err != nil {
		return err
	}
	if len(writes) > 0 {
		if err := s.several("set", writes); err != nil {
			return err
		}
	}
	head := binary.BigEndian.AppendUint64([]byte{codecVersion}, uint64(len(value)))
	head = binary.BigEndian.AppendUint64(head, xxhash.Sum64(value))
	return s.atOnce([]write{{key: largeKey(prefix, 0), value: head}})
}

// getLarge reads what putLarge wrote.
func (s *Store) getLarge(doing string, table byte, name string) (value []byte, found bool, err error) {
	prefix := largePrefix(table, name)
	head, err := s.value(doing, largeKey(prefix, 0))
	if err != nil || head == nil {
		return nil, false, err
	}
	r := reader{b: head}
	r.version()
	size, sum := r.uint64(), r.uint64()
	if r.bad || size > maxLarge {
		return nil, false, fmt.Errorf("%s: %w: a head of %d bytes", doing, ErrCorrupt, len(head))
	}
	value = make([]byte, 0, size)
	err = s.db.View(func(txn *badger.Txn) error {
		for n := uint32(1); uint64(len(value)) < size; n++ {
			item, err := txn.Get(largeKey(prefix, n))
			if err != nil {
				return err
			}
			if err := item.Value(func(v []byte) error {
				value = append(value, v...)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, false, s.explain(doing, err)
	}
	if uint64(len(value)) != size || xxhash.Sum64(value) != sum {
		return nil, false, fmt.Errorf("%s: %w: its checksum differs", doing, ErrCorrupt)
	}
	return value, true, nil
}

// maxLarge bounds what a damaged head can ask for.
const maxLarge = 8 << 30

// largePrefix ends names by a zero byte, so that one that is the beginning of another is not taken for it.
func largePrefix(table byte, name string) []byte {
	return append(append([]byte{table}, name...), 0)
}

func largeKey(prefix []byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{}, prefix...), n)
}

// value returns a copy of the value under a key, nil when there is none.
func (s *Store) value(doing string, key []byte) (v []byte, err error) {
	if s.closed.Load() {
		return nil, fmt.Errorf("%s: %w", doing, ErrClosed)
	}
	err = s.db.View(func(txn *badger.Txn) (err error) {
		v, err = get(txn, key)
		return err
	})
	return v, s.explain(doing, err)
}
