package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// TestCollectingProcess collects logs until it is killed. What it emits is stored a little later, in a file of its own.
func TestCollectingProcess(t *testing.T) {
	dir := os.Getenv("FOREWARN_TEST_DIR")
	if dir == "" {
		return
	}
	out, err := os.OpenFile(filepath.Join(dir, "stored", strconv.Itoa(os.Getpid())), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	var mu sync.Mutex
	var waiting []byte
	store := func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		_, err := out.Write(waiting)
		waiting = nil
		return err
	}
	go func() {
		for range time.Tick(30 * time.Millisecond) {
			_ = store(t.Context()) // the process goes on until it is killed
		}
	}()
	logs, err := NewLogs(LogOptions{Paths: []string{filepath.Join(dir, "pods")}, Wait: signatures.Duration(2 * time.Second), Open: 2}, nil, collector.Common{
		Name: "logs", Node: "node-1", Checkpoints: collector.Directory(filepath.Join(dir, "state")),
		Stored: store,
	})
	require.NoError(t, err)
	require.NoError(t, logs.Run(t.Context(), func(_ context.Context, frame []byte) error {
		mu.Lock()
		defer mu.Unlock()
		waiting = append(binary.LittleEndian.AppendUint32(waiting, uint32(len(frame))), frame...)
		return nil
	}))
}

// storedLines reads what all processes stored: how many identities each line came under, and how often one came again.
func storedLines(t *testing.T, dir string) (lines map[string]int, repeats int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "stored", "*"))
	require.NoError(t, err)
	lines = map[string]int{}
	seen := map[uint64]bool{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		for len(b) >= 4 {
			n := int(binary.LittleEndian.Uint32(b))
			if b = b[4:]; len(b) < n {
				break // the process was killed while it wrote
			}
			var batch record.Batch
			require.NoError(t, batch.Decode(b[:n]))
			b = b[n:]
			for i := range batch.Len() {
				r := batch.At(i)
				if seen[r.ID] {
					repeats++
					continue
				}
				seen[r.ID] = true
				for line := range strings.Lines(string(r.Text)) {
					lines[r.Attrs.Value(record.Pod)+" "+strings.TrimSuffix(line, "\n")]++
				}
			}
		}
	}
	return lines, repeats
}

// podLog is what one container writes.
type podLog struct {
	pod, path string
	file      *os.File
	lines     int
	turns     int
}

// write appends a few lines as containerd does: some in parts, and some that belong to a trace.
func (p *podLog) write(t *testing.T, dice *rand.Rand) {
	t.Helper()
	var b bytes.Buffer
	for range 1 + dice.IntN(200) {
		p.lines++
		at := time.Now().UTC().Format(time.RFC3339Nano)
		text := fmt.Sprintf("line %d", p.lines)
		switch p.lines % 10 {
		case 3:
			fmt.Fprintf(&b, "%s stdout P %s\n%s stdout F %s\n", at, text[:3], at, text[3:])
		case 5, 6: // belong to the fourth
			fmt.Fprintf(&b, "%s stderr F \tat %s\n", at, text)
		default:
			fmt.Fprintf(&b, "%s stderr F %s\n", at, text)
		}
	}
	_, err := p.file.Write(b.Bytes())
	require.NoError(t, err)
}

func (p *podLog) want(i int) string {
	if i%10 == 5 || i%10 == 6 {
		return fmt.Sprintf("%s \tat line %d", p.pod, i)
	}
	return fmt.Sprintf("%s line %d", p.pod, i)
}

// rotate renames the log and begins another one, as the kubelet and the container runtime do together.
func (p *podLog) rotate(t *testing.T) {
	t.Helper()
	if p.file != nil {
		p.turns++
		require.NoError(t, os.Rename(p.path, fmt.Sprintf("%s.20261125-%06d", p.path, p.turns)))
		require.NoError(t, p.file.Close())
	}
	var err error
	require.NoError(t, os.MkdirAll(filepath.Dir(p.path), 0o700))
	p.file, err = os.OpenFile(p.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
}

func TestKilledAtRandomPointsNoLineOfALogIsLostOrTwice(t *testing.T) {
	t.Parallel()
	kills := 5
	if s := os.Getenv("FOREWARN_KILLS"); s != "" {
		var err error
		kills, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "stored"), 0o700))
	dice := rand.New(rand.NewPCG(rand.Uint64(), 1))
	var logs []*podLog
	for i := range 3 {
		p := &podLog{pod: fmt.Sprintf("app-%d", i)}
		p.path = filepath.Join(dir, "pods", fmt.Sprintf("shop_%s_%d", p.pod, i), "app", "0.log")
		p.rotate(t)
		logs = append(logs, p)
	}
	begin := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCollectingProcess$", "-test.timeout=4m")
		cmd.Env = append(os.Environ(), "FOREWARN_TEST_DIR="+dir)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		require.NoError(t, cmd.Start())
		return cmd
	}
	kill := func(cmd *exec.Cmd) {
		require.NoError(t, cmd.Process.Kill())
		require.ErrorContains(t, cmd.Wait(), "killed")
	}
	var rotated time.Time
	busy := func(until time.Duration) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(until); time.Now().Before(end); <-tick.C {
			logs[dice.IntN(len(logs))].write(t, dice)
			if time.Since(rotated) > time.Second {
				rotated = time.Now()
				for _, p := range logs {
					p.rotate(t)
				}
			}
		}
	}
	for range kills {
		cmd := begin()
		// A test that is slow to start is killed before it did anything, which is a point as good as any.
		busy(time.Duration(20+dice.IntN(1000)) * time.Millisecond)
		kill(cmd)
		busy(time.Duration(dice.IntN(50)) * time.Millisecond)
	}
	cmd := begin()
	missing := func() string {
		lines, _ := storedLines(t, dir)
		for _, p := range logs {
			for i := 1; i <= p.lines; i++ {
				if lines[p.want(i)] == 0 {
					return p.want(i)
				}
			}
		}
		return ""
	}
	require.Eventually(t, func() bool { return missing() == "" }, 2*time.Minute, 200*time.Millisecond, "a line never came")
	kill(cmd)
	lines, repeats := storedLines(t, dir)
	total := 0
	for _, p := range logs {
		total += p.lines
		require.NoError(t, p.file.Close())
	}
	t.Logf("%d lines in %d files, %d kills, %d repeats dropped by identity", total, len(logs)+3*logs[0].turns, kills, repeats)
	require.Len(t, lines, total, "a line was torn")
	for line, n := range lines {
		require.Equal(t, 1, n, "%q came under %d identities", line, n)
	}
}
