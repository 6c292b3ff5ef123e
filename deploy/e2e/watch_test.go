//go:build e2e

package e2e

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/deploy/cluster"
)

// watched are the paths of what the raw watches read.
func watched() []string {
	return []string{
		"/api/v1/pods", "/api/v1/nodes", "/api/v1/namespaces", "/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes",
		"/apis/apps/v1/deployments", "/apis/apps/v1/replicasets", "/apis/apps/v1/statefulsets", "/apis/apps/v1/daemonsets", "/apis/batch/v1/jobs",
		"/apis/autoscaling/v2/horizontalpodautoscalers", "/apis/policy/v1/poddisruptionbudgets", "/apis/apiregistration.k8s.io/v1/apiservices",
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
	}
}

// watchRaw keeps raw watch streams in files and reads them as `forewarn scan` would: the twin of the collectors that uses none of
// their code to watch.
func watchRaw(t *testing.T, c *cluster.Cluster, w *witness) {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for _, path := range watched() {
		stream, err := c.Client.RESTClient().Get().AbsPath(path).Param("watch", "1").Stream(ctx)
		require.NoError(t, err)
		f, err := os.Create(filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "_")+".ndjson"))
		require.NoError(t, err)
		running.Go(func() {
			_, _ = io.Copy(f, stream) // it ends with the test
			_ = stream.Close()
			_ = f.Close() // what matters was read from it
		})
	}
	files, err := collector.Open(collector.Options{Paths: []string{dir}, Follow: true})
	require.NoError(t, err)
	running.Go(func() {
		if err := files.Run(ctx, w.emit); ctx.Err() == nil {
			t.Errorf("reading the watches ended by itself: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}
