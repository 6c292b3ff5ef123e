// Package store keeps on disk what a matching process must not forget: the progress of its partitions, the outbox, the
// warnings, and the index of signatures. It is the only importer of Badger.
//
// [Open] takes a data directory for itself: a second process on the same directory is refused with [InUseError].
// Everything that belongs together is written together. [Store.Commit] puts a partition's changed state, the revisions
// that it produced and the stream position that it has reached into one transaction, whatever its size: after a crash
// either all of it is there or nothing.
//
// What is written is on the disk when a call returns, unless [Options.NoSync] is set. All methods may be called from
// several goroutines; of one partition only one goroutine at a time may commit. README.md beside this file tells
// the layout and the limits.
package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Format is the number of the layout that this binary writes. It opens every format from 1 up to it.
const Format = 1

// DefaultRetention is how long finished warnings are kept when nothing else is asked for.
const DefaultRetention = 90 * 24 * time.Hour

// Options say how a store is opened. Dir or InMemory is required.
type Options struct {
	// Dir is the data directory; it is made when it does not exist. The store keeps to Dir/store and Dir/forewarn.lock, so that
	// other things may live beside it under the same lock.
	Dir string
	// InMemory keeps everything in memory and forgets it on Close. Dir is not used then.
	InMemory bool
	// Retention is how long a finished warning is kept; 0 means [DefaultRetention].
	Retention time.Duration
	// NoSync leaves the writing to the operating system. A process that is killed still loses nothing; a machine that loses
	// power may lose the last commits, as a whole and from the end, and works through the same stream messages again.
	NoSync bool
	// MinFree is how many bytes must be free on the disk for a write to be accepted; 0 means 64 MiB. Badger writes
	// through a memory map, and a full disk would kill the process there instead of giving an error.
	MinFree uint64
	// Logger receives Badger's warnings; nil means none.
	Logger *slog.Logger
	// Now is the clock that retention uses; nil means time.Now. Badger forgets expired entries by its own clock.
	Now func() time.Time

	memTable int64 // bytes; tests make it small, so that small steps are large ones
}

// Store is an open data directory.
type Store struct {
	opt    Options
	db     *badger.DB
	lock   *dirLock
	path   string // of the Badger directory
	closed atomic.Bool
	once   sync.Once
	err    error // of Close

	mu    sync.Mutex // guards parts
	parts map[int]*part
	index sync.Mutex // one writer of signature sets

	// warn is held by whoever writes warnings: shared by commits, alone by those who read before they write.
	warn sync.RWMutex

	free     func(dir string) (uint64, bool)
	freeNext atomic.Int64 // Unix nanoseconds at which the disk is asked again
	freeOK   atomic.Bool
	freeLeft atomic.Uint64

	// interrupt is called before each step of a commit; tests make it fail there.
	interrupt func(step string) error
}

// Open opens the data directory, or makes it. The errors that a caller may want to tell apart are [InUseError],
// [NewerFormatError] and [ErrCorrupt]; every one says what to do.
func Open(o Options) (*Store, error) {
	if o.Retention <= 0 {
		o.Retention = DefaultRetention
	}
	if o.MinFree == 0 {
		o.MinFree = 64 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.memTable == 0 {
		o.memTable = memTableBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{opt: o, parts: map[int]*part{}, free: freeBytes}
	if o.InMemory {
		s.free = func(string) (uint64, bool) { return 0, false }
	} else {
		if o.Dir == "" {
			return nil, errors.New("open store: no data directory given: set one with --data-dir")
		}
		s.path = filepath.Join(o.Dir, "store")
		if err := os.MkdirAll(s.path, 0o700); err != nil {
			return nil, fmt.Errorf("make data directory %s: %w: choose one that can be written with --data-dir", o.Dir, err)
		}
		l, err := lockDir(o.Dir)
		if err != nil {
			return nil, err
		}
		s.lock = l
	}
	if err := s.open(); err != nil {
		if s.db != nil {
			_ = s.db.Close()
		}
		s.lock.release()
		return nil, err
	}
	return s, nil
}

func (s *Store) open() error {
	if err := s.room(); err != nil {
		return err
	}
	if err := s.removeEmpty(); err != nil {
		return err
	}
	db, err := badger.Open(s.badgerOptions())
	if err != nil {
		return s.explain("open store", err)
	}
	s.db = db
	if err := s.checkFormat(); err != nil {
		return err
	}
	return s.recoverAll()
}

// removeEmpty removes log files without a byte. A process that is killed between making a log and giving it its size leaves
// one, and Badger refuses to open it.
func (s *Store) removeEmpty() error {
	if s.opt.InMemory {
		return nil
	}
	entries, err := os.ReadDir(s.path)
	if err != nil {
		return s.explain("list the store", err)
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".mem" && ext != ".vlog" {
			continue
		}
		if info, err := e.Info(); err == nil && info.Size() == 0 {
			if err := os.Remove(filepath.Join(s.path, e.Name())); err != nil {
				return s.explain("remove an empty log", err)
			}
		}
	}
	return nil
}

// badgerOptions: small tables, because a matcher's state is small and each memtable is allocated whole; values stay in
// the tree up to 1 MiB, so that a commit is one write-ahead log and one sync; no conflict detection, because a
// partition has one writer.
func (s *Store) badgerOptions() badger.Options {
	dir := s.path
	if s.opt.InMemory {
		dir = ""
	}
	o := badger.DefaultOptions(dir).
		WithInMemory(s.opt.InMemory).
		WithSyncWrites(!s.opt.NoSync && !s.opt.InMemory).
		WithMemTableSize(s.opt.memTable).
		WithNumMemtables(2).
		WithNumCompactors(2).
		WithBlockCacheSize(8 << 20).
		WithIndexCacheSize(8 << 20).
		WithCompression(options.Snappy).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithCompactL0OnClose(false).
		WithLogger(badgerLog{s.opt.Logger})
	if !s.opt.InMemory {
		o = o.WithValueThreshold(s.opt.memTable / 16).WithValueLogFileSize(4 * s.opt.memTable)
	}
	return o
}

const (
	// memTableBytes gives the rest: a transaction holds 15 % of it (2.4 MiB), values of a sixteenth (1 MiB) and more go to the
	// value log, whose files are four times as large.
	memTableBytes = 16 << 20

	// MaxValueBytes is the largest single value that the store takes; in memory it is what one transaction holds.
	MaxValueBytes = 32 << 20
)

func (s *Store) checkFormat() error {
	var found uint64
	err := s.db.View(func(txn *badger.Txn) error {
		v, err := get(txn, formatKey())
		if err != nil || v == nil {
			return err
		}
		if len(v) != 8 {
			return fmt.Errorf("%w: the format number has %d bytes", ErrCorrupt, len(v))
		}
		found = binary.BigEndian.Uint64(v)
		return nil
	})
	switch {
	case err != nil:
		return s.explain("read the format of the store", err)
	case found > Format:
		return &NewerFormatError{Dir: s.opt.Dir, Found: found}
	case found == Format:
		return nil
	}
	// 0: a new directory. There is no older format to come from yet.
	err = s.db.Update(func(txn *badger.Txn) error {
		return txn.Set(formatKey(), binary.BigEndian.AppendUint64(nil, Format))
	})
	return s.explain("write the format of the store", err)
}

// Dir returns the data directory, or "" when the store is in memory.
func (s *Store) Dir() string { return s.opt.Dir }

// Close writes what is open and gives the directory free. Calls after the first return what the first returned. Calls
// of other methods that come later fail with [ErrClosed].
func (s *Store) Close() error {
	s.once.Do(func() {
		s.closed.Store(true)
		s.err = s.explain("close store", s.db.Close())
		s.lock.release()
	})
	return s.err
}

// get returns a copy of the value under key, or nil when there is none. A stored value is never nil.
func get(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := item.ValueCopy(nil)
	if err == nil && v == nil {
		v = []byte{}
	}
	return v, err
}

// scan calls fn with copies of every entry under prefix, in key order. The key comes without the prefix.
func (s *Store) scan(doing string, prefix []byte, fn func(key, value []byte) error) error {
	return s.scanBut(doing, prefix, "", fn)
}

// scanBut passes over the keys that go on with without. Their values are not read.
func (s *Store) scanBut(doing string, prefix []byte, without string, fn func(key, value []byte) error) error {
	if s.closed.Load() {
		return ErrClosed
	}
	var own error
	err := s.db.View(func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.Prefix = prefix
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			key := it.Item().KeyCopy(nil)[len(prefix):]
			for without != "" && bytes.HasPrefix(key, []byte(without)) {
				it.Seek(behind(append(bytes.Clone(prefix), without...)))
				if !it.Valid() {
					return nil
				}
				key = it.Item().KeyCopy(nil)[len(prefix):]
			}
			v, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			if own = fn(key, v); own != nil {
				return own
			}
		}
		return nil
	})
	if own != nil {
		return own
	}
	return s.explain(doing, err)
}

// behind is the first key after all that begin with prefix, in its memory.
func behind(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i]++; prefix[i] != 0 {
			return prefix[:i+1]
		}
	}
	return nil
}

// badgerLog passes on what an operator can act on.
type badgerLog struct{ l *slog.Logger }

// Errorf implements badger.Logger.
func (b badgerLog) Errorf(f string, a ...any) {
	b.l.Error("badger", "message", fmt.Sprintf(f, a...))
}

// Warningf implements badger.Logger.
func (b badgerLog) Warningf(f string, a ...any) {
	b.l.Warn("badger", "message", fmt.Sprintf(f, a...))
}

// Infof says nothing.
func (b badgerLog) Infof(string, ...any) {}

// Debugf says nothing.
func (b badgerLog) Debugf(string, ...any) {}
