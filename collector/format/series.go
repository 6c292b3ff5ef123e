package format

import (
	"strings"

	"github.com/forewarn/forewarn/collector/record"
)

// MaxLabels is how many labels of a series become attributes. Those behind them are left out, but for what they tell of the topology.
const MaxLabels = 40

// SeriesAttrs returns the attributes of a sample: its metric's name, its labels, and the topology that the labels tell of, on top of base.
//
// Where Prometheus found a label of its target and one of the series by the same name, the series' own is called exported_namespace and so on. Then
// that one says what the sample is about, and what the target is called says nothing.
func SeriesAttrs(metric string, labels []Label, base record.Attrs) record.Attrs {
	a := attrSet{}
	a.set(record.MetricName, metric)
	exported := false
	for _, l := range labels {
		switch l.Name {
		case "exported_namespace", "exported_pod", "exported_container", "exported_node":
			exported = exported || l.Value != ""
		}
	}
	for i, l := range labels {
		if i < MaxLabels {
			a.set(record.LabelPrefix+l.Name, l.Value)
		}
		name, own := strings.CutPrefix(l.Name, "exported_")
		if exported && !own {
			switch name {
			case "namespace", "pod", "container", "node":
				continue
			}
		}
		a.label(name, l.Value)
	}
	return a.over(base)
}

// label adds what a label says of the topology.
func (a attrSet) label(name, value string) {
	if value == "" {
		return
	}
	switch name {
	case "namespace":
		a.set(record.Namespace, value)
	case "pod", "pod_name":
		a.set(record.Pod, value)
		if kind, name, ok := WorkloadOfPod(value); ok {
			a.workload(kind, name)
		}
	case "container", "container_name":
		a.set(record.Container, value)
	case "node":
		a.set(record.Node, value)
	case "persistentvolumeclaim":
		a.set(record.VolumeClaim, value)
	case "persistentvolume":
		a.set(record.Volume, value)
	case "deployment":
		a.workload("Deployment", value)
	case "statefulset":
		a.workload("StatefulSet", value)
	case "daemonset":
		a.workload("DaemonSet", value)
	}
}
