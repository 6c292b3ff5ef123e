package signatures

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

func TestBuildMakesRecordsAsCollectorsDo(t *testing.T) {
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	minute := Duration(time.Minute)
	test := Test{Name: "x", Records: []TestRecord{
		{At: minute, Log: "a line", Attrs: map[string]string{"node": "n1", "component": "etcd", "k8s.custom": "y", "severity": "error"}},
		{Event: &TestEvent{Type: "Warning", Reason: "BackOff", Message: "m", Object: "Pod/shop/web-1", Source: "kubelet", Count: 6}},
		{Repeat: 2, Every: minute, Event: &TestEvent{Reason: "NodeNotReady", Object: "Node/n1"}},
		{Change: &TestChange{Object: "Deployment/shop/web", Path: "spec.replicas", From: "3", To: "0"}},
		{Repeat: 2, Every: minute, Sample: &TestSample{Metric: "up", Labels: map[string]string{"namespace": "shop", "job": "x"}, Value: 1, Step: -0.5}},
		{Alert: &TestAlert{Name: "A", Labels: map[string]string{"pod": "web-1"}}},
	}}
	got, err := test.Build(start)
	require.NoError(t, err)
	require.Len(t, got, 8)

	attrs := func(m map[string]string) record.Attrs { return record.NewAttrs(m) }
	at := func(d time.Duration) int64 { return start.Add(d).UnixNano() }
	want := []record.Record{
		{Kind: record.Log, Time: at(time.Minute), Count: 1, Text: []byte("a line"), Attrs: attrs(map[string]string{
			record.Node: "n1", record.Component: "etcd", "k8s.custom": "y", record.SeverityText: "error",
		})},
		{Kind: record.Event, Time: at(0), Count: 6, Text: []byte("m"), Attrs: attrs(map[string]string{
			record.EventReason: "BackOff", record.EventType: "Warning", record.EventSource: "kubelet", record.ObjectKind: "Pod",
			record.ObjectName: "web-1", record.Namespace: "shop", record.Pod: "web-1",
		})},
		{Kind: record.Event, Time: at(0), Count: 1, Text: []byte{}, Attrs: attrs(map[string]string{
			record.EventReason: "NodeNotReady", record.ObjectKind: "Node", record.ObjectName: "n1", record.Node: "n1",
		})},
		{Kind: record.Event, Time: at(time.Minute), Count: 1, Text: []byte{}, Attrs: attrs(map[string]string{
			record.EventReason: "NodeNotReady", record.ObjectKind: "Node", record.ObjectName: "n1", record.Node: "n1",
		})},
		{Kind: record.Change, Time: at(0), Count: 1, Text: []byte("spec.replicas: 3 -> 0"), Attrs: attrs(map[string]string{
			record.ChangePath: "spec.replicas", record.ChangeFrom: "3", record.ChangeTo: "0", record.ChangeVerb: "modified",
			record.ObjectKind: "Deployment", record.ObjectName: "web", record.Namespace: "shop",
			record.WorkloadKind: "Deployment", record.WorkloadName: "web",
		})},
		{Kind: record.Sample, Time: at(0), Count: 1, Value: 1, Attrs: attrs(map[string]string{
			record.MetricName: "up", "label.namespace": "shop", "label.job": "x", record.Namespace: "shop",
		})},
		{Kind: record.Sample, Time: at(time.Minute), Count: 1, Value: 0.5, Attrs: attrs(map[string]string{
			record.MetricName: "up", "label.namespace": "shop", "label.job": "x", record.Namespace: "shop",
		})},
		{Kind: record.Alert, Time: at(0), Count: 1, Attrs: attrs(map[string]string{
			record.AlertName: "A", record.AlertState: "firing", "label.pod": "web-1", record.Pod: "web-1",
		})},
	}
	ids := map[uint64]bool{}
	for i := range want {
		want[i].Observed, want[i].Seq, want[i].ID = want[i].Time, uint64(i)+1, got[i].ID
		require.Equal(t, want[i], got[i], i)
		ids[got[i].ID] = true
	}
	require.Len(t, ids, len(want), "every record is itself")
	again, err := test.Build(start)
	require.NoError(t, err)
	require.Equal(t, got, again)
}

func TestBuildRefusesWhatIsNoRecord(t *testing.T) {
	for message, r := range map[string]TestRecord{
		"it is no event":        {},
		"not Kind/name":         {Event: &TestEvent{Reason: "A", Object: "x"}},
		"is not Kind/name or":   {Change: &TestChange{Object: "a/b/c/d"}},
		"unknown attribute":     {Log: "x", Attrs: map[string]string{"nod": "n"}},
		"repeated 1000000 time": {Log: "x", Repeat: 1_000_000},
	} {
		_, err := (&Test{Name: "t", Records: []TestRecord{r}}).Build(time.Unix(0, 0))
		require.ErrorContains(t, err, message)
		require.ErrorContains(t, err, `records[0] of the test "t"`)
	}
}

func TestVersionRanges(t *testing.T) {
	tests := []struct {
		text, version string
		holds         bool
	}{
		{">=1.24 <1.33", "v1.30.4", true},
		{">=1.24 <1.33", "1.33.0", false},
		{">=1.24,<1.33", "1.24.0", true},
		{">= 1.24 < 1.33", "1.23.9", false},
		{"1.30", "1.30.7-gke.100+x", true},
		{"=1.30", "1.31.0", false},
		{"!=1.28.3", "1.28.3", false},
		{"!=1.28.3", "1.28.4", true},
		{">1.30", "1.30.9", false},
		{">1.30", "1.31", true},
		{"<=1.30", "1.30.9", true},
		{">=1.30.1", "1.30", false},
	}
	for _, tt := range tests {
		r, err := ParseVersionRange(tt.text)
		require.NoError(t, err, tt.text)
		holds, known := r.Holds(tt.version)
		require.True(t, known)
		require.Equal(t, tt.holds, holds, "%s in %s", tt.version, tt.text)
	}
	for _, bad := range []string{"", "new", "=>1.2", ">=", "1.x", "1.2.3.4.5", ">=1.2 <", "~1.2", "1..2", "+1.2"} {
		_, err := ParseVersionRange(bad)
		require.Error(t, err, bad)
	}
	r, err := ParseVersionRange("1.30")
	require.NoError(t, err)
	_, known := r.Holds("unknown")
	require.False(t, known)
}

func TestAppliesIsNotDisarmedByWhatIsNotKnown(t *testing.T) {
	a := &Applies{Kubernetes: ">=1.24", Components: map[string]string{"etcd": "<3.6"}, Facts: map[string]string{"os": "linux"}}
	require.True(t, (*Applies)(nil).Holds("1.1", nil, nil))
	require.True(t, a.Holds("", nil, nil))
	require.True(t, a.Holds("strange", map[string]string{"etcd": "3.5.1"}, map[string]string{"os": "linux"}))
	require.False(t, a.Holds("1.23.1", nil, nil))
	require.False(t, a.Holds("1.30.1", map[string]string{"etcd": "3.6.0"}, nil))
	require.False(t, a.Holds("1.30.1", nil, map[string]string{"os": "windows"}))
}
