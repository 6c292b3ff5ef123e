package format

import (
	"maps"
	"slices"

	"github.com/forewarn/forewarn/collector/record"
)

// attrSet collects attributes. Empty values are left out, long ones are cut.
type attrSet map[string]string

func (a attrSet) set(key, value string) {
	if value != "" {
		a[key] = cutString(value, record.MaxValue)
	}
}

// object says which object a record is about, and where that puts it in the topology.
func (a attrSet) object(kind, namespace, name string) {
	a.set(record.ObjectKind, kind)
	a.set(record.ObjectName, name)
	a.set(record.Namespace, namespace)
	switch kind {
	case "Pod":
		a.set(record.Pod, name)
		if kind, name, ok := WorkloadOfPod(name); ok {
			a.workload(kind, name)
		}
	case "Node":
		a.set(record.Node, name)
	case "Deployment", "StatefulSet", "DaemonSet", "CronJob", "ReplicationController":
		a.workload(kind, name)
	case "ReplicaSet":
		if top, owner, ok := WorkloadOfReplicaSet(name); ok {
			kind, name = top, owner
		}
		a.workload(kind, name)
	case "Job":
		a.workload(workloadOfJob(name))
	case "PersistentVolumeClaim":
		a.set(record.VolumeClaim, name)
	case "PersistentVolume":
		a.set(record.Volume, name)
	case "Namespace":
		a.set(record.Namespace, name)
	}
}

func (a attrSet) workload(kind, name string) {
	a.set(record.WorkloadKind, kind)
	a.set(record.WorkloadName, name)
}

// over returns the set on top of base, sorted.
func (a attrSet) over(base record.Attrs) record.Attrs {
	for _, x := range base {
		if _, set := a[x.Key]; !set {
			a[x.Key] = x.Value
		}
	}
	out := make(record.Attrs, 0, len(a))
	for _, key := range slices.Sorted(maps.Keys(a)) {
		out = append(out, record.Attr{Key: key, Value: a[key]})
	}
	if len(out) > record.MaxAttrs { // a metric with very many labels; they sort behind the keys that matter more
		out = out[:record.MaxAttrs]
	}
	return out
}

// workloadOfJob tells the CronJob of a Job by its name: <cron job>-<minutes since 1970>.
func workloadOfJob(job string) (kind, name string) {
	n := len(job) - 8
	if n > 1 && job[n-1] == '-' {
		if v, digits := number([]byte(job), n); digits == 8 && v > 20_000_000 && v < 60_000_000 {
			return "CronJob", job[:n-1]
		}
	}
	return "Job", job
}
