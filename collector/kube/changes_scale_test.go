package kube

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
)

// largeCluster serves a cluster that would not fit into memory: its objects are made as they are sent.
type largeCluster struct {
	pods, nodes int
	podText     string
	nodeText    string
	rate        int           // changes of pods a second
	watching    chan struct{} // told when pods are watched
	sent        atomic.Int64
}

func (c *largeCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	n, text, kind := 0, "", "Pod"
	switch r.URL.Path {
	case podsPath:
		n, text = c.pods, c.podText
	case "/api/v1/nodes":
		n, text, kind = c.nodes, c.nodeText, "Node"
	}
	w.Header().Set("Content-Type", "application/json")
	if q.Get("watch") != "" {
		_ = http.NewResponseController(w).Flush()
		if kind == "Pod" && n > 0 {
			c.churn(w, r)
		}
		<-r.Context().Done()
		return
	}
	from, _ := strconv.Atoi(q.Get("continue"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	to, more := min(n, from+limit), ""
	if to < n {
		more = strconv.Itoa(to)
	}
	_, _ = fmt.Fprintf(w, `{"kind":"%sList","apiVersion":"v1","metadata":{"resourceVersion":"10","continue":%q},"items":[`, kind, more)
	for i := from; i < to; i++ {
		if i > from {
			_, _ = w.Write([]byte{','})
		}
		_, _ = fmt.Fprint(w, c.object(text, i, 0))
	}
	_, _ = w.Write([]byte("]}"))
}

// object makes the i-th object, in its n-th state.
func (c *largeCluster) object(text string, i, n int) string {
	return strings.NewReplacer(
		"{{uid}}", fmt.Sprintf("c584c903-c9dc-4c97-8cb5-%012d", i), "{{n}}", strconv.Itoa(i), "{{workload}}", strconv.Itoa(i/20), "{{node}}", strconv.Itoa(i%max(c.nodes, 1)),
		"{{ip}}", fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "{{version}}", strconv.Itoa(20+n), "{{ready}}", []string{"True", "False"}[n%2],
		"{{at}}", time.Now().UTC().Format(time.RFC3339), "{{restarts}}", strconv.Itoa(n),
	).Replace(text)
}

func (c *largeCluster) churn(w http.ResponseWriter, r *http.Request) {
	select {
	case c.watching <- struct{}{}:
	case <-r.Context().Done():
	}
	if c.rate == 0 {
		return
	}
	tick := time.NewTicker(time.Second / 20)
	defer tick.Stop()
	flush := http.NewResponseController(w)
	for n := 1; ; {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
		for range c.rate / 20 {
			_, _ = fmt.Fprintf(w, "{\"type\":\"MODIFIED\",\"object\":%s}\n", c.object(c.podText, n%c.pods, n))
			n++
			c.sent.Add(1)
		}
		_ = flush.Flush()
	}
}

func fromEnvironment(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	require.NoError(t, err, name)
	return n
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// resident returns the most memory that the process had so far, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Maxrss << 10
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMemoryFollowsTheOutput: what is held of a cluster is a small part of it, with its topology and checkpoints. It measures a cluster of any size:
//
//	FOREWARN_PODS=100000 FOREWARN_NODES=5000 go test -run MemoryFollows -v ./collector/kube
//	FOREWARN_PODS=10000 FOREWARN_CHURN=200 FOREWARN_SECONDS=30 go test -run MemoryFollows -v ./collector/kube
func TestMemoryFollowsTheOutput(t *testing.T) {
	podText, err := os.ReadFile("testdata/large-pod.json")
	require.NoError(t, err)
	nodeText, err := os.ReadFile("testdata/large-node.json")
	require.NoError(t, err)
	c := &largeCluster{
		pods: fromEnvironment(t, "FOREWARN_PODS", 1500), nodes: fromEnvironment(t, "FOREWARN_NODES", 100), rate: fromEnvironment(t, "FOREWARN_CHURN", 200),
		podText: string(podText), nodeText: string(nodeText), watching: make(chan struct{}),
	}
	server := httptest.NewServer(c)
	defer server.Close()
	defer server.CloseClientConnections()
	client, err := newClient(&rest.Config{Host: server.URL, QPS: -1}, time.Minute)
	require.NoError(t, err)
	directory := t.TempDir()
	topology := NewTopology(TopologyOptions{})
	var records atomic.Int64
	run := func() (stop func()) {
		x, err := NewChanges(ChangesOptions{}, client, topology, collector.Common{Name: "changes", Checkpoints: collector.Directory(directory)})
		require.NoError(t, err)
		ctx, cancel := stoppable(t)
		ended := make(chan error, 1)
		go func() {
			ended <- x.Run(ctx, func(_ context.Context, frame []byte) error {
				var b record.Batch
				if err := b.Decode(frame); err != nil {
					return err
				}
				records.Add(int64(b.Len()))
				return nil
			})
		}()
		select {
		case <-c.watching:
		case <-time.After(10 * time.Minute):
			require.FailNow(t, "the pods are never watched")
		}
		return func() {
			cancel()
			require.ErrorIs(t, <-ended, errStop)
		}
	}
	before, began := heap(), time.Now()
	stop := run()
	listed, used := time.Since(began), processorTime(t)
	time.Sleep(time.Duration(fromEnvironment(t, "FOREWARN_SECONDS", 1)) * time.Second) // it measures what a second costs
	churned := processorTime(t) - used
	held := heap() - before
	objects := c.pods + c.nodes
	t.Logf("%d objects of %d KiB listed in %s (with making them, %s of processor time)", objects, len(podText)>>10, listed.Round(time.Millisecond), used.Round(time.Millisecond))
	t.Logf("%d changes sent in the time after, %d records, %s of processor time", c.sent.Load(), records.Load(), churned.Round(time.Millisecond))
	t.Logf("heap %.1f MB, %d bytes an object; most memory of the process so far %d MB", float64(held)/1e6, held/uint64(objects), resident(t)/1_000_000)
	stop()
	kept, err := os.Stat(filepath.Join(directory, "changes%2Fpods.checkpoint"))
	require.NoError(t, err)
	t.Logf("most memory of the process with its checkpoint, of %.1f MB: %d MB", float64(kept.Size())/1e6, resident(t)/1_000_000)
	require.Less(t, held/uint64(objects), uint64(4000))
	a, ok := topology.Lookup("shop", "cart-1-7d4b9c6f5d-21")
	require.True(t, ok)
	require.Equal(t, "cart-1", a.Value(record.WorkloadName))

	run()()
	t.Logf("most memory of the process after a restart: %d MB", resident(t)/1_000_000)
}
