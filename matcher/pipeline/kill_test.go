package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
)

// The workload is a function of its size, so that a process that was killed goes on with the same.
const (
	workSources = 3
	workNodes   = 150
	workStep    = 7 // seconds between two batches of a source
)

// workload gives frame i of n: source i%workSources tells what happened in its nodes since its last frame.
func workload(t *testing.T, i, n int) []byte {
	t.Helper()
	source, round := i%workSources, i/workSources
	dice := rand.New(rand.NewPCG(uint64(i), 7))
	texts := []string{"memory is getting low", "memory is nearly gone", "the kernel killed a process", "all is well", "all is well"}
	var records []record.Record
	for second := range workStep {
		if dice.IntN(3) == 0 {
			node := fmt.Sprintf("n%d-%d", source, dice.IntN(workNodes/workSources))
			records = append(records, line(node, round*workStep+second+1, texts[dice.IntN(len(texts))]))
		}
	}
	if round == 0 { // a source that is not known yet holds nothing back, so all of them say hello first
		return frame(t, fmt.Sprintf("logs/%d", source), 0, false)
	}
	mark := (round + 1) * workStep
	if i >= n-workSources {
		mark += 90 // some of the quiet times end, and some do not
	}
	return frame(t, fmt.Sprintf("logs/%d", source), mark, false, records...)
}

func workConfig(r *rig, p *matcher.Program) Config {
	c := r.config(p)
	c.Tracker.SilentAfter = 1000 * time.Hour // a source that is behind because its partition is, is not silent
	c.Tracker.ForgetAfter = 1000 * time.Hour
	return c
}

// settled reports whether everything that was published was followed and committed.
func settled(t *testing.T, s *stream.Stream) bool {
	t.Helper()
	all, err := s.Info(context.Background())
	require.NoError(t, err)
	consumers := 0
	for _, st := range all {
		for _, c := range st.Consumers {
			if c.Pending > 0 || c.Unacked > 0 {
				return false
			}
			consumers++
		}
	}
	records, hits := s.Partitions()
	return consumers >= records+hits
}

// result is what a data directory says in the end. Ids are not compared: they depend on how much was settled when a record came.
type result struct {
	digest string
	count  int
	states map[matcher.State]int
	open   int
}

func resultOf(t *testing.T, r *rig) result {
	t.Helper()
	last, _ := warnings(t, r.stream)
	out := result{states: map[matcher.State]int{}}
	var all []matcher.Warning
	episodes := map[string]string{}
	for id, w := range last {
		if w.Retracted {
			continue
		}
		all = append(all, w)
		out.states[w.State]++
		episode := fmt.Sprintf("%s %s %s", w.Signature, w.KeyText, w.Opened)
		require.Empty(t, episodes[episode], "an episode has one warning")
		episodes[episode] = id
		kept, found, err := r.store.Warning(id)
		require.NoError(t, err)
		require.True(t, found, "a warning that was told is in the store")
		require.Equal(t, w.Revision, kept.Revision)
	}
	out.count = len(all)
	out.digest = matcher.DigestWarnings(all)
	require.NoError(t, r.store.Warnings(store.Filter{Open: true}, func(store.Revision) error { out.open++; return nil }))
	require.NoError(t, r.store.Partitions(func(p int, at uint64) error {
		end, err := r.stream.LastSeq(context.Background(), stream.Hits, stream.HitsSubject(p))
		require.NoError(t, err)
		require.Equal(t, end, at, "partition %d is followed to its end", p)
		waiting := 0
		require.NoError(t, r.store.Outbox(p, func(store.Pending) error { waiting++; return nil }))
		require.Zero(t, waiting, "nothing waits to be told")
		return nil
	}))
	return out
}

// TestMatchingProcess is the process that is killed; without its directory it does nothing.
func TestMatchingProcess(t *testing.T) {
	dir := os.Getenv("FOREWARN_TEST_DIR")
	if dir == "" {
		return
	}
	n, err := strconv.Atoi(os.Getenv("FOREWARN_TEST_FRAMES"))
	require.NoError(t, err)
	r := newRig(t, dir)
	c := workConfig(r, program(t, "memory"))
	c.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	m := run(t, c)
	out, err := NewPublisher(r.stream, 0, nil)
	require.NoError(t, err)

	// The collector: it remembers how far it got only now and then, as one does that reads a file.
	notes := filepath.Join(dir, "collector")
	from := 0
	if b, err := os.ReadFile(notes); err == nil {
		from, err = strconv.Atoi(string(b))
		require.NoError(t, err)
	}
	tick := time.NewTicker(time.Millisecond)
	for i := from; i < n; i++ {
		<-tick.C
		require.NoError(t, out.Emit(t.Context(), workload(t, i, n)))
		if i == workSources-1 {
			require.NoError(t, out.Flush(t.Context()))
			require.Eventually(t, func() bool { return settled(t, r.stream) }, 60*time.Second, 20*time.Millisecond)
		}
		if i%20 == 19 || i == n-1 {
			require.NoError(t, out.Flush(t.Context()))
			require.NoError(t, os.WriteFile(notes+".new", strconv.AppendInt(nil, int64(i+1), 10), 0o600))
			require.NoError(t, os.Rename(notes+".new", notes))
		}
	}
	require.Eventually(t, func() bool { return settled(t, r.stream) }, 60*time.Second, 20*time.Millisecond)
	m.stop(t)
	require.NoError(t, out.Close(t.Context()))
}

func TestKilledAtRandomPointsNothingIsLostOrToldTwice(t *testing.T) {
	kills := 5
	if s := os.Getenv("FOREWARN_KILLS"); s != "" {
		var err error
		kills, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	frames := max(100*kills, 600)

	undisturbed := t.TempDir()
	child(t, undisturbed, frames, 0)
	r := newRig(t, undisturbed)
	want := resultOf(t, r)
	r.close()
	require.Greater(t, want.count, 20)
	require.Positive(t, want.open)
	require.Positive(t, want.states[matcher.Averted])
	require.Positive(t, want.states[matcher.Resolved])

	dir := t.TempDir()
	for range kills {
		child(t, dir, frames, time.Duration(20+rand.IntN(900))*time.Millisecond)
	}
	child(t, dir, frames, 0)
	got := resultOf(t, newRig(t, dir))
	require.Equal(t, want, got)
}

// TestMovingProcess is a matching process on the server of another process, until it is killed.
func TestMovingProcess(t *testing.T) {
	url := os.Getenv("FOREWARN_TEST_NATS")
	if url == "" {
		return
	}
	st, err := store.Open(store.Options{Dir: os.Getenv("FOREWARN_TEST_DIR")})
	require.NoError(t, err)
	o := streamOptions("")
	o.URL = url
	s, err := stream.Open(t.Context(), o)
	require.NoError(t, err)
	c := workConfig(&rig{s, st}, program(t, "memory"))
	c.Instance = ""
	m, err := New(c)
	require.NoError(t, err)
	require.NoError(t, m.Run(t.Context()))
}

func TestPartitionsMoveWhenTheirOwnerIsKilled(t *testing.T) {
	const frames = 900
	undisturbed := newRig(t, t.TempDir())
	m := run(t, workConfig(undisturbed, program(t, "memory")))
	feed := func(r *rig, from, to int) {
		out, err := NewPublisher(r.stream, 0, nil)
		require.NoError(t, err)
		for i := from; i < to; i++ {
			require.NoError(t, out.Emit(t.Context(), workload(t, i, frames)))
		}
		require.NoError(t, out.Close(t.Context()))
	}
	calm := func(r *rig) {
		require.Eventually(t, func() bool { return settled(t, r.stream) }, 60*time.Second, 20*time.Millisecond)
	}
	feed(undisturbed, 0, workSources)
	calm(undisturbed)
	feed(undisturbed, workSources, frames)
	calm(undisturbed)
	m.stop(t)
	want := resultOf(t, undisturbed)

	dir := t.TempDir()
	r := newRig(t, dir)
	url, err := stream.FindURL(dir)
	require.NoError(t, err)
	stores := []string{t.TempDir(), t.TempDir()}
	spawn := func(i int) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMovingProcess$", "-test.timeout=4m")
		cmd.Env = append(os.Environ(), "FOREWARN_TEST_NATS="+url, "FOREWARN_TEST_DIR="+stores[i%2])
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		return cmd
	}
	acked := func() (n uint64) {
		all, err := r.stream.Info(t.Context())
		require.NoError(t, err)
		for _, s := range all {
			for _, c := range s.Consumers {
				n += c.AckedSeq
			}
		}
		return n
	}
	// Two processes at a time, each with a store of its own; the one that leads is killed and comes back as the second.
	active := spawn(0)
	feed(r, 0, workSources)
	calm(r)
	for i := 1; i <= 3; i++ {
		next := spawn(i)
		before := acked()
		feed(r, max(workSources, (i-1)*frames/4), i*frames/4)
		require.Eventually(t, func() bool { return acked() > before+100 }, 60*time.Second, time.Millisecond)
		require.NoError(t, active.Process.Kill()) // in the middle of it
		require.Error(t, active.Wait())
		active = next
	}
	feed(r, 3*frames/4, frames-workSources)
	calm(r)
	require.NoError(t, active.Process.Kill())
	require.Error(t, active.Wait())

	// Whoever comes last, with whatever of its own, has the whole state.
	m = run(t, workConfig(r, program(t, "memory")))
	feed(r, frames-workSources, frames)
	calm(r)
	calm(r)
	m.stop(t)
	require.Equal(t, want, resultOf(t, r))
}

// child runs TestMatchingProcess to its end, or kills it after a while.
func child(t *testing.T, dir string, frames int, after time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestMatchingProcess$", "-test.timeout=4m")
	cmd.Env = append(os.Environ(), "FOREWARN_TEST_DIR="+dir, "FOREWARN_TEST_FRAMES="+strconv.Itoa(frames))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	if after > 0 {
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	if after > 0 && err != nil && strings.Contains(err.Error(), "signal: killed") {
		return
	}
	require.NoError(t, err, out.String())
}
