package pipeline

import (
	"maps"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// openWarnings are the warnings of one partition that are not over. Its zero value is ready.
type openWarnings struct {
	byID  map[string]openWarning
	tally map[openKind]int // of byID, kept up so that a commit need not count
}

// openKind is what open warnings are counted by.
type openKind struct {
	Signature string
	Severity  signatures.Severity
	State     matcher.State
}

type openWarning struct {
	openKind
	rungs int // how many were told as reached
}

// restore takes what the tracker had open when its state was stored.
func (o *openWarnings) restore(x matcher.OpenState) {
	o.put(x.ID, openWarning{openKind{x.Signature, x.Severity, x.State}, x.Rungs})
}

// take follows a revision and returns the rungs that it tells as reached for the first time, a part of w.
func (o *openWarnings) take(w *matcher.Warning) []matcher.Reached {
	known := o.byID[w.ID].rungs
	reached := w.Reached[min(known, len(w.Reached)):]
	if w.State.Final() {
		o.drop(w.ID)
		return reached
	}
	o.put(w.ID, openWarning{openKind{w.Signature, w.Severity, w.State}, max(known, len(w.Reached))})
	return reached
}

func (o *openWarnings) put(id string, x openWarning) {
	if o.byID == nil {
		o.byID, o.tally = map[string]openWarning{}, map[openKind]int{}
	}
	o.drop(id)
	o.byID[id] = x
	o.tally[x.openKind]++
}

func (o *openWarnings) drop(id string) {
	x, ok := o.byID[id]
	if !ok {
		return
	}
	delete(o.byID, id)
	if o.tally[x.openKind]--; o.tally[x.openKind] == 0 {
		delete(o.tally, x.openKind)
	}
}

// counts returns how many there are of each kind; the caller may keep it.
func (o *openWarnings) counts() map[openKind]int { return maps.Clone(o.tally) }
