package matcher

// Format 1 had a fold's parts one after the other whether there was any, whole times, and evidence in the progress. Parts that differ in
// no more than that are read by the functions of the format of today.

// oldProgress reads a progress of format 1.
func (r *reader) oldProgress(p *progress) (touched uint64) {
	touched, p.floor = r.uint(), r.int()
	p.settled = r.oldFold()
	p.pending = items(r, 50, r.kept)
	p.told = items(r, 10, func() told {
		x := told{id: r.fixed(), revision: uint32(r.uint()), retracted: r.bool(), episode: &episode{}}
		r.episode(x.episode)
		return x
	})
	return touched
}

func (r *reader) oldFold() fold {
	f := fold{at: r.int(), episodes: uint32(r.uint()), flaws: flaw(r.byte())}
	if r.bool() {
		f.open = &episode{}
		r.episode(f.open)
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
	f.holds = items(r, 24, r.hold)
	f.series = items(r, 13, r.series)
	f.limits = items(r, 19, r.limit)
	f.stamps = items(r, 2, r.stamp)
	f.outlook = r.estimate()
	f.verdicts = items(r, 6, r.verdict)
	return f
}
