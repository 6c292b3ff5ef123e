package pipeline

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
	"github.com/forewarn/forewarn/signatures"
)

// signature is a ladder of two stages and an incident for each node.
const signature = `
id: %s
title: a node runs out of memory
severity: high
by: node
stages:
  - name: first
    when: {log: {contains: memory is getting low}}
  - name: second
    when: {log: {contains: memory is nearly gone}}
incident: {when: {log: {contains: the kernel killed a process}}}
clear: {quiet: 2m}
remedies:
  - {do: look at the node, risk: look}
`

func program(t *testing.T, ids ...string) *matcher.Program {
	t.Helper()
	var all []*signatures.Signature
	for _, id := range ids {
		sigs, problems := signatures.Parse(id+".yaml", fmt.Appendf(nil, signature, id))
		for _, p := range problems {
			require.NotEqual(t, signatures.LevelError, p.Severity, "%v", p)
		}
		all = append(all, sigs...)
	}
	p, problems := matcher.Compile(all, matcher.CompileOptions{})
	require.Empty(t, problems)
	return p
}

// start is when the records of the tests begin.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// line is one log line of a node.
func line(node string, second int, text string) record.Record {
	at := start.Add(time.Duration(second) * time.Second).UnixNano()
	return record.Record{
		Kind: record.Log, Time: at, Observed: at, Seq: uint64(second), ID: record.Identity(node, fmt.Sprint(second), text), Count: 1, Text: []byte(text),
		Attrs: record.Attrs{{Key: record.Node, Value: node}},
	}
}

// frame is a batch of a source with a mark.
func frame(t *testing.T, source string, markSecond int, ended bool, records ...record.Record) []byte {
	t.Helper()
	var b record.Builder
	require.NoError(t, b.Reset(record.Header{Source: source, Kinds: 1 << record.Log}))
	for i := range records {
		require.NoError(t, b.Add(&records[i]))
	}
	b.SetMark(start.Add(time.Duration(markSecond)*time.Second).UnixNano(), ended)
	return b.AppendTo(nil)
}

// rig is a stream and a store on one directory.
type rig struct {
	stream *stream.Stream
	store  *store.Store
}

func streamOptions(dir string) stream.Options {
	return stream.Options{DataDir: dir, RecordPartitions: 2, HitPartitions: 3}
}

func newRig(t *testing.T, dir string) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	st, err := store.Open(store.Options{Dir: dir})
	require.NoError(t, err)
	s, err := stream.Open(ctx, streamOptions(dir))
	require.NoError(t, err)
	require.NoError(t, s.EnsureStreams(ctx))
	r := &rig{stream: s, store: st}
	t.Cleanup(r.close)
	return r
}

func (r *rig) close() {
	_ = r.stream.Close()
	_ = r.store.Close()
}

func (r *rig) config(p *matcher.Program) Config {
	return Config{Stream: r.stream, Store: r.store, Program: p, Instance: "test", StatusEvery: 200 * time.Millisecond, TakeoverAfter: 2 * time.Second}
}

// running is a matcher that runs until stop.
type running struct {
	*Matcher
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func run(t *testing.T, c Config) *running {
	t.Helper()
	m, err := New(c)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Matcher: m, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = m.Run(ctx)
	}()
	t.Cleanup(func() { r.stop(t) })
	return r
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	<-r.done
	require.NoError(t, r.err)
}

func (r *rig) publish(t *testing.T, frames ...[]byte) {
	t.Helper()
	p, err := NewPublisher(r.stream, 0, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, f := range frames {
		require.NoError(t, p.Emit(ctx, f))
	}
	require.NoError(t, p.Close(ctx))
}

// warnings reads WARNINGS from its beginning: the last revision of each warning, and how often each revision is there.
func warnings(t *testing.T, s *stream.Stream) (last map[string]matcher.Warning, times map[string]int) {
	t.Helper()
	last, times = map[string]matcher.Warning{}, map[string]int{}
	err := s.Read(context.Background(), stream.Warnings, "", 0, 0, func(m stream.Message) error {
		w, err := DecodeWarning(m.Data)
		if err != nil {
			return err
		}
		times[WarningID(w.Warning.ID, w.Warning.Revision)]++
		if w.Warning.Revision >= last[w.Warning.ID].Revision {
			last[w.Warning.ID] = w.Warning
		}
		return nil
	})
	require.NoError(t, err)
	return last, times
}

// stands gives "node state" of each warning, sorted by the map.
func stands(last map[string]matcher.Warning) map[string]matcher.State {
	m := map[string]matcher.State{}
	for _, w := range last {
		m[w.Signature+" "+w.KeyText] = w.State
	}
	return m
}

func eventually(t *testing.T, s *stream.Stream, want map[string]matcher.State) {
	t.Helper()
	var got map[string]matcher.State
	require.Eventually(t, func() bool {
		last, _ := warnings(t, s)
		got = stands(last)
		return maps.Equal(want, got)
	}, 20*time.Second, 50*time.Millisecond, "%v", &got)
}
