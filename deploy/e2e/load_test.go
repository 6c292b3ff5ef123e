//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/deploy/cluster"
)

const (
	loadNamespace = "load"
	loadWorkers   = 8
	loadObjects   = 40
	loadPause     = 20 * time.Millisecond // of each worker between two writes
)

// load writes to a cluster what collectors have to tell: events that happen again, as the kubelet counts them and as the scheduler does,
// new events, and deployments that are scaled. It goes on through everything the API server does to it.
type load struct {
	c    *cluster.Cluster
	stop context.CancelFunc
	done sync.WaitGroup
}

func newLoad(t *testing.T, c *cluster.Cluster) *load {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: loadNamespace}}
	_, err := c.Client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
	require.NoError(t, err)
	for i := range loadObjects {
		labels := map[string]string{"app": name("web", i)}
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name("web", i)}, Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(0)), Paused: true, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.test/app:1"}}}},
		}}
		_, err := c.Client.AppsV1().Deployments(loadNamespace).Create(t.Context(), d, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	l := &load{c: c}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	l.stop = stop
	for worker := range loadWorkers {
		l.done.Go(func() { l.work(ctx, worker) })
	}
	t.Cleanup(l.end)
	return l
}

// end stops writing and returns when nothing is under way.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}

func name(what string, i int) string { return fmt.Sprintf("%s-%03d", what, i) }

// work writes to the objects that are the worker's own, so that each sees one writer.
func (l *load) work(ctx context.Context, worker int) {
	tick := time.NewTicker(loadPause)
	defer tick.Stop()
	for round := 1; ; round++ {
		for i := worker; i < loadObjects; i += loadWorkers {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			switch round % 3 {
			case 0:
				l.count(ctx, name("counted", i), round/3)
			case 1:
				l.series(ctx, name("series", i), round/3)
			default:
				l.scale(ctx, name("web", i), round/3)
			}
		}
	}
}

// persist does a write until it has succeeded. It says the same each time, so that one whose answer was lost does no harm. It goes on when
// ctx is done: a write that is abandoned may still be made later.
func persist(ctx context.Context, write func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for ctx.Err() == nil {
		err := write(ctx)
		if err == nil || apierrors.IsAlreadyExists(err) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// count lets an event have happened n+1 times, as the kubelet counts it.
func (l *load) count(ctx context.Context, name string, n int) {
	events := l.c.Client.CoreV1().Events(loadNamespace)
	now := metav1.Now()
	persist(ctx, func(ctx context.Context) error {
		patch := fmt.Appendf(nil, `{"count":%d,"lastTimestamp":%q}`, n+1, now.UTC().Format(time.RFC3339))
		_, err := events.Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		if !apierrors.IsNotFound(err) {
			return err
		}
		_, err = events.Create(ctx, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Reason: "Unhealthy", Type: "Warning", Message: "Readiness probe failed: " + name,
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: loadNamespace, Name: name, UID: types.UID(name)},
			Source:         corev1.EventSource{Component: "kubelet", Host: "node"}, FirstTimestamp: now, LastTimestamp: now, Count: int32(n + 1),
		}, metav1.CreateOptions{})
		return err
	})
}

// series lets an event have happened n+1 times, as the scheduler counts it.
func (l *load) series(ctx context.Context, name string, n int) {
	events := l.c.Client.EventsV1().Events(loadNamespace)
	now := metav1.NowMicro()
	persist(ctx, func(ctx context.Context) error {
		patch := []byte(`{}`)
		if n > 0 {
			patch = fmt.Appendf(nil, `{"series":{"count":%d,"lastObservedTime":%q}}`, n+1, now.UTC().Format(metav1.RFC3339Micro))
		}
		_, err := events.Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		if !apierrors.IsNotFound(err) {
			return err
		}
		_, err = events.Create(ctx, &eventsv1.Event{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Reason: "FailedScheduling", Type: "Warning", Note: "0/1 nodes are available: " + name, Action: "Scheduling",
			Regarding:           corev1.ObjectReference{Kind: "Pod", Namespace: loadNamespace, Name: name, UID: types.UID(name)},
			ReportingController: "default-scheduler", ReportingInstance: "scheduler", EventTime: now,
		}, metav1.CreateOptions{})
		return err
	})
}

func (l *load) scale(ctx context.Context, name string, replicas int) {
	persist(ctx, func(ctx context.Context) error {
		patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
		_, err := l.c.Client.AppsV1().Deployments(loadNamespace).Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		return err
	})
}

// held is how often each event of the load happened, by what etcd holds.
func (l *load) held(t *testing.T) map[string]uint64 {
	t.Helper()
	list, err := l.c.Client.CoreV1().Events(loadNamespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	counts := map[string]uint64{}
	for _, e := range list.Items {
		n := uint64(max(e.Count, 1))
		if e.Series != nil {
			n = uint64(e.Series.Count)
		}
		counts[e.Name] = n
	}
	return counts
}

// told is how often each event of the load happened, by the records. A record that came twice counts twice.
func told(records []record.Record) map[string]uint64 {
	counts := map[string]uint64{}
	for i := range records {
		if r := &records[i]; r.Kind == record.Event && r.Attrs.Value(record.Namespace) == loadNamespace {
			counts[r.Attrs.Value(record.EventName)] += uint64(r.Count)
		}
	}
	return counts
}

// awaitAll waits until the records tell of every event as often as it happened, and not more often, and of every deployment each change of
// its replicas: from where the record before left off, and in the end to what etcd holds.
func (l *load) awaitAll(t *testing.T, w *witness) {
	t.Helper()
	held := l.held(t)
	require.NotEmpty(t, held)
	list, err := l.c.Client.AppsV1().Deployments(loadNamespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	w.again()
	w.await(t, "everything that etcd holds is told", func(records []record.Record) error {
		got := told(records)
		for name, n := range held {
			if got[name] != n {
				return fmt.Errorf("event %s happened %d times, and the records tell of %d", name, n, got[name])
			}
		}
		scaled, err := replicas(records)
		if err != nil {
			return err
		}
		for _, d := range list.Items {
			if want := strconv.Itoa(int(*d.Spec.Replicas)); scaled[d.Name] != want && (want != "0" || scaled[d.Name] != "") {
				return fmt.Errorf("deployment %s has %s replicas, and the records tell of %q", d.Name, want, scaled[d.Name])
			}
		}
		return nil
	})
}

// replicas follows the records of spec.replicas of each deployment to the last. A gap is an error: what one record left off at is what the next has to
// begin with. What came again under the same id is left out.
func replicas(records []record.Record) (map[string]string, error) {
	last, seen := map[string]string{}, map[uint64]bool{}
	for i := range records {
		r := &records[i]
		if r.Kind != record.Change || r.Attrs.Value(record.ChangePath) != "spec.replicas" || r.Attrs.Value(record.ObjectKind) != "Deployment" || seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		name, from := r.Attrs.Value(record.ObjectName), r.Attrs.Value(record.ChangeFrom)
		if was, known := last[name]; known && was != from {
			return nil, fmt.Errorf("deployment %s: it had %s replicas, and then %s", name, was, describe(r))
		}
		last[name] = r.Attrs.Value(record.ChangeTo)
	}
	return last, nil
}

// total is the sum of counts.
func total(counts map[string]uint64) uint64 {
	n := uint64(0)
	for _, c := range counts {
		n += c
	}
	return n
}
