package sightings

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

const digest = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// warning is one of three stages that reached so many after minutes each; incident and closed are minutes, 0 for never.
func warning(id int, stages []float64, incident, closed float64) matcher.Warning {
	minutes := func(m float64) time.Time { return start.Add(time.Duration(m * float64(time.Minute))) }
	w := matcher.Warning{
		ID: fmt.Sprintf("%016x", id), Revision: 1, Signature: "queue-grows", Digest: digest, Title: "Queue grows", Severity: signatures.High, State: matcher.Forming,
		Key: []record.Attr{{Key: "pod", Value: "cart-1"}}, KeyText: "cart-1", Total: 3, Opened: start,
		Remedies: []signatures.Remedy{{Do: "Look at the queue.", Risk: signatures.Look}, {Do: "Restart the consumer.", Risk: signatures.Restart}},
	}
	for i, m := range stages {
		w.Reached = append(w.Reached, matcher.Reached{Stage: fmt.Sprint("stage-", i), Time: minutes(m), Count: 1})
		w.Time = minutes(m)
	}
	if incident > 0 {
		at := minutes(incident)
		w.Reached = append(w.Reached, matcher.Reached{Stage: "incident", Time: at, Count: 1})
		w.State, w.Incident, w.Lead, w.Time = matcher.InIncident, &at, at.Sub(start), at
	}
	if closed > 0 {
		at := minutes(closed)
		w.State, w.Closed, w.Time = matcher.Averted, &at, at
		if incident > 0 {
			w.State = matcher.Resolved
		}
	}
	return w
}

// memory is a ledger in memory.
type memory struct {
	mu       sync.Mutex
	seq      uint64
	entries  map[string]stream.Entry
	watchers map[chan stream.Entry]bool
	refuse   bool // everything fails
}

var _ Ledger = (*memory)(nil)

func (m *memory) set(key string, value []byte) uint64 {
	m.seq++
	if m.entries == nil {
		m.entries = map[string]stream.Entry{}
	}
	e := stream.Entry{Key: key, Value: slices.Clone(value), Sequence: m.seq}
	m.entries[key] = e
	for w := range m.watchers {
		w <- e
	}
	return m.seq
}

func (m *memory) Put(_ context.Context, key string, value []byte) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse {
		return 0, fmt.Errorf("out of reach")
	}
	return m.set(key, value), nil
}

func (m *memory) Replace(_ context.Context, key string, value []byte, was uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, has := m.entries[key]
	if (has && e.Value != nil || was != 0) && e.Sequence != was {
		return 0, stream.ErrConflict
	}
	return m.set(key, value), nil
}

func (m *memory) Get(_ context.Context, key string) (stream.Entry, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, has := m.entries[key]
	return e, has && e.Value != nil, nil
}

func (m *memory) Remove(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(key, nil)
	return nil
}

func (m *memory) Follow(ctx context.Context, changed func(stream.Entry), whole func()) error {
	m.mu.Lock()
	now := slices.SortedFunc(maps.Values(m.entries), func(a, b stream.Entry) int { return int(a.Sequence) - int(b.Sequence) })
	w := make(chan stream.Entry, 1<<16)
	if m.watchers == nil {
		m.watchers = map[chan stream.Entry]bool{}
	}
	m.watchers[w] = true
	m.mu.Unlock()
	for _, e := range now {
		if e.Value != nil {
			changed(e)
		}
	}
	if whole != nil {
		whole()
	}
	for {
		select {
		case <-ctx.Done():
			m.mu.Lock()
			delete(m.watchers, w)
			m.mu.Unlock()
			return nil
		case e := <-w:
			changed(e)
		}
	}
}

// told is a log of warnings.
type told struct {
	mu  sync.Mutex
	all []matcher.Warning
}

var _ History = (*told)(nil)

func (h *told) tell(ws ...matcher.Warning) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, ws...)
}

func (h *told) Read(_ context.Context, after uint64, fn func(*matcher.Warning, uint64) error) error {
	h.mu.Lock()
	all := slices.Clone(h.all)
	h.mu.Unlock()
	for i := int(after); i < len(all); i++ {
		if err := fn(&all[i], uint64(i+1)); err != nil {
			return err
		}
	}
	return nil
}

// bookOf is a book with finished warnings.
func bookOf(t *testing.T, now time.Time, ws ...matcher.Warning) *Book {
	t.Helper()
	b := &Book{Now: func() time.Time { return now }, origin: "0123456789abcdef"}
	for i := range ws {
		s, ok := Of(&ws[i], "v1.31.2", now)
		require.True(t, ok)
		b.take(s, uint64(i+1))
	}
	return b
}

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 7)) }

func exported(tb testing.TB, all []*Tally) []byte {
	tb.Helper()
	var b bytes.Buffer
	require.NoError(tb, Write(&b, all))
	return b.Bytes()
}
