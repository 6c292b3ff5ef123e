package format

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// kubernetes reads what the API server says: lists, single objects and watch streams, of events and of any other kind, in
// JSON. An event becomes an event record for each time it was counted on; an object becomes a change record for each field
// that is not what it was when the object was last seen. What is neither is a log record.
type kubernetes struct {
	in      Input
	split   jsonSplitter
	stamps  *Stamps
	events  remembered[uint32]
	objects *Objects
	sorted  []record.Record
	size    int // bytes in sorted, about
	seq     uint64
}

func newKubernetes(in Input, _ []byte) Parser {
	k := &kubernetes{in: in, stamps: NewStamps(in)}
	k.events.limit = in.Limits.Objects
	k.objects = newObjects(in, k.stamps, k.add)
	k.split = jsonSplitter{max: in.Limits.ItemBytes, counts: in.Counts, item: func(v []byte, kind string) { k.item(v, kind, "") }, over: k.over}
	return k
}

func (k *kubernetes) Kinds() uint8   { return objectKinds }
func (k *kubernetes) Write(p []byte) { k.split.write(p) }
func (k *kubernetes) Flush()         { k.stamps.advance(k.in.now()) }
func (k *kubernetes) Close()         { k.split.close(); k.release() }

// over is called at the end of a list or of a single object. What grows must not wait for more.
func (k *kubernetes) over() {
	if k.in.Live {
		k.release()
	}
}

// item takes one object, or one line of a watch stream.
func (k *kubernetes) item(value []byte, kind, verb string) {
	api := ""
	var object []byte
	m := newMembers(value)
	for {
		key, v, ok := m.next()
		if !ok {
			break
		}
		switch string(key) {
		case "kind":
			kind = string(unquoted(v))
		case "apiVersion":
			api = string(unquoted(v))
		case "type":
			if verb == "" {
				verb = string(unquoted(v))
			}
		case "object":
			object = v
		}
	}
	if object != nil && kind == "" && watchVerb(verb) {
		if verb != "BOOKMARK" {
			k.item(object, "", verb)
		}
		return
	}
	switch {
	case kind == "Event" && !bytes.HasPrefix([]byte(api), []byte("audit.")):
		if verb != "DELETED" { // it was kept long enough; nothing happened
			k.event(value)
		}
	case kind != "" && kind != "Status" && api != "audit.k8s.io/v1":
		k.object(value, kind, api, verb)
	default:
		k.other(value)
	}
}

// object compares an object with what is remembered of it.
func (k *kubernetes) object(value []byte, kind, api, verb string) {
	show := func() bool { return k.objects.Compare(value, kind, api, TellAll) }
	if verb == "DELETED" {
		show = func() bool { return k.objects.Deleted(value, kind, api) }
	}
	if !show() {
		k.other(value)
	}
}

func watchVerb(verb string) bool {
	switch verb {
	case "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR":
		return true
	}
	return false
}

// other gives a JSON value that is no object of Kubernetes as a log record.
func (k *kubernetes) other(value []byte) {
	ns, _, _ := k.stamps.Read(value)
	level := k.stamps.fields.level
	if ns == 0 {
		k.in.Counts.Add(NoStamp, 1)
		ns, level = k.in.written(), NoLevel
	}
	r := record.Record{
		Kind: record.Log, Time: ns, ID: k.in.id(k.seq + 1), Text: slices.Clone(value[:min(len(value), record.MaxText)]),
		Attrs: k.in.Attrs.With(record.SeverityText, level.String()),
	}
	k.add(r)
}

// add takes a record that owns its memory. The records of a list are put in order of time: a list has them by name, and
// what reads on must not take most of them for late.
func (k *kubernetes) add(r record.Record) {
	k.seq++
	r.Seq, r.Observed = k.seq, k.in.now()
	r.Count = max(r.Count, 1)
	k.sorted = append(k.sorted, r)
	k.size += 200 + len(r.Text) + 64*len(r.Attrs)
	if k.size > k.in.Limits.SortedBytes {
		k.in.Counts.Add(Unsorted, 1)
		k.release()
	}
}

func (k *kubernetes) release() {
	slices.SortStableFunc(k.sorted, func(a, b record.Record) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	for i := range k.sorted {
		k.in.Sink.Add(&k.sorted[i])
	}
	clear(k.sorted)
	k.sorted, k.size = k.sorted[:0], 0
}

// trusted returns t in Unix nanoseconds when it can be believed, else 0.
func (k *kubernetes) trusted(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return k.stamps.believe(t.UnixNano())
}

// remembered is a map of bounded size. When it is full the oldest half is forgotten: two maps change places.
type remembered[V any] struct {
	limit    int
	new, old map[string]V
	forget   func(V) // called with what is forgotten; may be nil
}

func (m *remembered[V]) get(key string) (v V, ok bool) {
	if v, ok = m.new[key]; ok {
		return v, true
	}
	if v, ok = m.old[key]; ok {
		m.new[key] = v
	}
	return v, ok
}

func (m *remembered[V]) put(key string, v V, counts *Counts) {
	if m.new == nil {
		m.new = map[string]V{}
	}
	if len(m.new) >= max(m.limit/2, 1) {
		if _, known := m.new[key]; !known {
			lost := 0
			for key, v := range m.old {
				if _, kept := m.new[key]; !kept {
					lost++
					if m.forget != nil {
						m.forget(v)
					}
				}
			}
			counts.Add(ForgottenObject, lost)
			m.old, m.new = m.new, map[string]V{}
		}
	}
	m.new[key] = v
}

func (m *remembered[V]) remove(key string) {
	delete(m.new, key)
	delete(m.old, key)
}

// each calls f with everything that is remembered.
func (m *remembered[V]) each(f func(key string, v V)) {
	for key, v := range m.new {
		f(key, v)
	}
	for key, v := range m.old {
		if _, newer := m.new[key]; !newer {
			f(key, v)
		}
	}
}

// decodeObject decodes JSON with numbers as they are written.
func decodeObject(value []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	return d.Decode(into)
}
