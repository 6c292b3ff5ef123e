package console

import (
	"container/list"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

const (
	// keepOpen and keepFinished bound what a view holds. Of what is finished the ones that closed first go, and of open ones those of which nothing was heard for longest; that is
	// counted, and told on the overview.
	keepOpen, keepFinished = 5000, 1000
	// keepHistory bounds the revisions of a warning that its page lists; the middle ones go.
	keepHistory = 60
)

// View holds the warnings that a console shows: all that are open and the last that finished. It is safe for concurrent use. The zero View is empty and ready.
type View struct {
	mu       sync.Mutex
	epoch    string // of this view: versions of another one mean nothing here
	entries  map[string]*entry
	order    list.List // of *entry, the one that changed last at the back
	version  uint64
	open     int
	dropped  uint64 // open warnings that are not held any more
	caughtUp bool
	last     time.Time     // the greatest time of a revision
	woken    chan struct{} // closed at the next change
}

// entry is one warning. What is handed out is a copy, and its warning is not changed any more.
type entry struct {
	warning matcher.Warning
	was     matcher.State
	settled bool
	history []revision
	version uint64 // of the view when it changed last
	stated  uint64 // of the view when its state changed last
	place   *list.Element
}

// revision is what one revision told.
type revision struct {
	Number uint32
	Time   time.Time
	State  matcher.State
	Stage  string
	Reason string
	More   bool // some before it are left out
}

// Tell takes a revision. An older one than is known is only noted in the history.
func (v *View) Tell(t pipeline.Told) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := t.Warning
	v.begin()
	e := v.entries[w.ID]
	if e == nil {
		e = &entry{}
		e.place = v.order.PushBack(e)
		v.entries[w.ID] = e
	} else {
		if w.Revision <= e.warning.Revision {
			return
		}
		if !e.warning.State.Final() {
			v.open--
		}
	}
	if !w.State.Final() {
		v.open++
	}
	v.version++
	if e.warning.State != w.State {
		e.stated = v.version
	}
	e.was, e.warning, e.settled = t.Was, w, t.Settled
	e.note(revision{Number: w.Revision, Time: w.Time, State: w.State, Stage: w.Stage, Reason: w.Reason})
	v.moved(e)
	if w.Time.After(v.last) {
		v.last = w.Time
	}
	v.bound()
}

func (e *entry) note(r revision) {
	e.history = append(slices.Clip(e.history), r) // readers hold the old one
	if len(e.history) > keepHistory {
		e.history = slices.Delete(slices.Clone(e.history), keepHistory/2, keepHistory/2+1)
		e.history[keepHistory/2].More = true
	}
}

// Touch marks a warning as changed, because what is said of it elsewhere did.
func (v *View) Touch(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.entries[id]; e != nil {
		v.version++
		v.moved(e)
	}
}

// CaughtUp tells that everything that was there at the start has been told.
func (v *View) CaughtUp() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.begin()
	v.caughtUp = true
	v.version++
	v.wake()
}

func (v *View) begin() {
	if v.entries == nil {
		v.entries, v.epoch = map[string]*entry{}, secret(6)
	}
}

func (v *View) moved(e *entry) {
	e.version = v.version
	v.order.MoveToBack(e.place)
	v.wake()
}

func (v *View) wake() {
	if v.woken != nil {
		close(v.woken)
		v.woken = nil
	}
}

// bound lets go what is too much.
func (v *View) bound() {
	for v.open > keepOpen || len(v.entries)-v.open > keepFinished {
		final := v.open <= keepOpen
		var oldest *entry
		for x := v.order.Front(); x != nil; x = x.Next() {
			if e, ok := x.Value.(*entry); ok && e.warning.State.Final() == final {
				oldest = e
				break
			}
		}
		if oldest == nil {
			return
		}
		if !final {
			v.open--
			v.dropped++
		}
		v.order.Remove(oldest.place)
		delete(v.entries, oldest.warning.ID)
	}
}

// at is a moment of a view.
type at struct {
	epoch    string
	version  uint64
	caughtUp bool
	dropped  uint64
}

// String is the moment as the id of an event.
func (a at) String() string { return a.epoch + "." + strconv.FormatUint(a.version, 10) }

// now returns the moment, and a channel that is closed when it is over.
func (v *View) now() (at, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.begin()
	if v.woken == nil {
		v.woken = make(chan struct{})
	}
	return at{v.epoch, v.version, v.caughtUp, v.dropped}, v.woken
}

// find returns a warning.
func (v *View) find(id string) (entry, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.entries[id]; e != nil {
		return *e, true
	}
	return entry{}, false
}

// since returns what changed after a version, the newest first; 0 is everything.
func (v *View) since(version uint64) (all []entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for x := v.order.Back(); x != nil; x = x.Prev() {
		e, ok := x.Value.(*entry)
		if !ok || e.version <= version {
			break
		}
		all = append(all, *e)
	}
	return all
}
