package store

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/dgraph-io/badger/v4"

	"github.com/forewarn/forewarn/signatures"
)

// Set is what was read from a set of signature files: enough to do without reading them again while they are unchanged.
type Set struct {
	// Reader names what read the files, such as forewarn's version. Another reader may accept or refuse other things, so a set
	// of another reader is as good as none.
	Reader string    `json:"reader"`
	Files  []SetFile `json:"files"`
}

// SetFile is one file of a set.
type SetFile struct {
	Path       string   `json:"path"`
	Hash       string   `json:"hash"`                 // of its bytes, by the caller's function
	Signatures []string `json:"signatures,omitempty"` // digests in hex, in the order of the file: see [Store.Signature]
	Problems   []string `json:"problems,omitempty"`   // as they were told
	Refused    bool     `json:"refused,omitempty"`    // nothing of it may be armed
}

// File returns the entry of a path if it has that hash, and nil otherwise: the file must be read then.
func (s *Set) File(path, hash string) *SetFile {
	for i := range s.Files {
		if f := &s.Files[i]; f.Path == path && f.Hash == hash {
			return f
		}
	}
	return nil
}

// Posting is one condition that an anchor leads to. A signature's condition may have several anchors; at least one of them is
// in each record that meets the condition.
type Posting struct {
	Anchor    string `json:"anchor"`    // the text itself, because a hash only finds candidates
	Field     string `json:"field"`     // where it is looked for: text, or an attribute's name
	Signature string `json:"signature"` // the digest in hex
	Role      int    `json:"role"`      // the role number of the condition
}

// SaveSet stores a set under a name together with the bodies of its signatures and the postings of their anchors, and
// replaces what was there. The set is written last: one that can be loaded has all its bodies.
func (s *Store) SaveSet(name string, set Set, bodies []*signatures.Signature, postings []Posting) error {
	doing := "save signature set " + name
	if err := s.room(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	s.index.Lock()
	defer s.index.Unlock()
	have := map[string]bool{}
	var writes []write
	for _, b := range bodies {
		v, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("%s: encode %s: %w", doing, b.ID, err)
		}
		d := b.Digest()
		have[hex.EncodeToString(d[:])] = true
		writes = append(writes, write{key: append([]byte{tableBody}, d[:]...), value: v})
	}
	for _, f := range set.Files {
		for _, digest := range f.Signatures {
			if !have[digest] {
				return fmt.Errorf("%s: %s names signature %s, and its body is not given", doing, f.Path, digest)
			}
		}
	}
	prefix := postingPrefix(name)
	rows := map[uint64][]Posting{}
	for _, p := range postings {
		h := xxhash.Sum64String(p.Anchor)
		rows[h] = append(rows[h], p)
	}
	err := s.keys(prefix, func(key []byte) {
		if len(key) == len(prefix)+8 && rows[binary.BigEndian.Uint64(key[len(prefix):])] == nil {
			writes = append(writes, write{key: key})
		}
	})
	if err != nil {
		return s.explain(doing, err)
	}
	for h, row := range rows {
		v, err := json.Marshal(row)
		if err != nil {
			return fmt.Errorf("%s: encode postings: %w", doing, err)
		}
		writes = append(writes, write{key: binary.BigEndian.AppendUint64(postingPrefix(name), h), value: v})
	}
	v, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("%s: encode: %w", doing, err)
	}
	// The old set goes first, so that none is found while its postings are half replaced.
	if err := s.atOnce([]write{{key: setKey(name)}}); err != nil {
		return s.explain(doing, err)
	}
	if err := s.several("set", writes); err != nil {
		return s.explain(doing, err)
	}
	return s.explain(doing, s.atOnce([]write{{key: setKey(name), value: v}}))
}

// LoadSet returns the set that was saved under a name, and whether there is one.
func (s *Store) LoadSet(name string) (set Set, found bool, err error) {
	v, err := s.value("load signature set "+name, setKey(name))
	if err != nil || v == nil {
		return set, false, err
	}
	if err := json.Unmarshal(v, &set); err != nil {
		return set, false, fmt.Errorf("load signature set %s: %w: %w: it is read anew from its files", name, ErrCorrupt, err)
	}
	return set, true, nil
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

// Postings returns the conditions that an anchor leads to in a set.
func (s *Store) Postings(name, anchor string) ([]Posting, error) {
	doing := fmt.Sprintf("look up an anchor of set %s", name)
	v, err := s.value(doing, binary.BigEndian.AppendUint64(postingPrefix(name), xxhash.Sum64String(anchor)))
	if err != nil || v == nil {
		return nil, err
	}
	row, err := decodePostings(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	var found []Posting
	for _, p := range row {
		if p.Anchor == anchor {
			found = append(found, p)
		}
	}
	return found, nil
}

// Anchors calls fn with every posting of a set, in no order that means anything. With a digest only those of that signature.
func (s *Store) Anchors(name, digest string, fn func(Posting) error) error {
	return s.scan("list the anchors of set "+name, postingPrefix(name), func(_, v []byte) error {
		row, err := decodePostings(v)
		if err != nil {
			return err
		}
		for _, p := range row {
			if digest != "" && p.Signature != digest {
				continue
			}
			if err := fn(p); err != nil {
				return err
			}
		}
		return nil
	})
}

func decodePostings(v []byte) ([]Posting, error) {
	var row []Posting
	if err := json.Unmarshal(v, &row); err != nil {
		return nil, errors.Join(ErrCorrupt, err)
	}
	return row, nil
}

func setKey(name string) []byte { return append([]byte{tableSet}, name...) }

// postingPrefix holds the hash of the set's name, not the name, so that one name cannot be the beginning of another.
func postingPrefix(name string) []byte {
	return binary.BigEndian.AppendUint64([]byte{tablePosting}, xxhash.Sum64String(name))
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
