package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
)

// Kubernetes tells warnings as Events on the objects concerned, so that kubectl describe shows them. Each state of a warning is one Event, whose reason is
// the state; what changes within a state counts its series up, because an Event's note and reason can't be changed.
type Kubernetes struct {
	events EventRecorder
	words  *wording
	steps  steps
}

// EventRecorder writes Events. An Event of a name that exists is a further observation: its series is counted up to Count, never down.
type EventRecorder interface {
	RecordEvent(ctx context.Context, e ObjectEvent) error
}

// ObjectEvent is one Event, of events.k8s.io/v1.
type ObjectEvent struct {
	Name    string // the same for all observations of one series
	On      ObjectRef
	Warning bool   // the type: Warning, else Normal
	Reason  string // one word in CamelCase
	Action  string
	Note    string    // at most 1,024 bytes
	Time    time.Time // of this observation
	Count   int       // how often it was observed
}

// ObjectRef is the object that an Event is about. Namespace is "" for one of the cluster; UID may be unknown.
type ObjectRef struct{ APIVersion, Kind, Namespace, Name, UID string }

// maxNote is the size of an Event's note.
const maxNote = 1024

func makeKubernetes(m *maker) Notifier {
	return &Kubernetes{events: m.env.Objects, words: m.wording()}
}

// Notify writes an Event for each warning.
func (k *Kubernetes) Notify(ctx context.Context, n Notice) error {
	if k.events == nil {
		return errors.New("there is no Kubernetes to write events to")
	}
	return k.steps.each(n, func(w *matcher.Warning) error {
		if err := k.events.RecordEvent(ctx, k.event(w)); err != nil {
			return fmt.Errorf("event of warning %s: %w", w.ID, err)
		}
		return nil
	}, func(*Digest) error { return nil }) // what is counted has no object
}

func (k *Kubernetes) event(w *matcher.Warning) ObjectEvent {
	on := concerned(w)
	one := Single(*w)
	note := k.words.titleOr(one, oneLine(w.Title))
	if s, own := k.words.Body(one); own {
		note += ": " + s
	} else {
		note += "\n" + below(w, 0)
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(w.ID))
	return ObjectEvent{
		Name: fmt.Sprintf("%s.%016x.%s", objectName(on.Name), h.Sum64(), w.State), On: on, Warning: !w.State.Final(),
		Reason: "Forewarn" + strings.ToUpper(string(w.State)[:1]) + string(w.State)[1:], Action: "Forewarn",
		Note: clipBytes(strings.TrimSpace(note), maxNote), Time: w.Time, Count: max(1, int(w.Revision)),
	}
}

// objectName keeps the part of a name that an Event's own name may begin with.
func objectName(s string) string {
	s = strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, s), "-.")
	return cmp.Or(strings.TrimRight(s[:min(len(s), 180)], "-."), "forewarn")
}

// concerned is the object that a warning's key means: the nearest that it names. What names none is told on the namespace kube-system, which every
// cluster has.
func concerned(w *matcher.Warning) ObjectRef {
	attr := func(names ...string) string {
		for _, name := range names {
			if v := keyValue(w, name); v != "" {
				return v
			}
		}
		return ""
	}
	evidence := func(name string, fits func(map[string]string) bool) string {
		for _, e := range slices.Backward(w.Evidence) {
			if a := e.Attrs; a[name] != "" && (fits == nil || fits(a)) {
				return a[name]
			}
		}
		return ""
	}
	// The key of a pod or a workload always has its namespace; where only a field names it, evidence has.
	namespace := cmp.Or(attr("namespace", record.Namespace), evidence(record.Namespace, nil))
	if pod := attr("pod", record.Pod); pod != "" && namespace != "" {
		uid := evidence(record.PodUID, func(a map[string]string) bool { return a[record.Pod] == pod })
		return ObjectRef{"v1", "Pod", namespace, pod, uid}
	}
	if name := attr("workload", record.WorkloadName); name != "" && namespace != "" {
		kind := cmp.Or(attr("kind", record.WorkloadKind), evidence(record.WorkloadKind, func(a map[string]string) bool { return a[record.WorkloadName] == name }), "Deployment")
		return ObjectRef{workloadAPI(kind), kind, namespace, name, objectUID(w, kind, name)}
	}
	if claim := attr("volume", record.VolumeClaim); claim != "" && attr("namespace", record.Namespace) != "" { // else the key is the volume itself
		return ObjectRef{"v1", "PersistentVolumeClaim", namespace, claim, objectUID(w, "PersistentVolumeClaim", claim)}
	}
	if volume := attr("volume", record.Volume); volume != "" {
		return ObjectRef{"v1", "PersistentVolume", "", volume, objectUID(w, "PersistentVolume", volume)}
	}
	if node := attr("node", record.Node); node != "" {
		return ObjectRef{"v1", "Node", "", node, node} // kubelet's own Events have the name as the uid, and kubectl describe looks for it
	}
	if kind, name := attr("kind", record.ObjectKind), attr("object", record.ObjectName); kind != "" && name != "" {
		api := evidence(record.ObjectAPI, func(a map[string]string) bool { return a[record.ObjectKind] == kind })
		return ObjectRef{cmp.Or(api, "v1"), kind, namespace, name, objectUID(w, kind, name)}
	}
	if ns := attr("namespace", record.Namespace); ns != "" {
		return ObjectRef{"v1", "Namespace", "", ns, objectUID(w, "Namespace", ns)}
	}
	return ObjectRef{"v1", "Namespace", "", "kube-system", ""}
}

func objectUID(w *matcher.Warning, kind, name string) string {
	for _, e := range slices.Backward(w.Evidence) {
		if a := e.Attrs; a[record.ObjectKind] == kind && a[record.ObjectName] == name {
			return a[record.ObjectUID]
		}
	}
	return ""
}

func workloadAPI(kind string) string {
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet":
		return "apps/v1"
	case "Job", "CronJob":
		return "batch/v1"
	}
	return "v1"
}
