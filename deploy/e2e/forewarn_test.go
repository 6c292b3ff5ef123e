//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// binary is the path of forewarn, built once for all tests of a run.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "forewarn-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "forewarn")
	out, err := exec.Command("go", "build", "-o", path, "github.com/forewarn/forewarn/cmd/forewarn").CombinedOutput()
	if err != nil {
		return "", &exec.Error{Name: "go build: " + string(out), Err: err}
	}
	return path, nil
})

// forewarn starts a forewarn, and returns what asks it to stop and waits for that. What it logs is in the test's log when it failed.
func forewarn(t *testing.T, args ...string) (stop func()) {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	c := exec.CommandContext(ctx, path, args...)
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	require.NoError(t, c.Start())
	stop = sync.OnceFunc(func() {
		cancel()
		err := c.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
		require.True(t, err == nil || c.ProcessState.ExitCode() == 0, "%v: %s", err, log.String())
	})
	t.Cleanup(stop)
	return stop
}
