package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// Sizes is what `forewarn status` tells of a store.
type Sizes struct {
	TreeBytes     int64  `json:"tree_bytes"`      // on the disk, in the tree
	ValueLogBytes int64  `json:"value_log_bytes"` // on the disk, values above 1 MiB
	FreeBytes     uint64 `json:"free_bytes"`      // left on the disk; 0 when it is not known
}

// Sizes returns how much room the store takes. Badger measures its files once a minute.
func (s *Store) Sizes() Sizes {
	if s.closed.Load() {
		return Sizes{}
	}
	var z Sizes
	z.TreeBytes, z.ValueLogBytes = s.db.Size()
	z.FreeBytes, _ = s.free(s.path)
	return z
}

// Maintain gives back what is not needed any more: signatures that no set names, index entries of corrected warnings, and the
// room of overwritten values. Expired warnings go by themselves. Call it now and then (every ten minutes is plenty) from one
// goroutine; it ends early when ctx does.
func (s *Store) Maintain(ctx context.Context) error {
	if err := s.room(); err != nil {
		return fmt.Errorf("maintain store: %w", err)
	}
	for _, sweep := range []func(context.Context) error{s.sweepBodies, s.sweepIndex} {
		if err := sweep(ctx); err != nil {
			return s.explain("maintain store", err)
		}
	}
	if s.opt.InMemory {
		return ctx.Err()
	}
	for ctx.Err() == nil {
		err := s.db.RunValueLogGC(0.5)
		if errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, badger.ErrRejected) {
			return nil
		}
		if err != nil {
			return s.explain("collect the value log", err)
		}
	}
	return ctx.Err()
}

// sweepBodies removes the signature bodies that no set names.
func (s *Store) sweepBodies(ctx context.Context) error {
	s.index.Lock() // SaveSet writes bodies before the set that names them
	defer s.index.Unlock()
	named, err := s.named()
	if errors.Is(err, ErrCorrupt) {
		return nil // whoever loads it is told; until it is mended nothing is known to be of no use
	}
	if err != nil {
		return err
	}
	var gone []write
	err = s.keys([]byte{tableBody}, func(key []byte) {
		if len(key) != 33 || !named[[32]byte(key[1:])] {
			gone = append(gone, write{key: key})
		}
	})
	if err != nil || len(gone) == 0 || ctx.Err() != nil {
		return err
	}
	return s.several("maintain", gone)
}

// named returns the digests of the signatures of all sets.
func (s *Store) named() (map[[32]byte]bool, error) {
	names := map[string]bool{}
	err := s.keys([]byte{tableFiles}, func(key []byte) {
		if len(key) > 6 {
			names[string(key[1:len(key)-5])] = true
		}
	})
	if err != nil {
		return nil, err
	}
	named := map[[32]byte]bool{}
	for name := range names {
		set, found, err := s.LoadSet(name)
		if err != nil {
			return nil, err
		}
		if !found {
			continue // it is being written
		}
		for i := range set.Files {
			for j := range set.Files[i].Signatures {
				named[set.Files[i].Signatures[j].Digest] = true
			}
		}
	}
	return named, nil
}

// sweepIndex removes the index entries that lead to no warning, or to one that opened at another time. They are looked for
// beside the running commits, and looked at again one by one while no commit runs.
func (s *Store) sweepIndex(ctx context.Context) error {
	var suspects [][]byte
	err := s.keys([]byte{tableNewest}, func(key []byte) {
		if stale, err := s.stale(key); err != nil || stale {
			suspects = append(suspects, key)
		}
	})
	if err != nil {
		return err
	}
	for i := 0; i < len(suspects) && ctx.Err() == nil; i++ {
		if err := s.dropStale(suspects[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) dropStale(key []byte) error {
	s.warn.Lock()
	defer s.warn.Unlock()
	stale, err := s.stale(key)
	if err != nil || !stale {
		return err
	}
	return s.atOnce([]write{{key: key}})
}

func (s *Store) stale(key []byte) (stale bool, err error) {
	if len(key) < 9 {
		return true, nil
	}
	err = s.db.View(func(txn *badger.Txn) error {
		r, found, err := warning(txn, string(key[9:]))
		stale = !found || !bytes.Equal(key[:9], newestPrefix(r.Opened.UnixNano()))
		return err
	})
	return stale, err
}
