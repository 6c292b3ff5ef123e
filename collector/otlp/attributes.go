package otlp

import (
	"slices"
	"strings"

	common "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// maxAttributes leaves room for what is derived from attributes; see [record.MaxAttrs].
const maxAttributes = 48

// attributes picks what becomes attributes of a record, from the levels in the order of their precedence: the record's own, the scope's, the resource's.
// Those that matter come first, then the others while there is room. It returns how many were left out or cut.
func (x *Collector) attributes(levels ...[]*common.KeyValue) (set map[string]string, lost int) {
	set = make(map[string]string, 16)
	for _, others := range [2]bool{false, true} {
		if others && x.o.DropOthers {
			break
		}
		for _, level := range levels {
			for _, a := range level {
				key := a.GetKey()
				if key == "" || x.matters(key) == others {
					continue
				}
				if _, known := set[key]; known {
					continue
				}
				value := valueText(a.GetValue())
				switch {
				case value == "":
				case len(key) > record.MaxKey || len(set) >= maxAttributes:
					lost++
				case len(value) > record.MaxValue:
					set[key] = value[:record.MaxValue]
					lost++
				default:
					set[key] = value
				}
			}
		}
	}
	return set, lost
}

// matters reports whether an attribute is kept before others.
func (x *Collector) matters(key string) bool {
	switch {
	case strings.HasPrefix(key, "k8s."):
		return !strings.HasPrefix(key, "k8s.pod.annotation") && !strings.HasPrefix(key, "k8s.pod.label")
	case key == record.Component, key == record.ServiceVersion, key == record.Host, key == record.Image, key == record.FilePath, key == record.Stream:
		return true
	}
	return slices.ContainsFunc(x.o.Attributes, func(name string) bool {
		return key == name || name[len(name)-1] == '.' && strings.HasPrefix(key, name)
	})
}

// workloads are attributes that name the top of an owner chain, and its kind. Those that own others come first.
func workloads() [][2]string {
	return [][2]string{
		{"k8s.deployment.name", "Deployment"},
		{"k8s.statefulset.name", "StatefulSet"},
		{"k8s.daemonset.name", "DaemonSet"},
		{"k8s.cronjob.name", "CronJob"},
		{"k8s.job.name", "Job"},
	}
}

// complete adds the workload, where attributes tell of it.
func complete(set map[string]string) {
	if set[record.WorkloadName] != "" {
		return
	}
	for _, w := range workloads() {
		if name := set[w[0]]; name != "" {
			set[record.WorkloadKind], set[record.WorkloadName] = w[1], name
			return
		}
	}
	if kind, name, ok := format.WorkloadOfPod(set[record.Pod]); ok {
		set[record.WorkloadKind], set[record.WorkloadName] = kind, name
	}
}
