package record

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// OwnEvents is the reporting controller of the Events that forewarn writes itself, which are no records.
const OwnEvents = "forewarn.dev/forewarn"

// Attribute keys. Names under k8s., service., log. and host. are OpenTelemetry's (semantic conventions 1.37, and its
// Kubernetes events receiver for k8s.event. and k8s.object.); where OpenTelemetry has none, the name is ours, says so, and
// is not under its prefixes unless every collector of the field writes it there.
const (
	Cluster        = "k8s.cluster.name"
	Node           = "k8s.node.name"
	Namespace      = "k8s.namespace.name"
	Pod            = "k8s.pod.name"
	PodUID         = "k8s.pod.uid"
	Container      = "k8s.container.name"
	RestartCount   = "k8s.container.restart_count"
	WorkloadKind   = "k8s.workload.kind" // ours: the kind of the top of the owner chain, such as Deployment
	WorkloadName   = "k8s.workload.name" // ours: its name
	Volume         = "k8s.volume.name"   // the PersistentVolume's or the pod volume's name
	VolumeClaim    = "k8s.persistentvolumeclaim.name"
	Image          = "container.image.name"
	Component      = "service.name" // the software that speaks: etcd, kubelet, coredns
	Host           = "host.name"
	FilePath       = "log.file.path"
	Stream         = "log.iostream" // stdout or stderr
	SeverityText   = "severity_text"
	EventReason    = "k8s.event.reason"
	EventType      = "k8s.event.type" // ours: Normal or Warning
	EventAction    = "k8s.event.action"
	EventName      = "k8s.event.name"
	EventSource    = "k8s.event.source"   // ours: the reporting controller
	EventCombined  = "k8s.event.combined" // ours: "true" when the writer made one event of several similar ones: its count is a lower bound
	ObjectKind     = "k8s.object.kind"
	ObjectName     = "k8s.object.name"
	ObjectUID      = "k8s.object.uid"
	ObjectVersion  = "k8s.object.resource_version"
	ObjectAPI      = "k8s.object.api_version"
	ChangePath     = "forewarn.change.path"
	ChangeFrom     = "forewarn.change.from"
	ChangeTo       = "forewarn.change.to"
	ChangeVerb     = "forewarn.change.verb" // added, modified or deleted
	MetricName     = "metric.name"          // ours: the series' __name__
	LabelPrefix    = "label."               // ours: label.<name> is a metric's or an alert's label
	AlertName      = "alert.name"           // ours: the alertname label
	AlertState     = "alert.state"          // ours: firing or resolved
	K8sVersion     = "k8s.version"          // ours: the cluster's version, for signatures' applies
	ServiceVersion = "service.version"
)

// Identity hashes the parts that make an observation itself (a file's identity and offset; an event's uid and count) into a
// [Record.ID]. Every part enters with its number and length, so that ("ab","c") and ("a","bc") differ. It is
// xxHash64 (https://xxhash.com); a chance collision is as likely as 2^-64 a pair.
func Identity(parts ...string) uint64 {
	var d xxhash.Digest
	d.Reset()
	var head [9]byte
	for i, p := range parts {
		head[0] = byte(i)
		binary.LittleEndian.PutUint64(head[1:], uint64(len(p)))
		_, _ = d.Write(head[:])
		_, _ = d.WriteString(p)
	}
	return d.Sum64()
}
