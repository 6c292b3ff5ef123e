package matcher

import "slices"

// contribute puts a step into a rung's window and says whether the window that ends with it is complete.
func (f *fold) contribute(p *folder, role uint8, s *step) bool {
	r, w := p.rung(role), &f.windows[p.slotOf(role)]
	c := contribution{time: s.time, weight: s.weight, text: s.text}
	for _, v := range s.values {
		if v.role == role {
			c.value = v.hash
		}
	}
	if r.Within == 0 { // one record is enough
		w.drop(len(w.items))
	} else {
		from, n := after(s.time, -r.Within), 0
		for n < len(w.items) && w.items[n].time < from {
			n++
		}
		w.drop(n)
	}
	if r.DistinctCount > 0 && r.Count == 1 && c.value != 0 { // only the newest of each value matters
		if i := slices.IndexFunc(w.items, func(x contribution) bool { return x.value == c.value }); i >= 0 {
			w.weight -= uint64(w.items[i].weight)
			w.items = slices.Delete(w.items, i, i+1)
		}
	}
	bound := int(min(max(r.Count, 1), maxContributions)) // each weighs at least 1, so the newest ones are enough
	if r.DistinctCount > 0 {
		bound = maxContributions
	}
	if len(w.items) >= bound {
		if r.DistinctCount > 0 || r.Count > maxContributions {
			f.lose(p)
		}
		w.drop(len(w.items) + 1 - bound)
	}
	w.items, w.weight = append(w.items, c), w.weight+uint64(c.weight)
	if k := len(w.items) - 2; k >= maxWindowText {
		w.items[k].text = 0 // the first few and the newest are enough to show
	}
	return w.weight >= r.Count && (r.DistinctCount == 0 || w.distinct(r.DistinctCount) >= r.DistinctCount)
}

// drop forgets the n oldest contributions.
func (w *window) drop(n int) {
	for i := range n {
		w.weight -= uint64(w.items[i].weight)
	}
	w.items = w.items[n:]
	if len(w.items) == 0 {
		w.items = w.items[:0:0] // so that the memory is not held by an empty window
	}
}

// distinct counts the different values in the window, up to enough.
func (w *window) distinct(enough int) int {
	seen := make([]uint64, 0, 16)
	for i := range w.items {
		if v := w.items[i].value; v != 0 && !slices.Contains(seen, v) {
			if seen = append(seen, v); len(seen) >= enough {
				break
			}
		}
	}
	return len(seen)
}
