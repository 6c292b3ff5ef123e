package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
)

// eventsLedger makes emitting events and remembering it one thing, so that a process that is killed at any point neither repeats nor loses
// one. Before a frame is emitted, the frame and what it counts are saved; after a kill it is emitted again, byte for byte, which the stream
// recognises. What the frame counts is then known, and is not made into records again.
//
// Two checkpoints hold it: a snapshot of the whole memory, and a tail of what came since. The tail is written with every frame and so is
// kept small; when it has grown, a snapshot follows.
//
// When checkpoints refuse a writer that is no longer the only one, an emit is refused with it: a process that lost the leadership without
// knowing emits nothing.
type eventsLedger struct {
	keep  collector.Checkpoints // nil keeps nothing
	name  string
	inner collector.Emit

	mu      sync.Mutex // an emit may come from the outlet's own goroutine
	memory  eventMemory
	added   map[uint64]eventCount // by record id: what was given to the outlet and is in no frame yet
	tail    map[eventKey]eventCount
	frames  [][]byte // emitted, or about to be, and not known to be stored
	version string
	follows uint64
	changed bool // something is not saved
	batch   record.Batch
	buf     []byte
}

// eventsTail is the least number of counts in a tail before a snapshot is made of it.
const eventsTail = 2000

// ledgerError is a checkpoint that could not be loaded or saved.
type ledgerError struct{ error }

func (e ledgerError) Unwrap() error { return e.error }

func newEventsLedger(keep collector.Checkpoints, name string, limit int, emit collector.Emit) *eventsLedger {
	return &eventsLedger{
		keep: keep, name: name, inner: emit, memory: eventMemory{limit: limit}, added: map[uint64]eventCount{}, tail: map[eventKey]eventCount{},
	}
}

// load takes up what was saved, and emits again what may not have been. What is damaged is told in the error of the second kind, and left out:
// then everything that the server has is collected again.
func (l *eventsLedger) load(ctx context.Context) (damaged, err error) {
	if l.keep == nil {
		return nil, nil
	}
	whole, sum, damaged, err := l.read("snapshot")
	if err != nil {
		return nil, err
	}
	tail, _, bad, err := l.read("tail")
	if err != nil {
		return nil, err
	}
	l.memory.apply(whole.counts)
	l.version, l.follows = whole.version, sum
	if bad == nil && tail.follows == sum { // else it is of an earlier snapshot, which this one contains
		l.memory.apply(tail.counts)
		for _, c := range tail.counts {
			l.tail[c.key] = c
		}
		l.version, l.frames = tail.version, tail.frames
	}
	if damaged = errors.Join(damaged, bad); damaged != nil {
		l.version = ""
	}
	if err := l.saveTail(); err != nil { // from here on another writer is refused
		return damaged, err
	}
	for _, f := range l.frames {
		if err := l.inner(ctx, f); err != nil {
			return damaged, err
		}
	}
	return damaged, nil
}

func (l *eventsLedger) read(part string) (s eventState, sum uint64, damaged, err error) {
	b, err := l.keep.Load(l.name + "/" + part)
	if err != nil {
		return s, 0, nil, ledgerError{err}
	}
	if b == nil {
		return s, 0, nil, nil
	}
	if sum, err = s.decode(b); err != nil {
		return eventState{}, 0, fmt.Errorf("checkpoint %s/%s: %w", l.name, part, err), nil
	}
	return s, sum, nil, nil
}

// add remembers an event whose record is about to be given to the outlet. It returns how many others were forgotten for it.
func (l *eventsLedger) add(id uint64, key eventKey, count uint32, last int64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := eventCount{key, count, uint32(max(last/int64(time.Second), 0))}
	if l.keep != nil {
		l.added[id] = c
	}
	return l.forget(l.memory.put(key, count, c.last))
}

// seen returns the count with which an event was given last, 0 when it was not.
func (l *eventsLedger) seen(key eventKey) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory.count(key)
}

// gone forgets an event that the server has no longer.
func (l *eventsLedger) gone(key eventKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.memory.seen[key]; known {
		delete(l.memory.seen, key)
		l.forget([]eventKey{key})
	}
}

func (l *eventsLedger) forget(keys []eventKey) int {
	if l.keep != nil {
		for _, k := range keys {
			l.tail[k] = eventCount{key: k}
			l.changed = true
		}
	}
	return len(keys)
}

// list, listed and listEnd are those of the memory.
func (l *eventsLedger) list() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.memory.list()
}

func (l *eventsLedger) listed(key eventKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.memory.listed(key)
}

func (l *eventsLedger) listEnd() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(l.memory.listEnd())
}

// emit saves what a frame counts and emits it. It is the outlet's emit.
func (l *eventsLedger) emit(ctx context.Context, frame []byte) error {
	if l.keep != nil {
		if err := l.before(frame); err != nil {
			return err
		}
	}
	return l.inner(ctx, frame)
}

func (l *eventsLedger) before(frame []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.batch.Decode(frame); err != nil {
		return fmt.Errorf("read a frame of our own: %w", err)
	}
	if l.batch.Len() == 0 {
		return nil // a heartbeat
	}
	found := false
	for i := range l.batch.Len() {
		id := l.batch.At(i).ID
		c, ok := l.added[id]
		if !ok {
			continue
		}
		found = true
		delete(l.added, id)
		if c.count >= l.tail[c.key].count {
			l.tail[c.key] = c
		}
	}
	if found { // else the outlet tries a frame again, which is saved already
		l.frames = append(l.frames, append([]byte(nil), frame...))
		l.changed = true
	}
	if !l.changed {
		return nil
	}
	return l.saveTail()
}

// commit says that everything that was added is stored, and that it is all that there was up to version. It saves when save is set, or when
// the tail is long.
func (l *eventsLedger) commit(version string, save bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = l.changed || len(l.frames) > 0 || l.version != version
	l.frames, l.version = nil, version
	clear(l.added) // what the outlet refused is in no frame
	switch {
	case l.keep == nil:
		return nil
	case len(l.tail) > max(eventsTail, len(l.memory.seen)/8):
		return l.saveSnapshot()
	case save && l.changed:
		return l.saveTail()
	}
	return nil
}

func (l *eventsLedger) saveTail() error {
	s := eventState{follows: l.follows, version: l.version, frames: l.frames, counts: make([]eventCount, 0, len(l.tail))}
	for _, c := range l.tail {
		s.counts = append(s.counts, c)
	}
	l.buf, _ = s.appendTo(l.buf[:0])
	if err := l.keep.Save(l.name+"/tail", l.buf); err != nil {
		return ledgerError{err}
	}
	l.changed = false
	return nil
}

func (l *eventsLedger) saveSnapshot() error {
	s := eventState{version: l.version, counts: l.memory.counts()}
	b, sum := s.appendTo(l.buf[:0])
	l.buf = b
	if err := l.keep.Save(l.name+"/snapshot", b); err != nil {
		return ledgerError{err}
	}
	l.follows = sum
	clear(l.tail)
	return l.saveTail()
}
