package notify

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// related is how far apart two warnings may open that are symptoms of one failure.
const related = 10 * time.Minute

// few is how many warnings a group may have so that each change of what was shown of it is told at once.
const few = 5

// place puts a new item into a group: that of an earlier warning that it is a symptom of, or has as one, else that of its labels.
func (r *Router) place(id string, it *item, l Labels) {
	m := r.manner(it.Route)
	if !slices.Equal(m.by, []string{"id"}) {
		it.Group = r.kin(it, l)
	}
	if it.Group == "" {
		var b strings.Builder
		b.WriteString(m.lane)
		for _, label := range m.by {
			b.WriteByte(0x1f)
			b.WriteString(label + "=" + l[label])
		}
		it.Group = b.String()
	}
	g := r.st.Groups[it.Group]
	if g == nil {
		g = &group{route: it.Route, members: map[string]*item{}}
		r.st.Groups[it.Group] = g
	}
	r.join(id, it, g, l)
}

// join makes an item a member of its group, and findable by what is related to it.
func (r *Router) join(id string, it *item, g *group, l Labels) {
	g.members[id] = it
	if it.Warning.State.Final() {
		return
	}
	g.open++
	if it.Warning.Opened.After(g.Opened) {
		g.Opened = it.Warning.Opened
	}
	own, in := tokens(&it.Warning, l)
	for _, t := range own {
		index(r, r.keyed, t, it.Group)
	}
	for _, t := range in {
		index(r, r.within, t, it.Group)
	}
	for i := range it.Warning.Evidence {
		if e := it.Warning.Evidence[i].Record; e != 0 {
			index(r, r.records, e, it.Group)
		}
	}
}

// index files a group under what it may be found by, unless a group that is still there is filed under it. What there is no room for is not
// filed.
func index[K comparable](r *Router, at map[K]string, token K, group string) {
	old, known := at[token]
	if known && r.st.Groups[old] != nil {
		return
	}
	if !known && len(at) >= 4*r.o.MaxItems {
		if r.forgotten <= r.o.MaxItems/16 {
			return // hardly anything that is filed is gone: it is not looked for each time
		}
		r.forgotten = 0
		gone := func(group string) bool { return r.st.Groups[group] == nil }
		maps.DeleteFunc(r.keyed, func(_, g string) bool { return gone(g) })
		maps.DeleteFunc(r.within, func(_, g string) bool { return gone(g) })
		maps.DeleteFunc(r.records, func(_ uint64, g string) bool { return gone(g) })
		if len(at) >= 4*r.o.MaxItems {
			return
		}
	}
	at[token] = group
}

// kin finds the group of a warning that is of a place which this one lies in (a pod's node), or lies in the place that this one is
// of, and opened at about the same time; or that has a record of evidence in common. "" is none.
func (r *Router) kin(it *item, l Labels) string {
	of := func(key string) bool {
		g := r.st.Groups[key]
		return g != nil && g.open > 0 && it.Warning.Opened.Sub(g.Opened).Abs() <= related &&
			r.manner(g.route).lane == r.manner(it.Route).lane && !slices.Equal(r.manner(g.route).by, []string{"id"})
	}
	for i := range it.Warning.Evidence {
		if e := it.Warning.Evidence[i].Record; e != 0 && of(r.records[e]) {
			return r.records[e]
		}
	}
	own, in := tokens(&it.Warning, l)
	for _, t := range in {
		if key, known := r.keyed[t]; known && of(key) {
			return key
		}
	}
	for _, t := range own {
		if key, known := r.within[t]; known && of(key) {
			return key
		}
	}
	return ""
}

// tokens name the places that a warning is of, by its key, and those that it lies in, its own among them. Namespaces and clusters are too
// wide to relate anything.
func tokens(w *matcher.Warning, l Labels) (own, in []string) {
	keyed := map[string]bool{}
	for _, k := range w.Key {
		for label, attr := range labelWords {
			if (k.Key == label || k.Key == attr) && k.Value != "" {
				keyed[label] = true
			}
		}
	}
	for _, label := range []string{"pod", "workload", "volume", "node"} {
		if l[label] == "" {
			continue
		}
		t := label + "\x1f" + l["cluster"] + "\x1f"
		if label != "node" {
			t += l["namespace"] + "\x1f"
		}
		t += l[label]
		in = append(in, t)
		if keyed[label] {
			own = append(own, t)
		}
	}
	return own, in
}

func (r *Router) manner(route int) manner { return r.o.Routes.manner(route, r.o.Person) }

func (r *Router) lane(route int) *lane {
	name := r.manner(route).lane
	ln := r.st.Lanes[name]
	if ln == nil {
		ln = &lane{}
		r.st.Lanes[name] = ln
	}
	return ln
}

// urgency of a state: more is more urgent.
func urgency(s matcher.State) int {
	switch s {
	case matcher.InIncident:
		return 3
	case matcher.Imminent:
		return 2
	case matcher.Forming:
		return 1
	case matcher.Averted, matcher.Resolved, matcher.Expired:
	}
	return 0
}

// small reports whether a group is such that what was shown of it is followed step by step.
func (g *group) small() bool { return len(g.members) <= few && !g.Digested }

// schedule says when a group is told of what is new of an item.
func (r *Router) schedule(g *group, it *item, now time.Time) {
	if it.Held != "" {
		return
	}
	m := r.manner(g.route)
	shown := it.Told.ever() && !it.Told.Digest
	urgent := urgency(it.Warning.State) >= urgency(matcher.Imminent)
	due, wait := now, false
	switch {
	case it.News.IsZero():
		if !it.Quiet || !shown || !g.small() {
			return
		}
		due = later(now, g.Last.Add(gather))
	case g.Messages == 0:
		if !urgent {
			due = it.News.Add(m.wait)
		}
	case g.small() && (shown || urgent):
	case it.Warning.State.Final() && g.open > 0 && !g.small():
		due = later(now, g.Last.Add(6*m.interval)) // ends are told together
	case g.Messages == 1 || it.Warning.State.Final() && !g.small():
		short := min(gather, m.interval)
		due = later(now, g.Last.Add(short))
		if !g.small() && !it.Warning.State.Final() {
			due, wait = sooner(later(due, now.Add(short)), later(now, g.Last.Add(calm*short))), true
		}
	default:
		due = later(now, g.Last.Add(m.interval))
	}
	if g.Flush.IsZero() || due.Before(g.Flush) || wait && g.Calm {
		g.Flush, g.Calm = due, wait
	}
}

func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// byUrgency orders what is told together: the most urgent first, then the most severe, then what opened first.
func byUrgency(a, b *item) int {
	return cmp.Or(
		cmp.Compare(urgency(b.Warning.State), urgency(a.Warning.State)),
		cmp.Compare(a.Warning.Severity.Rank(), b.Warning.Severity.Rank()),
		a.Warning.Opened.Compare(b.Warning.Opened), cmp.Compare(a.Warning.ID, b.Warning.ID))
}
