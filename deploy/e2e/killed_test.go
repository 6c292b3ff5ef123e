//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	stored "github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/deploy/cluster"
)

// TestKillsOfTheWholeProcessLoseAndRepeatNoEvent kills a forewarn run again and again, with its Lease, its positions and its stream inside, and
// looks into the stream in the end.
func TestKillsOfTheWholeProcessLoseAndRepeatNoEvent(t *testing.T) {
	c := cluster.New(t, cluster.Options{APIServerFlags: []string{"--etcd-compaction-interval=5s"}}) // so that versions are too old
	path, err := binary()
	require.NoError(t, err)
	dir := t.TempDir()
	config, data := filepath.Join(dir, "forewarn.yaml"), filepath.Join(dir, "data")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "cluster: test\nkubernetes: {kubeconfig: %q}\ncollect: {lease: {duration: 3s}, events: {}, inventory: {}}\n", c.Kubeconfig), 0o600))
	run := func(long time.Duration, how syscall.Signal) {
		p := exec.CommandContext(t.Context(), path, "run", "-c", config, "--data-dir", data)
		var log bytes.Buffer
		p.Stderr = &log
		require.NoError(t, p.Start())
		time.Sleep(long) // the moment of the kill is what is random
		require.NoError(t, p.Process.Signal(how))
		if err := p.Wait(); how == syscall.SIGTERM {
			require.NoError(t, err, log.String())
		}
	}
	l := newLoad(t, c)
	n := number(t, "FOREWARN_E2E_KILLS", 10)
	for i := range n {
		if i%4 == 3 {
			require.NoError(t, c.RestartAPIServer(t.Context()))
		}
		run(4*time.Second+rand.N(3*time.Second), syscall.SIGKILL) // the Lease of who was killed is won after 3 s
	}
	l.end()
	held := l.held(t)
	var records []record.Record
	for tries := 0; ; tries++ {
		run(10*time.Second, syscall.SIGTERM)
		records = inStream(t, data)
		if got := told(records); total(got) >= total(held) || tries == 6 {
			require.Equal(t, held, got)
			break
		}
	}
	seen := map[uint64]bool{}
	for i := range records {
		require.False(t, seen[records[i].ID], "twice: %s", record.AppendJSON(nil, &records[i]))
		seen[records[i].ID] = true
	}
	t.Logf("%d kills: %d events happened %d times; %d records", n, len(held), total(held), len(records))
}

// inStream returns the events of the load that the stream of a data directory holds.
func inStream(t *testing.T, data string) []record.Record {
	t.Helper()
	s, err := stored.Open(t.Context(), stored.Options{DataDir: data})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	var all []record.Record
	require.NoError(t, s.Read(t.Context(), stored.Records, stored.AllRecords, 0, 0, func(m stored.Message) error {
		var b record.Batch
		if err := b.Decode(m.Data); err != nil {
			return err
		}
		for i := range b.Len() {
			if r := b.At(i); r.Kind == record.Event && r.Attrs.Value(record.Namespace) == loadNamespace {
				all = append(all, r.Clone())
			}
		}
		return nil
	}))
	return all
}
