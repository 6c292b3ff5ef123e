package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// archive stands for the stream: what was emitted is on its way until it is stored, and lost when the process dies before.
type archive struct {
	mu      sync.Mutex
	dead    bool
	under   []record.Record
	stored  map[uint64]string // by identity, as what comes after drops repeats
	repeats int
	kept    map[string][]byte
	saves   int
}

var _ Checkpoints = (*archive)(nil)

var errDead = errors.New("the process was killed")

func (a *archive) emit(_ context.Context, frame []byte) error {
	var b record.Batch
	if err := b.Decode(frame); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dead {
		return errDead
	}
	for i := range b.Len() {
		r := b.At(i)
		a.under = append(a.under, r.Clone())
	}
	return nil
}

func (a *archive) store(context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dead {
		return errDead
	}
	a.put(a.under)
	a.under = nil
	return nil
}

func (a *archive) put(records []record.Record) {
	if a.stored == nil {
		a.stored = map[uint64]string{}
	}
	for i := range records {
		if _, ok := a.stored[records[i].ID]; ok {
			a.repeats++
			continue
		}
		a.stored[records[i].ID] = string(records[i].Text)
	}
}

func (a *archive) Load(name string) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept[name], nil
}

func (a *archive) Save(name string, b []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dead {
		return errDead
	}
	if a.kept == nil {
		a.kept = map[string][]byte{}
	}
	a.kept[name] = b
	a.saves++
	return nil
}

// kill ends the process as it is. Of what was on its way a part is stored, as it happens.
func (a *archive) kill(part int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dead = true
	a.put(a.under[:min(part, len(a.under))])
	a.under = nil
}

// lines returns how often each line is stored.
func (a *archive) lines() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := map[string]int{}
	for _, text := range a.stored {
		for line := range strings.Lines(text) {
			m[strings.TrimSuffix(line, "\n")]++
		}
	}
	for i := range a.under {
		if _, ok := a.stored[a.under[i].ID]; ok {
			continue
		}
		for line := range strings.Lines(string(a.under[i].Text)) {
			m[strings.TrimSuffix(line, "\n")]++
		}
	}
	return m
}

// begin runs a follower until stop, which returns what Run returned.
func (a *archive) begin(t *testing.T, o Options) (files *Files, stop func()) {
	t.Helper()
	a.mu.Lock()
	a.dead = false
	a.mu.Unlock()
	o.Follow, o.Now, o.Heartbeat = true, present, -1
	o.Poll, o.Idle, o.CheckpointEvery = 10*time.Millisecond, 5*time.Millisecond, 2*time.Millisecond
	o.Checkpoints, o.Checkpoint, o.Stored = a, "files", a.store
	f, err := Open(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, a.emit) }()
	return f, func() {
		cancel()
		err := <-done
		require.True(t, errors.Is(err, context.Canceled) || errors.Is(err, errDead), "%v", err)
	}
}

// writer writes numbered lines to a file that is rotated meanwhile.
type writer struct {
	t    *testing.T
	dice *rand.Rand
	path string
	file *os.File
	line int
	gen  int
	cri  bool
}

func (w *writer) open() {
	var err error
	w.file, err = os.OpenFile(w.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(w.t, err)
}

func (w *writer) write(n int) {
	var b strings.Builder
	for range n {
		w.line++
		text := fmt.Sprintf("line %d of %s", w.line, filepath.Base(w.path))
		if !w.cri {
			fmt.Fprintf(&b, "2026-11-20T10:00:00Z %s\n", text)
			continue
		}
		if w.dice.IntN(8) == 0 { // a line in two parts
			fmt.Fprintf(&b, "2026-11-20T10:00:00Z stdout P %s\n2026-11-20T10:00:00Z stdout F %s\n", text[:5], text[5:])
			continue
		}
		fmt.Fprintf(&b, "2026-11-20T10:00:00Z stdout F %s\n", text)
	}
	text := b.String()
	if cut := w.dice.IntN(len(text)); cut > 0 { // in two pieces, split anywhere
		_, err := w.file.WriteString(text[:cut])
		require.NoError(w.t, err)
		text = text[cut:]
	}
	_, err := w.file.WriteString(text)
	require.NoError(w.t, err)
}

// rename rotates as container runtimes do: what is written between the renaming and the new file goes to the old one.
func (w *writer) rename() {
	w.gen++
	require.NoError(w.t, os.Rename(w.path, fmt.Sprintf("%s.20261125-%06d", w.path, w.gen)))
	old := w.file
	if w.dice.IntN(2) == 0 {
		w.write(1 + w.dice.IntN(3))
	}
	w.open()
	require.NoError(w.t, old.Close())
	w.pack(w.gen - 3)
}

// shift rotates as logrotate does by default: all older files get another name too.
func (w *writer) shift() {
	for i := 6; i > 0; i-- {
		_ = os.Rename(fmt.Sprintf("%s.%d", w.path, i), fmt.Sprintf("%s.%d", w.path, i+1))
	}
	require.NoError(w.t, os.Rename(w.path, w.path+".1"))
	old := w.file
	w.open()
	require.NoError(w.t, old.Close())
}

// copyTruncate rotates as logrotate does for programs that cannot open their log anew.
func (w *writer) copyTruncate() {
	w.gen++
	in, err := os.Open(w.path)
	require.NoError(w.t, err)
	out, err := os.Create(fmt.Sprintf("%s.20261125-%06d", w.path, w.gen))
	require.NoError(w.t, err)
	_, err = io.Copy(out, in)
	require.NoError(w.t, errors.Join(err, in.Close(), out.Close()))
	require.NoError(w.t, w.file.Truncate(0))
}

// pack replaces an old file by a compressed one.
func (w *writer) pack(gen int) {
	name := fmt.Sprintf("%s.20261125-%06d", w.path, gen)
	if _, err := os.Stat(name); err != nil {
		return
	}
	require.NoError(w.t, os.WriteFile(name+".tmp", []byte("\x1f\x8b\x08 packed"), 0o600))
	require.NoError(w.t, os.Rename(name+".tmp", name+".gz"))
}

// TestFollowersThatAreKilledLoseAndRepeatNothing kills followers at random points while files are written and rotated.
func TestFollowersThatAreKilledLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	for name, rotate := range map[string]func(*writer){"rename": (*writer).rename, "shift": (*writer).shift, "copytruncate": (*writer).copyTruncate, "none": nil} {
		for _, one := range []string{"", "logs/node1"} {
			t.Run(name+one, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				dice := rand.New(rand.NewPCG(seed, 1))
				var writers []*writer
				for i := range 3 {
					w := &writer{t: t, dice: dice, path: filepath.Join(dir, fmt.Sprintf("app%d.log", i)), cri: i > 0}
					w.open()
					w.write(1)
					writers = append(writers, w)
				}
				var a archive
				paths := []string{dir}
				if dice.IntN(2) == 0 {
					paths = []string{filepath.Join(dir, "app0.log"), filepath.Join(dir, "app[12].log")}
				}
				for range 12 {
					_, stop := a.begin(t, Options{Paths: paths, Source: one, MaxOpen: 1 + dice.IntN(8)})
					for range 1 + dice.IntN(12) {
						w := writers[dice.IntN(len(writers))]
						switch {
						case rotate != nil && dice.IntN(4) == 0:
							settle(t, &a, writers, name == "copytruncate" || dice.IntN(3) > 0)
							rotate(w)
						case dice.IntN(10) == 0:
							w.write(3000)
						default:
							w.write(1 + dice.IntN(30))
						}
						time.Sleep(time.Duration(dice.IntN(3000)) * time.Microsecond) // so that it is killed anywhere
					}
					a.kill(dice.IntN(100))
					stop()
					if dice.IntN(2) == 0 && rotate != nil && name != "copytruncate" { // while nobody reads
						w := writers[dice.IntN(len(writers))]
						w.write(5)
						rotate(w)
						w.write(5)
					}
				}
				f, stop := a.begin(t, Options{Paths: paths, Source: one})
				settle(t, &a, writers, true)
				stop()
				st := f.Stats()
				st.Counts.Each(func(c format.Count, n uint64) {
					require.False(t, c.Loss() && c != format.VanishedFile, "%d %s %v", n, c, st.Problems)
				})
				most := 1
				if name == "copytruncate" { // a copy of what was not yet known at the last checkpoint is another file
					most = 2
				}
				for line, n := range a.lines() {
					require.LessOrEqual(t, n, most, "%s came %d times under several identities", line, n)
				}
				require.Positive(t, a.saves)
			})
		}
	}
}

// settle waits until everything that was written has come.
func settle(t *testing.T, a *archive, writers []*writer, wait bool) {
	t.Helper()
	if !wait {
		return
	}
	missing := ""
	all := func() bool {
		lines := a.lines()
		for _, w := range writers {
			for i := 1; i <= w.line; i++ {
				text := fmt.Sprintf("line %d of %s", i, filepath.Base(w.path))
				if !w.cri {
					text = stamp + text
				}
				if lines[text] == 0 {
					missing = text
					return false
				}
			}
		}
		return true
	}
	for end := time.Now().Add(20 * time.Second); !all(); time.Sleep(5 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "%s never came", missing)
	}
}

func TestAFileToWhichNothingIsAddedIsAliveAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	require.NoError(t, os.WriteFile(path, []byte(stamp+"one\n"), 0o600))
	a := &archive{}
	_, stop := a.begin(t, Options{Paths: []string{dir}})
	require.Eventually(t, func() bool { return a.lines()[stamp+"one"] == 1 }, 10*time.Second, time.Millisecond)
	stop()

	w := watchDir(t, Options{Paths: []string{dir}, Heartbeat: 10 * time.Millisecond, Checkpoints: a, Checkpoint: "files"})
	select {
	case mark := <-w.marks:
		require.Equal(t, present().UnixNano(), mark)
	case <-time.After(10 * time.Second):
		require.Fail(t, "no heartbeat came")
	}
	w.append("a.log", stamp+"two\n")
	w.expect(stamp + "two")
}
