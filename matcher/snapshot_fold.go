package matcher

// The parts of a progress in a snapshot. Each pair of functions is one format: change both, and snapshotVersion with them.

// frameFollows is set in a fold's flaws when a frame comes after all else. Formats that are older than frames never set it.
const frameFollows = 1 << 7

func (w *writer) fold(f *fold) {
	w.int(f.at)
	w.uint(uint64(f.episodes))
	if f.frame != nil {
		w.byte(byte(f.flaws) | frameFollows)
	} else {
		w.byte(byte(f.flaws))
	}
	w.bool(f.open != nil)
	if f.open != nil {
		w.episode(f.open)
	}
	list(w, f.windows, func(x window) {
		list(w, x.items, w.contribution)
		w.int(x.last)
		w.bool(x.satisfied)
	})
	w.bool(f.waiting != nil)
	if c := f.waiting; c != nil {
		w.uint(uint64(c.stage))
		w.int(c.at)
		w.int(c.due)
	}
	list(w, f.deferred, w.step)
	w.int(f.clearDue)
	list(w, f.holds, func(h hold) {
		w.byte(h.role)
		w.fixed(h.object)
		w.fixed(h.path)
		w.int(h.due)
		w.bool(h.lit)
		w.step(h.step)
	})
	list(w, f.series, func(s series) {
		w.byte(s.role)
		w.fixed(s.id)
		w.int(s.last)
		w.int(s.since)
		list(w, s.points, w.sampled)
		list(w, s.trend, w.sampled)
	})
	list(w, f.limits, func(l limitSeries) {
		w.byte(l.role)
		w.fixed(l.id)
		w.sampled(sampled{l.time, l.value})
		list(w, l.labels, w.fixed)
	})
	list(w, f.stamps, func(s stamp) {
		w.byte(s.guard)
		w.int(s.time)
	})
	w.estimate(f.outlook)
	list(w, f.verdicts, func(v verdict) {
		w.byte(byte(v.claim))
		w.byte(v.role)
		w.int(v.time)
		w.bool(v.known)
		w.bool(v.holds)
		w.texts(v.silent)
	})
	if f.frame != nil {
		w.frame(f.frame)
	}
}

func (r *reader) fold() fold {
	f := fold{at: r.int(), episodes: uint32(r.uint()), flaws: flaw(r.byte())}
	if r.bool() {
		f.open = r.episode()
	}
	f.windows = items(r, 3, func() window {
		x := window{items: items(r, 4, r.contribution), last: r.int(), satisfied: r.bool()}
		for i := range x.items {
			x.weight += uint64(x.items[i].weight)
		}
		return x
	})
	if r.bool() {
		f.waiting = &candidate{stage: int(r.uint()), at: r.int(), due: r.int()}
	}
	f.deferred = items(r, 5, r.step)
	f.clearDue = r.int()
	f.holds = items(r, 24, func() hold {
		return hold{role: r.byte(), object: r.fixed(), path: r.fixed(), due: r.int(), lit: r.bool(), step: r.step()}
	})
	f.series = items(r, 13, func() series {
		return series{role: r.byte(), id: r.fixed(), last: r.int(), since: r.int(), points: items(r, 9, r.sampled), trend: items(r, 9, r.sampled)}
	})
	f.limits = items(r, 19, func() limitSeries {
		l := limitSeries{role: r.byte(), id: r.fixed()}
		s := r.sampled()
		l.time, l.value = s.time, s.value
		l.labels = items(r, 8, r.fixed)
		return l
	})
	f.stamps = items(r, 2, func() stamp { return stamp{guard: r.byte(), time: r.int()} })
	f.outlook = r.estimate()
	f.verdicts = items(r, 6, func() verdict {
		return verdict{claim: timerKind(r.byte()), role: r.byte(), time: r.int(), known: r.bool(), holds: r.bool(), silent: r.texts()}
	})
	if f.flaws&frameFollows != 0 {
		f.flaws &^= frameFollows
		f.frame = r.frame()
	}
	return f
}

func (w *writer) episode(e *episode) {
	w.uint(uint64(e.number))
	w.int(e.opened)
	w.int(e.seen)
	w.int(e.quiet)
	list(w, e.path, func(t turn) {
		w.int(t.time)
		w.byte(t.role)
		w.byte(byte(t.state))
	})
	list(w, e.met, func(m met) {
		w.byte(m.role)
		w.uint(m.count)
		w.text(string(m.first))
		w.text(string(m.second))
		w.text(string(m.latest))
	})
	w.byte(byte(e.flaws))
	w.texts(e.silent)
	w.estimate(e.forecast)
	w.text(e.reason)
}

func (r *reader) episode() *episode {
	e := &episode{number: uint32(r.uint()), opened: r.int(), seen: r.int(), quiet: r.int()}
	e.path = items(r, 3, func() turn {
		t := turn{time: r.int(), role: r.byte(), state: stateCode(r.byte())}
		if t.state < codeForming || t.state > codeExpired {
			r.fail()
		}
		return t
	})
	e.met = items(r, 5, func() met {
		return met{role: r.byte(), count: r.uint(), first: evidence(r.text()), second: evidence(r.text()), latest: evidence(r.text())}
	})
	e.flaws, e.silent, e.forecast, e.reason = flaw(r.byte()), r.texts(), r.estimate(), r.text()
	if len(e.path) == 0 {
		r.fail()
	}
	return e
}

func (w *writer) contribution(c contribution) {
	w.int(c.time)
	w.uint(uint64(c.weight))
	w.uint(c.value)
	w.text(string(c.text))
}

func (r *reader) contribution() contribution {
	return contribution{time: r.int(), weight: uint32(r.uint()), value: r.uint(), text: evidence(r.text())}
}

func (w *writer) step(s step) {
	w.int(s.time)
	w.uint(s.roles)
	w.uint(uint64(s.weight))
	w.values(s.values)
	w.text(string(s.text))
}

func (r *reader) step() step {
	return step{time: r.int(), roles: r.uint(), weight: uint32(r.uint()), values: r.values(), text: evidence(r.text())}
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
	w.int(s.time)
	w.float(s.value)
}

func (r *reader) sampled() sampled { return sampled{r.int(), r.float()} }

func (w *writer) estimate(e *estimate) {
	w.bool(e != nil)
	if e == nil {
		return
	}
	w.text(e.metric)
	w.fixed(e.series)
	w.float(e.limit)
	w.float(e.value)
	w.int(e.now)
	w.int(e.expected)
	w.int(e.earliest)
	w.int(e.latest)
}

func (r *reader) estimate() *estimate {
	if !r.bool() {
		return nil
	}
	return &estimate{
		metric: r.text(), series: r.fixed(), limit: r.float(), value: r.float(), now: r.int(), expected: r.int(), earliest: r.int(), latest: r.int(),
	}
}

func (w *writer) kept(k *kept) {
	w.int(k.time)
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
	w.text(string(k.text))
}

func (r *reader) kept() *kept {
	return &kept{
		time: r.int(), seq: r.uint(), id: r.fixed(), source: r.text(), on: r.uint(), off: r.uint(), weight: uint32(r.uint()),
		sample: r.bool(), deleted: r.bool(), value: r.float(), object: r.fixed(), path: r.fixed(), series: r.fixed(), labels: items(r, 8, r.fixed), values: r.values(),
		text: evidence(r.text()),
	}
}

func (w *writer) frame(f *frame) {
	list(w, f.slots, func(s []held) {
		list(w, s, func(h held) {
			w.int(h.time)
			w.fixed(h.id)
			w.text(string(h.text))
		})
	})
	w.uint(uint64(f.active))
	list(w, f.stamps, func(s stamp) {
		w.byte(s.guard)
		w.int(s.time)
	})
	w.int(f.due)
	w.uint(f.total)
}

func (r *reader) frame() *frame {
	f := &frame{}
	f.slots = items(r, 1, func() []held {
		return items(r, 10, func() held { return held{time: r.int(), id: r.fixed(), text: evidence(r.text())} })
	})
	f.active = int(r.uint())
	f.stamps = items(r, 2, func() stamp { return stamp{guard: r.byte(), time: r.int()} })
	f.due, f.total = r.int(), r.uint()
	return f
}
