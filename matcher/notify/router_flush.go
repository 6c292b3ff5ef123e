package notify

import (
	"maps"
	"slices"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// burst is how many groups are told for the first time within [gather]; more are a storm, and told in digests.
const burst = 2

// calm is how many times [gather] is waited, at most, for a storm to be over before it is told.
const calm = 4

// Advance puts into the outbox what is due. The clock must not go back by much: what is due then is late by that.
func (r *Router) Advance(now time.Time) {
	r.unhold(now)
	if r.direct {
		return
	}
	due := map[string][]string{}
	for key, g := range r.st.Groups {
		if !g.Flush.IsZero() && !g.Flush.After(now) {
			name := r.manner(g.route).lane
			due[name] = append(due[name], key)
		}
	}
	for name, ln := range r.st.Lanes {
		if _, has := due[name]; !has && !ln.Due.IsZero() && !ln.Due.After(now) {
			due[name] = nil
		}
	}
	for _, name := range slices.Sorted(maps.Keys(due)) {
		keys := due[name]
		slices.Sort(keys)
		f := flush{r: r, now: now, name: name, lane: r.laneNamed(name)}
		f.groups(keys)
		f.digest()
	}
}

// Due returns when Advance has something to do, the zero time when only a revision or the destination can change that.
func (r *Router) Due() time.Time {
	var due time.Time
	at := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	if r.held > 0 {
		at(r.checked.Add(recheckEvery))
	}
	if len(r.st.Outbox) >= r.o.MaxOutbox {
		return due
	}
	for _, g := range r.st.Groups {
		at(g.Flush)
	}
	for _, ln := range r.st.Lanes {
		at(ln.Due)
	}
	return due
}

func (r *Router) laneNamed(name string) *lane {
	ln := r.st.Lanes[name]
	if ln == nil {
		ln = &lane{}
		r.st.Lanes[name] = ln
	}
	return ln
}

// flush tells what is due of the groups that share a budget.
type flush struct {
	r    *Router
	now  time.Time
	name string
	lane *lane
}

// ready is a group with news.
type ready struct {
	key  string
	g    *group
	m    manner
	news []*item // by urgency
}

func (f *flush) full() bool { return len(f.r.st.Outbox) >= f.r.o.MaxOutbox }

// groups tells each group by itself, as long as there is budget and no storm, the most urgent ones first; the others wait for the digest.
func (f *flush) groups(keys []string) {
	if f.full() {
		return
	}
	var all []ready
	for _, key := range keys {
		g := f.r.st.Groups[key]
		g.Flush = time.Time{}
		f.r.dirty = true
		x := ready{key: key, g: g, m: f.r.manner(g.route), news: f.r.news(g, f.now)}
		if len(x.news) == 0 {
			f.quiet(g)
			continue
		}
		all = append(all, x)
	}
	slices.SortStableFunc(all, func(a, b ready) int { return byUrgency(a.news[0], b.news[0]) })
	f.lane.First = slices.DeleteFunc(f.lane.First, func(t time.Time) bool { return f.now.Sub(t) >= gather })
	f.storm(all)
	for i := range all {
		x := &all[i]
		switch {
		case f.full():
			x.g.Flush = f.now // the destination is away
		case f.r.o.Replaces && x.g.Messages > 0 && !x.g.Digested:
			f.tell(x, false) // it disturbs nobody
		case f.mayTell(x, len(all) == 1):
			f.tell(x, true)
		default:
			f.over(x)
		}
	}
}

// storm begins one when too many groups are to be told for the first time. When nothing was told just before, what there is is told at once.
func (f *flush) storm(all []ready) {
	first := 0
	var m manner
	for i := range all {
		if all[i].g.Messages == 0 && !all[i].g.Over {
			first, m = first+1, all[i].m
		}
	}
	if first == 0 || len(f.lane.First)+first <= burst || f.now.Before(f.lane.Storm) {
		return
	}
	f.lane.Storm = f.now.Add(m.interval)
	if len(f.lane.First) == 0 && f.lane.Due.IsZero() && (f.lane.Digest.IsZero() || f.now.Sub(f.lane.Digest) >= m.interval) {
		f.lane.Due, f.lane.Since = f.now, f.now
	}
}

// mayTell reports whether a group gets a message of its own.
func (f *flush) mayTell(x *ready, alone bool) bool {
	step := x.g.Messages > 0 && x.g.small() // of a ladder that was shown
	first := x.g.Messages == 0
	if x.g.Over || !step && f.now.Before(f.lane.Storm) {
		return false
	}
	if x.g.Digested && (urgency(x.news[0].Warning.State) == 0 || len(x.news) > few) {
		return false // of what was counted, the ends and what comes in numbers are counted
	}
	room, _ := f.lane.Spent.room(x.m.budget, f.now)
	urgent := urgency(x.news[0].Warning.State) >= urgency(matcher.Imminent)
	last := room == 1 && (x.m.budget.Messages == 1 || urgent && alone)
	if room < 2 && !last {
		return false
	}
	if first {
		f.lane.First = append(f.lane.First, f.now)
	}
	return true
}

// over leaves a group to the digest of its lane.
func (f *flush) over(x *ready) {
	if len(x.news) > 1 || f.waits() { // a digest of one shows it whole
		for _, it := range x.news {
			it.Warning = brief(it.Warning)
		}
	}
	x.g.Over = true
	if !f.lane.Due.IsZero() && !f.lane.Due.After(f.now) {
		return // it goes with what is due
	}
	if f.lane.Due.IsZero() {
		f.lane.Since = f.now
	}
	short := min(gather, x.m.interval)
	due := sooner(f.now.Add(short), f.lane.Since.Add(calm*short)) // whatever else comes, comes with it
	if !f.lane.Digest.IsZero() {
		due = later(due, f.lane.Digest.Add(x.m.interval))
	}
	f.lane.Due = later(f.lane.Due, due)
}

// waits reports whether a group waits for the lane's digest.
func (f *flush) waits() bool {
	for _, g := range f.r.st.Groups {
		if g.Over && f.r.manner(g.route).lane == f.name {
			return true
		}
	}
	return false
}

// shown is how many warnings a message shows when it tells of more.
const shown = 5

// tell puts the news of a group into the outbox.
func (f *flush) tell(x *ready, costs bool) {
	if x.g.Thread == "" {
		x.g.Thread = earliest(x.news).Warning.ID
	}
	n := f.notice(x.g.Thread, x.news, nil)
	x.g.Messages++
	x.g.Last = f.now
	f.told(x.news, len(n.Warnings))
	f.rest(&n, x.news, x.g)
	if costs {
		f.lane.Spent.spend(x.m.budget, f.now)
	}
	f.r.put(n)
}

// rest says what else than the news is open of what was told in a thread: that of these groups.
func (f *flush) rest(n *Notice, news []*item, groups ...*group) {
	n.Over = true
	told := map[*item]bool{}
	for _, it := range news {
		told[it] = true
	}
	var open []*item
	for _, g := range groups {
		for _, it := range g.members {
			if !it.Told.ever() {
				continue // it is held back
			}
			n.Over = false
			if f.r.o.Replaces && !told[it] {
				open = append(open, it)
			}
		}
	}
	slices.SortFunc(open, byUrgency)
	n.More = max(0, len(open)-shown)
	for _, it := range open[:len(open)-n.More] {
		n.Also = append(n.Also, brief(it.Warning))
	}
}

func earliest(items []*item) *item {
	return slices.MinFunc(items, func(a, b *item) int { return a.Warning.Opened.Compare(b.Warning.Opened) })
}

// quiet replaces what was told of a group with one warning by what is known now.
func (f *flush) quiet(g *group) {
	if !f.r.o.Replaces || len(g.members) != 1 || g.Messages == 0 {
		return
	}
	for _, it := range g.members {
		if !it.Quiet || it.Held != "" {
			return
		}
		it.Quiet = false
		n := Single(it.Warning)
		n.Thread, n.Quiet, n.Over = g.Thread, true, false
		it.Warning = brief(it.Warning)
		f.r.st.Outbox = append(f.r.st.Outbox, n)
		g.Last = f.now
	}
}

// told notes what people know now; the first ones were shown, the others counted.
func (f *flush) told(items []*item, shown int) {
	for i, it := range items {
		w := &it.Warning
		it.Told = told{State: w.State, Rungs: len(w.Reached), Digest: i >= shown}
		it.News, it.Quiet = time.Time{}, false
		if w.State.Final() {
			f.r.drop(it)
			continue
		}
		it.Warning = brief(*w)
	}
}

// news returns what there is to tell of a group, by urgency. What was held back meanwhile is left out.
func (r *Router) news(g *group, now time.Time) []*item {
	var news []*item
	for _, it := range g.members {
		if it.News.IsZero() || it.Held != "" {
			continue
		}
		if (!it.Told.ever() || !it.Warning.State.Final()) && len(r.silences)+len(r.o.Maintenance)+len(r.o.Inhibit) > 0 {
			if by := r.holder(it, it.labels(), now); by != "" {
				if r.hold(it, by); it.Warning.State.Final() {
					r.drop(it) // it came and went, and what holds it back explains it
				}
				continue
			}
		}
		news = append(news, it)
	}
	slices.SortFunc(news, byUrgency)
	return news
}
