package prometheus

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// limitLife is how long a limit is believed after its last sample, as in the matcher: what a signature's test tells once, an exporter says at
// each scrape.
const limitLife = 24 * time.Hour

// topology are the labels under which exporters tell what a collector's attributes say.
var topology = map[string]string{
	record.Namespace: "namespace", record.Pod: "pod", record.Container: "container", record.Node: "node", record.VolumeClaim: "persistentvolumeclaim",
	record.Cluster: "cluster",
}

// measure makes the series that an exporter would have shown in a test, for the metrics of a query. A value holds from its sample to the next,
// unless that is later than a gap which ends a run in the matcher.
func measure(t *signatures.Test, of []selector, limits []string, wait time.Duration) (*store, time.Duration, error) {
	start := time.Unix(0, 0).UTC()
	records, err := t.Build(start)
	if err != nil {
		return nil, 0, err
	}
	type point struct {
		at    time.Duration
		value float64
	}
	points := map[string][]point{}
	known := map[string]labels{}
	end := time.Duration(t.Until)
	for i := range records {
		r := &records[i]
		end = max(end, r.When().Sub(start))
		if r.Kind != record.Sample || !slices.ContainsFunc(of, func(x selector) bool { return x.metric == r.Attrs.Value(record.MetricName) }) {
			continue
		}
		l := labels{"__name__": r.Attrs.Value(record.MetricName)}
		for _, a := range r.Attrs {
			if name, ok := strings.CutPrefix(a.Key, record.LabelPrefix); ok {
				l[name] = a.Value
			} else if name, ok := topology[a.Key]; ok {
				l[name] = a.Value
			}
		}
		key := l.key()
		known[key] = l
		points[key] = append(points[key], point{r.When().Sub(start), r.Value})
	}
	end = (end + minute - 1).Truncate(minute)
	out := &store{}
	for key, list := range points {
		slices.SortStableFunc(list, func(a, b point) int { return int(a.at - b.at) })
		gap := max(wait, lookback)
		if slices.Contains(limits, known[key]["__name__"]) {
			gap = limitLife
		}
		q := sequence{labels: known[key], values: make([]float64, end/minute+1)}
		next := 0
		for i := range q.values {
			now := time.Duration(i) * minute
			for next < len(list) && list[next].at <= now {
				next++
			}
			q.values[i] = math.NaN()
			if next == 0 {
				continue
			}
			last := list[next-1]
			goesOn := next < len(list) && list[next].at-last.at <= gap
			if now-last.at < minute || goesOn || slices.Contains(limits, known[key]["__name__"]) && now-last.at <= gap {
				q.values[i] = last.value
			}
		}
		out.series = append(out.series, q)
	}
	slices.SortFunc(out.series, func(a, b sequence) int { return strings.Compare(a.labels.key(), b.labels.key()) })
	return out, end, nil
}

// String is the series as promtool writes its name.
func (q *sequence) String() string {
	x := selector{metric: q.labels["__name__"]}
	for _, name := range sortedNames(q.labels.unnamed()) {
		x.matchers = append(x.matchers, labelMatcher{name, "=", q.labels[name]})
	}
	return x.bare()
}

// notation is the values as promtool writes them: runs of equal values and of none are put together.
func (q *sequence) notation() string {
	var b strings.Builder
	for i := 0; i < len(q.values); {
		j := i + 1
		for j < len(q.values) && (q.values[j] == q.values[i] || math.IsNaN(q.values[j]) && math.IsNaN(q.values[i])) {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		switch {
		case math.IsNaN(q.values[i]) && j == len(q.values):
			b.WriteString("_") // nothing is said of what follows
		case math.IsNaN(q.values[i]):
			b.WriteString("_x" + strconv.Itoa(j-i))
		case j-i == 1:
			b.WriteString(number(q.values[i]))
		default:
			b.WriteString(number(q.values[i]) + "x" + strconv.Itoa(j-i-1))
		}
		i = j
	}
	return b.String()
}
