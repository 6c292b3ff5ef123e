package matcher

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Firing is one complete frame of a signature that has them.
type Firing struct {
	Signature string // its id
	Key       string // the correlation key's values
	Time      time.Time
	Records   []uint64 // the ids of its records, oldest first; one that serves two stages stands twice
}

// Firings returns the frames that were completed and settled since the last call, for those who compare them with another engine's. Without
// [TrackerOptions.Firings] there are none.
func (t *Tracker) Firings() []Firing {
	t.ready()
	x := t.firings
	t.firings = nil
	return x
}

// collectFirings takes what a settled fold fired. A frame that was fired promptly and then settled early is in both folds, so
// its number decides.
func (t *Tracker) collectFirings(p *progress) {
	r := p.settled.frame
	if r == nil {
		return
	}
	for _, x := range r.fired {
		if x.number <= p.complete {
			continue
		}
		p.complete = x.number
		t.firings = append(t.firings, Firing{Signature: p.plan.Signature.ID, Key: keyText(p.key.text()).values(), Time: when(x.time), Records: x.records})
	}
	r.fired = nil
}

// end settles everything up to newest, the time of the last that came, because nothing more will come: frames that wait are then decided as
// if time had run out.
func (t *Tracker) end(newest int64) {
	t.ready()
	t.over = true
	t.advance(newest)
	var framed []uint32
	for n := range t.table.each {
		if t.numbers[t.head(n).plan].Frame != nil {
			framed = append(framed, n)
		}
	}
	var waiting []*progress
	for _, n := range framed {
		p := t.rouse(n)
		t.wake(p)
		if r := p.settled.frame; r != nil && r.due != never {
			waiting = append(waiting, p)
		} else {
			t.schedule(p)
		}
	}
	slices.SortFunc(waiting, func(a, b *progress) int {
		return cmp.Or(cmp.Compare(a.settled.frame.due, b.settled.frame.due), strings.Compare(a.plan.Signature.ID, b.plan.Signature.ID), strings.Compare(a.key.text(), b.key.text()))
	})
	for _, p := range waiting {
		t.soil(p)
		p.settled.endFrames(t.settler(p), t.horizon)
		p.refold()
		t.tell(p)
		t.schedule(p)
	}
}

// silenceOf is the verdict on an absence for a progress. What a frame of one stream asks is known as well when the stream ended:
// nothing more can come of it.
func (t *Tracker) silenceOf(p *progress, kinds uint8, deadline int64) (sure bool, silent []string) {
	if t.over && p.plan.Frame != nil {
		return true, nil
	}
	sure, silent = t.water.absent(kinds, p.elsewhere, deadline)
	if !sure && p.plan.Frame != nil && len(silent) > 0 && p.plan.Frame.Stream && t.water.ended(silent) {
		return true, nil
	}
	return sure, silent
}

// ended reports whether all of these sources said that nothing more comes.
func (w *Watermark) ended(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { s := w.sources[name]; return s == nil || !s.Ended })
}
