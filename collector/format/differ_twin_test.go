package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// naive compares whole objects, which it keeps as they are. It is the slow twin of [Objects].
type naive struct {
	objects map[string]map[string]leaf
	last    map[string]int64
	stamps  *Stamps
	told    []string
}

func (n *naive) compare(t *testing.T, value []byte, kind string) {
	t.Helper()
	var o map[string]any
	require.NoError(t, decodeObject(value, &o))
	meta := child(o, "metadata")
	id := text(meta["uid"])
	parts := map[string]any{"metadata": meta, "spec": o["spec"], "status": o["status"], "endpoints": o["endpoints"], "webhooks": o["webhooks"]}
	d := objectDecoder{leaves: map[string]leaf{}, stamps: n.stamps, now: written().UnixNano()}
	d.object(&object{kind: kind, parts: parts})
	was, known := n.objects[id]
	at := int64(0)
	for _, f := range list(meta["managedFields"]) {
		m, _ := f.(map[string]any)
		if w := timeOf(m["time"]); !w.IsZero() {
			at = max(at, w.UnixNano())
		}
	}
	verb := "modified"
	if !known {
		verb = "added"
	}
	times := map[int64]bool{}
	for _, l := range was {
		times[l.at] = true
	}
	tell := func(path, from, to string, at int64) {
		n.told = append(n.told, fmt.Sprint(time.Unix(0, at).UTC().Format(time.RFC3339), " ", id, " ", verb, " ", path, ": ", from, " -> ", to, " ",
			record.Identity("change", id, verb, path, from, to, strconv.FormatInt(at, 36))))
	}
	for _, path := range slices.Sorted(maps.Keys(d.leaves)) {
		now, old := d.leaves[path], was[path]
		switch {
		case now.value == old.value:
		case now.at != 0 && (!known || !times[now.at] && now.at >= n.last[id]):
			tell(path, old.value, now.value, now.at)
		default:
			tell(path, old.value, now.value, at)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(was)) {
		if _, still := d.leaves[path]; !still {
			tell(path, was[path].value, "", at)
		}
	}
	n.objects[id], n.last[id] = d.leaves, max(at, n.last[id])
}

// changing is a pod whose fields change at random.
type changing struct {
	uid        string
	at         time.Time
	containers []map[string]any
	conditions []map[string]any
	phase      any
}

func (c *changing) step(r *rand.Rand) []byte {
	c.at = c.at.Add(time.Duration(r.IntN(3)) * time.Second)
	stamp := c.at.Format(time.RFC3339)
	for range 1 + r.IntN(3) {
		switch r.IntN(6) {
		case 0:
			name := fmt.Sprint("c", r.IntN(4))
			c.containers = slices.DeleteFunc(c.containers, func(m map[string]any) bool { return m["name"] == name })
			c.containers = append(c.containers, map[string]any{
				"name": name, "restartCount": r.IntN(5), "ready": r.IntN(2) == 0, "image": fmt.Sprint("image:", r.IntN(3)),
				"state": map[string]any{"waiting": map[string]any{"reason": "CrashLoopBackOff"}}, "lastState": map[string]any{"terminated": map[string]any{"finishedAt": stamp, "exitCode": r.IntN(2)}},
			})
		case 1:
			if len(c.containers) > 0 {
				c.containers = c.containers[:len(c.containers)-1]
			}
		case 2, 3:
			kind := []string{"Ready", "Initialized", "odd.example.com/x]y", ""}[r.IntN(4)]
			c.conditions = slices.DeleteFunc(c.conditions, func(m map[string]any) bool { return m["type"] == kind })
			c.conditions = append(c.conditions, map[string]any{"type": kind, "status": []string{"True", "False", "Unknown"}[r.IntN(3)], "lastTransitionTime": stamp, "reason": []any{"R", nil, 7, []int{1}}[r.IntN(4)]})
		case 4:
			c.phase = []any{"Pending", "Running", nil, map[string]any{"deep": []any{1, "a"}}}[r.IntN(4)]
		case 5: // nothing
		}
	}
	b, _ := json.Marshal(map[string]any{
		"metadata": map[string]any{"name": "p-" + c.uid, "namespace": "n", "uid": c.uid, "managedFields": []any{map[string]any{"time": stamp, "fieldsV1": map[string]any{"f:x": 1}}}},
		"spec":     map[string]any{"nodeName": "node-1", "containers": []any{map[string]any{"name": "c0", "image": "i"}}},
		"status":   map[string]any{"phase": c.phase, "conditions": c.conditions, "containerStatuses": c.containers},
	})
	return b
}

// TestCompactStateTellsWhatWholeObjectsWould: also when the state is stored and read back between any two sights.
func TestCompactStateTellsWhatWholeObjectsWould(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		in := Input{Sink: &collectSink{}, Now: written(), Counts: &Counts{}}
		sink := &collectSink{}
		in.Sink = sink
		fast, slow := NewObjects(in), &naive{objects: map[string]map[string]leaf{}, last: map[string]int64{}, stamps: NewStamps(in)}
		pods := []*changing{{uid: "a", at: written().Add(-time.Hour)}, {uid: "b", at: written().Add(-time.Hour)}}
		for range 40 {
			value := pods[r.IntN(2)].step(r)
			require.True(t, fast.Compare(value, "Pod", "v1", TellAll))
			slow.compare(t, value, "Pod")
			if r.IntN(8) == 0 {
				var b bytes.Buffer
				require.NoError(t, fast.Store(&b))
				fast = NewObjects(in)
				require.NoError(t, fast.Restore(&b))
			}
		}
		var got []string
		for _, x := range sink.records {
			path := x.Attrs.Value(record.ChangePath)
			got = append(got, fmt.Sprint(x.When().Format(time.RFC3339), " ", x.Attrs.Value(record.ObjectUID), " ", x.Attrs.Value(record.ChangeVerb), " ", path, ": ",
				x.Attrs.Value(record.ChangeFrom), " -> ", x.Attrs.Value(record.ChangeTo), " ", x.ID))
		}
		require.NotEmpty(t, got)
		require.Equal(t, slow.told, got, "seed %d", seed)
		for id := range slow.objects {
			fast.forget(id)
		}
		require.Empty(t, fast.names.numbers, "what no state uses is not kept")
	}
}

func TestDamagedStateIsRefused(t *testing.T) {
	t.Parallel()
	in := Input{Sink: &collectSink{}, Now: written()}
	x := NewObjects(in)
	pod := changing{uid: "a", at: written()}
	for range 5 {
		x.Compare(pod.step(rand.New(rand.NewPCG(1, 2))), "Pod", "v1", TellTrouble)
	}
	var b bytes.Buffer
	require.NoError(t, x.Store(&b))
	for i := range b.Len() {
		for _, bad := range [][]byte{b.Bytes()[:i], slices.Concat(b.Bytes()[:i], []byte{b.Bytes()[i] ^ 0x55}, b.Bytes()[i+1:])} {
			y := NewObjects(in)
			require.Error(t, y.Restore(bytes.NewReader(bad)))
			require.Zero(t, y.Len())
		}
	}
}
