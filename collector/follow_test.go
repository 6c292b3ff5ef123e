package collector

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// watching is a followed directory and what came of it.
type watching struct {
	t     *testing.T
	dir   string
	feed  *Files
	texts chan string
	marks chan int64
}

func watchDir(t *testing.T, opts Options) *watching {
	t.Helper()
	w := &watching{t: t, dir: opts.Paths[0], texts: make(chan string, 1000), marks: make(chan int64, 1000)}
	opts.Follow, opts.Poll, opts.Idle, opts.Now = true, 10*time.Millisecond, 5*time.Millisecond, present
	f, err := Open(opts)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- f.Run(ctx, func(_ context.Context, frame []byte) error {
			var b record.Batch
			if err := b.Decode(frame); err != nil {
				return err
			}
			for i := range b.Len() {
				w.texts <- string(b.At(i).Text)
			}
			if b.Len() == 0 {
				select {
				case w.marks <- b.Header().Mark:
				default:
				}
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	w.feed = f
	return w
}

func (w *watching) append(name, text string) {
	w.t.Helper()
	f, err := os.OpenFile(filepath.Join(w.dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(w.t, err)
	_, err = f.WriteString(text)
	require.NoError(w.t, err)
	require.NoError(w.t, f.Close())
}

func (w *watching) expect(want ...string) {
	w.t.Helper()
	for _, text := range want {
		select {
		case got := <-w.texts:
			require.Equal(w.t, text, got)
		case <-time.After(10 * time.Second):
			require.Fail(w.t, "nothing came", "want %q", text)
		}
	}
}

const stamp = "2026-11-20T10:00:00Z "

func TestFollowReadsWhatIsAppended(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.log"), []byte(stamp+"one\n"), 0o600))
	w := watchDir(t, Options{Paths: []string{dir}})
	w.expect(stamp + "one")
	w.append("a.log", stamp+"two\n")
	w.expect(stamp + "two")
	w.append("b.log", stamp+"new file\n")
	w.expect(stamp + "new file")
}

func TestFollowReadsBothFilesOfARotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	require.NoError(t, os.WriteFile(path, []byte(stamp+"one\n"), 0o600))
	w := watchDir(t, Options{Paths: []string{path}})
	w.dir = dir
	w.expect(stamp + "one")
	// What is written between the last look and the rotation is in the old file only.
	old, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	require.NoError(t, os.Rename(path, path+".1"))
	_, err = old.WriteString(stamp + "two\n")
	require.NoError(t, err)
	w.expect(stamp + "two")
	w.append("a.log", stamp+"three\n")
	w.expect(stamp + "three")
	require.NoError(t, old.Close())
}

func TestFollowBeginsAnewWithAFileThatWasCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	require.NoError(t, os.WriteFile(path, []byte(stamp+"one of the longer lines\n"), 0o600))
	w := watchDir(t, Options{Paths: []string{path}})
	w.dir = dir
	w.expect(stamp + "one of the longer lines")
	require.NoError(t, os.WriteFile(path, []byte(stamp+"two\n"), 0o600))
	w.expect(stamp + "two")
}

func TestFollowFromTheEndKeepsTheFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.log"), []byte("2026-11-20T10:00:00Z stdout F one\n"), 0o600))
	w := watchDir(t, Options{Paths: []string{dir}, FromEnd: true})
	require.Eventually(t, func() bool { return w.feed.Stats().Formats["cri"] == 1 }, 10*time.Second, time.Millisecond)
	w.append("a.log", "2026-11-20T10:00:01Z stdout F two\n")
	w.expect("two")
}

func TestFollowedFileThatIsIdleHasAHeartbeat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := watchDir(t, Options{Paths: []string{dir}, Heartbeat: 10 * time.Millisecond})
	w.append("a.log", stamp+"one\n")
	w.expect(stamp + "one")
	select {
	case mark := <-w.marks:
		require.Equal(t, present().UnixNano(), mark)
	case <-time.After(10 * time.Second):
		require.Fail(t, "no heartbeat came")
	}
}

func TestAFollowedFileThatGoesAwayHidesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	require.NoError(t, os.WriteFile(path, []byte(stamp+"one\n"), 0o600))
	f, err := Open(Options{Paths: []string{dir}, Follow: true, Poll: 5 * time.Millisecond, Idle: 5 * time.Millisecond, Now: present})
	require.NoError(t, err)
	headers := make(chan record.Header, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- f.Run(ctx, func(_ context.Context, frame []byte) error {
			var b record.Batch
			if err := b.Decode(frame); err != nil {
				return err
			}
			headers <- *b.Header()
			return nil
		})
	}()
	h := <-headers
	require.True(t, h.HasKind(record.Log))
	require.NoError(t, os.Remove(path))
	for !h.Ended {
		h = <-headers
	}
	require.Zero(t, h.Kinds, "what is not there gives nothing, so its silence makes no absence unknown")
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

func TestFollowGivesOutWhatASteadyWriterSays(t *testing.T) {
	dir := t.TempDir()
	w := watchDir(t, Options{Paths: []string{dir}, Heartbeat: -1})
	tick := time.NewTicker(3 * time.Millisecond) // more often than Idle
	defer tick.Stop()
	w.append("quiet.log", "2026-11-20T19:00:00Z one line\n")
	deadline := time.After(2 * time.Second)
	for got := 0; got < 2; {
		select {
		case <-tick.C:
			w.append("busy.log", "2026-11-20T19:00:00Z one of many\n")
		case <-w.texts:
			got++
		case <-deadline:
			require.Fail(t, "nothing comes out while more comes in")
		}
	}
}

func TestOneSourceOfManyFilesPromisesWhileOneIsAlwaysWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := Open(Options{Paths: []string{dir}, Follow: true, Source: "logs", Poll: 5 * time.Millisecond, Heartbeat: 5 * time.Millisecond, Idle: 5 * time.Millisecond})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	marks := make(chan int64, 1)
	go func() {
		done <- f.Run(ctx, func(_ context.Context, frame []byte) error {
			var b record.Batch
			if err := b.Decode(frame); err != nil {
				return err
			}
			select {
			case <-marks:
			default:
			}
			marks <- b.Header().Mark
			return nil
		})
	}()
	w := &watching{t: t, dir: dir}
	began := time.Now()
	w.append("quiet.log", time.Now().UTC().Format(time.RFC3339Nano)+" one line\n")
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; {
		w.append("busy.log", time.Now().UTC().Format(time.RFC3339Nano)+" one of many\n")
		select {
		case mark := <-marks:
			require.LessOrEqual(t, mark, time.Now().UnixNano())
			if mark > began.UnixNano() {
				cancel()
				require.ErrorIs(t, <-done, context.Canceled)
				return
			}
		case <-tick.C:
		}
		require.True(t, time.Now().Before(deadline), "no promise came")
	}
}
