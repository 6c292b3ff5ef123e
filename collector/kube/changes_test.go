package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
)

const podsPath = "/api/v1/pods"

// stop says why tests end a collector.
var errStop = errors.New("the test is over")

// kept are records as they came, and how often each id came.
type kept struct {
	mu      sync.Mutex
	records []record.Record
	ids     map[uint64]int
	mark    int64
	source  string
}

func (k *kept) emit(_ context.Context, frame []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var b record.Batch
	if err := b.Decode(frame); err != nil {
		return err
	}
	k.mark, k.source = max(k.mark, b.Header().Mark), b.Header().Source
	if k.ids == nil {
		k.ids = map[uint64]int{}
	}
	for i := range b.Len() {
		r := b.At(i)
		r = r.Clone()
		k.ids[r.ID]++
		if k.ids[r.ID] == 1 { // as everything downstream does
			k.records = append(k.records, r)
		}
	}
	return nil
}

// texts returns what was told of the objects that a path of the API has, as name: text.
func (k *kept) texts() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []string
	for _, r := range k.records {
		all = append(all, r.Attrs.Value(record.ObjectName)+": "+string(r.Text))
	}
	return all
}

// running is a collector that runs.
type running struct {
	stop func()
	done chan error
}

func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	select {
	case err := <-r.done:
		require.ErrorIs(t, err, errStop)
	case <-time.After(time.Minute):
		require.FailNow(t, "the collector does not end")
	}
}

type setup struct {
	options ChangesOptions
	common  collector.Common
	settle  time.Duration // 0 as it is
}

func start(t *testing.T, s *objectServer, into *kept, x setup) (*running, *Topology) {
	t.Helper()
	return startWith(t, s.client(t), into, x)
}

func startWith(t *testing.T, client *Client, into *kept, x setup) (*running, *Topology) {
	t.Helper()
	x.common.Name = "changes"
	topology := NewTopology(TopologyOptions{})
	c, err := NewChanges(x.options, client, topology, x.common)
	require.NoError(t, err)
	if x.settle != 0 {
		c.settle = x.settle
	}
	ctx, stop := stoppable(t)
	r := &running{stop: stop, done: make(chan error, 1)}
	go func() { r.done <- c.Run(ctx, into.emit) }()
	return r, topology
}

// stoppable returns a context that is done at the end of the test at the latest.
func stoppable(t *testing.T) (ctx context.Context, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(errStop) })
	return ctx, func() { cancel(errStop) }
}

func eventually(t *testing.T, what func() bool, message string) {
	t.Helper()
	require.Eventually(t, what, time.Minute, 5*time.Millisecond, message)
}

func (s *objectServer) watched(path string) bool { return s.asked(path+" watch") > 0 }

const (
	running1   = `"phase":"Running","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-11-20T10:00:05Z"}],"containerStatuses":[{"name":"app","ready":true,"restartCount":0,"state":{"running":{"startedAt":"2026-11-20T10:00:04Z"}}}]`
	crashing   = `"phase":"Running","conditions":[{"type":"Ready","status":"False","reason":"ContainersNotReady","lastTransitionTime":"2026-11-20T10:30:00Z"}],"containerStatuses":[{"name":"app","ready":false,"restartCount":3,"state":{"waiting":{"reason":"CrashLoopBackOff","message":"back-off"}},"lastState":{"terminated":{"exitCode":137,"reason":"OOMKilled","finishedAt":"2026-11-20T10:30:00Z"}}}]`
	terminated = `"phase":"Succeeded","conditions":[{"type":"Ready","status":"False","reason":"PodCompleted","lastTransitionTime":"2026-11-20T10:30:00Z"}],"containerStatuses":[{"name":"app","ready":false,"restartCount":0,"state":{"terminated":{"exitCode":0,"reason":"Completed","finishedAt":"2026-11-20T10:30:00Z"}}}]`
)

func at(minute int) time.Time { return time.Date(2026, 11, 20, 10, minute, 0, 0, time.UTC) }

// TestFirstListTellsTroubleOnly: what is as it should be is nothing to tell; what is wrong is told once, however often one begins anew.
func TestFirstListTellsTroubleOnly(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	s.set(podsPath, "good", pod("good", "", running1, at(0)))
	s.set(podsPath, "done", pod("done", "", terminated, at(30)))
	s.set(podsPath, "bad", pod("bad", "", crashing, at(30)))
	s.set("/api/v1/nodes", "n", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n","uid":"n"},"spec":{"unschedulable":true},"status":{"conditions":[`+
		`{"type":"Ready","status":"True","reason":"KubeletReady"},{"type":"MemoryPressure","status":"False"},{"type":"DiskPressure","status":"Unknown","reason":"NodeStatusUnknown"}]}}`)
	want := []string{
		"n: spec.unschedulable:  -> true",
		"n: status.conditions[DiskPressure].reason:  -> NodeStatusUnknown",
		"n: status.conditions[DiskPressure].status:  -> Unknown",
		"pod-bad: status.conditions[Ready].reason:  -> ContainersNotReady",
		"pod-bad: status.conditions[Ready].status:  -> False",
		"pod-bad: status.containerStatuses[app].lastState.terminated.exitCode:  -> 137",
		"pod-bad: status.containerStatuses[app].lastState.terminated.reason:  -> OOMKilled",
		"pod-bad: status.containerStatuses[app].restartCount:  -> 3",
		"pod-bad: status.containerStatuses[app].state.waiting.message:  -> back-off",
		"pod-bad: status.containerStatuses[app].state.waiting.reason:  -> CrashLoopBackOff",
	}
	out := &kept{}
	began := time.Now()
	for range 3 { // without checkpoints
		seen := s.asked(podsPath + " watch")
		r, _ := start(t, s, out, setup{})
		eventually(t, func() bool { return len(out.texts()) >= len(want) && s.asked(podsPath+" watch") > seen }, "trouble is told")
		r.end(t)
		got := out.texts()
		slices.Sort(got)
		require.Equal(t, want, got)
	}
	for _, r := range out.records {
		require.WithinRange(t, r.When(), began, time.Now(), "what has been so for long is told as being so now")
		if r.Attrs.Value(record.ObjectKind) == "Pod" {
			require.Equal(t, "node-1", r.Attrs.Value(record.Node))
			require.Equal(t, "shop:1", r.Attrs.Value(record.Image))
		}
	}
}

func TestChangesAreToldAsTheyHappen(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	s.set(podsPath, "a", pod("a", "", running1, at(0)))
	out := &kept{}
	r, _ := start(t, s, out, setup{})
	eventually(t, func() bool { return s.watched(podsPath) }, "watched")
	s.set(podsPath, "a", pod("a", "", crashing, at(30)))
	s.set(podsPath, "b", pod("b", "", `"phase":"Pending"`, at(31)))
	s.set(podsPath, "a", "")
	eventually(t, func() bool { return slices.Contains(out.texts(), "pod-a: deleted") }, "told")
	r.end(t)
	require.Equal(t, []string{
		"pod-a: status.conditions[Ready].reason:  -> ContainersNotReady",
		"pod-a: status.conditions[Ready].status: True -> False",
		"pod-a: status.containerStatuses[app].lastState.terminated.exitCode:  -> 137",
		"pod-a: status.containerStatuses[app].lastState.terminated.reason:  -> OOMKilled",
		"pod-a: status.containerStatuses[app].ready: true -> false",
		"pod-a: status.containerStatuses[app].restartCount: 0 -> 3",
		"pod-a: status.containerStatuses[app].state.waiting.message:  -> back-off",
		"pod-a: status.containerStatuses[app].state.waiting.reason:  -> CrashLoopBackOff",
		"pod-b: added",
		"pod-a: deleted",
	}, out.texts())
	for _, r := range out.records[:8] {
		require.Equal(t, at(30), r.When())
	}
	require.Equal(t, "app", out.records[7].Attrs.Value(record.Container))
}

// TestRestartsLoseAndRepeatNothing: a hundred restarts while things happen; some end well, some crash before anything was saved.
func TestRestartsLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	s.set(podsPath, "a", pod("a", "", running1, at(0)))
	s.set(podsPath, "b", pod("b", "", running1, at(0)))
	directory := collector.Directory(t.TempDir())
	out := &kept{}
	var want []string
	for i := range 100 {
		checkpoints := &unsaved{Checkpoints: directory, fails: i%3 == 2}
		r, _ := start(t, s, out, setup{options: onlyPods(), common: collector.Common{Checkpoints: checkpoints}})
		if i == 0 {
			eventually(t, func() bool { return s.watched(podsPath) }, "watched")
		}
		name := fmt.Sprint("x", i)
		for _, uid := range []string{"a", "b"} { // while it starts, runs, or is down
			s.set(podsPath, uid, pod(uid, "", strings.ReplaceAll(running1, `"Running"`, fmt.Sprintf("%q", name)), at(0).Add(time.Duration(i)*time.Second)))
			from := fmt.Sprint("x", i-1)
			if i == 0 {
				from = "Running"
			}
			want = append(want, "pod-"+uid+": status.phase: "+from+" -> "+name)
		}
		if i%2 == 0 {
			eventually(t, func() bool { return len(out.texts()) >= len(want) }, "told")
		}
		r.end(t)
	}
	r, _ := start(t, s, out, setup{options: onlyPods(), common: collector.Common{Checkpoints: directory}})
	eventually(t, func() bool { return len(out.texts()) >= len(want) }, "told")
	r.end(t)
	require.Equal(t, want, out.texts())
}

// onlyPods leaves out all other kinds.
func onlyPods() (o ChangesOptions) {
	for _, r := range resources() {
		if r.kind != "Pod" {
			o.Without = append(o.Without, r.String())
		}
	}
	return o
}

// unsaved are checkpoints that are not saved when fails is set, as if the process had crashed.
type unsaved struct {
	collector.Checkpoints
	fails bool
}

func (c *unsaved) Save(name string, b []byte) error {
	if c.fails {
		return errors.New("crashed")
	}
	return c.Checkpoints.Save(name, b)
}

// TestListAfterGoneTellsWhatChangedMeanwhile is the way of 410.
func TestListAfterGoneTellsWhatChangedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	for _, uid := range []string{"a", "b", "c", "d"} {
		s.set(podsPath, uid, pod(uid, "", running1, at(0)))
	}
	directory := collector.Directory(t.TempDir())
	out := &kept{}
	x := setup{common: collector.Common{Checkpoints: directory}}
	r, _ := start(t, s, out, x)
	eventually(t, func() bool { return s.watched(podsPath) }, "watched")
	r.end(t)
	require.Empty(t, out.texts())

	s.set(podsPath, "a", pod("a", "", strings.ReplaceAll(running1, "Running", "Unknown"), at(1)))
	s.set(podsPath, "b", "")
	s.set(podsPath, "e", pod("e", "", running1, at(2)))
	s.compact()
	want := []string{"pod-a: status.phase: Running -> Unknown", "pod-b: deleted", "pod-e: added"}
	for range 2 { // what was told in a life that was not saved is told again under the same ids
		r, _ = start(t, s, out, setup{common: collector.Common{Checkpoints: &unsaved{directory, true}}})
		eventually(t, func() bool { return len(out.texts()) >= len(want) }, "told")
		r.end(t)
	}
	before := s.asked(podsPath + " watch")
	r, _ = start(t, s, out, x)
	eventually(t, func() bool { return s.asked(podsPath+" watch") >= before+2 }, "watched, after another list")
	s.set(podsPath, "c", "")
	s.compact() // and once more while it runs
	s.set(podsPath, "d", "")
	eventually(t, func() bool { return len(out.texts()) >= len(want)+2 }, "told")
	r.end(t)
	got := out.texts()
	slices.Sort(got)
	require.Equal(t, append(want[:2:2], "pod-c: deleted", "pod-d: deleted", "pod-e: added"), got)
}

// TestServerThatDiesInAListLosesNothing: half a list is no list, and what it did not have is not gone.
func TestServerThatDiesInAListLosesNothing(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	for i := range 1200 { // three pages
		uid := fmt.Sprintf("%04d", i)
		s.set(podsPath, uid, pod(uid, "", running1, at(0)))
	}
	directory := collector.Directory(t.TempDir())
	out := &kept{}
	x := setup{common: collector.Common{Checkpoints: directory}}
	r, _ := start(t, s, out, x)
	eventually(t, func() bool { return s.watched(podsPath) }, "watched")
	require.Equal(t, 3, s.asked(podsPath+" list"))
	s.do(func() { s.dieAfter = 5000 })
	s.compact()
	eventually(t, func() bool { return s.asked(podsPath+" list") >= 6 }, "the list is tried again")
	s.do(func() { s.dieAfter = 0 })
	s.set(podsPath, "0007", "")
	eventually(t, func() bool { return len(out.texts()) > 0 }, "told")
	r.end(t)
	require.Equal(t, []string{"pod-0007: deleted"}, out.texts())
}

// Whoever is stopped while it lists anew has told what came before that list, and must not tell it again as a part of something larger.
func TestStopWhileListingAnewKeepsWhatWasTold(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	phase := func(name string) {
		s.set(podsPath, "a", pod("a", "", strings.ReplaceAll(running1, `"Running"`, fmt.Sprintf("%q", name)), at(1)))
	}
	phase("Running")
	out := &kept{}
	x := setup{options: onlyPods(), common: collector.Common{Checkpoints: collector.Directory(t.TempDir())}}
	r, _ := start(t, s, out, x)
	eventually(t, func() bool { return s.watched(podsPath) }, "watched")
	phase("x1")
	eventually(t, func() bool { return len(out.texts()) == 1 }, "told")
	lists := s.asked(podsPath + " list")
	s.do(func() { s.dieAfter = 1 })
	s.compact()
	eventually(t, func() bool { return s.asked(podsPath+" list") > lists }, "a list is tried")
	r.end(t)

	s.do(func() { s.dieAfter = 0 })
	phase("x2")
	r, _ = start(t, s, out, x)
	eventually(t, func() bool { return len(out.texts()) >= 2 }, "told")
	r.end(t)
	require.Equal(t, []string{"pod-a: status.phase: Running -> x1", "pod-a: status.phase: x1 -> x2"}, out.texts())
}

func TestKindThatCannotBeWatchedDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	s.refuse["/apis/apps/v1/replicasets"] = 403
	s.refuse["/api/v1/nodes"] = 404
	s.set(podsPath, "bad", pod("bad", "", crashing, at(30)))
	s.set("/apis/example.org/v1/widgets", "w", `{"apiVersion":"example.org/v1","kind":"Widget","metadata":{"name":"w","namespace":"shop","uid":"w"},"status":{"conditions":[{"type":"Ready","status":"False"}]}}`)
	out := &kept{}
	began := time.Now()
	meters := prometheus.NewRegistry()
	r, _ := start(t, s, out, setup{options: ChangesOptions{Kinds: []string{"example.org/v1/widgets"}}, common: collector.Common{Meter: meterOf(t, meters)}, settle: time.Millisecond})
	n := 0
	require.Eventually(t, func() bool { // batches carry the promise
		n++
		s.set(podsPath, "busy", pod("busy", "", fmt.Sprintf(`"phase":"x%d"`, n), time.Now()))
		out.mu.Lock()
		defer out.mu.Unlock()
		return out.mark > began.UnixNano() && slices.ContainsFunc(out.records, func(r record.Record) bool { return r.Attrs.Value(record.ObjectName) == "w" })
	}, time.Minute, 50*time.Millisecond, "others are told, and known to be")
	r.end(t)
	require.Contains(t, out.texts(), "w: status.conditions[Ready].status:  -> False")
	require.Less(t, s.asked("/api/v1/nodes list"), 10, "it is asked for more and more seldom")
	require.Equal(t, 2, lost(t, meters, "forbidden_kinds", "missing_kinds"), "each is counted once")
}

func meterOf(t *testing.T, r *prometheus.Registry) *collector.Meter {
	t.Helper()
	m, err := collector.NewMeters(r)
	require.NoError(t, err)
	return m.For("changes")
}

// lost returns what was counted as lost for some reasons.
func lost(t *testing.T, r *prometheus.Registry, reasons ...string) (n int) {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "forewarn_collector_lost_total" && l.GetName() == "reason" && slices.Contains(reasons, l.GetValue()) {
					n += int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return n
}

// TestServerThatHasJustBeenStartedForbidsEverything at first, until its authorizer knows the roles.
func TestServerThatHasJustBeenStartedForbidsEverything(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	s.set(podsPath, "a", pod("a", "", running1, at(0)))
	meters := prometheus.NewRegistry()
	out := &kept{}
	r, _ := start(t, s, out, setup{options: onlyPods(), common: collector.Common{Meter: meterOf(t, meters)}})
	eventually(t, func() bool { return s.watched(podsPath) }, "watched")
	for i := range 3 {
		asked := s.asked(podsPath + " watch")
		s.do(func() {
			s.refuse[podsPath] = []int{403, 404, 500}[i]
			s.cut++
		})
		s.set(podsPath, "a", pod("a", "", fmt.Sprintf(`"phase":"x%d"`, i), at(i)))
		eventually(t, func() bool { return s.asked(podsPath+" watch") > asked }, "refused")
		s.do(func() { delete(s.refuse, podsPath) })
		eventually(t, func() bool {
			return slices.ContainsFunc(out.texts(), func(x string) bool { return strings.HasSuffix(x, fmt.Sprint("-> x", i)) })
		}, "told")
	}
	r.end(t)
	require.Zero(t, lost(t, meters, "forbidden_kinds", "missing_kinds", "gaps"))
}

// TestClustersDoNotShareASource: several may send to one stream and keep their checkpoints there.
func TestClustersDoNotShareASource(t *testing.T) {
	t.Parallel()
	keep := newMemoryCheckpoints()
	for _, cluster := range []string{"a", "b"} {
		s := newObjectServer(t)
		s.set(podsPath, cluster, pod(cluster, "", crashing, at(0)))
		out := &kept{}
		r, _ := start(t, s, out, setup{options: onlyPods(), common: collector.Common{Checkpoints: keep, Cluster: cluster}})
		eventually(t, func() bool { return len(out.texts()) > 0 }, "told")
		r.end(t)
		require.Equal(t, "changes/"+cluster, out.source)
		b, err := keep.Load("changes/" + cluster + "/pods")
		require.NoError(t, err)
		require.NotEmpty(t, b)
	}
}

// TestServerThatRefusesWhileItBeginsIsAskedAgain: an API server that was restarted serves before it has read its roles.
func TestServerThatRefusesWhileItBeginsIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	meters, err := collector.NewMeters(nil)
	require.NoError(t, err)
	out := &kept{}
	r, _ := start(t, s, out, setup{common: collector.Common{Meter: meters.For("changes")}})
	eventually(t, func() bool { return s.watched(podsPath) }, "watched")
	s.do(func() { s.refuse[podsPath], s.cut = 403, s.cut+1 })
	asked := s.asked(podsPath + " watch")
	eventually(t, func() bool { return s.asked(podsPath+" watch") > asked }, "it is refused")
	s.do(func() { delete(s.refuse, podsPath) })
	s.set(podsPath, "bad", pod("bad", "", crashing, time.Now()))
	eventually(t, func() bool { return len(out.texts()) > 0 }, "what happens then is told")
	r.end(t)
	require.Empty(t, meters.States()[0].Lost)
}

func TestChangesOptionsAreCheckedAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := NewChanges(ChangesOptions{Kinds: []string{"x", "v1/secrets", "apps/v1/deployments"}, Without: []string{"foos"}, Objects: -1, Save: -1}, nil, nil, collector.Common{})
	for _, want := range []string{`"x"`, "set certificates", "collected already", `"foos"`, "objects -1", "save -"} {
		require.ErrorContains(t, err, want)
	}
	o := ChangesOptions{Kinds: []string{"example.org/v1/widgets"}, Certificates: true, Without: []string{"leases.coordination.k8s.io"}}
	n, err := o.Needs()
	require.NoError(t, err)
	var groups []string
	for _, rule := range n {
		groups = append(groups, rule.APIGroups...)
		require.Equal(t, []string{"list", "watch"}, rule.Verbs)
	}
	require.Contains(t, groups, "example.org")
	require.NotContains(t, groups, "coordination.k8s.io")
	require.Contains(t, n[0].Resources, "secrets")
}
