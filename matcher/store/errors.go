package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
)

var (
	// ErrClosed is what every method returns after Close.
	ErrClosed = errors.New("the store is closed")
	// ErrCorrupt says that something on the disk is not what this package wrote.
	ErrCorrupt = errors.New("the store is damaged")
	// ErrDiskFull says that a write was refused because the disk is (nearly) full. Nothing of it was written; it may be tried
	// again once there is room.
	ErrDiskFull = errors.New("the disk is full")
)

// InUseError says that another process has the data directory.
type InUseError struct {
	Dir string
	PID int // 0 when it is not known
}

// Error implements error.
func (e *InUseError) Error() string {
	who := "another forewarn"
	if e.PID != 0 {
		who = fmt.Sprintf("another forewarn (pid %d)", e.PID)
	}
	return fmt.Sprintf("data directory %s is in use by %s: stop it or choose another with --data-dir", e.Dir, who)
}

// NewerFormatError says that a newer forewarn wrote the directory.
type NewerFormatError struct {
	Dir   string
	Found uint64
}

// Error implements error.
func (e *NewerFormatError) Error() string {
	return fmt.Sprintf("data directory %s has store format %d and this forewarn knows formats up to %d: "+
		"use the newer forewarn that wrote it, or choose another directory with --data-dir", e.Dir, e.Found, Format)
}

// explain wraps an error of Badger with what was attempted and what to do.
func (s *Store) explain(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, badger.ErrDBClosed), errors.Is(err, badger.ErrBlockedWrites):
		return fmt.Errorf("%s: %w", doing, ErrClosed)
	case errors.Is(err, ErrDiskFull), errors.Is(err, ErrClosed):
		return fmt.Errorf("%s: %w", doing, err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%s in %s: %w (%w): free some space, or move the directory and name it with --data-dir; "+
			"nothing is lost while the streams keep their messages", doing, s.opt.Dir, ErrDiskFull, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s in %s: %w: give this user write access, or choose another directory with --data-dir", doing, s.opt.Dir, err)
	case errors.Is(err, ErrCorrupt), corrupt(err):
		return fmt.Errorf("%s in %s: %w: %w: move %s away and start again; the matcher then rebuilds its state from what the "+
			"HITS stream still holds, and finished warnings are lost", doing, s.opt.Dir, ErrCorrupt, err, s.path)
	}
	return fmt.Errorf("%s in %s: %w", doing, s.opt.Dir, err)
}

// corrupt recognises Badger's complaints about its files, most of which have no sentinel.
func corrupt(err error) bool {
	if errors.Is(err, badger.ErrTruncateNeeded) {
		return true
	}
	text := strings.ToLower(err.Error())
	for _, sign := range []string{"checksum", "manifest", "corrupt", "bad magic", "unexpected eof", "illegal wire"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// room refuses a write when the disk is nearly full. The disk is asked at most four times a second.
func (s *Store) room() error {
	if s.closed.Load() {
		return ErrClosed
	}
	now := s.opt.Now().UnixNano()
	if next := s.freeNext.Load(); now >= next || next-now > int64(freeEvery) { // or the clock went back
		left, known := s.free(s.path)
		s.freeLeft.Store(left)
		s.freeOK.Store(!known || left >= s.opt.MinFree)
		s.freeNext.Store(now + int64(freeEvery))
	}
	if !s.freeOK.Load() {
		return fmt.Errorf("%w: %d MiB are left for %s and %d MiB are needed: free some space, or move the directory and name it with "+
			"--data-dir; nothing is lost while the streams keep their messages", ErrDiskFull, s.freeLeft.Load()>>20, s.opt.Dir, s.opt.MinFree>>20)
	}
	return nil
}
