package console

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// ranked is a warning with its place among the others.
type ranked struct {
	entry
	rank string
}

// order is everything that the view holds, in the order in which it is shown. It is shared, and not changed any more.
type order struct {
	open  []*ranked // the most urgent first
	final []*ranked // what closed last first, without what never was
}

// rankEvery is after how long forecasts, which change with what finishes elsewhere, are asked for again though no warning changed.
const rankEvery = 5 * time.Second

// rankings keep the last order, so that a storm is put in order once, and not once for each page that is open.
type rankings struct {
	mu      sync.Mutex
	version uint64
	made    time.Time
	last    *order
}

func (k *Console) ranking() *order {
	r := &k.rankings
	r.mu.Lock()
	defer r.mu.Unlock()
	moment, _ := k.c.View.now()
	if r.last != nil && r.version == moment.version && time.Since(r.made) < rankEvery {
		return r.last
	}
	o := &order{}
	for _, e := range k.c.View.since(0) {
		x := &ranked{entry: e}
		switch w := &x.warning; {
		case !w.State.Final():
			x.rank = rank(w, forecastOf(w, k.outlook(w)))
			o.open = append(o.open, x)
		case !w.Retracted:
			o.final = append(o.final, x)
		}
	}
	slices.SortFunc(o.open, func(a, b *ranked) int { return cmp.Compare(a.rank, b.rank) })
	slices.SortFunc(o.final, func(a, b *ranked) int { return closed(&b.warning).Compare(closed(&a.warning)) })
	r.last, r.version, r.made = o, moment.version, time.Now()
	return o
}
