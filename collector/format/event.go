package format

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// moment is a time that may be null, missing or not a time at all: then it is zero.
type moment struct{ time.Time }

// UnmarshalJSON never fails: an event with one bad time is still an event.
func (m *moment) UnmarshalJSON(b []byte) error {
	m.Time, _ = time.Parse(time.RFC3339Nano, string(unquoted(b)))
	return nil
}

// event is a Kubernetes event in either of its shapes, core/v1 and events.k8s.io/v1: where both have a field under two names,
// at most one is set.
type event struct {
	Metadata struct {
		Name, Namespace, UID, ResourceVersion string
		CreationTimestamp                     moment
	}
	Reason, Type, Action, Message, Note string
	InvolvedObject, Regarding           struct {
		Kind, Namespace, Name, UID, APIVersion, FieldPath string
	}
	Source, DeprecatedSource                 struct{ Component, Host string }
	ReportingComponent, ReportingController  string
	ReportingInstance                        string
	EventTime                                moment
	FirstTimestamp, DeprecatedFirstTimestamp moment
	LastTimestamp, DeprecatedLastTimestamp   moment
	Count, DeprecatedCount                   int64
	Series                                   struct {
		Count            int64
		LastObservedTime moment
	}
}

func (k *kubernetes) event(value []byte) {
	o, err := DecodeEvent(value, k.in.Attrs, k.trusted)
	if err != nil {
		k.in.Counts.Add(BadItem, 1)
		return
	}
	k.occur(o)
}

// occur gives what is new in a sight of an event.
func (k *kubernetes) occur(o Occurrence) {
	if o.Last == 0 {
		k.in.Counts.Add(NoStamp, 1)
		o.Last = k.in.written()
	}
	seen, _ := k.events.get(o.UID)
	if o.Count <= seen {
		k.in.Counts.Add(RepeatedItem, 1)
		return
	}
	k.events.put(o.UID, o.Count, k.in.Counts)
	for _, r := range o.Since(seen, nil) {
		k.add(r)
	}
}

// Occurrence is what one sight of a Kubernetes event tells: it happened Count times, from First to Last.
type Occurrence struct {
	// UID tells the event from all others.
	UID string
	// Version is the event's resource version, empty when it has none.
	Version string
	Count   uint32 // at least 1
	// First and Last are Unix nanoseconds, 0 when the event does not say or cannot be believed.
	First, Last int64
	Message     string
	Attrs       record.Attrs
	// Combined says that the writer put several similar events under this one: its message is that of the last, and it counts no less than
	// it says, but may count less than happened.
	Combined bool

	own bool // what forewarn tells must not become what it is told by
}

// combined begins the messages of events that client-go's recorders made of several.
const combined = "(combined from similar events): "

// DecodeEvent reads an Event in JSON, of core/v1 or events.k8s.io/v1. base are attributes that it has besides; trust returns a time in Unix
// nanoseconds, or 0 when it cannot be believed.
func DecodeEvent(value []byte, base record.Attrs, trust func(time.Time) int64) (Occurrence, error) {
	var e event
	if err := decodeObject(value, &e); err != nil {
		return Occurrence{}, fmt.Errorf("decode an event: %w", err)
	}
	about := e.Regarding
	if about.Kind == "" {
		about = e.InvolvedObject
	}
	uid := e.Metadata.UID
	if uid == "" {
		uid = strings.Join([]string{e.Metadata.Namespace, e.Metadata.Name, about.UID, e.Reason}, "\x00")
	}
	o := Occurrence{
		UID: uid, Version: e.Metadata.ResourceVersion,
		Count: clampCount(firstOf(e.Series.Count, e.Count, e.DeprecatedCount, 1)),
		First: trust(firstTime(e.FirstTimestamp, e.DeprecatedFirstTimestamp, e.EventTime, e.Metadata.CreationTimestamp)),
		Last: trust(firstTime(e.Series.LastObservedTime, e.LastTimestamp, e.DeprecatedLastTimestamp, e.EventTime,
			e.Metadata.CreationTimestamp)),
		Message: firstOf(e.Message, e.Note),
	}
	o.Combined = strings.HasPrefix(o.Message, combined)
	source := firstOf(e.Source.Component, e.DeprecatedSource.Component, e.ReportingController, e.ReportingComponent)
	o.own = e.ReportingController == record.OwnEvents || e.ReportingComponent == record.OwnEvents
	node := firstOf(e.Source.Host, e.DeprecatedSource.Host)
	if node == "" && (source == "kubelet" || source == "kube-proxy") {
		node = e.ReportingInstance
	}
	a := attrSet{}
	a.set(record.EventReason, e.Reason)
	a.set(record.EventType, e.Type)
	a.set(record.EventAction, e.Action)
	a.set(record.EventName, e.Metadata.Name)
	a.set(record.EventSource, source)
	if o.Combined {
		a.set(record.EventCombined, "true")
	}
	a.set(record.Component, source)
	a.set(record.Node, node)
	a.set(record.ObjectUID, about.UID)
	a.set(record.ObjectAPI, about.APIVersion)
	if about.Kind == "Pod" {
		a.set(record.PodUID, about.UID)
	}
	a.object(about.Kind, about.Namespace, about.Name)
	if _, container, ok := strings.Cut(about.FieldPath, "{"); ok {
		a.set(record.Container, strings.TrimSuffix(container, "}"))
	}
	o.Attrs = a.over(base)
	return o, nil
}

// Since appends the records of what happened since the event was seen with a count of seen, which is 0 when it was not: the increase of its
// count, and nothing when there is none. The first sight of an event that happened several times gives its first time and the rest at its
// last, as if it had been watched from the beginning: when the trouble began is what sequences of stages need. Last must be set.
// The records' ids are made of the event and its count, so that a repeat is known. Events that forewarn wrote itself have no records.
func (o *Occurrence) Since(seen uint32, dst []record.Record) []record.Record {
	if o.Count <= seen || o.own {
		return dst
	}
	if seen == 0 && o.Count > 1 && o.First != 0 && o.First < o.Last {
		dst = append(dst, o.record(1, 1, o.First))
		seen = 1
	}
	return append(dst, o.record(o.Count, o.Count-seen, o.Last))
}

func (o *Occurrence) record(upTo, increase uint32, at int64) record.Record {
	return record.Record{
		Kind: record.Event, Time: at, Count: increase, Text: []byte(cutString(o.Message, record.MaxText)), Attrs: o.Attrs,
		ID: record.Identity("event", o.UID, strconv.FormatUint(uint64(upTo), 10)),
	}
}

func clampCount(n int64) uint32 { return uint32(max(1, min(n, 1<<31))) }

// firstOf returns the first value that is not zero.
func firstOf[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}

func firstTime(times ...moment) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t.Time
		}
	}
	return time.Time{}
}

func cutString(s string, most int) string {
	if len(s) > most {
		return s[:most]
	}
	return s
}
