package format

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/collector/record"
)

func watchedEvent(count int, last string) string {
	return fmt.Sprintf(`{"type":"MODIFIED","object":{"kind":"Event","apiVersion":"v1","metadata":{"uid":"u1","name":"n","creationTimestamp":"2026-11-20T10:00:00Z"},`+
		`"involvedObject":{"kind":"Pod","namespace":"shop","name":"web-7d4b9c6f5d-x2k9z","fieldPath":"spec.containers{app}"},"reason":"BackOff","message":"back-off","source":{"component":"kubelet","host":"node-1"},`+
		`"firstTimestamp":"2026-11-20T10:00:00Z","lastTimestamp":%q,"count":%d,"type":"Warning"}}`, last, count) + "\n"
}

// TestCountGoingFrom1To7IsAnIncreaseOf6: collectors that drop updates, or count 7 twice, are what sank others.
func TestCountGoingFrom1To7IsAnIncreaseOf6(t *testing.T) {
	t.Parallel()
	in := watchedEvent(1, "2026-11-20T10:00:00Z") + watchedEvent(7, "2026-11-20T10:05:00Z") + watchedEvent(7, "2026-11-20T10:05:00Z")
	_, records, counts := parse(t, []byte(in), 100, Input{})
	require.Len(t, records, 2)
	require.Equal(t, []uint32{1, 6}, []uint32{records[0].Count, records[1].Count})
	require.Equal(t, 5*time.Minute, time.Duration(records[1].Time-records[0].Time))
	require.Equal(t, uint64(1), counts.Get(RepeatedItem))

	// Seen only at the end, it tells the same, under the same identities: it began then, and came 6 times more.
	_, late, _ := parse(t, []byte(watchedEvent(7, "2026-11-20T10:05:00Z")), 100, Input{})
	require.Equal(t, records, late)
	a := records[0].Attrs
	for key, want := range map[string]string{
		record.Namespace: "shop", record.Pod: "web-7d4b9c6f5d-x2k9z", record.Container: "app", record.WorkloadKind: "Deployment",
		record.WorkloadName: "web", record.Node: "node-1", record.EventReason: "BackOff", record.EventType: "Warning", record.EventSource: "kubelet",
	} {
		require.Equal(t, want, a.Value(key), key)
	}
}

// TestEventsThatTheirWriterCombinedSaySo: the recorder of client-go makes one event of more than ten similar ones in ten minutes.
func TestEventsThatTheirWriterCombinedSaySo(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{"(combined from similar events): Error creating: quota": "true", "Error creating: quota": ""} {
		in := strings.Replace(watchedEvent(3, "2026-11-20T10:05:00Z"), "back-off", message, 1)
		_, records, _ := parse(t, []byte(in), 100, Input{})
		require.Len(t, records, 2)
		require.Equal(t, want, records[1].Attrs.Value(record.EventCombined))
		require.Equal(t, message, string(records[1].Text))
	}
}

func TestBothShapesOfAnEventAreTheSameRecords(t *testing.T) {
	t.Parallel()
	_, core, _ := parse(t, readTestdata(t, "testdata/events-core.in.json"), 1000, Input{})
	_, v1, _ := parse(t, readTestdata(t, "testdata/events-v1.in.json"), 1000, Input{})
	require.NotEmpty(t, core)
	for i := range core {
		require.Equal(t, core[i].ID, v1[i].ID)
		require.Equal(t, core[i].Time, v1[i].Time)
		require.Equal(t, core[i].Text, v1[i].Text)
	}
}

func TestYAMLGivesTheSameRecordsAsJSON(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"events-core.in.json", "list-quota.in.json", "object-pod.in.json"} {
		data := readTestdata(t, "testdata/"+name)
		var v any
		require.NoError(t, json.Unmarshal(data, &v))
		text, err := yaml.Marshal(v)
		require.NoError(t, err)
		_, want, _ := parse(t, data, 1<<20, Input{})
		for _, n := range []int{11, 1 << 20} {
			family, got, counts := parse(t, text, n, Input{})
			require.Equal(t, "kubernetes yaml", family.Name)
			require.Zero(t, counts.Get(BadItem))
			require.Equal(t, want, got, name)
		}
	}
}

func TestTableOfEvents(t *testing.T) {
	t.Parallel()
	text := `NAMESPACE   LAST SEEN             TYPE      REASON             OBJECT                         MESSAGE
default     5m                    Normal    NodeNotReady       node/node-1                    Node node-1 status is now: NodeNotReady
shop        2m (x7 over 1h5m)     Warning   BackOff            pod/web-7d4b9c6f5d-x2k9z       Back-off restarting failed container
with a second line
shop        <unknown>             Warning   FailedScheduling   pod/db-0                       0/3 nodes are available
`
	for _, n := range []int{1, 1 << 20} {
		family, records, counts := parse(t, []byte(text), n, Input{})
		require.Equal(t, "kubectl events", family.Name)
		require.Equal(t, uint64(1), counts.Get(Joined))
		var got []string
		for _, r := range records {
			got = append(got, fmt.Sprint(time.Unix(0, r.Time).UTC().Format("15:04:05"), " x", r.Count, " ", r.Attrs.Value(record.EventReason), " ",
				r.Attrs.Value(record.ObjectKind), "/", r.Attrs.Value(record.Namespace), "/", r.Attrs.Value(record.ObjectName), ": ", string(r.Text)))
		}
		require.Equal(t, []string{
			"18:55:00 x1 BackOff Pod/shop/web-7d4b9c6f5d-x2k9z: Back-off restarting failed container\nwith a second line",
			"19:55:00 x1 NodeNotReady Node//node-1: Node node-1 status is now: NodeNotReady",
			"19:58:00 x6 BackOff Pod/shop/web-7d4b9c6f5d-x2k9z: Back-off restarting failed container\nwith a second line",
			"20:00:00 x1 FailedScheduling Pod/shop/db-0: 0/3 nodes are available",
		}, got)
	}
	wide := "LAST SEEN   TYPE      REASON    OBJECT   SUBOBJECT                SOURCE            MESSAGE   FIRST SEEN   COUNT   NAME\n" +
		"5m          Warning   BackOff   pod/x    spec.containers{app}     kubelet, node-1   again     10m          3       x.1\n" +
		"5m          Normal    Pulled    pod/y                             kubelet, node-1   pulled    5m           1       y.1\n"
	_, records, _ := parse(t, []byte(wide), 7, Input{})
	require.Len(t, records, 3)
	require.Equal(t, "node-1", records[0].Attrs.Value(record.Node))
	require.Equal(t, "app", records[0].Attrs.Value(record.Container))
	require.Equal(t, []uint32{1, 2, 1}, []uint32{records[0].Count, records[1].Count, records[2].Count})
	require.Equal(t, "pulled", string(records[2].Text))
}

func watchedNode(verb, ready, at string) string {
	return fmt.Sprintf(`{"type":%q,"object":{"kind":"Node","apiVersion":"v1","metadata":{"name":"node-1","uid":"n1","creationTimestamp":"2026-11-20T09:00:00Z","resourceVersion":%q},`+
		`"status":{"conditions":[{"type":"Ready","status":%q,"lastTransitionTime":%q,"lastHeartbeatTime":%q}]}}}`, verb, at, ready, at, at) + "\n"
}

func TestObjectsTellWhatChanged(t *testing.T) {
	t.Parallel()
	in := watchedNode("ADDED", "True", "2026-11-20T09:00:05Z") + watchedNode("MODIFIED", "True", "2026-11-20T09:00:05Z") +
		watchedNode("MODIFIED", "False", "2026-11-20T10:00:00Z") + watchedNode("DELETED", "False", "2026-11-20T10:00:00Z")
	_, records, counts := parse(t, []byte(in), 50, Input{})
	var got []string
	for _, r := range records {
		got = append(got, time.Unix(0, r.Time).UTC().Format("15:04:05 ")+r.Attrs.Value(record.ChangeVerb)+" "+r.Attrs.Value(record.Node)+" "+string(r.Text))
	}
	require.Equal(t, []string{
		"09:00:05 added node-1 status.conditions[Ready].status:  -> True",
		"10:00:00 modified node-1 status.conditions[Ready].status: True -> False",
		"10:00:00 deleted node-1 deleted",
	}, got)
	require.Equal(t, uint64(1), counts.Get(RepeatedItem), "a heartbeat is no change")
}

func TestListsPassThroughInPieces(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[`)
	for i := range 1000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"metadata":{"name":"p%d","namespace":"x","uid":"u%d","creationTimestamp":"2026-11-20T10:00:00Z"},"status":{"phase":"Running"}}`, i, i)
	}
	b.WriteString(`]}`)
	_, records, counts := parse(t, []byte(b.String()), 4096, Input{Limits: Limits{ItemBytes: 1000}})
	require.Len(t, records, 1000, "each item is far below the limit that the list exceeds")
	require.Equal(t, "Pod", records[0].Attrs.Value(record.ObjectKind))
	require.Zero(t, counts.Get(LargeItem))

	large := strings.Replace(b.String(), `"phase":"Running"`, `"message":"`+strings.Repeat("x", 2000)+`"`, 1)
	_, records, counts = parse(t, []byte(large), 4096, Input{Limits: Limits{ItemBytes: 1000}})
	require.Len(t, records, 999)
	require.Equal(t, uint64(1), counts.Get(LargeItem))
}

func TestForgottenEventsAreCounted(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 100 {
		b.WriteString(strings.Replace(watchedEvent(1, "2026-11-20T10:00:00Z"), `"u1"`, fmt.Sprintf(`"u%d"`, i), 1))
	}
	_, records, counts := parse(t, []byte(b.String()), 4096, Input{Limits: Limits{Objects: 10}})
	require.Len(t, records, 100)
	require.Positive(t, counts.Get(ForgottenObject))
}

func TestSecretsAreNotLookedAt(t *testing.T) {
	t.Parallel()
	_, records, _ := parse(t, []byte(`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s","uid":"u","finalizers":["x/y"]},"data":{"password":"aHVudGVyMg=="},"stringData":{"p":"hunter2"}}`), 10, Input{})
	require.Len(t, records, 1)
	for _, r := range records {
		require.NotContains(t, string(record.AppendJSON(nil, &r)), "hunter2")
		require.NotContains(t, string(record.AppendJSON(nil, &r)), "aHVudGVyMg")
	}
}

func TestWorkloadsAreToldByNames(t *testing.T) {
	t.Parallel()
	for pod, want := range map[string]string{
		"web-7d4b9c6f5d-x2k9z": "web", "my-app-64b4b4f8d7-2xvzt": "my-app", "db-0": "", "node-exporter-abcde": "", "web": "", "-": "",
	} {
		_, got, _ := WorkloadOfPod(pod)
		require.Equal(t, want, got, pod)
	}
	kind, name := workloadOfJob("backup-29920029")
	require.Equal(t, "CronJob/backup", kind+"/"+name)
	kind, name = workloadOfJob("migrate-7")
	require.Equal(t, "Job/migrate-7", kind+"/"+name)
}
