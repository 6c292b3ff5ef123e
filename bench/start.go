package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/forewarn/forewarn/signatures"
)

// RunStart measures how long the real process takes from its start until it is ready, with each number of the corpus's signatures: cold, on an
// empty data directory, and warm, on what the start before left there. It also tells the most memory that each had, where
// the system tells. binary is forewarn's.
func RunStart(ctx context.Context, binary string, c *Corpus, counts []int, rounds int, tell func(string, ...any)) ([]Row, error) {
	var rows []Row
	for _, n := range counts {
		if tell != nil {
			tell("%s: start with %d signatures", c.Name, n)
		}
		row := func(how string) Row {
			return Row{
				Workload: "start", Digest: c.Digest, Set: c.Set, Candidate: engineName, Signatures: n, Settings: map[string]string{"data": how},
				Metrics: []Metric{{Name: StartTime, Unit: "s", Less: true}, {Name: Memory, Unit: "MB", Less: true}},
			}
		}
		cold, warm := row("cold"), row("warm")
		for round := range rounds + 1 {
			if err := startTwice(ctx, binary, c.Signatures[:n], round > 0, &cold, &warm); err != nil {
				return nil, fmt.Errorf("start with %d signatures: %w", n, err)
			}
		}
		rows = append(rows, cold, warm)
	}
	return rows, nil
}

func startTwice(ctx context.Context, binary string, sigs []*signatures.Signature, counts bool, cold, warm *Row) error {
	dir, err := os.MkdirTemp("", "forewarn-bench-")
	if err != nil {
		return fmt.Errorf("make a directory for the process: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left in a directory for temporary files harms nobody
	if err := writeSignatures(filepath.Join(dir, "signatures"), sigs); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "empty.log"), nil, 0o600); err != nil {
		return fmt.Errorf("write a log: %w", err)
	}
	for _, row := range []*Row{cold, warm} {
		took, memory, err := startOnce(ctx, binary, dir)
		if err != nil {
			return err
		}
		if counts {
			row.Metrics[0].Rounds = append(row.Metrics[0].Rounds, took.Seconds())
			if memory > 0 {
				row.Metrics[1].Rounds = append(row.Metrics[1].Rounds, float64(memory)/1e6)
			}
		}
	}
	return nil
}

// signaturesPerFile is as many as a team keeps in a directory of files, not in one.
const signaturesPerFile = 500

func writeSignatures(dir string, sigs []*signatures.Signature) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write signatures: %w", err)
	}
	for at := 0; at < len(sigs); at += signaturesPerFile {
		var b bytes.Buffer
		for _, s := range sigs[at:min(at+signaturesPerFile, len(sigs))] {
			text, err := json.Marshal(s) // JSON is YAML
			if err != nil {
				return fmt.Errorf("write signature %s: %w", s.ID, err)
			}
			b.WriteString("---\n")
			b.Write(append(text, '\n'))
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d.yaml", at)), b.Bytes(), 0o600); err != nil {
			return fmt.Errorf("write signatures: %w", err)
		}
	}
	return nil
}

// startLimit is how long a start may take before it is taken for hung.
const startLimit = 3 * time.Minute

// startOnce starts the process, waits until it is ready, and stops it.
func startOnce(ctx context.Context, binary, dir string) (took time.Duration, memory int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	address, err := freeAddress(ctx)
	if err != nil {
		return 0, 0, err
	}
	config := fmt.Sprintf("data_dir: %s\nsignatures: [%s]\nno_catalog: true\nfiles: [{path: %s}]\nlisten: %s\n",
		strconv.Quote(filepath.Join(dir, "data")), strconv.Quote(filepath.Join(dir, "signatures")), strconv.Quote(filepath.Join(dir, "empty.log")), address)
	file := filepath.Join(dir, "forewarn.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return 0, 0, fmt.Errorf("write a configuration: %w", err)
	}
	c := exec.CommandContext(ctx, binary, "run", "-c", file)
	var told bytes.Buffer
	c.Stdout, c.Stderr = io.Discard, &told
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 20 * time.Second
	began := time.Now()
	if err := c.Start(); err != nil {
		return 0, 0, fmt.Errorf("start %s: %w", binary, err)
	}
	exited := make(chan error, 1)
	go func() { exited <- c.Wait() }()
	ready := waitReady(ctx, "http://"+address+"/readyz", exited)
	took = time.Since(began)
	if ready != nil {
		cancel()
		if !errors.Is(ready, errExited) {
			err := <-exited
			ready = errors.Join(ready, err)
		}
		return 0, 0, fmt.Errorf("%w: %s", ready, bytes.TrimSpace(told.Bytes()))
	}
	memory = peakMemory(c.Process.Pid)
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, 0, fmt.Errorf("stop %s: %w", binary, err)
	}
	if err := <-exited; err != nil {
		return 0, 0, fmt.Errorf("%s did not stop well: %w: %s", binary, err, bytes.TrimSpace(told.Bytes()))
	}
	return took, memory, nil
}

// errExited says that the process ended before it was ready.
var errExited = errors.New("the process ended before it was ready")

// waitReady asks until the process says that it is ready.
func waitReady(ctx context.Context, url string, exited <-chan error) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the process is not ready: %w", context.Cause(ctx))
		case err := <-exited:
			return fmt.Errorf("%w: %w", errExited, err)
		case <-tick.C:
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("ask whether the process is ready: %w", err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			continue // it does not listen yet
		}
		_ = answer.Body.Close() // the status says it all
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
}

// freeAddress is an address of this machine that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	var l net.ListenConfig
	x, err := l.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = x.Close() }() // it is only to be free again
	return x.Addr().String(), nil
}
