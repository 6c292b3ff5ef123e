package pipeline

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
)

func TestRecordsInWarningsOut(t *testing.T) {
	r := newRig(t, t.TempDir())
	run(t, r.config(program(t, "memory")))
	r.publish(t,
		frame(t, "logs/n1", 10, false, line("n1", 1, "memory is getting low"), line("n1", 2, "nothing"), line("n2", 3, "memory is getting low")),
		frame(t, "logs/n2", 20, false, line("n1", 11, "memory is nearly gone"), line("n3", 12, "memory is nearly gone")),
		frame(t, "logs/n1", 30, false, line("n1", 21, "the kernel killed a process")),
	)
	eventually(t, r.stream, map[string]matcher.State{"memory n1": matcher.InIncident, "memory n2": matcher.Forming})
	last, times := warnings(t, r.stream)
	require.Len(t, last, 2)
	for id, n := range times {
		require.Equal(t, 1, n, id)
	}
	for _, w := range last {
		require.Len(t, w.Key, 1, "the parts of the key travel")
		require.Len(t, w.Remedies, 1, "the warning is dressed")
	}
}

func TestASecondProcessTakesOverWithoutTellingTwice(t *testing.T) {
	r := newRig(t, t.TempDir())
	p := program(t, "memory")
	other, err := store.Open(store.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Close()) })
	first := run(t, r.config(p))
	var early [][]byte
	want := map[string]matcher.State{}
	for i := range 20 {
		node := fmt.Sprintf("n%d", i)
		early = append(early, frame(t, "logs/"+node, 10, false, line(node, 1, "memory is getting low")))
		want["memory "+node] = matcher.Forming
	}
	r.publish(t, early...)
	eventually(t, r.stream, want)
	before, _ := warnings(t, r.stream)

	c := r.config(p)
	c.Store, c.Instance = other, "second"
	second := run(t, c)
	first.stop(t)
	for node := range want {
		want[node] = matcher.InIncident
	}
	for i := range 20 {
		node := fmt.Sprintf("n%d", i)
		r.publish(t, frame(t, "logs/"+node, 20, false, line(node, 11, "memory is nearly gone"), line(node, 12, "the kernel killed a process")))
	}
	eventually(t, r.stream, want)
	after, times := warnings(t, r.stream)
	for id := range before {
		require.Contains(t, after, id, "the warning goes on under its id")
	}
	for id, n := range times {
		require.Equal(t, 1, n, "revision %s was told by the first process and not again", id)
	}
	require.Equal(t, 20, second.Status().Open["incident"])
	open := 0
	require.NoError(t, other.Warnings(store.Filter{Open: true}, func(store.Revision) error { open++; return nil }))
	require.Equal(t, 20, open, "the state has moved")
}

func TestReloadUnderLoadLosesNothing(t *testing.T) {
	r := newRig(t, t.TempDir())
	one, two := program(t, "memory"), program(t, "memory", "other")
	m := run(t, workConfig(r, one))
	out, err := NewPublisher(r.stream, 0, nil)
	require.NoError(t, err)
	const n = 300
	for i := range n {
		require.NoError(t, out.Emit(t.Context(), workload(t, i, n)))
		if i == workSources-1 {
			require.NoError(t, out.Flush(t.Context()))
			require.Eventually(t, func() bool { return settled(t, r.stream) }, 20*time.Second, 10*time.Millisecond)
		}
		switch i % 20 {
		case 9:
			m.Swap(two, nil)
		case 19:
			m.Swap(one, []string{"other.yaml:1:1: taken out for a while"})
		}
	}
	m.Swap(two, nil)
	require.NoError(t, out.Emit(t.Context(), frame(t, "logs/0", 5000, false, line("last", 4000, "memory is getting low"))))
	require.NoError(t, out.Close(t.Context()))
	require.Eventually(t, func() bool { return settled(t, r.stream) }, 20*time.Second, 10*time.Millisecond)
	got, _ := warnings(t, r.stream)
	require.Equal(t, matcher.Forming, stands(got)["other last"], "the last program is in force")
	m.stop(t)

	calm := newRig(t, t.TempDir())
	m = run(t, workConfig(calm, one))
	for i := range workSources {
		calm.publish(t, workload(t, i, n))
	}
	require.Eventually(t, func() bool { return settled(t, calm.stream) }, 20*time.Second, 10*time.Millisecond)
	for i := workSources; i < n; i++ {
		frames := [][]byte{workload(t, i, n)}
		calm.publish(t, frames...)
	}
	calm.publish(t, frame(t, "logs/0", 5000, false, line("last", 4000, "memory is getting low")))
	require.Eventually(t, func() bool { return settled(t, calm.stream) }, 20*time.Second, 10*time.Millisecond)
	m.stop(t)
	want, _ := warnings(t, calm.stream)
	require.Equal(t, digestOf(want, "memory"), digestOf(got, "memory"), "what did not change was not disturbed")
}

func digestOf(ws map[string]matcher.Warning, signature string) string {
	var list []matcher.Warning
	for _, w := range ws {
		if w.Signature == signature {
			list = append(list, w)
		}
	}
	return matcher.DigestWarnings(list)
}

func TestDrainLeavesNothingHalfDone(t *testing.T) {
	r := newRig(t, t.TempDir())
	m := run(t, workConfig(r, program(t, "memory")))
	out, err := NewPublisher(r.stream, 0, nil)
	require.NoError(t, err)
	const n = 300
	for i := range n {
		require.NoError(t, out.Emit(t.Context(), workload(t, i, n)))
	}
	require.Eventually(t, func() bool {
		last, err := r.stream.LastSeq(t.Context(), stream.Hits, "")
		require.NoError(t, err)
		return last > 0
	}, 20*time.Second, time.Millisecond)
	m.stop(t) // in the middle of it
	require.NoError(t, out.Close(t.Context()))

	all, err := r.stream.Info(t.Context())
	require.NoError(t, err)
	for _, s := range all {
		for _, c := range s.Consumers {
			if s.Stream != stream.Hits {
				continue
			}
			var partition int
			_, err := fmt.Sscanf(c.Name, "track-%d", &partition)
			require.NoError(t, err)
			at, err := r.store.Position(partition)
			require.NoError(t, err)
			require.LessOrEqual(t, c.AckedSeq, at, "nothing is acknowledged that is not stored")
			require.NoError(t, r.store.Outbox(partition, func(p store.Pending) error {
				t.Errorf("partition %d left %s untold", partition, p.ID)
				return nil
			}))
		}
	}
	statuses, err := r.stream.Statuses(t.Context())
	require.NoError(t, err)
	s, err := StatusOf(statuses["match.test"])
	require.NoError(t, err)
	require.True(t, s.Stopped)

	m = run(t, workConfig(r, program(t, "memory")))
	require.Eventually(t, func() bool { return settled(t, r.stream) }, 20*time.Second, 10*time.Millisecond)
	m.stop(t)
	resultOf(t, r)
}

func TestStatusTellsWhatIsSeenAndWhatIsNot(t *testing.T) {
	r := newRig(t, t.TempDir())
	c := r.config(program(t, "memory"))
	c.Refused, c.Version, c.Intake = []string{"bad.yaml:3:1: no clear"}, "v1", true
	run(t, c)
	r.publish(t,
		frame(t, "logs/n1", 1000, false, line("n1", 1, "memory is getting low")),
		frame(t, "logs/n2", 10, false),
	)
	out, err := r.stream.Publisher(stream.PublisherConfig{})
	require.NoError(t, err)
	require.NoError(t, out.Publish(t.Context(), stream.RecordsSubject(0), "", []byte("junk"), nil))
	require.NoError(t, out.Publish(t.Context(), stream.IntakeSubject, "", []byte(`{"kind":"log","time":"2026-03-01T12:10:00Z","text":"hello"}`), nil))
	require.NoError(t, out.Publish(t.Context(), stream.IntakeSubject, "", []byte(`{"kind":"rumour"}`), nil))
	require.NoError(t, out.Close(t.Context()))

	var s Status
	require.Eventually(t, func() bool {
		all, err := r.stream.Statuses(t.Context())
		require.NoError(t, err)
		if b, ok := all["match.test"]; ok {
			s, err = StatusOf(b)
			require.NoError(t, err)
		}
		return len(s.Inputs) == 3 && s.Open["forming"] == 1 && len(s.Dead) == 2
	}, 20*time.Second, 50*time.Millisecond)
	require.Equal(t, "v1", s.Version)
	require.Equal(t, 1, s.Signatures)
	require.Equal(t, c.Refused, s.Refused)
	require.Equal(t, []string{"intake", "logs/n1", "logs/n2"}, []string{s.Inputs[0].Source, s.Inputs[1].Source, s.Inputs[2].Source})
	require.Equal(t, []string{"log"}, s.Inputs[1].Kinds)
	require.False(t, s.Inputs[1].Silent)
	require.True(t, s.Inputs[2].Silent)
	require.EqualValues(t, 1, s.Losses["bad_batches"])
	require.EqualValues(t, 1, s.Losses["intake_bad_records"])
	require.Contains(t, s.Lag, "scan-0")
	require.Len(t, s.Partitions, 3)
}

// A small partition must not be followed hours ahead of a large one when both wait after an outage.
func TestABacklogIsFollowedInStep(t *testing.T) {
	r := newRig(t, t.TempDir())
	busy, quiet := "logs/busy", "logs/quiet"
	for i := 0; RecordPartition(busy, 2) == RecordPartition(quiet, 2); i++ {
		quiet = fmt.Sprintf("logs/quiet-%d", i)
	}
	var frames [][]byte
	const seconds = 3600
	for s := range seconds {
		if s%20 == 0 {
			frames = append(frames, frame(t, quiet, s, false, line("q", s, "memory is getting low")))
		}
		frames = append(frames, frame(t, busy, s, false, line("b", s, "memory is getting low")))
	}
	r.publish(t, frames...)

	m := run(t, r.config(program(t, "memory")))
	require.Eventually(t, func() bool { return settled(t, r.stream) }, 30*time.Second, 20*time.Millisecond)
	m.stop(t)
	require.Empty(t, m.Status().Losses, "nothing was late, and nobody silent")
	last, _ := warnings(t, r.stream)
	require.Equal(t, map[string]matcher.State{"memory q": matcher.Forming, "memory b": matcher.Forming}, stands(last))
	require.Len(t, last, 2, "neither of them was ever quiet")
}
