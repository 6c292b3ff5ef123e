package matcher

import (
	"math"
	"slices"
	"time"
)

// Times are Unix nanoseconds. Record times are held inside [-latest, latest], so that adding two durations never wraps.
const (
	never   = math.MaxInt64
	longAgo = math.MinInt64
	latest  = math.MaxInt64 / 2
)

// after returns t+d without wrapping.
func after(t int64, d time.Duration) int64 {
	s := t + int64(d)
	switch {
	case d > 0 && s < t:
		return never
	case d < 0 && s > t:
		return longAgo
	}
	return s
}

// Bounds of what one fold keeps. Beyond them the oldest go, which is counted and marks the warning incomplete.
const (
	maxContributions = 16384 // of one window
	maxDeferred      = 64
	maxHolds         = 1024
	maxSeries        = 512
	maxPoints        = 512 // of one series that has a rate
	maxStamps        = 256
	maxSilent        = 16
	maxVerdicts      = 4
	maxWindowText    = 4 // contributions of a window that keep their evidence
)

// stateCode is a State in a byte. The numbers are part of the snapshot format and grow in the order of a warning's life.
type stateCode uint8

const (
	codeForming stateCode = iota + 1
	codeImminent
	codeIncident
	codeAverted
	codeResolved
	codeExpired
)

func (s stateCode) state() State {
	return [...]State{"", Forming, Imminent, InIncident, Averted, Resolved, Expired}[s]
}

func (s stateCode) final() bool { return s >= codeAverted }

// flaw says why a warning may not be the whole truth.
type flaw uint8

const (
	flawLate flaw = 1 << iota
	flawLateSample
	flawSettledEarly
	flawDetail
	flawEvicted
)

// fold is what hits and timers made of one signature and key: the README's progress. A tracker keeps it twice, once for what
// is settled and once with the pending hits on top; [fold.clone] makes the second.
type fold struct {
	at       int64 // the latest time of anything that was folded
	episodes uint32
	flaws    flaw
	open     *episode // nil when idle
	windows  []window // of the stages, then of the incident; nil while all are empty
	waiting  *candidate
	deferred []step
	clearDue int64 // never without a pending clear
	holds    []hold
	series   []series
	limits   []limitSeries
	stamps   []stamp
	outlook  *estimate // the forecast of the stage that may open an episode; never written after it is set
	verdicts []verdict
	frame    *frame     // nil without one, and while nothing came for it
	done     []*episode // closed since they were last taken
	lost     uint64     // details that a prompt fold forgot, until it is settled and they are counted
}

// episode is one life of a warning, told or not.
type episode struct {
	number   uint32
	opened   int64
	seen     int64
	quiet    int64 // what quiet is counted from: seen, or the last time that its claim was unknown
	path     []turn
	met      []met
	flaws    flaw
	silent   []string
	forecast *estimate
	reason   string
}

// turn is one thing that a person is told of an episode.
type turn struct {
	time  int64
	role  uint8 // of the rung that was reached, or noRole
	state stateCode
}

const noRole = 0xff

// met is what is shown of a rung: how many records met it, and the first two and the latest of them.
type met struct {
	role                  uint8
	count                 uint64
	first, second, latest evidence
}

// window holds the contributions to a rung.
type window struct {
	items     []contribution
	weight    uint64 // of all items
	last      int64  // of its last record (order sequence) or completion (order any)
	satisfied bool   // its rung was reached
}

type contribution struct {
	time   int64
	weight uint32
	value  uint64 // the hash of its distinct value; 0 without one
	text   evidence
}

// candidate is a stage whose records are complete and whose absences are not decided.
type candidate struct {
	stage int
	at    int64
	due   int64
}

// step is what one record, or one hold that lasted, contributes.
type step struct {
	time   int64
	roles  uint64
	weight uint32
	values []distinctValue
	text   evidence
}

// distinctValue is a record's value of a rung's `distinct`, as a hash.
type distinctValue struct {
	role uint8
	hash uint64
}

// hold is a value that an object has had since start.
type hold struct {
	role         uint8
	object, path uint64
	due          int64
	lit          bool
	step         step
}

// stamp is the time of a record that met an `unless`.
type stamp struct {
	guard uint8
	time  int64
}

// verdict is the outcome of a claim of absence, kept for explanations.
type verdict struct {
	claim  timerKind
	role   uint8
	time   int64
	known  bool
	holds  bool
	silent []string
}

func newFold() fold { return fold{at: longAgo, clearDue: never} }

// clone copies f without the closed episodes. Evidence, points and names are shared where they are never written again.
func (f *fold) clone() *fold {
	c := *f
	c.done, c.lost = nil, 0
	c.open = f.open.clone()
	c.frame = f.frame.clone()
	if f.windows != nil {
		c.windows = slices.Clone(f.windows)
		for i := range c.windows {
			c.windows[i].items = slices.Clone(c.windows[i].items)
		}
	}
	if f.waiting != nil {
		w := *f.waiting
		c.waiting = &w
	}
	c.deferred = slices.Clone(f.deferred)
	c.holds = slices.Clone(f.holds)
	c.limits = slices.Clone(f.limits)
	c.stamps = slices.Clone(f.stamps)
	c.verdicts = slices.Clone(f.verdicts)
	c.series = slices.Clone(f.series)
	for i := range c.series {
		c.series[i].points = slices.Clone(c.series[i].points)
	}
	return &c
}

func (e *episode) clone() *episode {
	if e == nil {
		return nil
	}
	c := *e
	c.path, c.met, c.silent = slices.Clone(e.path), slices.Clone(e.met), slices.Clone(e.silent)
	return &c
}

func (e *episode) state() stateCode {
	if len(e.path) == 0 {
		return 0
	}
	return e.path[len(e.path)-1].state
}

// reached reports whether the path holds a rung.
func (e *episode) reached(role uint8) bool {
	return slices.ContainsFunc(e.path, func(t turn) bool { return t.role == role })
}

// idle reports whether nothing is kept that a later hit could need, and if something is, until when.
func (f *fold) idle(p *plan) (nothing bool, until int64) {
	if f.open != nil || f.waiting != nil || len(f.holds) > 0 || f.frame != nil && f.frame.due != never {
		return false, never
	}
	until = f.at // a late hit counts as of the horizon, and must not number its episode like one that ended then
	for i := range f.windows {
		if n := len(f.windows[i].items); n > 0 {
			until = max(until, after(f.windows[i].items[n-1].time, p.slot(i).Within))
		}
	}
	for i := range f.series {
		until = max(until, after(f.series[i].last, p.keep(f.series[i].role)))
	}
	for i := range f.limits {
		until = max(until, after(f.limits[i].time, limitLife))
	}
	if n := len(f.stamps); n > 0 {
		until = max(until, after(f.stamps[n-1].time, -p.lookBack))
	}
	if f.frame != nil {
		until = max(until, f.frame.idle(p))
	}
	return until == longAgo, until
}

// flawed notes that something of this progress was lost.
func (f *fold) flawed(x flaw) {
	f.flaws |= x
	if f.open != nil {
		f.open.flaws |= x
	}
}
