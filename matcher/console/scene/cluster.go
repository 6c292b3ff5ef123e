package scene

import (
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
)

// Cluster is a cluster in which several failures are under way: its warnings, its book and its facts.
func (c *Cast) Cluster() ([]pipeline.Told, *Book, *Facts, error) {
	var all []pipeline.Told
	for _, r := range c.roles() {
		t, err := c.Raise(r)
		if err != nil {
			return nil, nil, nil, err
		}
		all = append(all, t)
	}
	book := &Book{Outlooks: c.outlooks()}
	book.said = map[string][]sightings.Feedback{
		all[2].Warning.ID: {{Warning: all[2].Warning.ID, Verdict: sightings.Acknowledged, By: "ines", Time: c.Now.Add(-3 * time.Minute)}},
	}
	return all, book, &Facts{State: c.health()}, nil
}

func (c *Cast) roles() []Role {
	node := []record.Attr{{Key: "node", Value: "worker-7"}}
	onNode := map[string]string{record.Node: "worker-7"}
	pod := func(ns, name string) map[string]string {
		return map[string]string{record.Namespace: ns, record.Pod: name, record.Node: "worker-7"}
	}
	return []Role{
		{
			Signature: "node-memory-eviction", Key: node, State: matcher.Imminent, Revision: 4,
			Ages: []time.Duration{11 * time.Minute, 7 * time.Minute, 2 * time.Minute}, Missing: "1 of 3 pods within 10m",
			Texts: []Text{
				{0, 11 * time.Minute, record.Event, "NodeHasInsufficientMemory", "Node worker-7 status is now: NodeHasInsufficientMemory", "events/prod-eu", onNode},
				{1, 7 * time.Minute, record.Event, "EvictionThresholdMet", "Attempting to reclaim memory", "events/prod-eu", onNode},
				{1, 6 * time.Minute, record.Log, "", `eviction_manager.go:369] "Eviction manager: attempting to reclaim" resourceName="memory"`, "journal/worker-7", onNode},
				{2, 2 * time.Minute, record.Event, "Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 88204Ki. Container indexer was using 3912Mi, request is 512Mi.", "events/prod-eu", pod("search", "indexer-6c9d7f5b8-wk2lp")},
			},
		},
		{
			Signature: "crash-loop", Key: []record.Attr{{Key: "namespace", Value: "shop"}, {Key: "pod", Value: "cart-7d9f64c9b-x2x1k"}}, State: matcher.InIncident, Revision: 5,
			Ages: []time.Duration{9 * time.Minute, 6 * time.Minute, 4 * time.Minute},
			Texts: []Text{
				{0, 9 * time.Minute, record.Event, "BackOff", "Back-off restarting failed container cart in pod cart-7d9f64c9b-x2x1k_shop", "events/prod-eu", pod("shop", "cart-7d9f64c9b-x2x1k")},
				{1, 6 * time.Minute, record.Event, "BackOff", "Back-off restarting failed container cart in pod cart-7d9f64c9b-x2x1k_shop", "events/prod-eu", pod("shop", "cart-7d9f64c9b-x2x1k")},
				{2, 4 * time.Minute, record.Event, "BackOff", "Back-off 5m0s restarting failed container", "events/prod-eu", pod("shop", "cart-7d9f64c9b-x2x1k")},
			},
		},
		{
			Signature: "etcd-slow-disk", Key: []record.Attr{{Key: "node", Value: "control-2"}}, State: matcher.Imminent, Revision: 3,
			Ages: []time.Duration{19 * time.Minute, 5 * time.Minute}, Missing: "0 of 1 record",
			Texts: []Text{
				{0, 19 * time.Minute, record.Log, "", `{"level":"warn","msg":"slow fdatasync","took":"1.732s","expected-duration":"1s"}`, "logs/control-2", map[string]string{record.Node: "control-2", record.Component: "etcd"}},
				{1, 5 * time.Minute, record.Log, "", `{"level":"warn","msg":"leader failed to send out heartbeat on time; took too long, leader is overloaded likely from slow disk"}`, "logs/control-2", map[string]string{record.Node: "control-2", record.Component: "etcd"}},
			},
		},
		{
			Signature: "pvc-filling-up", Key: []record.Attr{{Key: "namespace", Value: "orders"}, {Key: "volume", Value: "data-postgres-0"}}, State: matcher.Forming, Revision: 2,
			Ages: []time.Duration{3 * time.Hour, 40 * time.Minute}, Missing: "0.113 is above 0.02",
			Forecast: &matcher.Forecast{
				Metric: "kubelet_volume_stats_available_bytes", Limit: .02, Value: .113,
				Expected: c.Now.Add(5*time.Hour + 20*time.Minute), Earliest: c.Now.Add(4 * time.Hour), Latest: c.Now.Add(8 * time.Hour),
			},
			Texts: []Text{{1, 40 * time.Minute, record.Sample, "", "kubelet_volume_stats_available_bytes 0.113", "metrics/worker-3", map[string]string{record.Namespace: "orders"}}},
		},
		{
			Signature: "coredns-overload", Key: []record.Attr{{Key: "cluster", Value: "prod-eu"}}, State: matcher.Forming, Revision: 1,
			Ages: []time.Duration{4 * time.Minute}, Missing: "1 of 3 records within 5m", Silent: []string{"metrics/worker-9"},
			Texts: []Text{{0, 4 * time.Minute, record.Log, "", "[ERROR] plugin/forward: concurrent queries exceeded maximum 1000", "logs/worker-2", map[string]string{record.Namespace: "kube-system", record.Pod: "coredns-5d78c9869d-7kqxz"}}},
		},
		{
			Signature: "container-memory-leak", Key: []record.Attr{{Key: "namespace", Value: "search"}, {Key: "pod", Value: "indexer-6c9d7f5b8-9nq4r"}, {Key: "container", Value: "indexer"}}, State: matcher.Averted, Revision: 4,
			Ages: []time.Duration{5 * time.Hour, 3 * time.Hour}, Reason: "nothing was heard of it for 2h",
		},
		{
			Signature: "quota-blocks-rollout", Key: []record.Attr{{Key: "namespace", Value: "payments"}}, State: matcher.Resolved, Revision: 5,
			Ages: []time.Duration{26 * time.Hour, 25 * time.Hour, 24 * time.Hour}, Reason: "the rollout is complete",
		},
		{
			Signature: "etcd-slow-disk", Key: []record.Attr{{Key: "node", Value: "control-1"}}, State: matcher.Averted, Revision: 3,
			Ages: []time.Duration{31 * time.Hour, 30 * time.Hour}, Reason: "nothing was heard of it for 30m",
		},
	}
}

func (c *Cast) outlooks() map[string]*matcher.Outlook {
	in := func(from, about, until time.Duration, of uint64) *matcher.Interval {
		return &matcher.Interval{Earliest: c.Now.Add(from), Expected: c.Now.Add(about), Latest: c.Now.Add(until), Of: of}
	}
	return map[string]*matcher.Outlook{
		"node-memory-eviction": {
			Here: matcher.Past{Reached: 9, Incident: 5, Averted: 3, Expired: 1}, Elsewhere: matcher.Past{Reached: 214, Incident: 121, Averted: 84, Expired: 9},
			Incident: in(2*time.Minute, 6*time.Minute, 14*time.Minute, 126),
			Remedies: []matcher.Outcome{
				{Remedy: c.remedy("node-memory-eviction", 0), Done: 41, Helped: 12}, {Remedy: c.remedy("node-memory-eviction", 2), Done: 30, Helped: 24},
			},
		},
		"etcd-slow-disk": {
			Here: matcher.Past{Reached: 4, Incident: 1, Averted: 3}, Elsewhere: matcher.Past{Reached: 61, Incident: 22, Averted: 35, Expired: 4},
			Incident: in(4*time.Minute, 17*time.Minute, 52*time.Minute, 23),
		},
		"pvc-filling-up": {Here: matcher.Past{Reached: 3, Averted: 3}},
	}
}

// remedy is what sightings call a remedy.
func (c *Cast) remedy(signature string, n int) string {
	for _, s := range c.set.All() {
		if s.ID == signature {
			return s.Remedies[n].Name()
		}
	}
	return ""
}

func (c *Cast) health() console.Health {
	source := func(name string, records uint64, kinds ...string) pipeline.Input {
		return pipeline.Input{Source: name, Kinds: kinds, Records: records, Heard: c.Now, Mark: c.Now.Add(-2 * time.Second)}
	}
	silent := source("metrics/worker-9", 48211, "sample")
	silent.Mark, silent.Silent = c.Now.Add(-14*time.Minute), true
	h := console.Health{
		Processes: []pipeline.Status{{
			Instance: "forewarn-0", Version: "v0.9.0", Began: c.Now.Add(-61 * time.Hour), Time: c.Now, Signatures: 56, Disarmed: []string{"csi-driver-missing"},
			Inputs: []pipeline.Input{
				source("events/prod-eu", 88412, "event"), source("changes/prod-eu", 412905, "change"), source("logs/worker-2", 18204113, "log"),
				source("logs/worker-7", 21480932, "log"), source("metrics/worker-3", 51230, "sample"), silent, source("alerts/prod-eu", 31, "alert"),
			},
			Losses: map[string]uint64{"late": 212, "evicted_detail": 3}, Lag: map[string]uint64{"scan-0": 3, "scan-2": 1, "hits-4": 0},
			Partitions: make([]pipeline.Partition, 8),
		}},
		Collectors: []collector.Status{{
			Instance: "forewarn-collect-6b7f", Version: "v0.9.0", Began: c.Now.Add(-61 * time.Hour), Time: c.Now,
			Collectors: []collector.State{
				{Collector: "events", Connected: true, Records: 88412, UpTo: c.Now.Add(-time.Second), Reconnects: 2},
				{Collector: "logs", Connected: true, Records: 39685045, UpTo: c.Now.Add(-2 * time.Second), RemovedSecrets: 1204, Lost: map[string]uint64{"rate_limit": 5120}},
				{Collector: "metrics", Connected: false, Records: 99441, UpTo: c.Now.Add(-14 * time.Minute), Reconnects: 31},
			},
		}},
		Destinations: []console.Destination{
			{Name: "oncall", Delivered: 412, Failed: 3, Held: 2},
			{Name: "hook", Delivered: 398, Failed: 57, Refused: 1, Waiting: 2, LastError: "post https://hooks.example.org/forewarn: 503 Service Unavailable"},
		},
		Streams: []console.Stream{
			{Name: "RECORDS", Messages: 918231, Bytes: 3 << 30, First: c.Now.Add(-21 * time.Hour)},
			{Name: "HITS", Messages: 4120, Bytes: 5 << 20, First: c.Now.Add(-24 * time.Hour)},
			{Name: "WARNINGS", Messages: 812, Bytes: 6 << 20, First: c.Now.Add(-29 * 24 * time.Hour)},
			{Name: "INTAKE"},
		},
		Silences: []console.Silence{{ID: "s1", Matches: `node="worker-4"`, By: "ines", Comment: "kernel upgrade", From: c.Now.Add(-time.Hour), Until: c.Now.Add(2 * time.Hour)}},
	}
	h.Processes[0].Store.TreeBytes, h.Processes[0].Store.FreeBytes = 182<<20, 41<<30
	return h
}
