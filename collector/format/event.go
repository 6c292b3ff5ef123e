package format

import (
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
		Name, Namespace, UID string
		CreationTimestamp    moment
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
	var e event
	if err := decodeObject(value, &e); err != nil {
		k.in.Counts.Add(BadItem, 1)
		return
	}
	about := e.Regarding
	if about.Kind == "" {
		about = e.InvolvedObject
	}
	uid := e.Metadata.UID
	if uid == "" {
		uid = strings.Join([]string{e.Metadata.Namespace, e.Metadata.Name, about.UID, e.Reason}, "\x00")
	}
	o := occurrence{
		uid:   uid,
		count: clampCount(firstOf(e.Series.Count, e.Count, e.DeprecatedCount, 1)),
		first: k.trusted(firstTime(e.FirstTimestamp, e.DeprecatedFirstTimestamp, e.EventTime, e.Metadata.CreationTimestamp)),
		last: k.trusted(firstTime(e.Series.LastObservedTime, e.LastTimestamp, e.DeprecatedLastTimestamp, e.EventTime,
			e.Metadata.CreationTimestamp)),
		message: firstOf(e.Message, e.Note),
	}
	source := firstOf(e.Source.Component, e.DeprecatedSource.Component, e.ReportingController, e.ReportingComponent)
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
	o.attrs = a.over(k.in.Attrs)
	k.occur(o)
}

// occurrence is what one sight of an event tells: it happened count times, from first to last.
type occurrence struct {
	uid         string
	count       uint32
	first, last int64
	message     string
	attrs       record.Attrs
}

// occur gives what is new in a sight of an event: the increase of its count since the sight before. The first sight of an
// event that happened several times gives its first time and the rest at its last, as if it had been watched from the
// beginning: when the trouble began is what sequences of stages need.
func (k *kubernetes) occur(o occurrence) {
	if o.last == 0 {
		k.in.Counts.Add(NoStamp, 1)
		o.last = k.in.written()
	}
	if o.first == 0 || o.first > o.last {
		o.first = o.last
	}
	seen, known := k.events.get(o.uid)
	if known && o.count <= seen {
		k.in.Counts.Add(RepeatedItem, 1)
		return
	}
	k.events.put(o.uid, o.count, k.in.Counts)
	if !known && o.count > 1 && o.first < o.last {
		k.addEvent(o, 1, 1, o.first)
		seen = 1
	}
	k.addEvent(o, o.count, o.count-seen, o.last)
}

func (k *kubernetes) addEvent(o occurrence, upTo, increase uint32, at int64) {
	k.add(record.Record{
		Kind: record.Event, Time: at, Count: increase, Text: []byte(cutString(o.message, record.MaxText)), Attrs: o.attrs,
		ID: record.Identity("event", o.uid, strconv.FormatUint(uint64(upTo), 10)),
	})
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
