package notify

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// digest tells everything that waits for it, when it is due and there is budget.
func (f *flush) digest() {
	ln := f.lane
	if ln.Due.IsZero() || ln.Due.After(f.now) || f.full() {
		return
	}
	var news []*item
	var groups []ready
	var m manner
	for _, key := range slices.Sorted(maps.Keys(f.r.st.Groups)) {
		g := f.r.st.Groups[key]
		if !g.Over || f.r.manner(g.route).lane != f.name {
			continue
		}
		x := ready{key: key, g: g, m: f.r.manner(g.route), news: f.r.news(g, f.now)}
		groups, m = append(groups, x), x.m
		news = append(news, x.news...)
	}
	if len(groups) == 0 {
		m = f.r.manner(everything)
	}
	room, next := ln.Spent.room(m.budget, f.now)
	if room == 0 {
		ln.Due, f.r.dirty = next, true
		return
	}
	ln.Due, f.r.dirty = time.Time{}, true
	for i := range groups {
		groups[i].g.Over = false
	}
	if len(news) == 0 && ln.Uncounted.Total == 0 {
		return // what was to be told is held back by now
	}
	slices.SortFunc(news, byUrgency)
	long := f.now.Sub(ln.Digest) > 2*m.interval
	again := ln.Thread != "" && (!long || ln.Open && f.r.o.Replaces) // what replaces keeps a thread open until it is told that it is over
	if !again {
		f.r.st.Serial++
		ln.Thread = "digest-" + f.r.o.Destination + "-" + strconv.FormatUint(f.r.st.Serial, 10)
	}
	n := f.notice(ln.Thread, news, &ln.Uncounted)
	ln.Uncounted, ln.Digest = uncounted{}, f.now
	if len(groups) > few {
		ln.Storm = f.now.Add(m.interval)
	}
	for i := range groups {
		g := groups[i].g
		g.Digested, g.Last = true, f.now
		g.Messages++
	}
	f.told(news, len(n.Warnings))
	var digested []*group
	for _, g := range f.r.st.Groups {
		if g.Digested && f.r.manner(g.route).lane == f.name {
			digested = append(digested, g)
		}
	}
	f.rest(&n, news, digested...)
	ln.Open, n.Loud = !n.Over, again && long && !n.Over
	if !again || long || !f.r.o.Replaces {
		ln.Spent.spend(m.budget, f.now)
	}
	f.r.put(n)
	for i := range groups {
		f.end(&groups[i])
	}
}

// end closes the thread that a group had of its own before its end was counted in a digest.
func (f *flush) end(x *ready) {
	if !f.r.o.Replaces || x.g.Thread == "" || len(x.news) == 0 {
		return
	}
	n := f.notice(x.g.Thread, x.news, nil)
	if f.rest(&n, x.news, x.g); !n.Over {
		return
	}
	f.r.st.Serial++
	n.ID, n.Quiet = x.g.Thread+"-n"+strconv.FormatUint(f.r.st.Serial, 10), true
	f.r.st.Outbox = append(f.r.st.Outbox, n)
}

// notice makes the message of several items, ordered by urgency.
func (f *flush) notice(thread string, items []*item, more *uncounted) Notice {
	n := Notice{Thread: thread}
	for _, it := range items[:min(len(items), shown)] {
		n.Warnings = append(n.Warnings, it.Warning)
	}
	if more != nil && more.Example != nil && len(items) == 0 {
		n.Warnings = append(n.Warnings, *more.Example)
	}
	if len(items) == 1 && (more == nil || more.Total == 0) {
		n.ID = Single(items[0].Warning).ID
		return n
	}
	f.r.st.Serial++
	n.ID = thread + "-n" + strconv.FormatUint(f.r.st.Serial, 10)
	if len(items) > shown || more != nil && more.Total > 0 {
		n.Digest = digestOf(items, more)
	}
	return n
}

func digestOf(items []*item, more *uncounted) *Digest {
	d := &Digest{Total: len(items)}
	u := uncounted{}
	if more != nil {
		u = *more
		d.Total += u.Total
	}
	for i, it := range items {
		w := &it.Warning
		u.States = u.States.with(string(w.State))
		u.Signatures = u.Signatures.with(w.Signature)
		l := it.labels()
		u.Namespaces = u.Namespaces.with(l["namespace"])
		u.Nodes = u.Nodes.with(l["node"])
		if i >= shown && len(d.Keys) < maxCounts {
			d.Keys = append(d.Keys, w.Signature+" "+w.KeyText+" ("+string(w.State)+")")
		}
	}
	for state, n := range u.States {
		if !matcher.State(state).Final() {
			d.Open += n
		}
	}
	d.States, d.Signatures, d.Namespaces, d.Nodes = u.States.counts(), u.Signatures.counts(), u.Namespaces.counts(), u.Nodes.counts()
	return d
}
