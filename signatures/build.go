package signatures

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// maxRepeat bounds how many records one test record stands for.
const maxRepeat = 100_000

// Build makes the records of a test, in the order in which they arrive, the first of which may come at start. Attributes are named
// and filled in as collectors do it. Building the same test twice gives the same records.
func (t *Test) Build(start time.Time) ([]record.Record, error) {
	var out []record.Record
	for i := range t.Records {
		r := &t.Records[i]
		for n := range max(r.Repeat, 1) {
			rec, err := r.build(start, n)
			if err != nil {
				return nil, fmt.Errorf("build records[%d] of the test %q: %w", i, t.Name, err)
			}
			rec.Seq = uint64(len(out)) + 1
			rec.ID = record.Identity("test", t.Name, strconv.Itoa(i), strconv.Itoa(n))
			out = append(out, rec)
		}
	}
	return out, nil
}

// build makes the n-th repeat of a record.
func (r *TestRecord) build(start time.Time, n int) (record.Record, error) {
	if r.Repeat > maxRepeat {
		return record.Record{}, fmt.Errorf("repeated %d times; at most %d", r.Repeat, maxRepeat)
	}
	at := start.Add(time.Duration(r.At) + time.Duration(n)*time.Duration(r.Every)).UnixNano()
	rec := record.Record{Time: at, Observed: at, Count: 1}
	attrs := make(map[string]string)
	var err error
	switch {
	case r.Event != nil:
		err = r.Event.build(&rec, attrs)
	case r.Log != "":
		rec.Kind, rec.Text = record.Log, []byte(r.Log)
	case r.Change != nil:
		err = r.Change.build(&rec, attrs)
	case r.Sample != nil:
		rec.Kind, rec.Value = record.Sample, r.Sample.Value+float64(n)*r.Sample.Step
		attrs[record.MetricName] = r.Sample.Metric
		labels(attrs, r.Sample.Labels)
	case r.Alert != nil:
		r.Alert.build(&rec, attrs)
	default:
		err = errors.New("it is no event, log, change, sample or alert")
	}
	if err != nil {
		return record.Record{}, err
	}
	for _, word := range slices.Sorted(maps.Keys(r.Attrs)) {
		name, ok := attributeName(word)
		if !ok {
			return record.Record{}, fmt.Errorf("unknown attribute %q", word)
		}
		attrs[name] = r.Attrs[word]
	}
	rec.Attrs = record.NewAttrs(attrs)
	return rec, nil
}

func (e *TestEvent) build(rec *record.Record, attrs map[string]string) error {
	rec.Kind, rec.Text = record.Event, []byte(e.Message)
	rec.Count = uint32(min(max(e.Count, 1), maxInteger))
	attrs[record.EventReason], attrs[record.EventType], attrs[record.EventSource] = e.Reason, e.Type, e.Source
	if e.Object == "" {
		return nil
	}
	return object(attrs, e.Object)
}

func (c *TestChange) build(rec *record.Record, attrs map[string]string) error {
	rec.Kind, rec.Text = record.Change, []byte(c.Path+": "+c.From+" -> "+c.To)
	attrs[record.ChangePath], attrs[record.ChangeFrom], attrs[record.ChangeTo] = c.Path, c.From, c.To
	if attrs[record.ChangeVerb] = c.Verb; c.Verb == "" {
		attrs[record.ChangeVerb] = "modified"
	}
	return object(attrs, c.Object)
}

func (a *TestAlert) build(rec *record.Record, attrs map[string]string) {
	rec.Kind = record.Alert
	attrs[record.AlertName] = a.Name
	if attrs[record.AlertState] = a.State; a.State == "" {
		attrs[record.AlertState] = "firing"
	}
	labels(attrs, a.Labels)
}

// labels adds a series' labels, and what they say of the object that the series is about.
func labels(attrs, labels map[string]string) {
	about := map[string]string{
		"namespace": record.Namespace, "pod": record.Pod, "container": record.Container, "node": record.Node,
		"persistentvolumeclaim": record.VolumeClaim,
	}
	for k, v := range labels {
		attrs[record.LabelPrefix+k] = v
		if name, ok := about[k]; ok {
			attrs[name] = v
		}
	}
}

// object reads Kind/name or Kind/namespace/name.
func object(attrs map[string]string, text string) error {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return fmt.Errorf("the object %q is not Kind/name or Kind/namespace/name", clip(text))
	}
	kind, name := parts[0], parts[len(parts)-1]
	attrs[record.ObjectKind], attrs[record.ObjectName] = kind, name
	if len(parts) == 3 {
		attrs[record.Namespace] = parts[1]
	}
	switch kind {
	case "Pod":
		attrs[record.Pod] = name
	case "Node":
		attrs[record.Node] = name
	case "PersistentVolumeClaim":
		attrs[record.VolumeClaim] = name
	case "PersistentVolume":
		attrs[record.Volume] = name
	case "Namespace":
		attrs[record.Namespace] = name
	case "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob":
		attrs[record.WorkloadKind], attrs[record.WorkloadName] = kind, name
	}
	return nil
}

// attributeName is the attribute that a word of a test's attrs means: a topology word, or an attribute's own name, which holds a
// dot or an underscore.
func attributeName(word string) (string, bool) {
	names := attributeWords()
	if n, ok := names[word]; ok {
		return n, true
	}
	return word, word != "" && strings.ContainsAny(word, "._")
}

func attributeWords() map[string]string {
	return map[string]string{
		"cluster": record.Cluster, "node": record.Node, "namespace": record.Namespace, "pod": record.Pod, "container": record.Container,
		"workload": record.WorkloadName, "kind": record.WorkloadKind, "component": record.Component, "volume": record.Volume,
		"claim": record.VolumeClaim, "image": record.Image, "host": record.Host, "file": record.FilePath, "severity": record.SeverityText,
	}
}
