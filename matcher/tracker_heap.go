package matcher

// timers is a heap of progresses by the time at which something of theirs is due: the least first, equal ones by signature
// and key, so that the order does not depend on how they came in.
type timers []*progress

func (p *progress) before(o *progress) bool {
	if p.due != o.due {
		return p.due < o.due
	}
	if p.plan.Digest != o.plan.Digest {
		return p.plan.Digest < o.plan.Digest
	}
	return p.key.compare(o.key) < 0
}

// set moves p to where its new due time belongs; never takes it out.
func (h *timers) set(p *progress, due int64) {
	switch {
	case due == p.due && (p.place >= 0 || due == never):
		return
	case due == never:
		p.due = due
		h.remove(p)
		return
	case p.place < 0:
		p.place = len(*h)
		*h = append(*h, p)
	}
	p.due = due
	h.up(p.place)
	h.down(p.place)
}

func (h *timers) remove(p *progress) {
	i := p.place
	if i < 0 {
		return
	}
	last := len(*h) - 1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	p.place = -1
	if i < last {
		moved := (*h)[i]
		h.up(i)
		h.down(moved.place)
	}
}

func (h *timers) swap(i, j int) {
	s := *h
	s[i], s[j] = s[j], s[i]
	s[i].place, s[j].place = i, j
}

func (h *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !(*h)[i].before((*h)[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *timers) down(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(*h); c++ {
			if (*h)[c].before((*h)[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}
