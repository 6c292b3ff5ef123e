package matcher

import "slices"

// The parts of a progress in a snapshot, which are also what is in memory of one that rests; episodes have a file of their own. Each
// pair of functions is one format: change both, and snapshotVersion with them. What most progresses have none of costs them one bit.

// What a fold has, in the order of how often.
const (
	hasOpen = 1 << iota
	hasWindows
	hasTold
	hasStamps
	hasHolds
	hasSeries
	hasFlaws
	hasVerdicts
	hasClearDue
	hasWaiting
	hasDeferred
	hasLimits
	hasOutlook
	hasFrame
)

// has is what there is of f.
func (f *fold) has() (bits uint64) {
	for _, x := range [...]struct {
		there bool
		bit   uint64
	}{
		{f.open != nil, hasOpen},
		{len(f.windows) > 0, hasWindows},
		{len(f.stamps) > 0, hasStamps},
		{len(f.holds) > 0, hasHolds},
		{len(f.series) > 0, hasSeries},
		{f.flaws != 0, hasFlaws},
		{len(f.verdicts) > 0, hasVerdicts},
		{f.clearDue != never, hasClearDue},
		{f.waiting != nil, hasWaiting},
		{len(f.deferred) > 0, hasDeferred},
		{len(f.limits) > 0, hasLimits},
		{f.outlook != nil, hasOutlook},
		{f.frame != nil, hasFrame},
	} {
		if x.there {
			bits |= x.bit
		}
	}
	return bits
}

// body appends what is settled of a progress, and what was told of it.
func (w *writer) body(p *progress) {
	f := &p.settled
	has := f.has()
	if len(p.told) > 0 {
		has |= hasTold
	}
	w.fixed(uint64(f.at))
	w.base, w.ref = f.at, 0
	w.uint(has)
	w.uint(uint64(f.episodes))
	if has&hasOpen != 0 {
		w.episode(f.open)
	}
	if has&hasWindows != 0 {
		list(w, f.windows, w.window)
	}
	if has&hasTold != 0 {
		list(w, p.told, func(x told) { w.told(p, &x) })
	}
	if has&^(hasOpen|hasWindows|hasTold) != 0 {
		w.rest(f, has)
	}
}

// rest appends what few folds have.
func (w *writer) rest(f *fold, has uint64) {
	if has&hasFlaws != 0 {
		w.byte(byte(f.flaws))
	}
	if c := f.waiting; c != nil {
		w.uint(uint64(c.stage))
		w.time(c.at)
		w.time(c.due)
	}
	if has&hasClearDue != 0 {
		w.time(f.clearDue)
	}
	if has&hasDeferred != 0 {
		list(w, f.deferred, w.step)
	}
	if has&hasHolds != 0 {
		list(w, f.holds, func(h hold) {
			w.byte(h.role)
			w.fixed(h.object)
			w.fixed(h.path)
			w.time(h.due)
			w.bool(h.lit)
			w.step(h.step)
		})
	}
	if has&hasSeries != 0 {
		list(w, f.series, func(s series) {
			w.byte(s.role)
			w.fixed(s.id)
			w.time(s.last)
			w.time(s.since)
			list(w, s.points, w.sampled)
			list(w, s.trend, w.sampled)
		})
	}
	if has&hasLimits != 0 {
		list(w, f.limits, func(l limitSeries) {
			w.byte(l.role)
			w.fixed(l.id)
			w.sampled(sampled{l.time, l.value})
			list(w, l.labels, w.fixed)
		})
	}
	if has&hasStamps != 0 {
		list(w, f.stamps, w.stamp)
	}
	if has&hasOutlook != 0 {
		w.estimate(f.outlook)
	}
	if has&hasVerdicts != 0 {
		list(w, f.verdicts, func(v verdict) {
			w.byte(byte(v.claim))
			w.byte(v.role)
			w.time(v.time)
			w.bool(v.known)
			w.bool(v.holds)
			w.texts(v.silent)
		})
	}
	if has&hasFrame != 0 {
		w.frame(f.frame)
	}
}

// body reads into p, whose memory it uses again. The plan of p is known.
func (r *reader) body(p *progress) {
	f := &p.settled
	old := *f
	*f = fold{at: int64(r.fixed()), clearDue: never}
	r.base, r.ref = f.at, 0
	has := r.uint()
	f.episodes = uint32(r.uint())
	if has&hasOpen != 0 {
		f.open = old.open
		if f.open == nil {
			f.open = &episode{}
		}
		r.episode(f.open)
	}
	if has&hasWindows != 0 {
		f.windows = again(r, 1, old.windows, r.window)
	}
	p.told = p.told[:0]
	if has&hasTold != 0 {
		p.told = again(r, 3, p.told, func(x *told) { r.told(p, x) })
	}
	if has&^(hasOpen|hasWindows|hasTold) != 0 {
		r.rest(f, has)
	}
	if has >= hasFrame<<1 {
		r.fail()
	}
}

// eachEvidence calls fn with the evidence of a body without reading the rest of it; false when the body has parts that have to be
// read for that.
func (r *reader) eachEvidence(fn func(evidence)) bool {
	r.base = int64(r.fixed())
	has := r.uint()
	if has&^(hasOpen|hasWindows|hasTold) != 0 {
		return false
	}
	some := func() {
		if n := r.evidence(); n != 0 {
			fn(n)
		}
	}
	r.uint()
	rungs := 0
	if has&hasOpen != 0 {
		rungs = r.evidenceOfEpisode(some)
	}
	if has&hasWindows != 0 {
		for range r.count(1) {
			n := r.uint()
			for range n >> 2 {
				r.skipContribution()
				some()
			}
			if n&windowLast != 0 {
				r.time()
			}
		}
	}
	if has&hasTold == 0 {
		return true
	}
	for range r.count(3) {
		flags := r.byte()
		r.uint()
		if flags&toldNamed != 0 {
			r.fixed()
		}
		if flags&toldAsOpen == 0 {
			r.evidenceOfEpisode(some)
			continue
		}
		r.time()
		r.time()
		for range rungs {
			r.uint()
			some()
		}
	}
	return true
}

func (r *reader) rest(f *fold, has uint64) {
	if has&hasFlaws != 0 {
		f.flaws = flaw(r.byte())
	}
	if has&hasWaiting != 0 {
		f.waiting = &candidate{stage: int(r.uint()), at: r.time(), due: r.time()}
	}
	if has&hasClearDue != 0 {
		f.clearDue = r.time()
	}
	if has&hasDeferred != 0 {
		f.deferred = items(r, 5, r.step)
	}
	if has&hasHolds != 0 {
		f.holds = items(r, 23, r.hold)
	}
	if has&hasSeries != 0 {
		f.series = items(r, 13, r.series)
	}
	if has&hasLimits != 0 {
		f.limits = items(r, 19, r.limit)
	}
	if has&hasStamps != 0 {
		f.stamps = items(r, 2, r.stamp)
	}
	if has&hasOutlook != 0 {
		f.outlook = r.estimate()
	}
	if has&hasVerdicts != 0 {
		f.verdicts = items(r, 6, r.verdict)
	}
	if has&hasFrame != 0 {
		f.frame = r.frame()
	}
}

func (r *reader) hold() hold {
	return hold{role: r.byte(), object: r.fixed(), path: r.fixed(), due: r.time(), lit: r.bool(), step: r.step()}
}

func (r *reader) series() series {
	return series{role: r.byte(), id: r.fixed(), last: r.time(), since: r.time(), points: items(r, 9, r.sampled), trend: items(r, 9, r.sampled)}
}

func (r *reader) limit() limitSeries {
	l := limitSeries{role: r.byte(), id: r.fixed()}
	s := r.sampled()
	l.time, l.value = s.time, s.value
	l.labels = items(r, 8, r.fixed)
	return l
}

func (w *writer) stamp(s stamp) {
	w.byte(s.guard)
	w.time(s.time)
}

func (r *reader) stamp() stamp { return stamp{guard: r.byte(), time: r.time()} }

func (r *reader) verdict() verdict {
	return verdict{claim: timerKind(r.byte()), role: r.byte(), time: r.time(), known: r.bool(), holds: r.bool(), silent: r.texts()}
}

func (w *writer) window(x window) {
	n := uint64(len(x.items)) << 2
	if x.satisfied {
		n |= windowSatisfied
	}
	if x.last != 0 {
		n |= windowLast
	}
	w.uint(n)
	for i := range x.items {
		w.contribution(x.items[i])
	}
	if x.last != 0 {
		w.time(x.last)
	}
}

// What the number of a window's contributions says beside it.
const (
	windowSatisfied = 1 << iota
	windowLast
)

func (r *reader) window(x *window) {
	n := r.uint()
	last := n&windowLast != 0
	x.satisfied, x.weight, x.last = n&windowSatisfied != 0, 0, 0
	if n >>= 2; n > uint64(len(r.b)/3) {
		r.fail()
		n = 0
	}
	x.items = slices.Grow(x.items[:0], int(n))[:n]
	for i := range x.items {
		x.items[i] = r.contribution()
		x.weight += uint64(x.items[i].weight)
	}
	if last {
		x.last = r.time()
	}
}

func (w *writer) frame(r *frame) {
	list(w, r.slots, func(s []held) {
		list(w, s, func(h held) {
			w.time(h.time)
			w.fixed(h.id)
			w.evidence(h.text)
		})
	})
	w.uint(uint64(r.active))
	list(w, r.stamps, w.stamp)
	w.time(r.due)
	w.uint(r.total)
}

func (r *reader) frame() *frame {
	f := &frame{}
	f.slots = items(r, 1, func() []held {
		return items(r, 10, func() held { return held{time: r.time(), id: r.fixed(), text: r.evidence()} })
	})
	f.active = int(r.uint())
	f.stamps = items(r, 2, r.stamp)
	f.due, f.total = r.time(), r.uint()
	return f
}

func (w *writer) contribution(c contribution) {
	w.time(c.time)
	if c.value == 0 {
		w.uint(uint64(c.weight) << 1)
	} else {
		w.uint(uint64(c.weight)<<1 | 1)
		w.fixed(c.value)
	}
	w.evidence(c.text)
}

func (r *reader) contribution() contribution {
	if r.version == 1 {
		return contribution{time: r.time(), weight: uint32(r.uint()), value: r.uint(), text: r.evidence()}
	}
	c := contribution{time: r.time()}
	n := r.uint()
	c.weight = uint32(n >> 1)
	if n&1 == 1 {
		c.value = r.fixed()
	}
	c.text = r.evidence()
	return c
}

// skipContribution passes what is before its evidence.
func (r *reader) skipContribution() {
	r.time()
	if r.uint()&1 == 1 {
		r.fixed()
	}
}

func (w *writer) step(s step) {
	w.time(s.time)
	w.uint(s.roles)
	w.uint(uint64(s.weight))
	w.values(s.values)
	w.evidence(s.text)
}

func (r *reader) step() step {
	return step{time: r.time(), roles: r.uint(), weight: uint32(r.uint()), values: r.values(), text: r.evidence()}
}

func (w *writer) values(v []distinctValue) {
	list(w, v, func(d distinctValue) {
		w.byte(d.role)
		w.fixed(d.hash)
	})
}

func (r *reader) values() []distinctValue {
	return items(r, 9, func() distinctValue { return distinctValue{r.byte(), r.fixed()} })
}

func (w *writer) sampled(s sampled) {
	w.time(s.time)
	w.float(s.value)
}

func (r *reader) sampled() sampled { return sampled{r.time(), r.float()} }

func (w *writer) kept(k *kept) {
	w.time(k.time)
	w.uint(k.seq)
	w.fixed(k.id)
	w.text(k.source)
	w.uint(k.on)
	w.uint(k.off)
	w.uint(uint64(k.weight))
	w.bool(k.sample)
	w.bool(k.deleted)
	w.float(k.value)
	w.fixed(k.object)
	w.fixed(k.path)
	w.fixed(k.series)
	list(w, k.labels, w.fixed)
	w.values(k.values)
	w.evidence(k.text)
}

func (r *reader) kept() *kept {
	return &kept{
		time: r.time(), seq: r.uint(), id: r.fixed(), source: r.text(), on: r.uint(), off: r.uint(), weight: uint32(r.uint()),
		sample: r.bool(), deleted: r.bool(), value: r.float(), object: r.fixed(), path: r.fixed(), series: r.fixed(), labels: items(r, 8, r.fixed), values: r.values(),
		text: r.evidence(),
	}
}
