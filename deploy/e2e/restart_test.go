//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/deploy/cluster"
)

const (
	collectorRestarts = 100
	apiServerRestarts = 10
	// collectEnv makes a collecting process of the test binary; it is the kubeconfig. checkpointsEnv is where it keeps its position.
	collectEnv     = "FOREWARN_E2E_COLLECT"
	checkpointsEnv = "FOREWARN_E2E_CHECKPOINTS"
)

// collectProcess collects until it is asked to end or killed, and writes each frame to standard output, after a line with its length. What was
// written is with the reader, whatever happens to the writer.
func collectProcess(kubeconfig, checkpoints string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	client, err := kube.Connect(kube.ConnectOptions{Kubeconfig: kubeconfig})
	if err != nil {
		return err
	}
	topology := kube.NewTopology(kube.TopologyOptions{})
	keep := collector.Directory(checkpoints)
	changes, err := kube.NewChanges(kube.ChangesOptions{Certificates: true}, client, topology, collector.Common{Name: "changes", Checkpoints: keep})
	if err != nil {
		return err
	}
	events, err := kube.NewEvents(kube.EventsOptions{}, client, collector.Common{Name: "events", Checkpoints: keep, Enricher: topology})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	emit := func(_ context.Context, frame []byte) error {
		mu.Lock()
		defer mu.Unlock()
		_, err := os.Stdout.Write(append(fmt.Appendln(nil, len(frame)), frame...))
		return err
	}
	group, running := errgroup.WithContext(ctx)
	for _, c := range []collector.Collector{changes, events} {
		group.Go(func() error { return c.Run(running, emit) })
	}
	if err := group.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

// stream takes what collecting processes write, and knows a batch that it has, as JetStream does by its identity.
type stream struct {
	w        *witness
	seen     map[uint64]bool
	repeated int // batches that came again
	cut      int // batches of which a kill left the beginning
}

// read takes frames until the process that writes them is gone.
func (s *stream) read(ctx context.Context, r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		head, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) && head == "" {
			return nil
		}
		size, bad := strconv.Atoi(strings.TrimSuffix(head, "\n"))
		if err == nil && bad != nil {
			return fmt.Errorf("the length of a frame: %w", bad)
		}
		frame := make([]byte, size)
		if err == nil {
			_, err = io.ReadFull(in, frame)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			s.cut++
			return nil
		}
		if err != nil {
			return err
		}
		if sum := xxhash.Sum64(frame); s.seen[sum] {
			s.repeated++
			continue
		} else {
			s.seen[sum] = true
		}
		if err := s.w.emit(ctx, frame); err != nil {
			return err
		}
	}
}

// collecting is a process that collects into a stream.
type collecting struct {
	cmd  *exec.Cmd
	read chan error
}

func startCollecting(t *testing.T, s *stream, kubeconfig, checkpoints string) *collecting {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	p := &collecting{cmd: exec.Command(exe), read: make(chan error, 1)} //nolint:noctx // end says how it ends
	p.cmd.Env = append(os.Environ(), collectEnv+"="+kubeconfig, checkpointsEnv+"="+checkpoints)
	p.cmd.Stderr = t.Output()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() { p.read <- s.read(context.WithoutCancel(t.Context()), out) }()
	return p
}

// end lets the process get a signal, and returns when all that it wrote was taken.
func (p *collecting) end(t *testing.T, how os.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(how), "it was running")
	require.NoError(t, <-p.read)
	err := p.cmd.Wait()
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		require.Equal(t, how, os.Signal(status.Signal()), "or, when it is asked before it listens for that")
		return
	}
	require.NoError(t, err, "it ends well when it is asked to")
}

func TestRestartsOfTheCollectorLoseAndRepeatNothing(t *testing.T) {
	c := cluster.New(t, cluster.Options{})
	w := newWitness(t)
	s := &stream{w: w, seen: map[uint64]bool{}}
	kubeconfig := collectorAccount(t, c)
	checkpoints := t.TempDir()
	l := newLoad(t, c)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	began := time.Now()
	n := number(t, "FOREWARN_E2E_RESTARTS", collectorRestarts)
	for i := range n {
		p := startCollecting(t, s, kubeconfig, checkpoints)
		if i%4 == 0 { // so that it goes on from where others were killed, and they from it
			w.next(t)
		}
		time.Sleep(time.Duration(random.Int64N(int64(600 * time.Millisecond)))) // the moment of the kill is what is random
		how := syscall.SIGKILL
		if i%2 == 1 {
			how = syscall.SIGTERM
		}
		p.end(t, how)
	}
	took := time.Since(began)
	l.end()
	p := startCollecting(t, s, kubeconfig, checkpoints)
	l.awaitAll(t, w)
	p.end(t, syscall.SIGTERM)
	records, _ := w.after(0)
	repeated := requireOnce(t, records)
	held := l.held(t)
	t.Logf("%d restarts in %v, seed %d: %d events happened %d times; %d records; %d batches came again and were known as such, %d were cut short; %d changes came again under the same id",
		n, took.Round(time.Second), seed, len(held), total(held), len(records), s.repeated, s.cut, repeated)
}

func TestRestartsOfTheAPIServerLoseAndRepeatNothing(t *testing.T) {
	c := cluster.New(t, cluster.Options{})
	w := newWitness(t)
	collect(t, c, w, "gaps") // a server that has begun anew knows no version before; what there is then is compared with what there was
	l := newLoad(t, c)
	for i := range number(t, "FOREWARN_E2E_SERVER_RESTARTS", apiServerRestarts) {
		began := time.Now()
		require.NoError(t, c.RestartAPIServer(t.Context()))
		took := time.Since(began)
		happened := total(l.held(t))
		w.again()
		w.await(t, "what happened before is told", func(records []record.Record) error {
			if now := total(told(records)); now < happened {
				return fmt.Errorf("%d are told, and %d happened", now, happened)
			}
			return nil
		})
		t.Logf("restart %d: the API server was ready after %v, and everything was told after %v", i+1, took.Round(10*time.Millisecond),
			time.Since(began).Round(10*time.Millisecond))
	}
	l.end()
	l.awaitAll(t, w)
	records, _ := w.after(0)
	repeated := requireOnce(t, records)
	held := l.held(t)
	t.Logf("%d events happened %d times; %d records; %d changes came again under the same id", len(held), total(held), len(records), repeated)
}

// collectorAccount is a kubeconfig that may do what both collectors say they need.
func collectorAccount(t *testing.T, c *cluster.Cluster) string {
	t.Helper()
	o := kube.ChangesOptions{Certificates: true}
	needs, err := o.Needs()
	require.NoError(t, err)
	_, kubeconfig, err := c.ServiceAccount(t.Context(), "forewarn", "collector", append(needs, kube.EventsNeeds()...)...)
	require.NoError(t, err)
	return kubeconfig
}

// requireOnce fails when an event came twice, or a change under two ids. A change may come again under its id after a kill, and is dropped by it;
// the result is how many did.
func requireOnce(t *testing.T, records []record.Record) (repeated int) {
	t.Helper()
	byID := make(map[uint64]int, len(records))
	for i := range records {
		r := &records[i]
		first, twice := byID[r.ID]
		byID[r.ID] = i
		switch {
		case !twice:
		case r.Kind == record.Change && string(records[first].Text) == string(r.Text):
			repeated++
		default:
			require.Failf(t, "a record came twice", "%s\n%s", describe(&records[first]), describe(r))
		}
	}
	return repeated
}
