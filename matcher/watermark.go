package matcher

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// Watermark follows the marks of all sources: how far everything is known, who is silent, and whether an absence is sure. It
// has no clock: silence is lagging behind the others.
//
// A Watermark is made by [NewWatermark]. It is not safe for concurrent use.
type Watermark struct {
	lateness, silentAfter, forgetAfter time.Duration

	sources map[string]*source
	changed map[string]bool // sources that a snapshot has to store or to remove
	doubted []*source       // those that leapt ahead of all others
	stale   bool            // newest and least have to be found again
	moved   bool            // only least has to
	live    bool            // there is a source that is believed and has not ended
	newest  int64           // the greatest mark of those
	least   int64           // the watermark
	horizon int64
}

// source is what is known of one source.
type source struct {
	Mark
	doubted bool
	leapt   int64 // while it is doubted: where it stood when another source was last heard
}

// NewWatermark returns a watermark without sources, with the lateness and times of o.
func NewWatermark(o TrackerOptions) (*Watermark, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	return newWatermark(o), nil
}

func newWatermark(o TrackerOptions) *Watermark {
	return &Watermark{
		lateness: o.Lateness, silentAfter: o.SilentAfter, forgetAfter: o.ForgetAfter,
		sources: map[string]*source{}, changed: map[string]bool{}, newest: longAgo, least: longAgo, horizon: longAgo,
	}
}

// Update takes a mark and copies what it keeps. A mark that is a little older than the source's last one only came late and is
// ignored; one that is older by more than SilentAfter says that the source's clock was set back, and is believed.
//
// A source that leaps ahead of all others by more than SilentAfter is doubted: a wrong clock must not make everyone else
// silent. It is believed as soon as another source follows, or when it goes on for SilentAfter while no other is heard.
func (w *Watermark) Update(m Mark) {
	if m.Source == "" {
		return
	}
	m.Time = min(max(m.Time, -latest), latest)
	if w.stale { // and not if moved: looking at all sources for each mark of each would take long
		w.find()
	}
	s := w.sources[m.Source]
	switch {
	case s == nil:
		s = &source{Mark: Mark{Time: m.Time}}
		m.Source = strings.Clone(m.Source)
		w.sources[m.Source] = s
		s.Source = m.Source
	case m.Time <= s.Time && after(m.Time, w.silentAfter) >= s.Time:
		if m.Kinds == s.Kinds && m.Ended == s.Ended && slices.Equal(m.Scope, s.Scope) {
			return // nothing new
		}
		m.Time = s.Time
	}
	if slices.Equal(m.Scope, s.Scope) {
		m.Scope = s.Scope
	} else {
		m.Scope = m.Scope.Clone()
	}
	m.Source = s.Source // the same text, in memory that is ours
	if !w.live || m.Ended || s.Ended || m.Time < s.Time {
		w.stale = true
	}
	s.Mark = m
	w.changed[m.Source] = true
	w.moved = true
	if w.doubt(s); !s.doubted && !s.Ended {
		w.newest = max(w.newest, s.Time)
	}
}

// doubt brings up to date which sources are believed, after s moved.
func (w *Watermark) doubt(s *source) {
	followed := func(o *source) bool { return o != s && after(s.Time, w.silentAfter) >= o.Time }
	if slices.ContainsFunc(w.doubted, followed) && s.Time > w.newest { // two agree
		w.believe(s)
		for _, o := range slices.Clone(w.doubted) {
			if followed(o) {
				w.believe(o)
			}
		}
		return
	}
	ahead := s.Time > after(w.newest, w.silentAfter) && w.newest != longAgo
	switch {
	case s.doubted && (!ahead || s.Time > after(s.leapt, w.silentAfter)):
		w.believe(s)
	case s.doubted:
		return
	case ahead && !s.Ended && w.othersLive(s):
		s.doubted, s.leapt = true, s.Time
		w.stale = true
		w.doubted = append(w.doubted, s)
		return
	}
	for _, o := range slices.Clone(w.doubted) {
		if o.leapt = o.Time; followed(o) {
			w.believe(o)
		}
	}
}

func (w *Watermark) believe(s *source) {
	if s.doubted {
		s.doubted, w.stale = false, true
		w.doubted = slices.DeleteFunc(w.doubted, func(o *source) bool { return o == s })
	}
}

// othersLive reports whether a source but s is believed, alive and not silent.
func (w *Watermark) othersLive(s *source) bool {
	for _, o := range w.sources {
		if o != s && !o.Ended && !o.doubted && after(o.Time, w.silentAfter) >= w.newest {
			return true
		}
	}
	return false
}

// find brings newest and least up to date and forgets who was not heard for long.
func (w *Watermark) find() {
	if !w.stale && !w.moved {
		return
	}
	defer func() { w.stale, w.moved = false, false }() // what is believed here is taken into account
	ended := int64(longAgo)
	w.newest, w.live = longAgo, false
	for _, s := range w.sources {
		switch {
		case s.Ended:
			ended = max(ended, s.Time)
		case !s.doubted:
			w.newest, w.live = max(w.newest, s.Time), true
		}
	}
	if !w.live && len(w.doubted) > 0 { // those who could have said otherwise have ended
		for _, s := range slices.Clone(w.doubted) {
			w.believe(s)
			w.newest, w.live = max(w.newest, s.Time), true
		}
	}
	w.least = never
	reference := w.newest
	if !w.live {
		w.least, reference = ended, ended
	}
	for name, s := range w.sources {
		if (s.Ended || w.isSilent(s)) && after(s.Time, w.forgetAfter) < reference {
			w.changed[name] = true
			delete(w.sources, name)
			continue
		}
		if w.live && !s.Ended && !w.isSilent(s) {
			w.least = min(w.least, s.Time)
		}
	}
}

func (w *Watermark) isSilent(s *source) bool { return after(s.Time, w.silentAfter) < w.newest }

// Time is the watermark: the least mark of the sources that are neither silent nor ended; when all have ended, the greatest.
// It is false before the first mark.
func (w *Watermark) Time() (int64, bool) {
	w.find()
	return w.least, len(w.sources) > 0
}

// Horizon is the watermark less the lateness, or what it was before, whichever is greater. It is false before the first mark.
func (w *Watermark) Horizon() (int64, bool) {
	if t, ok := w.Time(); ok {
		w.horizon = max(w.horizon, after(t, -w.lateness))
	}
	return w.horizon, w.horizon != longAgo
}

// Silent lists the sources that are silent, in order.
func (w *Watermark) Silent() []string {
	w.find()
	var list []string
	for _, name := range slices.Sorted(maps.Keys(w.sources)) {
		if s := w.sources[name]; !s.Ended && w.isSilent(s) {
			list = append(list, name)
		}
	}
	return list
}

// absent asks whether every source that could have given one of the kinds, and does not speak for something else, has passed
// the deadline; silent names those that have not. Without any such source nothing is sure.
func (w *Watermark) absent(kinds uint8, elsewhere func(record.Attrs) bool, deadline int64) (sure bool, silent []string) {
	some := false
	for name, s := range w.sources {
		if s.Kinds&kinds == 0 || len(s.Scope) > 0 && elsewhere(s.Scope) {
			continue
		}
		some = true
		if s.Time < deadline {
			silent = append(silent, name)
		}
	}
	slices.Sort(silent)
	return some && silent == nil, silent
}
