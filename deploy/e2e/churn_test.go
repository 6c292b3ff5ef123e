//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/deploy/cluster"
)

// The bars that a collector of a churning cluster has to stay below.
const (
	mostCores = 1.0
	mostRSS   = 300 << 20
)

const (
	churnNamespace = "churn"
	podsPerNode    = 110
	churnWorkers   = 16
	churnFor       = 30 * time.Second
)

// TestAChurningClusterIsCheapToCollect changes many pods of simulated nodes, and measures the process that collects them. FOREWARN_E2E_PODS
// and FOREWARN_E2E_RATE set how many pods there are and how many changes a second: 10000 and 200 are the bar, the usual is less so
// that two busy cores can do it.
func TestAChurningClusterIsCheapToCollect(t *testing.T) {
	pods, rate := number(t, "FOREWARN_E2E_PODS", 2000), number(t, "FOREWARN_E2E_RATE", 200)
	c := cluster.New(t, cluster.Options{Kwok: true, ControllerManagerFlags: []string{"--controllers=*,-endpointslice-controller"}})
	x := newCrowd(t, c, pods)

	w := newWitness(t)
	p := startCollecting(t, &stream{w: w, seen: map[uint64]bool{}}, collectorAccount(t, c), t.TempDir())
	w.await(t, "the collector has begun", func(r []record.Record) error {
		if len(r) == 0 {
			return fmt.Errorf("there is no record")
		}
		return nil
	})

	began, before := time.Now(), processorTime(t, p.cmd.Process.Pid)
	changed := x.churn(t, rate, churnFor)
	took := time.Since(began)
	used := processorTime(t, p.cmd.Process.Pid) - before
	last := x.mark(t)
	w.again()
	w.expect(t, change("Pod", churnNamespace, last, "status.containerStatuses[app].state.waiting.reason", "LastOne"))
	peak := peakRSS(t, p.cmd.Process.Pid)
	p.end(t, syscall.SIGTERM)

	records, _ := w.after(0)
	cores := used.Seconds() / took.Seconds()
	reached := float64(changed) / took.Seconds()
	t.Logf("%d pods, %.0f changes/s for %v: %d records, %.2f cores, %d MB at most", pods, reached, took.Round(time.Second), len(records), cores, peak>>20)
	require.Less(t, cores*float64(rate)/reached, mostCores, "at the rate that was asked for")
	require.Less(t, peak, int64(mostRSS))
	require.GreaterOrEqual(t, len(records), changed, "every change is told")
}

func number(t *testing.T, env string, usual int) int {
	t.Helper()
	s := os.Getenv(env)
	if s == "" {
		return usual
	}
	n, err := strconv.Atoi(s)
	require.NoError(t, err, env)
	return n
}

// crowd is many pods on simulated nodes.
type crowd struct {
	c    *cluster.Cluster
	pods int
}

func newCrowd(t *testing.T, c *cluster.Cluster, pods int) *crowd {
	t.Helper()
	began := time.Now()
	x := &crowd{c: c, pods: pods}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: churnNamespace}}
	_, err := c.Client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
	require.NoError(t, err)
	room := corev1.ResourceList{"cpu": resource.MustParse("64"), "memory": resource.MustParse("256Gi"), "pods": resource.MustParse(strconv.Itoa(podsPerNode))}
	for i := range (pods + podsPerNode - 1) / podsPerNode {
		n := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name("node", i), Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}},
			Status:     corev1.NodeStatus{Capacity: room, Allocatable: room},
		}
		_, err := c.Client.CoreV1().Nodes().Create(t.Context(), n, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	x.each(t, func(ctx context.Context, i int) {
		persist(ctx, func(ctx context.Context) error { return x.create(ctx, i) })
	})
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, fmt.Errorf("%d pods do not run after %v", pods, patience))
	defer cancel()
	for running := 0; running < pods; {
		list, err := c.Client.CoreV1().Pods(churnNamespace).List(ctx, metav1.ListOptions{FieldSelector: "status.phase=Running", ResourceVersion: "0"})
		if err != nil {
			require.NoError(t, context.Cause(ctx))
		}
		running = len(list.Items)
		select {
		case <-ctx.Done():
			require.NoError(t, context.Cause(ctx), "%d run", running)
		case <-time.After(time.Second):
		}
	}
	t.Logf("%d pods run after %v", pods, time.Since(began).Round(time.Second))
	return x
}

// each calls do for every pod, from several goroutines.
func (x *crowd) each(t *testing.T, do func(ctx context.Context, i int)) {
	t.Helper()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range churnWorkers {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < x.pods; i = int(next.Add(1)) - 1 {
				do(t.Context(), i)
			}
		})
	}
	workers.Wait()
}

// create makes a pod that has its node: the scheduler is not what is measured.
func (x *crowd) create(ctx context.Context, i int) error {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name("pod", i), Labels: map[string]string{"app": name("app", i%50), "tier": "web"}},
		Spec: corev1.PodSpec{
			NodeName: name("node", i/podsPerNode), TerminationGracePeriodSeconds: new(int64(0)), ServiceAccountName: "default",
			Containers: []corev1.Container{{
				Name: "app", Image: fmt.Sprintf("registry.test/team/app-%d:1.2.3", i%50),
				Env:       []corev1.EnvVar{{Name: "DATABASE", Value: "postgres.shop.svc:5432"}, {Name: "LOG_LEVEL", Value: "info"}},
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")}},
			}},
		},
	}
	_, err := x.c.Client.CoreV1().Pods(churnNamespace).Create(ctx, p, metav1.CreateOptions{})
	return err
}

// churn changes pods at a rate for a while, and returns how many changes were made: restarts, readiness that goes and comes, and pods that
// are replaced.
func (x *crowd) churn(t *testing.T, rate int, long time.Duration) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	work := make(chan int)
	var changed atomic.Int64
	var workers sync.WaitGroup
	for range churnWorkers {
		workers.Go(func() {
			for n := range work {
				if x.change(ctx, n, rand.IntN(x.pods)) == nil {
					changed.Add(1)
				}
			}
		})
	}
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		select {
		case <-tick.C:
			work <- n
		case <-ctx.Done():
		}
	}
	close(work)
	workers.Wait()
	return int(changed.Load())
}

func (x *crowd) change(ctx context.Context, n, pod int) error {
	pods := x.c.Client.CoreV1().Pods(churnNamespace)
	now := time.Now().UTC().Format(time.RFC3339)
	var patch string
	switch n % 8 {
	case 0:
		if err := pods.Delete(ctx, name("pod", pod), metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
			return err
		}
		return x.create(ctx, pod)
	case 1, 2, 3, 4:
		patch = fmt.Sprintf(`{"status":{"containerStatuses":[{"name":"app","image":"registry.test/app:1","imageID":"","ready":true,"restartCount":%d,
			"state":{"running":{"startedAt":%q}},"lastState":{"terminated":{"exitCode":1,"reason":"Error","finishedAt":%q}}}]}}`, n, now, now)
	default:
		ready := "False"
		if n%2 == 0 {
			ready = "True"
		}
		patch = fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":%q,"reason":"n%d","lastTransitionTime":%q}]}}`, ready, n, now)
	}
	_, err := pods.Patch(ctx, name("pod", pod), types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) { // it is just being replaced
		return nil
	}
	return err
}

// mark makes a last change of which the record can be told from all others, and returns its pod.
func (x *crowd) mark(t *testing.T) string {
	t.Helper()
	const patch = `{"status":{"containerStatuses":[{"name":"app","image":"registry.test/app:1","imageID":"","ready":false,"restartCount":0,
		"state":{"running":null,"waiting":{"reason":"LastOne"}}}]}}`
	persist(t.Context(), func(ctx context.Context) error {
		_, err := x.c.Client.CoreV1().Pods(churnNamespace).Patch(ctx, name("pod", 0), types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
		return err
	})
	return name("pod", 0)
}

// processorTime is what a process has used of all cores so far.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime, the 14th and 15th of all
		n, err := strconv.ParseInt(f, 10, 64)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // a tick of Linux' user interface is a hundredth of a second
}

// peakRSS is the most memory that a process had.
func peakRSS(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			require.NoError(t, err)
			return kb << 10
		}
	}
	require.Fail(t, "no VmHWM")
	return 0
}
