package prometheus

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// What is here evaluates generated expressions as Prometheus does, on a grid of a minute. It says when each rule must fire in a signature's own
// tests; promtool, which evaluates them for real, then has to agree.

// lookback is how old the newest sample of a series may be.
const lookback = 5 * time.Minute

// labels are those of a series, its name among them as __name__.
type labels map[string]string

func (l labels) key() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(l)) {
		b.WriteString(name + "\xff" + l[name] + "\xff")
	}
	return b.String()
}

// unnamed is without the name of the metric, as everything that is calculated.
func (l labels) unnamed() labels {
	out := maps.Clone(l)
	delete(out, "__name__")
	return out
}

func (l labels) only(names []string) labels {
	out := labels{}
	for _, n := range names {
		if v := l[n]; v != "" {
			out[n] = v
		}
	}
	return out
}

// sequence is a series, with a value for each minute from 0 on; NaN is none.
type sequence struct {
	labels labels
	values []float64
	bare   *named // without the metric's name, once it was asked for
}

// named is labels with their key. It is shared, and never changed.
type named struct {
	labels labels
	key    string
}

func name(l labels) *named { return &named{l, l.key()} }

// of are the labels of what is calculated of a series. What keeps the metric's name in Prometheus goes without it here: nothing asks for it.
func (q *sequence) of() *named {
	if q.bare == nil {
		q.bare = name(q.labels.unnamed())
	}
	return q.bare
}

// store is all series of a test.
type store struct {
	series  []sequence
	regexes map[string]*regexp.Regexp
	known   map[string]map[time.Duration]vector // what subqueries found, by expression and time
}

// cached evaluates a part of a subquery, whose windows look at the same times again and again.
func (s *store) cached(id string, q query, now time.Duration) vector {
	if s.known == nil {
		s.known = map[string]map[time.Duration]vector{}
	}
	at := s.known[id]
	if at == nil {
		at = map[time.Duration]vector{}
		s.known[id] = at
	}
	v, ok := at[now]
	if !ok {
		v = slices.Clip(q.at(s, now))
		at[now] = v
	}
	return v
}

// element is one of a vector.
type element struct {
	*named
	value float64
}

type vector []element

// sample is a point of a range.
type sample struct{ at, value float64 } // in seconds

func (s *store) choose(x selector) (out []*sequence) {
	for i := range s.series {
		q := &s.series[i]
		if q.labels["__name__"] == x.metric && !slices.ContainsFunc(x.matchers, func(m labelMatcher) bool { return !s.holds(m, q.labels[m.name]) }) {
			out = append(out, q)
		}
	}
	return out
}

func (s *store) holds(m labelMatcher, value string) bool {
	switch m.op {
	case "=":
		return value == m.value
	case "!=":
		return value != m.value
	}
	re := s.regexes[m.value]
	if re == nil {
		if s.regexes == nil {
			s.regexes = map[string]*regexp.Regexp{}
		}
		re = regexp.MustCompile("^(?s:" + m.value + ")$") // the checks of signatures compiled it
		s.regexes[m.value] = re
	}
	return re.MatchString(value) == (m.op == "=~")
}

// between returns the points in (from, to].
func (q *sequence) between(from, to time.Duration) (out []sample) {
	for i := max(0, int(from/minute)); i < len(q.values) && time.Duration(i)*minute <= to; i++ {
		if at := time.Duration(i) * minute; at > from && !math.IsNaN(q.values[i]) {
			out = append(out, sample{at.Seconds(), q.values[i]})
		}
	}
	return out
}

func (x selector) at(s *store, now time.Duration) (out vector) {
	for _, q := range s.choose(x) {
		for i := min(int(now/minute), len(q.values)-1); i >= 0 && time.Duration(i)*minute > now-lookback; i-- {
			if !math.IsNaN(q.values[i]) {
				out = append(out, element{q.of(), q.values[i]})
				break
			}
		}
	}
	return out
}

func (x share) at(s *store, now time.Duration) (out vector) {
	limits := x.limit.at(s, now)
	for _, e := range x.value.at(s, now) {
		for _, l := range limits {
			if l.value > 0 && l.key == e.key {
				out = append(out, element{e.named, e.value / l.value})
			}
		}
	}
	return out
}

// at is Prometheus's extrapolatedRate.
func (x rate) at(s *store, now time.Duration) (out vector) {
	for _, q := range s.choose(x.of) {
		points := q.between(now-x.over, now)
		if len(points) < 2 {
			continue
		}
		first, last := points[0], points[len(points)-1]
		increase := last.value - first.value
		for i := 1; i < len(points); i++ {
			if points[i].value < points[i-1].value {
				increase += points[i-1].value
			}
		}
		sampled := last.at - first.at
		mean := sampled / float64(len(points)-1)
		before, after := first.at-(now-x.over).Seconds(), now.Seconds()-last.at
		if before >= 1.1*mean {
			before = mean / 2
		}
		if increase > 0 && first.value >= 0 {
			before = min(before, sampled*(first.value/increase))
		}
		if after >= 1.1*mean {
			after = mean / 2
		}
		out = append(out, element{q.of(), increase * (sampled + before + after) / sampled / x.over.Seconds()})
	}
	return out
}

func (x compare) at(s *store, now time.Duration) vector {
	return slices.DeleteFunc(x.of.at(s, now), func(e element) bool {
		return x.above != nil && !(e.value > *x.above) || x.below != nil && !(e.value < *x.below)
	})
}

func (x reached) at(s *store, now time.Duration) vector {
	return slices.DeleteFunc(x.of.at(s, now), func(e element) bool {
		if x.falling {
			return !(e.value <= x.limit)
		}
		return !(e.value >= x.limit)
	})
}

// past returns the points of each series of the window.
func (x over) past(s *store, now time.Duration) (all []element, points [][]sample) {
	if sel, ok := x.of.(selector); ok {
		for _, q := range s.choose(sel) {
			if p := q.between(now-x.window, now); len(p) > 0 {
				all, points = append(all, element{named: q.of()}), append(points, p)
			}
		}
		return all, points
	}
	index := map[string]int{}
	from := (now - x.window).Truncate(x.step) // towards zero, before which there is nothing
	for t := from; t <= now; t += x.step {
		if t <= now-x.window {
			continue
		}
		for _, e := range s.cached(x.id, x.of, t) {
			i, ok := index[e.key]
			if !ok {
				i = len(all)
				index[e.key] = i
				all, points = append(all, element{named: e.named}), append(points, nil)
			}
			points[i] = append(points[i], sample{t.Seconds(), e.value})
		}
	}
	return all, points
}

func (x over) at(s *store, now time.Duration) (out vector) {
	now -= x.ago
	all, points := x.past(s, now)
	for i, e := range all {
		p := points[i]
		switch x.fn {
		case "min_over_time", "max_over_time":
			e.value = p[0].value
			for _, y := range p {
				if x.fn == "min_over_time" {
					e.value = min(e.value, y.value)
				} else {
					e.value = max(e.value, y.value)
				}
			}
		case "deriv", "predict_linear":
			if len(p) < 2 {
				continue
			}
			slope, level := regression(p, (now + x.ago).Seconds())
			e.value = slope
			if x.fn == "predict_linear" {
				e.value = level + slope*x.ahead.Seconds()
			}
		}
		out = append(out, e)
	}
	return out
}

// regression is the line of least squares, and its level at a time.
func regression(p []sample, at float64) (slope, level float64) {
	var n, sx, sy, sxy, sxx float64
	constant := true
	for _, y := range p {
		x := y.at - at
		n, sx, sy, sxy, sxx = n+1, sx+x, sy+y.value, sxy+x*y.value, sxx+x*x
		constant = constant && y.value == p[0].value
	}
	if constant {
		return 0, p[0].value
	}
	slope = (sxy - sx*sy/n) / (sxx - sx*sx/n)
	return slope, sy/n - slope*sx/n
}

func (x shifted) at(s *store, now time.Duration) vector { return x.of.at(s, now-x.ago) }

func (x both) at(s *store, now time.Duration) vector {
	out := x.of[0].at(s, now)
	for _, q := range x.of[1:] {
		has := map[string]bool{}
		for _, e := range q.at(s, now) {
			has[x.match(e)] = true
		}
		out = slices.DeleteFunc(out, func(e element) bool { return !has[x.match(e)] })
	}
	return out
}

func (x both) match(e element) string {
	if x.on != nil {
		return e.labels.only(x.on).key()
	}
	return e.key
}

func (x either) at(s *store, now time.Duration) (out vector) {
	has := map[string]bool{}
	for _, q := range x.of {
		for _, e := range q.at(s, now) {
			if !has[e.key] {
				has[e.key] = true
				out = append(out, e)
			}
		}
	}
	return out
}

func (x total) at(s *store, now time.Duration) (out vector) {
	index := map[string]int{}
	for _, e := range x.of.at(s, now) {
		l := name(e.labels.only(x.by))
		i, ok := index[l.key]
		if !ok {
			i = len(out)
			index[l.key] = i
			out = append(out, element{named: l})
		}
		out[i].value += e.value
	}
	return out
}

// active is an alert that is pending or firing.
type active struct {
	element
	since time.Duration // pending
	fires bool
	gone  time.Duration // since when it is kept firing, or -1
}

// fire evaluates an alerting rule each minute up to the end, as Prometheus does, and returns what fires at each.
func (r *generated) fire(s *store, end time.Duration) [][]element {
	alerts := map[string]*active{}
	var out [][]element
	q := rewrite(r.query, func(x selector) selector { return x }) // names subqueries
	if !slices.ContainsFunc(selectors(q), func(x selector) bool { return len(s.choose(x)) > 0 }) {
		return make([][]element, end/minute+1) // nothing that it looks at is there
	}
	for now := time.Duration(0); now <= end; now += minute {
		seen := map[string]bool{}
		for _, e := range q.at(s, now) {
			key := e.key
			seen[key] = true
			a := alerts[key]
			if a == nil {
				a = &active{since: now}
				alerts[key] = a
			}
			a.element, a.gone = e, -1
			a.fires = a.fires || now-a.since >= time.Duration(r.For)
		}
		var firing []element
		for _, key := range slices.Sorted(maps.Keys(alerts)) {
			a := alerts[key]
			if !seen[key] {
				if a.fires && a.gone < 0 {
					a.gone = now
				}
				if !a.fires || now-a.gone >= time.Duration(r.KeepFiringFor) {
					delete(alerts, key)
					continue
				}
			}
			if a.fires {
				firing = append(firing, a.element)
			}
		}
		out = append(out, firing)
	}
	return out
}
