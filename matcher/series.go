package matcher

import (
	"math"
	"slices"
	"time"
)

const (
	limitLife = 24 * time.Hour  // how long a limit is believed after its last sample
	runGap    = 5 * time.Minute // a run is broken by a longer gap than this and its `for`
)

// series is one metric series in one role.
type series struct {
	role   uint8
	id     uint64
	last   int64
	since  int64 // the first of the unbroken run of on samples; longAgo when the last one was off
	points []sampled
	trend  []sampled // the thinned points of a forecast
}

// limitSeries is the newest value of a series that others are a share of.
type limitSeries struct {
	role   uint8
	id     uint64
	labels []uint64
	time   int64
	value  float64
}

// sampled is one point of a series.
type sampled struct {
	time  int64
	value float64
}

// setLimits remembers the newest value of a limit.
func (f *fold) setLimits(p *folder, roles uint64, h *kept) {
	for role := range eachRole(roles) {
		x := limitSeries{role, h.series, h.labels, h.time, h.value}
		f.limits = slices.DeleteFunc(f.limits, func(l limitSeries) bool { return l.role == role && l.id == h.series })
		if len(f.limits) >= maxSeries {
			f.limits = slices.Delete(f.limits, 0, 1)
			f.lose(p)
		}
		f.limits = append(f.limits, x) // the newest comes last
	}
}

// limit returns the divisor for a sample: the limit whose labels differ from its own least, and of these the newest. Exporters
// have labels of their own, so that equality would find none; but of several volumes each has to be measured by its own size.
func (f *fold) limit(role int, h *kept) (float64, bool) {
	var found *limitSeries
	least := math.MaxInt
	for i := range f.limits {
		l := &f.limits[i]
		if int(l.role) != role || after(l.time, limitLife) < h.time {
			continue
		}
		if n := differing(l.labels, h.labels); n <= least {
			found, least = l, n
		}
	}
	if found == nil || !(found.value > 0) {
		return 0, false
	}
	return found.value, true
}

// differing counts the labels that both have with different values. A label is the hashes of its name and its value.
func differing(a, b []uint64) (n int) {
	for _, x := range a {
		for _, y := range b {
			if x>>32 == y>>32 && x != y {
				n++
			}
		}
	}
	return n
}

// sample joins a point to its series and says which roles it makes on, and to which it contributes.
func (f *fold) sample(p *folder, roles uint64, h *kept) (on, gives uint64) {
	for role := range eachRole(roles) {
		is, enough := f.sampleRole(p, role, h)
		if is {
			on |= 1 << role
		}
		if enough {
			gives |= 1 << role
		}
	}
	return on, gives
}

func (f *fold) sampleRole(p *folder, role uint8, h *kept) (on, gives bool) {
	c := p.rung(role).Series
	v, s := h.value, f.find(p, role, h.series, h.time)
	known := !math.IsNaN(v)
	if known && c.Rate > 0 {
		if len(s.points) >= maxPoints {
			s.points = slices.Delete(s.points, 0, 1)
			f.lose(p)
		}
		s.points = append(s.points, sampled{h.time, v})
		v, known = rate(s, after(h.time, -c.Rate), c.Rate/2)
	}
	if known && c.Limit >= 0 {
		var divisor float64
		divisor, known = f.limit(c.Limit, h)
		v /= divisor
	}
	on = known && within(v, c.Above, c.Below)
	if c.Forecast != nil {
		var e estimate
		met := false
		if known {
			s.trend = thin(s.trend, sampled{h.time, v}, time.Duration(c.Forecast.Over))
			e, met = forecast(s.trend, c.Forecast)
		}
		if on = on && met; on {
			e.metric, e.series = c.Metric, h.series
			f.predict(&e)
		}
	}
	gap := after(s.last, max(c.For, runGap)) < h.time
	s.last = h.time
	switch {
	case !on:
		s.since = longAgo
		return false, false
	case s.since == longAgo || gap:
		s.since = h.time
	}
	return true, h.time >= after(s.since, c.For)
}

// find returns the series of a role, a new one when there is none.
func (f *fold) find(p *folder, role uint8, id uint64, now int64) *series {
	for i := range f.series {
		if s := &f.series[i]; s.role == role && s.id == id {
			return s
		}
	}
	if len(f.series) >= maxSeries {
		oldest := 0
		for i := range f.series {
			if f.series[i].last < f.series[oldest].last {
				oldest = i
			}
		}
		f.series = slices.Delete(f.series, oldest, oldest+1)
		f.lose(p)
	}
	f.series = append(f.series, series{role: role, id: id, last: now, since: longAgo})
	return &f.series[len(f.series)-1]
}

// rate drops the points before from and returns the increase a second over the rest. Where the counter fell it began again
// at zero. Points that lie closer together than least have no rate: two scrapes at a process's start would make any burst an alarm.
func rate(s *series, from int64, least time.Duration) (float64, bool) {
	n := 0
	for n < len(s.points) && s.points[n].time < from {
		n++
	}
	s.points = s.points[n:]
	first, last := s.points[0], s.points[len(s.points)-1]
	if last.time <= first.time || time.Duration(last.time-first.time) < least {
		return 0, false
	}
	var sum float64
	for i := 1; i < len(s.points); i++ {
		if d := s.points[i].value - s.points[i-1].value; d >= 0 {
			sum += d
		} else {
			sum += s.points[i].value
		}
	}
	return sum / time.Duration(last.time-first.time).Seconds(), true
}

// keep is how long a series matters after its last sample.
func (p *plan) keep(role uint8) time.Duration {
	c := p.rung(role).Series
	d := max(c.Rate, c.For, runGap)
	if c.Forecast != nil {
		d = max(d, time.Duration(c.Forecast.Over))
	}
	return d
}

// predict notes a forecast for the warning: the soonest, when there are several series.
func (f *fold) predict(e *estimate) {
	old := f.outlook
	if f.open != nil {
		old = f.open.forecast
	}
	if old != nil && old.series != e.series && old.expected < e.expected && old.expected > e.now {
		return
	}
	f.outlook = e
	if f.open != nil {
		f.open.forecast = e
	}
}
