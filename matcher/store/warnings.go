package store

import (
	"bytes"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Revision is one revision of a warning: the bytes that are published, and the fields by which it is found again.
type Revision struct {
	ID        string
	Revision  uint32
	Signature string // the signature's id
	Severity  string
	State     string
	Opened    time.Time // the same for the whole life of the warning
	Time      time.Time
	Final     bool // it is over: retention begins to count
	Body      []byte
}

// Filter chooses warnings. The zero Filter means all of them.
type Filter struct {
	Open, Finished bool      // at most one of them set: only those
	Signature      string    // only of the signature with this id
	Since, Until   time.Time // opened in [Since, Until); a zero time is no limit
	Limit          int       // at most so many; 0 means no limit
}

// Warnings calls fn with the last revision of each warning that the filter chooses, the one that opened last first. The
// revision is fn's own. An error of fn ends it and is returned as it is.
func (s *Store) Warnings(f Filter, fn func(Revision) error) error {
	if s.closed.Load() {
		return fmt.Errorf("read warnings: %w", ErrClosed)
	}
	var own error
	err := s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{tableNewest}})
		defer it.Close()
		it.Rewind()
		if !f.Until.IsZero() {
			it.Seek(newestPrefix(f.Until.UnixNano() - 1))
		}
		var end []byte
		if !f.Since.IsZero() {
			end = newestPrefix(f.Since.UnixNano())
		}
		for n := 0; it.Valid() && (f.Limit <= 0 || n < f.Limit); it.Next() {
			key := it.Item().Key()
			if len(key) < 9 {
				return fmt.Errorf("%w: a warning's index entry of %d bytes", ErrCorrupt, len(key))
			}
			if end != nil && bytes.Compare(key[:9], end) > 0 {
				break
			}
			r, found, err := warning(txn, string(key[9:]))
			if err != nil {
				return err
			}
			// An entry of another opening time is left over from a correction; [Store.Maintain] takes it away.
			if !found || !bytes.Equal(key[:9], newestPrefix(r.Opened.UnixNano())) || !f.chooses(&r) {
				continue
			}
			n++
			if own = fn(r); own != nil {
				return own
			}
		}
		return nil
	})
	if own != nil {
		return own
	}
	return s.explain("read warnings", err)
}

func (f *Filter) chooses(r *Revision) bool {
	return (!f.Open || !r.Final) && (!f.Finished || r.Final) && (f.Signature == "" || f.Signature == r.Signature)
}

// Warning returns the last revision of a warning, and whether it is known.
func (s *Store) Warning(id string) (r Revision, found bool, err error) {
	if s.closed.Load() {
		return r, false, fmt.Errorf("read warning %s: %w", id, ErrClosed)
	}
	err = s.db.View(func(txn *badger.Txn) (err error) {
		r, found, err = warning(txn, id)
		return err
	})
	return r, found, s.explain("read warning "+id, err)
}

// PutWarning keeps a revision that came from elsewhere, such as from the WARNINGS stream. One that is older than what is
// known changes nothing.
func (s *Store) PutWarning(r Revision) error {
	doing := "keep warning " + r.ID
	if err := s.room(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if len(r.Body) > MaxValueBytes {
		return fmt.Errorf("%s: %d bytes are above the limit of %d", doing, len(r.Body), MaxValueBytes)
	}
	s.warn.Lock()
	defer s.warn.Unlock()
	known, found, err := s.Warning(r.ID)
	if err != nil || found && known.Revision >= r.Revision {
		return err
	}
	return s.explain(doing, s.atOnce(s.appendWarning(nil, &r)))
}

// appendWarning adds the writes that keep a revision. A finished warning and its index entry go together after Retention.
func (s *Store) appendWarning(w []write, r *Revision) []write {
	var expires uint64
	if r.Final {
		expires = uint64(max(s.opt.Now().Add(s.opt.Retention).Unix(), 1))
	}
	return append(w,
		write{key: warningKey(r.ID), value: r.encode(), expires: expires},
		write{key: newestKey(r.Opened.UnixNano(), r.ID), value: []byte{}, expires: expires})
}

func warning(txn *badger.Txn, id string) (Revision, bool, error) {
	v, err := get(txn, warningKey(id))
	if err != nil || v == nil {
		return Revision{}, false, err
	}
	r, err := decodeRevision(v)
	return r, err == nil, err
}
