package matcher

import "slices"

// Episodes and what was told of them, as parts of a progress in a snapshot: see snapshot_fold.go.

// What told says beside its episode.
const (
	toldRetracted = 1 << iota
	toldNamed     // its id does not follow from its episode
	toldAsOpen    // its episode is the open one, but for what further records of its rungs change
)

// told appends what people were told of an episode. Mostly that is how the open one is.
func (w *writer) told(p *progress, x *told) {
	e, open := x.episode, p.settled.open
	var flags byte
	if x.retracted {
		flags |= toldRetracted
	}
	if x.id != 0 || x.named != e.opened {
		flags |= toldNamed
	}
	if e.follows(open) {
		flags |= toldAsOpen
	}
	w.byte(flags)
	w.uint(uint64(x.revision))
	if flags&toldNamed != 0 {
		w.fixed(x.name(p))
	}
	if flags&toldAsOpen == 0 {
		w.episode(e)
		return
	}
	last := e.path[len(e.path)-1].time
	w.since(last, e.seen)
	w.since(e.seen, e.quiet)
	for i := range e.met {
		m, o := &e.met[i], &open.met[i]
		w.uint(o.count - m.count)
		w.evidence(m.latest)
	}
}

// follows reports whether e is open as it was before further records of its rungs.
func (e *episode) follows(open *episode) bool {
	if open == nil || e.number != open.number || e.opened != open.opened || e.flaws != open.flaws || e.forecast != nil || open.forecast != nil || e.reason != open.reason ||
		len(e.met) != len(open.met) || !slices.Equal(e.path, open.path) || !slices.Equal(e.silent, open.silent) {
		return false
	}
	for i := range e.met {
		m, o := &e.met[i], &open.met[i]
		if m.role != o.role || m.count > o.count || m.first != o.first || m.second != o.second {
			return false
		}
	}
	return true
}

func (r *reader) told(p *progress, x *told) {
	e := x.episode
	if e == nil {
		e = &episode{}
	}
	flags := r.byte()
	*x = told{revision: uint32(r.uint()), retracted: flags&toldRetracted != 0, episode: e}
	if flags&toldNamed != 0 {
		x.id = r.fixed()
	}
	open := p.settled.open
	switch {
	case flags&toldAsOpen == 0:
		r.episode(e)
	case open == nil || len(open.path) == 0:
		r.fail()
		return
	default:
		path, met := append(e.path[:0], open.path...), append(e.met[:0], open.met...)
		*e = episode{number: open.number, opened: open.opened, path: path, met: met, flaws: open.flaws, silent: slices.Clone(open.silent), reason: open.reason}
		e.seen = r.since(path[len(path)-1].time)
		e.quiet = r.since(e.seen)
		for i := range met {
			met[i].count -= r.uint()
			met[i].latest = r.evidence()
		}
	}
	if flags&toldNamed == 0 {
		x.named = e.opened
	}
}

func (w *writer) episode(e *episode) {
	w.uint(uint64(e.number))
	w.time(e.opened)
	w.time(e.seen)
	w.since(e.seen, e.quiet)
	list(w, e.path, func(t turn) {
		w.since(e.opened, t.time)
		w.byte(t.role)
		w.byte(byte(t.state))
	})
	list(w, e.met, func(m met) {
		w.byte(m.role)
		w.uint(m.count)
		w.evidence(m.first)
		w.evidence(m.second)
		w.evidence(m.latest)
	})
	few := len(e.silent) > 0 || e.forecast != nil || e.reason != ""
	x := uint64(e.flaws) << 1
	if few {
		x |= 1
	}
	w.uint(x)
	if few {
		w.texts(e.silent)
		w.estimate(e.forecast)
		w.text(e.reason)
	}
}

func (r *reader) turn(opened int64) turn {
	t := turn{time: r.since(opened), role: r.byte(), state: stateCode(r.byte())}
	if t.state < codeForming || t.state > codeExpired {
		r.fail()
	}
	return t
}

func (r *reader) met(m *met) {
	*m = met{role: r.byte(), count: r.uint(), first: r.evidence(), second: r.evidence(), latest: r.evidence()}
}

// episode reads into e, whose memory it uses again.
func (r *reader) episode(e *episode) {
	path, ms := e.path, e.met
	*e = episode{number: uint32(r.uint()), opened: r.time(), seen: r.time()}
	e.quiet = r.since(e.seen)
	e.path = again(r, 3, path, func(t *turn) { *t = r.turn(e.opened) })
	e.met = again(r, 5, ms, r.met)
	few := true
	if r.version == 1 {
		e.flaws = flaw(r.byte())
	} else {
		x := r.uint()
		few, e.flaws = x&1 == 1, flaw(x>>1)
	}
	if few {
		e.silent, e.forecast, e.reason = r.texts(), r.estimate(), r.text()
	}
	if len(e.path) == 0 {
		r.fail()
	}
}

// evidenceOfEpisode returns how many rungs were met.
func (r *reader) evidenceOfEpisode(some func()) (rungs int) {
	r.uint()
	r.time()
	r.time()
	r.time()
	for range r.count(3) {
		r.time()
		r.byte()
		r.byte()
	}
	rungs = r.count(5)
	for range rungs {
		r.byte()
		r.uint()
		some()
		some()
		some()
	}
	if r.uint()&1 == 1 {
		r.texts()
		r.estimate()
		r.text()
	}
	return rungs
}

func (w *writer) estimate(e *estimate) {
	w.bool(e != nil)
	if e == nil {
		return
	}
	w.text(e.metric)
	w.fixed(e.series)
	w.float(e.limit)
	w.float(e.value)
	w.time(e.now)
	w.time(e.expected)
	w.time(e.earliest)
	w.time(e.latest)
}

func (r *reader) estimate() *estimate {
	if !r.bool() {
		return nil
	}
	return &estimate{
		metric: r.text(), series: r.fixed(), limit: r.float(), value: r.float(), now: r.time(), expected: r.time(), earliest: r.time(), latest: r.time(),
	}
}
