package bench

import (
	"fmt"
	"strings"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// fields are what a pattern of the set kinds asks of a record: its kind, exact attributes, a value. Text may be asked for as well.
type fields struct {
	kind  record.Kind
	attrs record.Attrs // the first is the most telling
	above float64      // samples
}

// reason is the i-th reason of an event, in one word.
func reason(i uint64) string {
	title := func(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
	n := uint64(len(verbs))
	return title(things[i/n%uint64(len(things))]) + title(verbs[i%n]) + [...]string{"Failed", "Stalled", "Refused", "Lost"}[i/n/uint64(len(things))%4]
}

var (
	objectKinds = []string{"Pod", "Node", "Deployment", "StatefulSet", "Job", "PersistentVolumeClaim", "Service", "ReplicaSet"}
	conditions  = []string{"Ready", "Available", "Progressing", "MemoryPressure", "DiskPressure", "Scheduled", "Bound", "Synced"}
	verdicts    = []string{"True", "False", "Unknown"}
)

// kinds gives three conditions on events, one on changes and one on samples in every five. The even reasons, paths and metrics are the
// signatures'; the odd ones are in records alone.
func kinds(i int) Pattern {
	n := uint64(i/5) * 2
	kind := objectKinds[fold(uint64(i), len(objectKinds))]
	switch i % 5 {
	case 0: // the reason alone
		return Pattern{fields: &fields{kind: record.Event, attrs: record.Attrs{{Key: record.EventReason, Value: reason(3 * n)}}}}
	case 1: // reason, type and object
		return Pattern{fields: &fields{kind: record.Event, attrs: record.Attrs{
			{Key: record.EventReason, Value: reason(3*n + 2)}, {Key: record.EventType, Value: "Warning"}, {Key: record.ObjectKind, Value: kind},
		}}}
	case 2: // reason and message
		p := phraseOf(i)
		return Pattern{Text: p.thing + ": " + p.reason, fields: &fields{kind: record.Event, attrs: record.Attrs{{Key: record.EventReason, Value: reason(3*n + 4)}}}}
	case 3:
		return Pattern{fields: &fields{kind: record.Change, attrs: record.Attrs{
			{Key: record.ChangePath, Value: changePath(n)}, {Key: record.ObjectKind, Value: kind}, {Key: record.ChangeTo, Value: verdicts[i%3]},
		}}}
	default:
		return Pattern{fields: &fields{kind: record.Sample, above: 0.9, attrs: record.Attrs{
			{Key: record.MetricName, Value: metricName(n)}, {Key: record.LabelPrefix + "state", Value: conditions[i%len(conditions)]},
		}}}
	}
}

func changePath(n uint64) string {
	return fmt.Sprintf("status.%s%d.phase", things[n%uint64(len(things))], n/uint64(len(things)))
}

func metricName(n uint64) string {
	return fmt.Sprintf("app_%s_%d_ratio", things[n%uint64(len(things))], n)
}

// condition is what the fields ask for, in the language of signatures.
func (f *fields) condition(text string) signatures.Condition {
	is := func(key string) signatures.Match {
		if v := value(f.attrs, key); v != "" {
			return signatures.Match{Equals: []string{v}}
		}
		return signatures.Match{}
	}
	switch f.kind {
	case record.Change:
		return signatures.Condition{Change: &signatures.ChangeCondition{Kind: is(record.ObjectKind), Path: value(f.attrs, record.ChangePath), To: is(record.ChangeTo)}}
	case record.Sample:
		return signatures.Condition{Sample: &signatures.SampleCondition{
			Metric: value(f.attrs, record.MetricName), Above: &f.above, Labels: map[string]signatures.Match{"state": is(record.LabelPrefix + "state")},
		}}
	default:
		e := &signatures.EventCondition{Reason: is(record.EventReason), Type: is(record.EventType)}
		if k := is(record.ObjectKind); !k.IsZero() {
			e.Object = &signatures.ObjectMatch{Kind: k}
		}
		if text != "" {
			e.Message.Any = []string{text}
		}
		return signatures.Condition{Event: e}
	}
}

// value is that of a key in attributes that need not be sorted.
func value(attrs record.Attrs, key string) string {
	for _, a := range attrs {
		if a.Key == key {
			return a.Value
		}
	}
	return ""
}
