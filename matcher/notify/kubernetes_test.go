package notify

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
)

// recorder keeps Events.
type recorder struct {
	events []ObjectEvent
	fail   error
}

func (r *recorder) RecordEvent(_ context.Context, e ObjectEvent) error {
	if r.fail != nil {
		return r.fail
	}
	r.events = append(r.events, e)
	return nil
}

func TestEventsAreOnTheObjectConcernedOneForEachState(t *testing.T) {
	r := &recorder{}
	n := made(t, Destination{Type: "kubernetes"}, Env{Objects: r})
	w := Example(start)
	for i, s := range []matcher.State{matcher.Forming, matcher.Forming, matcher.Imminent, matcher.Averted} {
		w.State, w.Revision = s, uint32(i+1)
		require.NoError(t, n.Notify(t.Context(), Single(w)))
	}
	require.Equal(t, ObjectRef{"v1", "Pod", "shop", "cart-7d9f-x2x1k", "00000000-0000-4000-8000-000000000000"}, r.events[0].On)
	require.Equal(t, r.events[0].Name, r.events[1].Name, "a series")
	require.Equal(t, 2, r.events[1].Count)
	require.NotEqual(t, r.events[1].Name, r.events[2].Name)
	require.Equal(t, "ForewarnImminent", r.events[2].Reason)
	require.Equal(t, []bool{true, true, true, false}, []bool{r.events[0].Warning, r.events[1].Warning, r.events[2].Warning, r.events[3].Warning})
	w.Impact, w.Title = strings.Repeat("é", 3000), strings.Repeat("é", 3000)
	require.NoError(t, n.Notify(t.Context(), Single(w)))
	require.LessOrEqual(t, len(r.events[4].Note), maxNote)
	golden(t, "kubernetes.txt", []byte(r.events[2].Note+"\n"))
	r.fail = Permanent(errors.New("forbidden"))
	require.True(t, IsPermanent(n.Notify(t.Context(), several(3))))
}

func TestTheObjectConcernedIsWhatTheKeyNames(t *testing.T) {
	evidence := []matcher.Evidence{{Attrs: map[string]string{
		record.Namespace: "shop", record.ObjectKind: "StatefulSet", record.ObjectName: "db", record.ObjectUID: "u7", record.WorkloadKind: "StatefulSet", record.WorkloadName: "db",
	}}}
	for _, c := range []struct {
		key  []string
		want ObjectRef
	}{
		{[]string{"namespace", "shop", "pod", "p"}, ObjectRef{"v1", "Pod", "shop", "p", ""}},
		{[]string{"cluster", "c", "namespace", "shop", "pod", "p", "container", "x"}, ObjectRef{"v1", "Pod", "shop", "p", ""}},
		{[]string{"namespace", "shop", "kind", "StatefulSet", "workload", "db"}, ObjectRef{"apps/v1", "StatefulSet", "shop", "db", "u7"}},
		{[]string{"namespace", "shop", "volume", "data"}, ObjectRef{"v1", "PersistentVolumeClaim", "shop", "data", ""}},
		{[]string{"volume", "pv-1"}, ObjectRef{"v1", "PersistentVolume", "", "pv-1", ""}},
		{[]string{"node", "w1"}, ObjectRef{"v1", "Node", "", "w1", "w1"}},
		{[]string{"namespace", "shop"}, ObjectRef{"v1", "Namespace", "", "shop", ""}},
		{[]string{record.Pod, "p"}, ObjectRef{"v1", "Pod", "shop", "p", ""}},
		{[]string{"cluster", "c"}, ObjectRef{"v1", "Namespace", "", "kube-system", ""}},
		{nil, ObjectRef{"v1", "Namespace", "", "kube-system", ""}},
	} {
		w := matcher.Warning{Evidence: evidence}
		for i := 0; i < len(c.key); i += 2 {
			w.Key = append(w.Key, record.Attr{Key: c.key[i], Value: c.key[i+1]})
		}
		require.Equal(t, c.want, concerned(&w), "%v", c.key)
	}
}
