package otlp

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// ledger remembers up to which count events were given.
type ledger struct {
	turn   chan struct{} // held from looking at counts until what was made of them is accepted
	counts remembered[uint32]
}

// isEvent reports whether a log record is a Kubernetes event, as the OpenTelemetry Collector's k8sevents (attributes) and k8sobjects (the object as
// the body) receivers send it.
func isEvent(lr *logs.LogRecord) bool {
	if object, _ := eventObject(lr.GetBody()); object != nil {
		return true
	}
	for _, a := range lr.GetAttributes() {
		if a.GetKey() == "k8s.event.uid" || a.GetKey() == record.EventReason {
			return true
		}
	}
	return false
}

func hasEvents(data *logs.LogsData) bool {
	for _, rl := range data.GetResourceLogs() {
		for _, sl := range rl.GetScopeLogs() {
			if slices.ContainsFunc(sl.GetLogRecords(), isEvent) {
				return true
			}
		}
	}
	return false
}

// eventObject returns the Event that a body holds, itself or in a watch's frame, and the watch's verb.
func eventObject(body *common.AnyValue) (object *common.AnyValue, verb string) {
	object = body
	if inner := field(body, "object"); inner != nil {
		object, verb = inner, field(body, "type").GetStringValue()
	}
	api := field(object, "apiVersion").GetStringValue()
	if field(object, "kind").GetStringValue() != "Event" || strings.HasPrefix(api, "audit.") {
		return nil, ""
	}
	return object, verb
}

// event makes records of what is new in a sight of an event.
func (t *intake) event(lr *logs.LogRecord, resource []*common.KeyValue) {
	object, verb := eventObject(lr.GetBody())
	if verb == "DELETED" { // it was kept long enough; nothing happened
		return
	}
	var src []byte
	if object != nil {
		src = valueJSON(object)
	} else {
		src = eventOfAttributes(lr, resource)
	}
	var base record.Attrs
	if cluster := find(record.Cluster, lr.GetAttributes(), resource); cluster != "" {
		base = record.Attrs{{Key: record.Cluster, Value: cluster[:min(len(cluster), record.MaxValue)]}}
	}
	o, err := format.DecodeEvent(src, base, t.trust)
	if err != nil {
		t.reject(1, "a Kubernetes event cannot be read: %v", err)
		return
	}
	if o.Last == 0 {
		o.Last = t.time(lr.GetTimeUnixNano(), lr.GetObservedTimeUnixNano())
	}
	seen, known := t.counts[o.UID]
	if !known {
		seen, _ = t.x.events.counts.get(o.UID)
	}
	if o.Count <= seen {
		return // a repeat
	}
	for _, r := range o.Since(seen, nil) {
		t.add(r)
	}
	if t.counts == nil {
		t.counts = map[string]uint32{}
	}
	t.counts[o.UID] = o.Count
}

func (t *intake) trust(at time.Time) int64 {
	if at.Year() < 1990 || at.After(time.Unix(0, t.now).Add(24*time.Hour)) {
		return 0
	}
	return at.UnixNano()
}

// eventOfAttributes writes what the k8sevents receiver took apart as the event that it was, so that there is one way to read events.
func eventOfAttributes(lr *logs.LogRecord, resource []*common.KeyValue) []byte {
	get := func(name string) string { return find(name, lr.GetAttributes(), resource) }
	count, _ := strconv.ParseInt(get("k8s.event.count"), 10, 64)
	last := ""
	if n := lr.GetTimeUnixNano(); n != 0 && n < 1<<63 {
		last = time.Unix(0, int64(n)).UTC().Format(time.RFC3339Nano)
	}
	namespace := get(record.Namespace)
	b, _ := json.Marshal(map[string]any{ // strings and a number cannot fail
		"metadata": map[string]any{"name": get(record.EventName), "namespace": namespace, "uid": get("k8s.event.uid")},
		"reason":   get(record.EventReason), "type": eventType(lr), "action": get(record.EventAction), "message": valueText(lr.GetBody()), "count": count,
		"firstTimestamp": firstTime(get("k8s.event.start_time")), "lastTimestamp": last,
		"involvedObject": map[string]any{
			"kind": get(record.ObjectKind), "name": get(record.ObjectName), "namespace": namespace, "uid": get(record.ObjectUID),
			"apiVersion": get(record.ObjectAPI), "fieldPath": get("k8s.object.fieldpath"),
		},
		"source": map[string]any{"component": get(record.Component), "host": get(record.Node)},
	})
	return b
}

// eventType is what the receiver puts into the severity.
func eventType(lr *logs.LogRecord) string {
	switch lr.GetSeverityText() {
	case "Normal", "Warning":
		return lr.GetSeverityText()
	}
	if lr.GetSeverityNumber() >= logs.SeverityNumber_SEVERITY_NUMBER_WARN {
		return "Warning"
	}
	return "Normal"
}

// firstTime reads a time as Go prints it, which is how the receiver writes it, or as RFC 3339.
func firstTime(s string) string {
	for _, layout := range []string{"2006-01-02 15:04:05 -0700 MST", "2006-01-02 15:04:05.999999999 -0700 MST", time.RFC3339Nano} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC().Format(time.RFC3339Nano)
		}
	}
	return ""
}
