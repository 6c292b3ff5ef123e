package format

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

const (
	// maxChangeValue is the most bytes of a field's value that are kept.
	maxChangeValue = 4 << 10
	// maxLeaves is the most fields of one object that are compared.
	maxLeaves = 5000
	// recent is how old the trouble of an object that is seen for the first time may be to be told at its own time. It is the lateness
	// that matchers allow by default; what is older would only mark warnings incomplete, and is told as being so now.
	recent = 30 * second
)

// Told says what of an object that is not remembered is told.
type Told uint8

const (
	// TellAll tells every field that is compared: for dumps, which are all there is.
	TellAll Told = iota
	// TellTrouble tells what is wrong with the object: for one that was there before anyone looked.
	TellTrouble
	// TellNew tells that the object is there, and what is wrong with it: for one that was made while others were watched.
	TellNew
)

// Objects tells what changed in the objects that it is shown, one record a field. Of each object it holds what the next comparison needs, in a
// compact form, and nothing else; a thousand pods are about a megabyte. It is not safe for concurrent use.
//
// A record's id is made of the object's uid, the field, both its values and the time of the change as the object tells it, so that whoever is
// shown the same sights in the same order, from the beginning or from a state that was stored, makes the same ids.
type Objects struct {
	// Complete, if set, is given the attributes of each record and returns those that the record gets.
	Complete func(record.Attrs) record.Attrs

	in     Input
	stamps *Stamps
	states remembered[objectState]
	names  names
	due    map[string]int64 // by id: when the fields of an object that change with time alone have to be looked at again
	list   uint32           // the number of the list under way, or of the last one
	buf    []byte
	tell   func(record.Record)
	told   int // records so far
	begun  int // records before the object under way
}

// NewObjects returns a differ whose records go to in.Sink. in.Limits.Objects bounds what is remembered: beyond it the objects that were not
// seen for longest are forgotten and counted.
func NewObjects(in Input) *Objects {
	in.withDefaults()
	return newObjects(in, NewStamps(in), func(r record.Record) {
		r.Observed, r.Count = in.now(), 1
		in.Sink.Add(&r)
	})
}

func newObjects(in Input, stamps *Stamps, tell func(record.Record)) *Objects {
	x := &Objects{in: in, stamps: stamps, due: map[string]int64{}, tell: tell}
	x.states.limit = in.Limits.Objects
	x.states.forget = func(s objectState) { x.names.release(s.data) }
	return x
}

// Len returns how many objects are remembered.
func (x *Objects) Len() int {
	n := 0
	x.states.each(func(string, objectState) { n++ })
	return n
}

// Compare tells what is other than when the object was seen last. It returns false when value is no object with a name.
func (x *Objects) Compare(value []byte, kind, api string, told Told) bool {
	o, ok := x.read(value, kind, api)
	if o == nil {
		return ok
	}
	was, known := x.states.get(o.id)
	d := objectDecoder{leaves: map[string]leaf{}, stamps: x.stamps, now: x.in.now()}
	d.object(o)
	w := x.when(o, &d, was, known)
	now := d.sorted()
	c := change{object: o, verb: "modified"}
	if !known {
		c.verb = "added"
	}
	x.begun = x.told
	if known || told == TellAll {
		var old recalled
		if known {
			old = x.recall(o.id, was)
			w.told = old.times
		}
		x.differences(c, old, now, w)
	} else {
		x.firstSight(c, now, w, told)
	}
	switch {
	case x.told != x.begun:
	case known:
		x.in.Counts.Add(RepeatedItem, 1)
	case told == TellAll: // none of its fields is compared: that it is there is all there is to tell
		c.at = w.at
		x.add(c)
	}
	x.remember(o.id, recalled{leaves: now, attrs: o.attrs}, max(w.at, was.last), d.due)
	return true
}

// differences tells each field that became another value: first what there is, then what is there no more.
func (x *Objects) differences(c change, was recalled, now []namedLeaf, w when) {
	var gone []namedLeaf
	for i, j := 0, 0; i < len(was.leaves) || j < len(now); {
		switch order := compareLeaves(was.leaves, i, now, j); {
		case order < 0:
			gone = append(gone, was.leaves[i])
			i++
		case order > 0:
			x.addChanged(c, namedLeaf{path: now[j].path}, now[j], w)
			j++
		default:
			if was.leaves[i].value != now[j].value {
				x.addChanged(c, was.leaves[i], now[j], w)
			}
			i, j = i+1, j+1
		}
	}
	for _, l := range gone {
		c.path, c.from, c.to, c.at, c.mark = l.path, l.value, "", w.at, w.mark
		x.add(c)
	}
}

func compareLeaves(a []namedLeaf, i int, b []namedLeaf, j int) int {
	switch {
	case i == len(a):
		return 1
	case j == len(b):
		return -1
	}
	return strings.Compare(a[i].path, b[j].path)
}

// addChanged tells that was became now.
func (x *Objects) addChanged(c change, was, now namedLeaf, w when) {
	c.path, c.from, c.to, c.at, c.mark = now.path, was.value, now.value, w.at, w.mark
	switch {
	case now.at != 0 && (!w.known || now.at >= w.last && !slices.Contains(w.told, now.at)):
		c.at, c.mark = now.at, ""
	case !w.known && !strings.HasPrefix(now.path, "status.") && w.created != 0:
		c.at, c.mark = w.created, ""
	}
	x.add(c)
}

// firstSight tells what matters of an object that is not remembered.
func (x *Objects) firstSight(c change, now []namedLeaf, w when, told Told) {
	if told == TellNew {
		c.at = w.created
		if c.at == 0 {
			c.at, c.mark = w.at, w.mark
		}
		x.add(c)
	}
	bad := troubleOf(c.object.kind, now)
	for i, l := range now {
		if !bad(i) {
			continue
		}
		// What is only known to be so has no time of its own that stays the same; the newest that its status tells of does.
		c.path, c.to, c.at, c.mark = l.path, l.value, firstOf(l.at, w.newest, w.created), ""
		if c.at == 0 {
			c.at, c.mark = w.at, w.mark
		}
		if present := x.in.now(); told == TellTrouble && present-c.at > recent {
			c.mark = cmp.Or(c.mark, strconv.FormatInt(c.at, 36))
			c.at = present
		}
		x.add(c)
	}
}

// when says when an object became what it is.
type when struct {
	at      int64
	mark    string // what identifies the change in place of its time, where that is only when it was seen
	created int64
	newest  int64   // the newest time that the status tells of
	known   bool    // the object was seen before
	last    int64   // its last change then
	told    []int64 // times of its elements then: what is new now happened after them
}

// when finds out by when the object was last written, by its managed fields; without them by the newest time in its status, if it is newer than
// what was seen before.
func (x *Objects) when(o *object, d *objectDecoder, was objectState, known bool) when {
	w := when{known: known, last: was.last, newest: d.newest, created: x.trusted(timeOf(o.meta()["creationTimestamp"]))}
	switch {
	case o.written != 0:
		w.at = o.written
	case d.newest > was.last:
		w.at = d.newest
	case known && !x.in.Live:
		w.at = was.last
	case known:
		w.at = firstOf(x.in.now(), was.last)
		w.mark = o.version
	default:
		w.at = w.created
		if w.at == 0 {
			w.at, w.mark = x.in.written(), o.version
		}
	}
	return w
}

// Deleted tells that an object is gone, which value shows as it was at last. It returns false when value is no object with a name.
func (x *Objects) Deleted(value []byte, kind, api string) bool {
	o, ok := x.read(value, kind, api)
	if o == nil {
		return ok
	}
	was, known := x.states.get(o.id)
	d := objectDecoder{leaves: map[string]leaf{}, stamps: x.stamps, now: x.in.now()}
	d.object(o)
	w := x.when(o, &d, was, known)
	at := max(w.at, x.trusted(timeOf(o.meta()["deletionTimestamp"])))
	x.forget(o.id)
	x.begun = x.told
	x.addDeleted(o, at)
	return true
}

func (x *Objects) addDeleted(o *object, at int64) {
	c := change{object: o, verb: "deleted", at: at}
	if o.uid != "" {
		c.mark = "once" // whether it was seen to go or found missing
	}
	x.add(c)
}

func (x *Objects) forget(id string) {
	if was, known := x.states.get(id); known {
		x.names.release(was.data)
	}
	x.states.remove(id)
	delete(x.due, id)
}

// Listing says that all objects there are will be shown now. Those that are not shown until [Objects.Listed] are gone.
func (x *Objects) Listing() { x.list++ }

// Listed ends a list, and tells which of the remembered objects are gone. When they went nobody can know: the records have the present's time.
// version is the list's resource version.
func (x *Objects) Listed(kind, version string) {
	var gone []string
	x.states.each(func(id string, s objectState) {
		if s.list != x.list {
			gone = append(gone, id)
		}
	})
	slices.Sort(gone)
	for _, id := range gone {
		was, _ := x.states.get(id)
		o := &object{id: id, kind: kind, version: version, attrs: x.recall(id, was).attrs}
		if o.attrs[record.ObjectUID] == id {
			o.uid = id
		}
		x.forget(id)
		x.begun = x.told
		x.addDeleted(o, firstOf(x.in.now(), was.last))
	}
}

// change is one field that became another value.
type change struct {
	object         *object
	path, from, to string
	verb           string
	at             int64
	mark           string // identifies the change in place of at, unless it is empty
}

func (x *Objects) add(c change) {
	a := maps.Clone(c.object.attrs)
	a.set(record.ChangePath, c.path)
	a.set(record.ChangeFrom, c.from)
	a.set(record.ChangeTo, c.to)
	a.set(record.ChangeVerb, c.verb)
	if rest, ok := strings.CutPrefix(c.path, "status."); ok && c.object.kind == "Pod" {
		if list, element, ok := strings.Cut(rest, "["); ok && strings.HasSuffix(list, "ontainerStatuses") {
			name, _, _ := strings.Cut(element, "]")
			a.set(record.Container, name)
		}
	}
	text := c.path + ": " + c.from + " -> " + c.to
	if c.path == "" {
		text = c.verb
	}
	attrs := a.over(x.in.Attrs)
	if x.Complete != nil {
		attrs = x.Complete(attrs)
	}
	x.told++
	x.tell(record.Record{
		Kind: record.Change, Time: c.at, Seq: c.object.seq(x.told - x.begun), Text: []byte(text), Attrs: attrs,
		ID: record.Identity("change", c.object.id, c.verb, c.path, c.from, c.to, cmp.Or(c.mark, strconv.FormatInt(c.at, 36))),
	})
}

// trusted returns t in Unix nanoseconds when it can be believed, else 0.
func (x *Objects) trusted(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return x.stamps.believe(t.UnixNano())
}
