package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// Entry is one piece of a tracker's state. A nil Value deletes it.
type Entry struct{ Key, Value []byte }

// Commit is one step of a partition: what changed since the last step, what there is to tell, and how far it got.
type Commit struct {
	// Position is the sequence of the last stream message whose effect is in the state.
	Position uint64
	// Progress holds the changed entries; the order does not matter and a key appears at most once.
	Progress []Entry
	// Outbox holds the revisions that must be published, in that order. Each is also kept as its warning's last revision.
	Outbox []Revision
	// Kept holds revisions that are published already, by whoever: they are kept as their warning's last revision, and no more.
	Kept []Revision
	// Done are the numbers of outbox entries that are published since the last step. They go with this one, because a
	// write of their own costs a sync: see [Store.OutboxDone].
	Done []uint64
	// Reset drops all progress of the partition first; its outbox stays. For a state that is built anew.
	Reset bool
}

// Pending is a revision that waits in the outbox.
type Pending struct {
	Number uint64 // for [Store.OutboxDone]; grows with each entry of the partition
	Revision
}

// part is what the store remembers of a partition while it is open. Its lock keeps a reader away from a commit that is
// written in several transactions.
type part struct {
	sync.Mutex
	redo bool // a committed step has not been applied completely: its marker is on the disk
}

func (s *Store) part(partition int) (*part, error) {
	if partition < 0 || partition > math.MaxUint16 {
		return nil, fmt.Errorf("partition %d is not between 0 and %d", partition, math.MaxUint16)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[partition]
	if p == nil {
		p = &part{}
		s.parts[partition] = p
	}
	return p, nil
}

// Commit writes all of c or nothing, and returns the number of c's first outbox entry; the others follow it. After an error the step may have been taken or not, as with any transaction whose
// confirmation was lost: call [Store.Position] to see, or commit the same step again, which is harmless.
//
// A step that fits into one Badger transaction (about 2 MiB) is one. A larger one is staged first, takes effect with one
// small transaction, and is then moved to its place; a crash in between is repaired by the next Open or Commit.
func (s *Store) Commit(partition int, c Commit) (first uint64, err error) {
	doing := fmt.Sprintf("commit position %d of partition %d", c.Position, partition)
	p, err := s.part(partition)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	if err := s.room(); err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	p.Lock()
	defer p.Unlock()
	s.warn.RLock()
	defer s.warn.RUnlock()
	if err := s.finish(partition, p); err != nil {
		return 0, s.explain(doing, err)
	}
	first, writes, err := s.writes(partition, c)
	if err != nil {
		return 0, s.explain(doing, err)
	}
	err = s.atOnce(writes)
	if errors.Is(err, badger.ErrTxnTooBig) {
		err = s.staged(partition, p, writes)
	}
	return first, s.explain(doing, err)
}

// writes lists all that a step changes, the position last, and returns the number of the first outbox entry.
func (s *Store) writes(partition int, c Commit) (uint64, []write, error) {
	at, err := s.place(partition)
	if err != nil {
		return 0, nil, err
	}
	first := at.outbox
	var w []write
	if c.Reset {
		keep := make(map[string]bool, len(c.Progress))
		for _, e := range c.Progress {
			keep[string(e.Key)] = true
		}
		err := s.scan("read progress", partKey(tableProgress, partition), func(key, _ []byte) error {
			if !keep[string(key)] {
				w = append(w, write{key: progressKey(partition, key)})
			}
			return nil
		})
		if err != nil {
			return 0, nil, err
		}
	}
	for _, e := range c.Progress {
		if len(e.Value) > MaxValueBytes {
			return 0, nil, fmt.Errorf("a progress entry of %d bytes is above the limit of %d", len(e.Value), MaxValueBytes)
		}
		w = append(w, write{key: progressKey(partition, e.Key), value: e.Value})
	}
	for _, n := range c.Done {
		w = append(w, write{key: outboxKey(partition, n)})
	}
	last := map[string]*Revision{} // by warning id
	for i := range c.Kept {
		last[c.Kept[i].ID] = &c.Kept[i]
	}
	for i := range c.Outbox {
		r := &c.Outbox[i]
		if len(r.Body) > MaxValueBytes {
			return 0, nil, fmt.Errorf("revision %d of warning %s of %d bytes is above the limit of %d", r.Revision, r.ID, len(r.Body), MaxValueBytes)
		}
		w = append(w, write{key: outboxKey(partition, at.outbox), value: r.encode()})
		at.outbox++
		last[r.ID] = r
	}
	for _, r := range last {
		w = s.appendWarning(w, r)
	}
	at.position = c.Position
	return first, append(w, write{key: partKey(tablePosition, partition), value: at.encode()}), nil
}

func (s *Store) step(name string) error {
	if s.interrupt != nil {
		return s.interrupt(name)
	}
	return nil
}

// atOnce writes everything in one transaction, or nothing.
func (s *Store) atOnce(writes []write) error {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	for _, w := range writes {
		if err := set(txn, w); err != nil {
			return err
		}
	}
	if err := s.step("commit"); err != nil {
		return err
	}
	return txn.Commit()
}

func set(txn *badger.Txn, w write) error {
	if w.value == nil {
		return txn.Delete(w.key)
	}
	e := badger.NewEntry(w.key, w.value)
	e.ExpiresAt = w.expires
	return txn.SetEntry(e)
}

// staged takes a step that is too large for one transaction: stage every write, then one transaction with the marker (from
// here on the step is taken), then apply the staged writes.
func (s *Store) staged(partition int, p *part, writes []write) error {
	if err := s.unstage(partition); err != nil { // leftovers of a step that never got its marker
		return err
	}
	stage := s.pieces(partition, writes)
	if err := s.several("stage", stage); err != nil {
		return err
	}
	if err := s.step("mark"); err != nil {
		return err
	}
	marker := binary.BigEndian.AppendUint32([]byte{piecesVersion}, uint32(len(stage)))
	p.redo = true // even when the answer gets lost: finish looks at the disk
	err := s.atOnce([]write{{key: partKey(tableMarker, partition), value: marker}})
	if err != nil {
		return err
	}
	return s.finish(partition, p)
}

// pieces puts many writes into one staged entry: an entry costs Badger about as much as its bytes do.
func (s *Store) pieces(partition int, writes []write) (stage []write) {
	var piece []byte
	end := func() {
		if piece != nil {
			stage = append(stage, write{key: stagedKey(partition, uint32(len(stage))), value: piece})
			piece = nil
		}
	}
	for _, w := range writes {
		if piece == nil {
			piece = append(make([]byte, 0, s.opt.memTable/pieceShare), piecesVersion)
		}
		piece = w.appendPiece(piece)
		if int64(len(piece)) > s.opt.memTable/pieceShare {
			end()
		}
	}
	end()
	return stage
}

// pieceShare of a memory table is a piece: several go into one transaction.
const pieceShare = 64

// underway is how many transactions of a large step wait for the disk at a time. Badger syncs them together.
const underway = 4

// several writes in as many transactions as it takes. What a crash leaves of it is a prefix.
func (s *Store) several(step string, writes []write) error {
	txn := s.db.NewTransaction(true)
	done := make(chan error, underway)
	waiting := 0
	wait := func(most int) (first error) {
		for ; waiting > most; waiting-- {
			if err := <-done; err != nil && first == nil {
				first = err
			}
		}
		return first
	}
	defer func() {
		_ = wait(0) // only after another error is there one left
		txn.Discard()
	}()
	flush := func() error {
		if err := s.step(step); err != nil {
			return err
		}
		if err := s.room(); err != nil {
			return err
		}
		waiting++
		txn.CommitWith(func(err error) { done <- err })
		return wait(underway - 1)
	}
	for _, w := range writes {
		err := set(txn, w)
		if errors.Is(err, badger.ErrTxnTooBig) {
			if err := flush(); err != nil {
				return err
			}
			txn = s.db.NewTransaction(true)
			err = set(txn, w)
		}
		if err != nil {
			return err
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return wait(0)
}

// finish applies a step that was taken but not moved to its place. The staged writes set whole values, so doing it twice is
// the same as once.
func (s *Store) finish(partition int, p *part) error {
	if !p.redo {
		return nil
	}
	var marker []byte
	err := s.db.View(func(txn *badger.Txn) (err error) {
		marker, err = get(txn, partKey(tableMarker, partition))
		return err
	})
	if err != nil {
		return err
	}
	if marker == nil { // the marker never got to the disk
		p.redo = false
		return nil
	}
	if len(marker) != 5 || marker[0] != codecVersion && marker[0] != piecesVersion {
		return fmt.Errorf("%w: the marker of partition %d has %d bytes", ErrCorrupt, partition, len(marker))
	}
	want, have := binary.BigEndian.Uint32(marker[1:]), uint32(0)
	var writes []write
	err = s.scan("read staged writes", partKey(tableStaged, partition), func(_, v []byte) error {
		w, err := decodePiece(v)
		if err == nil && have < want {
			writes = append(writes, w...)
			have++
		}
		return err
	})
	if err != nil {
		return err
	}
	if have != want {
		return fmt.Errorf("%w: partition %d has %d of %d staged writes", ErrCorrupt, partition, have, want)
	}
	if err := s.several("apply", writes); err != nil {
		return err
	}
	if err := s.step("unmark"); err != nil {
		return err
	}
	if err := s.atOnce([]write{{key: partKey(tableMarker, partition)}}); err != nil {
		return err
	}
	p.redo = false
	return s.unstage(partition)
}

// unstage removes staged writes that no marker needs.
func (s *Store) unstage(partition int) error {
	var gone []write
	prefix := partKey(tableStaged, partition)
	err := s.keys(prefix, func(key []byte) { gone = append(gone, write{key: key}) })
	if err != nil || len(gone) == 0 {
		return err
	}
	return s.several("unstage", gone)
}

// keys calls fn with a copy of every whole key under prefix.
func (s *Store) keys(prefix []byte, fn func(key []byte)) error {
	return s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			fn(it.Item().KeyCopy(nil))
		}
		return nil
	})
}

// recoverAll finishes the steps that a crash interrupted, and clears away those that it undid.
func (s *Store) recoverAll() error {
	marked, staged := map[int]bool{}, map[int]bool{}
	for table, set := range map[byte]map[int]bool{tableMarker: marked, tableStaged: staged} {
		err := s.keys([]byte{table}, func(key []byte) {
			if len(key) >= 3 {
				set[int(binary.BigEndian.Uint16(key[1:]))] = true
			}
		})
		if err != nil {
			return s.explain("look for interrupted commits", err)
		}
	}
	for partition := range marked {
		p, err := s.part(partition)
		if err == nil {
			p.redo = true
			err = s.finish(partition, p)
		}
		if err != nil {
			return s.explain(fmt.Sprintf("finish the interrupted commit of partition %d", partition), err)
		}
		delete(staged, partition)
	}
	for partition := range staged {
		if err := s.unstage(partition); err != nil {
			return s.explain(fmt.Sprintf("clear the interrupted commit of partition %d", partition), err)
		}
	}
	return nil
}
