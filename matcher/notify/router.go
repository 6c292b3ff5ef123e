package notify

import (
	"cmp"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/forewarn/forewarn/matcher"
)

// Router decides what one destination is told, when, and in which message. It is pure: it has no clock and no goroutine, and what it
// must not forget is encoded and restored as a whole. It belongs to one goroutine.
//
// A destination for tools whose routes group nothing is told of every revision at once: Take returns the notice, and keeps nothing but
// what is held back by a silence. For people a revision is taken in, Advance decides which notices are due and puts them into the
// outbox, and only then is the revision acknowledged.
type Router struct {
	o        RouterOptions
	direct   bool
	st       routerState
	silences []Silence
	dirty    bool // something else than the position changed since Saved
	recheck  bool // what is held back may be free
	checked  time.Time
	held     int
	encoder  *zstd.Encoder
	decoder  *zstd.Decoder

	keyed, within map[string]string // groups by the places that their warnings are of, and that they lie in
	records       map[uint64]string // groups by the records of evidence
	forgotten     int               // items, since the groups that are gone were taken out of these
	bonds         map[bond]map[string]bool
}

// RouterOptions say what a Router decides by. They are not changed.
type RouterOptions struct {
	Destination string                      // its name
	Person      bool                        // people read it: warnings are grouped, budgeted and explained by others
	Replaces    bool                        // it is a [Replacer] that replaces
	Wants       func(*matcher.Warning) bool // nil wants everything
	Routes      Routes
	Inhibit     []Inhibitor
	Maintenance []Window
	// MaxItems bounds how many open warnings are known by themselves; of more, only the number is told. Default 20,000: some 20 MB.
	MaxItems int
	// MaxOutbox is how many notices may wait for a destination that is away before what follows is gathered; default 16.
	MaxOutbox int
}

// NewRouter makes a router that was told nothing yet.
func NewRouter(o RouterOptions) *Router {
	o.MaxItems = cmp.Or(o.MaxItems, 20_000)
	o.MaxOutbox = cmp.Or(o.MaxOutbox, 16)
	r := &Router{o: o, direct: o.Routes.direct(o.Destination, o.Person), st: newState()}
	r.rebuild()
	return r
}

// Direct reports whether every revision is told alone and at once, so that Take returns its notice.
func (r *Router) Direct() bool { return r.direct }

// Goes reports whether a warning goes to the destination, and whether something holds it back at a time. It is safe for concurrent use.
func (o *RouterOptions) Goes(w *matcher.Warning, silences []Silence, now time.Time) (goes, held bool) {
	if o.Wants != nil && !o.Wants(w) {
		return false, false
	}
	l := LabelsOf(w)
	return o.Routes.follow(o.Destination, w, l) != noRoute, HeldBy(l, silences, o.Maintenance, now) != ""
}

// HeldBy says which silence or maintenance window holds back a warning with these labels at a time; "" when none does.
func HeldBy(l Labels, silences []Silence, windows []Window, now time.Time) string {
	for i := range silences {
		if silences[i].Holds(l, now) {
			return "silence " + silences[i].ID
		}
	}
	for i := range windows {
		if windows[i].Holds(l, now) {
			return "maintenance " + windows[i].Name
		}
	}
	return ""
}

// Silences replaces the silences.
func (r *Router) Silences(list []Silence) { r.silences, r.recheck = list, true }

// sameSilences reports whether these are the silences that it was given last.
func (r *Router) sameSilences(list []Silence) bool {
	return len(list) == len(r.silences) && (len(list) == 0 || &list[0] == &r.silences[0])
}

// Position is that of the last revision that Take was given.
func (r *Router) Position() uint64 { return r.st.Position }

// Rewind lowers the position to the feed's last one, when the feed was made anew and counts again.
func (r *Router) Rewind(last uint64) { r.st.Position = min(r.st.Position, last) }

// Counts returns what was told and held back.
func (r *Router) Counts() RouterCounts { return r.st.Counts }

// Pending returns how many warnings wait to be told, in the outbox or to be gathered, and how many are held back.
func (r *Router) Pending() (waiting, held int) {
	for _, it := range r.st.Items {
		if it.Held == "" && !it.News.IsZero() {
			waiting++
		}
	}
	for i := range r.st.Outbox {
		waiting += len(r.st.Outbox[i].Warnings)
	}
	return waiting, r.held
}

// Dirty reports whether there is something to be stored.
func (r *Router) Dirty() bool { return r.dirty }

// Saved notes that what Encode returned is stored.
func (r *Router) Saved() { r.dirty = false }

// Owner is the process that serves the destination, as far as the state says.
func (r *Router) Owner() string { return r.st.Owner }

// Own makes a process the owner; "" is none.
func (r *Router) Own(owner string) {
	if r.st.Owner != owner {
		r.st.Owner, r.dirty = owner, true
	}
}

// Next returns the first notice of the outbox.
func (r *Router) Next() (Notice, bool) {
	if len(r.st.Outbox) == 0 {
		return Notice{}, false
	}
	return r.st.Outbox[0], true
}

// Done takes the first notice away, if it has this id: the destination has it, or never will.
func (r *Router) Done(id string) {
	if len(r.st.Outbox) > 0 && r.st.Outbox[0].ID == id {
		r.st.Outbox = r.st.Outbox[1:]
		r.dirty = true
	}
}

// Take is given the next revision of the feed and its position there; one that was given before is passed over. What is returned, for
// a direct destination, is to be delivered before the revision is acknowledged.
func (r *Router) Take(w matcher.Warning, position uint64, now time.Time) *Notice {
	if position != 0 {
		if position <= r.st.Position {
			return nil
		}
		r.st.Position = position
	}
	l := LabelsOf(&w)
	r.source(&w, l)
	if r.o.Wants != nil && !r.o.Wants(&w) {
		return nil
	}
	it := r.st.Items[w.ID]
	if it != nil && w.Revision <= it.Warning.Revision {
		return nil
	}
	var route int
	if it != nil {
		route = it.Route
		for k, v := range it.Places { // what is not among the latest evidence any more
			if l[k] == "" {
				l[k] = v
			}
		}
	} else if route = r.o.Routes.follow(r.o.Destination, &w, l); route == noRoute {
		r.st.Counts.Unrouted++
		return nil
	}
	if r.direct {
		return r.takeDirect(w, it, route, l, now)
	}
	r.dirty = true
	r.take(w, it, route, l, now)
	return nil
}

// takeDirect holds back what is silenced and returns what is not.
func (r *Router) takeDirect(w matcher.Warning, it *item, route int, l Labels, now time.Time) *Notice {
	hold := ""
	switch {
	case it == nil && w.State.Final():
		// It was told of, so that its end is told too, whatever is silenced now.
	case it != nil && w.State.Final() && !it.Told.ever():
		r.dirty = true
		r.drop(it)
		return nil // it came and went while it was held back
	case !w.State.Final():
		hold = HeldBy(l, r.silences, r.o.Maintenance, now)
	}
	if hold == "" {
		if it != nil {
			r.dirty = true
			r.drop(it)
		}
		r.st.Counts.Messages++
		n := Single(w)
		return &n
	}
	r.dirty = true
	if it == nil {
		it = &item{Route: route, Places: placesOf(l)}
		if w.Revision > 1 {
			it.Told = told{State: w.State} // what came before the silence was told
		}
		if !r.admit(w.ID, it) {
			r.uncounted(&w, l, r.lane(route), now)
			return nil
		}
	}
	it.Warning, it.News = slim(w), now
	r.hold(it, hold)
	return nil
}

// take takes in a revision for people.
func (r *Router) take(w matcher.Warning, it *item, route int, l Labels, now time.Time) {
	final := w.State.Final()
	switch {
	case it == nil && final && w.Revision > 1:
		r.st.Counts.Folded++ // its beginning is not known here any more, or was never told
		return
	case it != nil && final && !it.Told.ever() && (w.Retracted || it.Held != ""):
		r.drop(it) // it never was, or it came and went while it was held back
		return
	}
	was := false
	if it == nil {
		it = &item{Route: route, Places: placesOf(l)}
		if !r.admit(w.ID, it) {
			r.uncounted(&w, l, r.lane(route), now)
			return
		}
		it.Warning = w
		r.place(w.ID, it, l)
		was = final
	} else {
		was = it.Warning.State.Final()
	}
	g := r.st.Groups[it.Group]
	if it.Warning = slim(w); len(g.members) > 4*few {
		it.Warning = brief(w) // it is one of many: it will be counted
	}
	switch {
	case final && !was:
		g.open--
	case !final && was: // a late record brought it back before its end was told
		g.open++
	}
	if it.Told.ever() && final {
		r.free(it) // the end of what was told is told
	} else {
		r.hold(it, r.holder(it, l, now))
	}
	if final && !it.Told.ever() && it.Held != "" {
		r.drop(it) // it came and went, and what holds it back explains it
		return
	}
	switch {
	case it.Told.news(&it.Warning):
		if it.News.IsZero() {
			it.News = now
		}
		it.Quiet = false
	case it.News.IsZero():
		r.st.Counts.Folded++
		it.Quiet = r.o.Replaces
	}
	r.schedule(g, it, now)
}

// admit makes room for an item. Of what was told and has no news the oldest is forgotten first.
func (r *Router) admit(id string, it *item) bool {
	if len(r.st.Items) >= r.o.MaxItems {
		var known []string
		for id, x := range r.st.Items {
			if x.News.IsZero() && x.Told.Digest {
				known = append(known, id)
			}
		}
		if len(known) == 0 {
			return false
		}
		slices.SortFunc(known, func(a, b string) int {
			x, y := r.st.Items[a], r.st.Items[b]
			return cmp.Or(x.Warning.Opened.Compare(y.Warning.Opened), cmp.Compare(a, b))
		})
		for _, id := range known[:min(len(known), 1+r.o.MaxItems/16)] { // so that it is not done for each
			r.st.Counts.Crowded++
			r.drop(r.st.Items[id])
		}
	}
	r.st.Items[id] = it
	return true
}

// uncounted counts a warning that there is no room for.
func (r *Router) uncounted(w *matcher.Warning, l Labels, ln *lane, now time.Time) {
	r.st.Counts.Crowded++
	if r.direct {
		return
	}
	if ln.Uncounted.Total == 0 {
		ln.Uncounted.Example = new(brief(*w))
	}
	if ln.Due.IsZero() {
		ln.Due = now.Add(gather)
	}
	u := &ln.Uncounted
	u.Total++
	u.States = u.States.with(string(w.State))
	u.Signatures = u.Signatures.with(w.Signature)
	u.Namespaces = u.Namespaces.with(l["namespace"])
	u.Nodes = u.Nodes.with(l["node"])
}

// drop forgets an item.
func (r *Router) drop(it *item) {
	r.free(it)
	r.forgotten++
	delete(r.st.Items, it.Warning.ID)
	g := r.st.Groups[it.Group]
	if g == nil {
		return
	}
	delete(g.members, it.Warning.ID)
	if !it.Warning.State.Final() {
		g.open--
	}
	if len(g.members) == 0 {
		delete(r.st.Groups, it.Group)
	}
}

// put appends to the outbox.
func (r *Router) put(n Notice) {
	r.st.Outbox = append(r.st.Outbox, n)
	r.st.Counts.Messages++
	if n.Digest != nil {
		r.st.Counts.Digests++
		r.st.Counts.Digested += uint64(max(0, n.Digest.Total-len(n.Warnings)))
	}
	r.dirty = true
}

// keepEvidence is how many records of evidence are kept of a warning that waits: the first ones and the last.
const keepEvidence = 4

// slim leaves out what need not be stored of a warning that waits.
func slim(w matcher.Warning) matcher.Warning {
	w.Outlook, w.Links = nil, nil
	if n := len(w.Evidence); n > keepEvidence {
		w.Evidence = slices.Concat(w.Evidence[:1], w.Evidence[n-keepEvidence+1:])
	}
	return w
}

// brief is what is kept of a warning that was told.
func brief(w matcher.Warning) matcher.Warning {
	w.Evidence, w.Remedies, w.References, w.Impact, w.Outlook, w.Links = nil, nil, nil, "", nil, nil
	return w
}

func placesOf(l Labels) Labels {
	p := Labels{}
	for label := range labelWords {
		if l[label] != "" {
			p[label] = l[label]
		}
	}
	return p
}
