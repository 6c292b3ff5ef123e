package kube

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// owned is an object with an owner, in JSON.
func ownedObject(uid, name, ownerKind, ownerName, ownerUID, rest string) []byte {
	owner := ""
	if ownerKind != "" {
		owner = fmt.Sprintf(`,"ownerReferences":[{"kind":"Other","name":"x","uid":"x"},{"kind":%q,"name":%q,"uid":%q,"controller":true}]`, ownerKind, ownerName, ownerUID)
	}
	return fmt.Appendf(nil, `{"metadata":{"name":%q,"namespace":"shop","uid":%q%s}%s}`, name, uid, owner, rest)
}

func feedOf(t *Topology, kind string) *feed { return t.feed(resource{name: kind, kind: kind}) }

// known is a topology with a pod of every descent.
func known(t *testing.T, now func() time.Time) (*Topology, *feed) {
	t.Helper()
	topology := NewTopology(TopologyOptions{Keep: time.Minute, Gone: 3, Now: now})
	pods, sets, jobs, claims, further := feedOf(topology, "Pod"), feedOf(topology, "ReplicaSet"), feedOf(topology, "Job"), feedOf(topology, "PersistentVolumeClaim"), feedOf(topology, "")
	add := func(f *feed, object []byte) { require.NoError(t, f.happened("ADDED", object)) }
	add(sets, ownedObject("rs", "web-abc", "Deployment", "web", "dep", ""))
	add(sets, ownedObject("alone", "bare-7d4b9c6f5d", "", "", "", "")) // by its name one would think that it is a Deployment's
	add(sets, ownedObject("canary", "pay-5f6", "Rollout", "pay", "ro", ""))
	add(jobs, ownedObject("job", "nightly-29920029", "CronJob", "backup", "cron", ""))
	add(further, ownedObject("set", "kafka-pool", "Kafka", "events", "kafka", ""))
	add(claims, ownedObject("c1", "data-db-0", "", "", "", `,"spec":{"volumeName":"pv-7"}`))
	spec := `,"spec":{"nodeName":"node-1","initContainers":[{"name":"init","image":"busybox:1"}],"containers":[{"name":"app","image":"app:2"},{"name":"proxy","image":"proxy:3"}],` +
		`"volumes":[{"name":"data","persistentVolumeClaim":{"claimName":"data-db-0"}},{"name":"scratch","ephemeral":{}},{"name":"none","emptyDir":{}}]}`
	add(pods, ownedObject("p1", "web-abc-1", "ReplicaSet", "web-abc", "rs", spec))
	add(pods, ownedObject("p2", "bare-7d4b9c6f5d-x2k9z", "ReplicaSet", "bare-7d4b9c6f5d", "alone", ""))
	add(pods, ownedObject("p3", "pay-5f6-1", "ReplicaSet", "pay-5f6", "canary", ""))
	add(pods, ownedObject("p4", "nightly-1", "Job", "nightly-29920029", "job", ""))
	add(pods, ownedObject("p5", "kafka-0", "StrimziPodSet", "kafka-pool", "set", ""))
	add(pods, ownedObject("p6", "db-0", "StatefulSet", "db", "nobody knows", ""))
	add(pods, ownedObject("p7", "one-7d4b9c6f5d-x2k9z", "ReplicaSet", "one-7d4b9c6f5d", "not seen yet", ""))
	add(pods, ownedObject("p8", "single", "", "", "", ""))
	add(pods, []byte(`{"metadata":{"name":"etcd-node-1","namespace":"shop","uid":"mirror","annotations":{"kubernetes.io/config.hash":"manifest"},"ownerReferences":[{"kind":"Node","name":"node-1","uid":"n","controller":true}]},"spec":{"nodeName":"node-1"}}`))
	return topology, pods
}

func TestOwnersAreFollowedToTheTop(t *testing.T) {
	t.Parallel()
	topology, _ := known(t, time.Now)
	for pod, want := range map[string]string{
		"web-abc-1": "Deployment/web", "bare-7d4b9c6f5d-x2k9z": "ReplicaSet/bare-7d4b9c6f5d", "pay-5f6-1": "Rollout/pay", "nightly-1": "CronJob/backup",
		"kafka-0": "Kafka/events", "db-0": "StatefulSet/db", "one-7d4b9c6f5d-x2k9z": "Deployment/one", "single": "/", "etcd-node-1": "/",
	} {
		a, ok := topology.Lookup("shop", pod)
		require.True(t, ok, pod)
		require.Equal(t, want, a.Value(record.WorkloadKind)+"/"+a.Value(record.WorkloadName), pod)
	}
	_, ok := topology.Lookup("other", "single")
	require.False(t, ok)
	a, ok := topology.LookupUID("manifest") // what the kubelet calls a static pod
	require.True(t, ok)
	require.Equal(t, "etcd-node-1", a.Value(record.Pod))
}

func TestRecordsOfAPodAreCompleted(t *testing.T) {
	t.Parallel()
	topology, _ := known(t, time.Now)
	everything := map[string]string{
		record.Namespace: "shop", record.Pod: "web-abc-1", record.PodUID: "p1", record.Node: "node-1", record.WorkloadKind: "Deployment", record.WorkloadName: "web",
		record.Image: "app:2,proxy:3,busybox:1", record.VolumeClaim: "data-db-0,web-abc-1-scratch", record.Volume: "pv-7",
	}
	with := func(changed ...string) map[string]string {
		m := map[string]string{}
		maps.Copy(m, everything)
		for i := 0; i < len(changed); i += 2 {
			m[changed[i]] = changed[i+1]
		}
		return m
	}
	for name, c := range map[string]struct{ has, want map[string]string }{
		"by its names":        {map[string]string{record.Namespace: "shop", record.Pod: "web-abc-1"}, everything},
		"by its uid":          {map[string]string{record.PodUID: "p1"}, everything},
		"of one container":    {map[string]string{record.PodUID: "p1", record.Container: "proxy"}, with(record.Container, "proxy", record.Image, "proxy:3")},
		"of another one":      {map[string]string{record.PodUID: "p1", record.Container: "gone"}, with(record.Container, "gone", record.Image, "")},
		"with other facts":    {map[string]string{record.PodUID: "p1", record.Node: "node-2", record.VolumeClaim: "x", "a": "1", "z": "2"}, with(record.Node, "node-2", record.VolumeClaim, "x", record.Volume, "", "a", "1", "z", "2")},
		"with a guess":        {map[string]string{record.PodUID: "p1", record.WorkloadKind: "ReplicaSet", record.WorkloadName: "web-abc"}, everything},
		"of an older pod":     {map[string]string{record.Namespace: "shop", record.Pod: "web-abc-1", record.PodUID: "p0"}, map[string]string{record.Namespace: "shop", record.Pod: "web-abc-1", record.PodUID: "p0"}},
		"of a claim":          {map[string]string{record.Namespace: "shop", record.VolumeClaim: "data-db-0"}, map[string]string{record.Namespace: "shop", record.VolumeClaim: "data-db-0", record.Volume: "pv-7"}},
		"of something else":   {map[string]string{record.Namespace: "shop", record.Node: "node-1"}, map[string]string{record.Namespace: "shop", record.Node: "node-1"}},
		"of nothing at all":   {nil, nil},
		"of a pod of no note": {map[string]string{record.Namespace: "shop", record.Pod: "unknown"}, map[string]string{record.Namespace: "shop", record.Pod: "unknown"}},
	} {
		require.Equal(t, record.NewAttrs(c.want), topology.Enrich(record.NewAttrs(c.has)), name)
	}
}

func TestPodsThatAreGoneAreKnownForAWhile(t *testing.T) {
	t.Parallel()
	now := at(0)
	topology, pods := known(t, func() time.Time { return now })
	there := func(uid string) bool { _, ok := topology.LookupUID(uid); return ok }
	gone := func(uid, name string) {
		require.NoError(t, pods.happened("DELETED", ownedObject(uid, name, "", "", "", "")))
	}
	gone("p1", "web-abc-1")
	require.NoError(t, pods.happened("ADDED", ownedObject("p1b", "web-abc-1", "", "", "", ""))) // as a StatefulSet does
	now = now.Add(30 * time.Second)
	gone("p2", "bare-7d4b9c6f5d-x2k9z")
	require.True(t, there("p1"))
	now = now.Add(31 * time.Second)
	gone("p3", "pay-5f6-1")
	require.False(t, there("p1"))
	require.True(t, there("p2"))
	a, ok := topology.Lookup("shop", "web-abc-1")
	require.True(t, ok)
	require.Equal(t, "p1b", a.Value(record.PodUID))
	for i := 4; i < 7; i++ {
		gone(fmt.Sprint("p", i), "any")
	}
	require.False(t, there("p2"), "three are kept at most")
	require.True(t, there("p6"))

	require.NoError(t, pods.happened("ADDED", ownedObject("p6", "db-0", "", "", "", ""))) // a list that was older than a watch brought it back
	now = now.Add(time.Hour)
	gone("p7", "any")
	require.True(t, there("p6"))

	pods.listing()
	require.NoError(t, pods.listed(ownedObject("p8", "single", "", "", "", ""), "Pod"))
	require.NoError(t, pods.complete("1", true))
	require.Zero(t, topology.uids["p6"].goneAt, "a list that could not be read wholly says nothing of what it did not have")
	require.NoError(t, pods.complete("1", false))
	require.NotZero(t, topology.uids["p6"].goneAt)
	require.Zero(t, topology.uids["p8"].goneAt)
}

func TestOwnersThatAreGoneDoNotPileUp(t *testing.T) {
	t.Parallel()
	topology := NewTopology(TopologyOptions{Gone: 10})
	sets := feedOf(topology, "ReplicaSet")
	for i := range 1000 {
		o := ownedObject(fmt.Sprint(i), "x", "", "", "", "")
		require.NoError(t, sets.happened("ADDED", o))
		require.NoError(t, sets.happened("DELETED", o))
	}
	require.Len(t, topology.owners, 10)
}

func TestTopologyIsReadWhileItIsFed(t *testing.T) {
	t.Parallel()
	topology, pods := known(t, time.Now)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 500 {
				topology.Enrich(record.Attrs{{Key: record.PodUID, Value: "p1"}})
			}
		})
	}
	for i := range 500 {
		o := ownedObject(fmt.Sprint("q", i%7), "q", "ReplicaSet", "web-abc", "rs", "")
		require.NoError(t, pods.happened([]string{"ADDED", "DELETED"}[i%2], o))
	}
	group.Wait()
}

// TestAgentsFollowTheirOwnNode: they must not make the API server send every pod of the cluster to each node.
func TestAgentsFollowTheirOwnNode(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	s.set(podsPath, "a", pod("a", "", running1, at(0)))
	topology := NewTopology(TopologyOptions{})
	require.ErrorContains(t, topology.FollowNode(t.Context(), s.client(t), "", &collector.Common{}), "spec.nodeName")
	done := make(chan error, 1)
	ctx, stop := stoppable(t)
	client := s.client(t)
	go func() { done <- topology.FollowNode(ctx, client, "node-1", &collector.Common{}) }()
	eventually(t, func() bool { _, ok := topology.LookupUID("a"); return ok }, "listed")
	s.set(podsPath, "b", pod("b", "", running1, at(1)))
	eventually(t, func() bool { _, ok := topology.LookupUID("b"); return ok }, "watched")
	stop()
	require.ErrorIs(t, <-done, errStop)
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Equal(t, map[string]bool{"spec.nodeName=node-1": true}, s.selected)
	require.Equal(t, Needs{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}}}, FollowNodeNeeds())
}

// TestWhoeverLeadsAgainSeesWhatIsGone: a collector that runs again goes on with the topology of its former life.
func TestWhoeverLeadsAgainSeesWhatIsGone(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	s.set(podsPath, "a", pod("a", "", running1, at(0)))
	s.set(podsPath, "b", pod("b", "", running1, at(0)))
	s.set("/apis/apps/v1/replicasets", "rs", string(ownedObject("rs", "web-1", "Deployment", "web", "d", "")))
	topology := NewTopology(TopologyOptions{Gone: 1})
	there := func(uid string) bool { _, ok := topology.LookupUID(uid); return ok }
	for _, last := range []string{"b", "c"} {
		ctx, stop := stoppable(t)
		client, done := s.client(t), make(chan error, 1)
		go func() { done <- topology.FollowCluster(ctx, client, &collector.Common{}) }()
		eventually(t, func() bool { return there(last) }, "listed")
		stop()
		require.ErrorIs(t, <-done, errStop)
		s.set(podsPath, "a", "")
		s.set(podsPath, "b", "")
		s.set(podsPath, "c", pod("c", "", running1, at(0)))
	}
	require.NotEqual(t, there("a"), there("b"), "one that is gone is kept")
	require.Len(t, FollowClusterNeeds(), 3)
}

func BenchmarkEnrich(b *testing.B) {
	topology := NewTopology(TopologyOptions{})
	_ = feedOf(topology, "ReplicaSet").happened("ADDED", ownedObject("rs", "web-abc", "Deployment", "web", "dep", ""))
	_ = feedOf(topology, "Pod").happened("ADDED", ownedObject("p1", "web-abc-1", "ReplicaSet", "web-abc", "rs", `,"spec":{"nodeName":"n","containers":[{"name":"app","image":"i"}]}`))
	a := record.NewAttrs(map[string]string{record.Namespace: "shop", record.Pod: "web-abc-1", record.PodUID: "p1", record.Container: "app"})
	b.ReportAllocs()
	for b.Loop() {
		topology.Enrich(a)
	}
}

func TestCollectorsOfFilesAskForLabelsToo(t *testing.T) {
	t.Parallel()
	pod := []byte(`{"metadata":{"name":"a","namespace":"shop","uid":"u1","labels":{"app":"cart","tier":"front \"end\""}},"spec":{"nodeName":"n"}}`)
	topology := NewTopology(TopologyOptions{Labels: true})
	require.NoError(t, feedOf(topology, "Pod").happened("ADDED", pod))
	for _, uid := range []string{"u1", ""} {
		labels, attrs, ok := topology.Pod("shop", "a", uid)
		require.True(t, ok)
		require.Equal(t, map[string]string{"app": "cart", "tier": `front "end"`}, labels)
		require.Equal(t, "n", attrs.Value(record.Node))
	}
	_, _, ok := topology.Pod("shop", "a", "u2")
	require.False(t, ok, "another pod of that name")

	bare := NewTopology(TopologyOptions{})
	require.NoError(t, feedOf(bare, "Pod").happened("ADDED", pod))
	labels, _, ok := bare.Pod("shop", "a", "")
	require.True(t, ok)
	require.Empty(t, labels, "they are not held")
}

// FuzzWatchEvents: whatever a watch says, the reflector and the topology survive it.
func FuzzWatchEvents(f *testing.F) {
	f.Add([]byte(`{"type":"ADDED","object":`+string(ownedObject("u", "n", "ReplicaSet", "rs", "r", `,"spec":{"volumes":[{"persistentVolumeClaim":{"claimName":"c"}}]}`))+`}`), "Pod")
	f.Add([]byte(`{"type":"ERROR","object":{"kind":"Status","code":410}}`), "Job")
	f.Add([]byte(`{"type":"DELETED","object":{"metadata":{"name":1,"uid":[],"ownerReferences":[{"controller":"x"}],"labels":7},"spec":{"containers":{"a":1}}}}`), "PersistentVolumeClaim")
	f.Fuzz(func(t *testing.T, line []byte, kind string) {
		topology := NewTopology(TopologyOptions{Gone: 1})
		r := &reflector{into: feedOf(topology, kind), resource: resource{name: "x"}}
		values := format.NewValues(1<<20, &r.counts, func(value []byte, _ string) {
			if err := r.event(value); err != nil {
				require.NotEmpty(t, err.Error())
			}
		}, nil)
		for range 2 {
			_, err := values.Write(line)
			require.NoError(t, err)
		}
		for uid, p := range topology.uids {
			a, ok := topology.LookupUID(uid)
			require.True(t, ok)
			require.Equal(t, p.name, a.Value(record.Pod))
		}
	})
}
