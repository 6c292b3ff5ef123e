package store

import (
	"encoding/binary"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// Position returns the position of the last [Store.Commit] of the partition; 0 when there was none.
func (s *Store) Position(partition int) (uint64, error) {
	var at place
	err := s.settled(partition, "read position", func() (err error) {
		at, err = s.place(partition)
		return err
	})
	return at.position, err
}

// LoadProgress calls fn with every entry of the partition's state but those whose keys begin with without, in the order of the keys; an
// empty one leaves nothing out. The slices are fn's own. An error of fn ends it and is returned as it is.
func (s *Store) LoadProgress(partition int, without string, fn func(key, value []byte) error) error {
	return s.settled(partition, "read progress", func() error {
		return s.scanBut("read progress", partKey(tableProgress, partition), without, fn)
	})
}

// ProgressEntry returns one entry of the partition's state, nil when there is none. The caller owns it.
func (s *Store) ProgressEntry(partition int, key []byte) (value []byte, err error) {
	err = s.settled(partition, "read progress", func() error {
		return s.db.View(func(txn *badger.Txn) error {
			value, err = get(txn, progressKey(partition, key))
			return err
		})
	})
	return value, err
}

// Outbox calls fn with the revisions that are not known to be published, in the order in which they were committed.
func (s *Store) Outbox(partition int, fn func(Pending) error) error {
	return s.settled(partition, "read outbox", func() error {
		return s.scan("read outbox", partKey(tableOutbox, partition), func(key, value []byte) error {
			if len(key) != 8 {
				return fmt.Errorf("%w: an outbox key of %d bytes", ErrCorrupt, len(key))
			}
			r, err := decodeRevision(value)
			if err != nil {
				return err
			}
			return fn(Pending{binary.BigEndian.Uint64(key), r})
		})
	})
}

// OutboxDone takes published revisions out of the outbox when no commit follows that could carry them ([Commit.Done]).
func (s *Store) OutboxDone(partition int, numbers ...uint64) error {
	if len(numbers) == 0 {
		return nil
	}
	return s.settled(partition, "clear outbox", func() error {
		if err := s.room(); err != nil {
			return err
		}
		gone := make([]write, len(numbers))
		for i, n := range numbers {
			gone[i] = write{key: outboxKey(partition, n)}
		}
		return s.several("outbox", gone)
	})
}

// Partitions calls fn with the number and the position of each partition that was ever committed here.
func (s *Store) Partitions(fn func(partition int, position uint64) error) error {
	return s.scan("list partitions", []byte{tablePosition}, func(key, value []byte) error {
		at, err := decodePlace(value)
		if err != nil || len(key) != 2 {
			return fmt.Errorf("%w: the position of a partition", ErrCorrupt)
		}
		return fn(int(binary.BigEndian.Uint16(key)), at.position)
	})
}

// settled runs fn while no commit of the partition is half way.
func (s *Store) settled(partition int, doing string, fn func() error) error {
	if s.closed.Load() {
		return fmt.Errorf("%s: %w", doing, ErrClosed)
	}
	doing = fmt.Sprintf("%s of partition %d", doing, partition)
	p, err := s.part(partition)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	p.Lock()
	defer p.Unlock()
	if err := s.finish(partition, p); err != nil {
		return s.explain(doing, err)
	}
	return fn()
}

func (s *Store) place(partition int) (at place, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		v, err := get(txn, partKey(tablePosition, partition))
		if err != nil || v == nil {
			return err
		}
		at, err = decodePlace(v)
		return err
	})
	return at, err
}
