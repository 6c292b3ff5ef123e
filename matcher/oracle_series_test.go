package matcher_test

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// What the oracle makes of samples.

type point struct {
	time  int64
	value float64
}

type run struct {
	points []point
	since  int64 // the first of the unbroken run of on samples
	on     bool
}

// divisor is the newest value of a limit series.
type divisor struct {
	series string
	attrs  record.Attrs
	point
}

// sample joins a point to its series: is it on, and does it contribute?
func (o *oracle) sample(role int, h observation) (on, contributes bool) {
	c, limit := o.rung(role).when.Sample, o.rung(role).limit
	id := fmt.Sprint(role, h.record.Attrs)
	s := o.series[id]
	if s == nil {
		s = &run{}
		o.series[id] = s
	}
	t, v := h.record.Time, h.record.Value
	if n := len(s.points); n > 0 && t-s.points[n-1].time > max(int64(c.For), 300*second) {
		s.on = false // the run has a gap
	}
	s.points = append(s.points, point{t, v})
	known := true
	if c.Rate > 0 {
		v, known = rate(s.points, t-int64(c.Rate), int64(c.Rate)/2)
	}
	if c.Of != nil {
		share, is := o.divisor(limit, h.record, t)
		known = known && is
		v /= share
	}
	on = known && naivePasses(c, v)
	if !on {
		s.on = false
		return false, false
	}
	if !s.on {
		s.on, s.since = true, t
	}
	return true, t >= s.since+int64(c.For)
}

// labels tells a series from others of its metric.
func labels(r *record.Record) string { return fmt.Sprint(r.Attrs.With(record.MetricName, "")) }

// divisor is the limit whose labels differ from the sample's least, of equals the newest; one that was not heard for a day is
// none.
func (o *oracle) divisor(role int, r *record.Record, t int64) (float64, bool) {
	fewest, value := math.MaxInt, 0.0
	for _, d := range o.limits[role] {
		differ := 0
		for _, a := range d.attrs {
			if v, has := r.Attrs.Get(a.Key); has && a.Key != record.MetricName && v != a.Value {
				differ++
			}
		}
		if differ <= fewest && t-d.time <= 24*3600*second {
			fewest, value = differ, d.value
		}
	}
	return value, value > 0
}

// rate is the increase a second since the first point that is not before from; it takes points that span at least so much time.
func rate(points []point, from, least int64) (float64, bool) {
	points = points[slices.IndexFunc(points, func(p point) bool { return p.time >= from }):]
	first, last := points[0], points[len(points)-1]
	if last.time == first.time || last.time-first.time < least {
		return 0, false
	}
	var sum float64
	for i := 1; i < len(points); i++ {
		if d := points[i].value - points[i-1].value; d >= 0 {
			sum += d
		} else { // the counter began again at zero
			sum += points[i].value
		}
	}
	return sum / time.Duration(last.time-first.time).Seconds(), true
}
