package bench

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

// plot is a chart with logarithmic axes, drawn as SVG of a size that a telephone can show.
type plot struct {
	title, x, y string // what the axes show, with units
	series      []series
	xs          []float64 // where the x axis has marks; nil for powers of ten
	xText       func(float64) string
	dots        bool // no lines between the points
}

// series is one line of a plot.
type series struct {
	name   string
	points []point
}

// point is a value with the span of its rounds; label is told when it is pointed at.
type point struct {
	x, y, least, most float64
	label             string
	big               bool // stands out
}

// The drawing's measures, in the units of its view box.
const (
	plotWidth, plotHeight                    = 360, 260
	plotLeft, plotRight, plotTop, plotBottom = 46, 10, 10, 36
	seriesColours                            = 8 // that the style sheet has
)

// axis maps values to places on a logarithmic scale.
type axis struct{ from, to, start, end float64 }

func newAxis(values []float64, start, end float64) axis {
	a := axis{math.Inf(1), math.Inf(-1), start, end}
	for _, v := range values {
		if v > 0 {
			a.from, a.to = min(a.from, v), max(a.to, v)
		}
	}
	if a.from > a.to {
		a.from, a.to = 1, 10
	}
	if a.from == a.to {
		a.from, a.to = a.from/2, a.to*2
	}
	room := math.Pow(a.to/a.from, 0.06)
	a.from, a.to = a.from/room, a.to*room
	return a
}

func (a *axis) at(v float64) float64 {
	return a.start + (a.end-a.start)*math.Log(max(v, a.from)/a.from)/math.Log(a.to/a.from)
}

// marks are the round numbers on the axis: powers of ten, and when these are few, 2 and 5 times them as well.
func (a *axis) marks() []float64 {
	steps := []float64{1}
	if a.to/a.from < 200 {
		steps = []float64{1, 2, 5}
	}
	var out []float64
	for e := math.Floor(math.Log10(a.from)); e <= math.Ceil(math.Log10(a.to)); e++ {
		for _, s := range steps {
			if v := s * math.Pow(10, e); v >= a.from && v <= a.to {
				out = append(out, v)
			}
		}
	}
	return out
}

// svg draws the plot. All text in it is escaped.
func (p *plot) svg() template.HTML {
	var xs, ys []float64
	for _, s := range p.series {
		for _, x := range s.points {
			xs, ys = append(xs, x.x), append(ys, x.y, x.least, x.most)
		}
	}
	x := newAxis(xs, plotLeft, plotWidth-plotRight)
	y := newAxis(ys, plotHeight-plotBottom, plotTop)
	var b strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) } // a Builder does not fail
	text := template.HTMLEscapeString
	say(`<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, plotWidth, plotHeight, text(p.title))
	for _, v := range y.marks() {
		say(`<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" class="end">%s</text>`, plotLeft, y.at(v), plotWidth-plotRight, plotLeft-5, y.at(v)+3.5, text(short1(v)))
	}
	marks, format := p.xs, p.xText
	if marks == nil {
		marks = x.marks()
	}
	if format == nil {
		format = short1
	}
	for _, v := range marks {
		say(`<path class="grid" d="M%.1f %dV%d"/><text x="%.1f" y="%d" class="middle">%s</text>`, x.at(v), plotTop, plotHeight-plotBottom, x.at(v), plotHeight-plotBottom+14, text(format(v)))
	}
	say(`<text x="%d" y="%d" class="middle axis">%s</text>`, (plotWidth+plotLeft)/2, plotHeight-4, text(p.x))
	for i, s := range p.series {
		say(`<g class="s%d">`, i%seriesColours)
		if !p.dots {
			path := make([]string, len(s.points))
			for k, v := range s.points {
				path[k] = fmt.Sprintf("%.1f %.1f", x.at(v.x), y.at(v.y))
			}
			say(`<path class="line" d="M%s"/>`, strings.Join(path, "L"))
		}
		for _, v := range s.points {
			if v.most > v.least {
				say(`<path class="span" d="M%.1f %.1fV%.1f"/>`, x.at(v.x), y.at(v.least), y.at(v.most))
			}
			size := 3
			if v.big {
				size = 6
			}
			say(`<circle cx="%.1f" cy="%.1f" r="%d"><title>%s</title></circle>`, x.at(v.x), y.at(v.y), size, text(s.name+": "+v.label))
		}
		say(`</g>`)
	}
	say(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // every text in it is escaped above
}

// short1 writes a mark of an axis: 2k, 100k, 1M, 0.01.
func short1(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return fmt.Sprintf("%g", math.Round(v*1e9)/1e9)
}

// plots are the charts of a result.
func (r *Result) plots() []plot {
	var out []plot
	for _, name := range r.workloads() {
		rows := r.of(name)
		for _, draw := range []func(string, []*Row) *plot{throughputPlot, latencyPlot, tradePlot} {
			if p := draw(name, rows); p != nil {
				out = append(out, *p)
			}
		}
	}
	return out
}

// throughputPlot shows throughput against the number of signatures, a line a candidate; nil with fewer than two numbers.
func throughputPlot(name string, rows []*Row) *plot {
	p := &plot{title: name + ": speed by number of signatures", x: "signatures", y: "MB of text a second of processor time"}
	for _, r := range rows {
		m := r.Metric(Throughput)
		if m == nil || r.Signatures == 0 || len(r.Settings) > 0 {
			continue
		}
		i := slices.IndexFunc(p.series, func(s series) bool { return s.name == r.Candidate })
		if i < 0 {
			i = len(p.series)
			p.series = append(p.series, series{name: r.Candidate})
		}
		least, most := m.Span()
		x := float64(r.Signatures)
		p.series[i].points = append(p.series[i].points, point{x: x, y: m.Median(), least: least, most: most, label: fmt.Sprintf("%d signatures, %s %s", r.Signatures, number(m.Median()), m.Unit)})
		if !slices.Contains(p.xs, x) {
			p.xs = append(p.xs, x)
		}
	}
	if len(p.series) == 0 || len(p.xs) < 2 && len(p.series) < 2 {
		return nil
	}
	slices.Sort(p.xs)
	for i := range p.series {
		if s := &p.series[i]; s.name == newlinesName && len(s.points) == 1 { // the limit is the same with any number
			for _, x := range p.xs[1:] {
				same := s.points[0]
				same.x = x
				s.points = append(s.points, same)
			}
		}
	}
	return p
}

// latencyPlot shows the latency up to which a part of the warnings came, the slowest part on the right; nil without latencies.
func latencyPlot(name string, rows []*Row) *plot {
	p := &plot{
		title: name + ": latency distribution", x: "part of the warnings that came sooner", y: "seconds from the intended time of sending",
		xText: func(v float64) string { return fmt.Sprintf("%.6g %%", 100-100/v) },
	}
	for _, r := range rows {
		s := series{name: r.label()}
		for _, q := range r.Latency {
			if q.Part >= 1 {
				continue // the greatest has no place on the scale
			}
			x := 1 / (1 - q.Part)
			s.points = append(s.points, point{x: x, y: q.Seconds, least: q.Seconds, most: q.Seconds, label: fmt.Sprintf("%.6g %% within %s s", 100*q.Part, number(q.Seconds))})
			if k := math.Round(math.Log10(x)*1000) / 1000; k == math.Trunc(k) && !slices.Contains(p.xs, x) {
				p.xs = append(p.xs, x)
			}
		}
		if len(s.points) > 0 {
			p.series = append(p.series, s)
		}
	}
	if len(p.series) == 0 {
		return nil
	}
	return p
}

// tradePlot shows throughput against latency, a dot for each setting that was tried; nil when no row has both.
func tradePlot(name string, rows []*Row) *plot {
	p := &plot{title: name + ": throughput against latency", x: "seconds of latency, p99", y: "records a second", dots: true}
	tried := series{name: "tried"}
	best := series{name: "recommended"}
	for _, r := range rows {
		speed, latency := r.Metric(RecordsRate), r.Metric(LatencyP99)
		if speed == nil || latency == nil || len(r.Settings) == 0 {
			continue
		}
		least, most := speed.Span()
		x := point{x: latency.Median(), y: speed.Median(), least: least, most: most, label: r.label(), big: r.Note == recommended}
		if x.big {
			best.points = append(best.points, x)
		} else {
			tried.points = append(tried.points, x)
		}
	}
	if len(tried.points)+len(best.points) < 2 {
		return nil
	}
	p.series = []series{tried, best}
	return p
}

// recommended is the note of the row that tune recommends.
const recommended = "recommended"

// label names a row within its workload.
func (r *Row) label() string { return strings.TrimPrefix(r.key(), r.Workload+", ") }
