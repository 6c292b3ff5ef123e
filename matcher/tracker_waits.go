package matcher

// waits holds progresses that are asleep by the time at which the first of their hits is settled. Hits come nearly in order, so it is
// a queue; one that would have to go before others is not taken, and goes to the timers, where a place costs more.
type waits struct {
	list []wait
	from int // those before it were taken
}

// wait is of no use when its progress has another due time by now, or is among the timers.
type wait struct {
	due int64
	p   *progress
}

// add reports whether it took p.
func (w *waits) add(p *progress, due int64) bool {
	if last := len(w.list) - 1; last >= w.from && w.list[last].due > due {
		return false
	}
	if len(w.list) == cap(w.list) && w.from > len(w.list)/2 {
		n := copy(w.list, w.list[w.from:])
		clear(w.list[n:])
		w.list, w.from = w.list[:n], 0
	}
	w.list = append(w.list, wait{due, p})
	p.due = due
	return true
}

// next takes a progress that is due by then; nil when there is none.
func (w *waits) next(horizon int64) *progress {
	for w.from < len(w.list) && w.list[w.from].due <= horizon {
		x := w.list[w.from]
		w.list[w.from].p = nil
		if w.from++; w.from == len(w.list) {
			w.list, w.from = w.list[:0], 0
		}
		if p := x.p; p.place < 0 && p.due == x.due && len(p.pending) > 0 {
			return p
		}
	}
	return nil
}
