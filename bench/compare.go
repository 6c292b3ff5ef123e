package bench

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/perf/benchmath"
)

// Difference is how one metric of one row changed from one result to another.
type Difference struct {
	Row     string  `json:"row"` // the work and the candidate
	Metric  string  `json:"metric"`
	Unit    string  `json:"unit"`
	Old     float64 `json:"old"` // the medians
	New     float64 `json:"new"`
	Change  float64 `json:"change"` // as a part of the old one: 0.1 is 10 % more
	P       float64 `json:"p"`      // how likely rounds that lie so far apart are when nothing changed
	Verdict Verdict `json:"verdict"`
	Warning string  `json:"warning,omitempty"`
}

// Verdict says whether a change is one.
type Verdict string

// The verdicts.
const (
	Faster  Verdict = "better" // by more than noise
	Slower  Verdict = "worse"
	Noise   Verdict = "noise"      // the rounds overlap too much to tell
	Unknown Verdict = "not proven" // there are too few rounds to tell, or the work is another one
)

// alpha is below which P a change is believed.
const alpha = 0.05

// Comparison is the outcome of comparing two results.
type Comparison struct {
	Differences []Difference `json:"differences"`
	Warnings    []string     `json:"warnings,omitempty"` // why the two are not alike: machine, Go, work
	Missing     []string     `json:"missing,omitempty"`  // rows that only one of them has
}

// plainScan is how the engine looked for literals when results did not tell.
const plainScan = "plain look-ups"

// Compare compares results by the Mann-Whitney test, which asks nothing of how rounds are distributed.
func Compare(old, now *Result) *Comparison {
	c := &Comparison{}
	for _, x := range []struct{ what, a, b string }{
		{"processor", old.Machine.CPU, now.Machine.CPU},
		{"way of looking for literals", cmp.Or(old.Machine.Scan, plainScan), cmp.Or(now.Machine.Scan, plainScan)},
		{"number of cores", fmt.Sprint(old.Machine.Cores), fmt.Sprint(now.Machine.Cores)},
		{"Go", old.Machine.Go, now.Machine.Go},
		{"benchmark", old.Command, now.Command},
	} {
		if x.a != x.b {
			c.Warnings = append(c.Warnings, fmt.Sprintf("the %s is another one: %s, then %s", x.what, x.a, x.b))
		}
	}
	rows := make(map[string]*Row, len(old.Rows))
	for i := range old.Rows {
		rows[old.Rows[i].key()] = &old.Rows[i]
	}
	for i := range now.Rows {
		b := &now.Rows[i]
		a := rows[b.key()]
		if a == nil {
			c.Missing = append(c.Missing, "new: "+b.key())
			continue
		}
		delete(rows, b.key())
		c.compareRows(a, b)
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		c.Missing = append(c.Missing, "gone: "+key)
	}
	return c
}

// key names a row: two rows of one key are about the same thing.
func (r *Row) key() string {
	parts := []string{r.Workload}
	if r.Signatures > 0 {
		parts = append(parts, fmt.Sprintf("%d signatures", r.Signatures))
	}
	for _, k := range slices.Sorted(maps.Keys(r.Settings)) {
		parts = append(parts, k+"="+r.Settings[k])
	}
	return strings.Join(append(parts, r.Candidate), ", ")
}

func (c *Comparison) compareRows(a, b *Row) {
	for i := range b.Metrics {
		y := &b.Metrics[i]
		x := a.Metric(y.Name)
		if x == nil {
			continue
		}
		d := compareMetrics(x, y)
		d.Row = b.key()
		if a.Digest != b.Digest {
			d.Verdict, d.Warning = Unknown, "the work is another one"
		}
		c.Differences = append(c.Differences, d)
	}
}

func compareMetrics(x, y *Metric) Difference {
	d := Difference{Metric: y.Name, Unit: y.Unit, Old: x.Median(), New: y.Median(), P: 1}
	if d.Old != 0 {
		d.Change = d.New/d.Old - 1
	}
	if len(x.Rounds) == 0 || len(y.Rounds) == 0 {
		d.Verdict, d.Warning = Unknown, "there are no rounds"
		return d
	}
	if slices.Equal(x.Rounds, y.Rounds) {
		d.Verdict = Noise
		return d
	}
	t := benchmath.AssumeNothing.Compare(benchmath.NewSample(x.Rounds, &benchmath.DefaultThresholds), benchmath.NewSample(y.Rounds, &benchmath.DefaultThresholds))
	d.P = t.P
	switch {
	case len(x.Rounds) < 4 || len(y.Rounds) < 4:
		d.Verdict, d.Warning = Unknown, "fewer than four rounds can prove nothing"
	case d.P >= alpha || d.Old == d.New:
		d.Verdict = Noise
	case (d.New > d.Old) != y.Less:
		d.Verdict = Faster
	default:
		d.Verdict = Slower
	}
	return d
}

// Worse reports whether anything got worse by more than noise and more than a part, such as 0.05 for 5 %.
func (c *Comparison) Worse(part float64) bool {
	return slices.ContainsFunc(c.Differences, func(d Difference) bool {
		return d.Verdict == Slower && max(d.Change, -d.Change) > part
	})
}

// WriteText writes the comparison for a terminal.
func (c *Comparison) WriteText(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // Flush tells
	for _, x := range c.Warnings {
		line("careful: %s\n", x)
	}
	line("WORK\tMETRIC\tOLD\tNEW\tCHANGE\tP\tVERDICT\n")
	for _, d := range c.Differences {
		verdict := string(d.Verdict)
		if d.Warning != "" {
			verdict += " (" + d.Warning + ")"
		}
		line("%s\t%s\t%s\t%s %s\t%+.1f %%\t%.3f\t%s\n", d.Row, d.Metric, number(d.Old), number(d.New), d.Unit, 100*d.Change, d.P, verdict)
	}
	for _, x := range c.Missing {
		line("%s\n", x)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write comparison: %w", err)
	}
	return nil
}

// number writes a figure with three digits that count.
func number(x float64) string {
	switch a := max(x, -x); {
	case a == 0:
		return "0"
	case a >= 100:
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	case a >= 1:
		return fmt.Sprintf("%.2f", x)
	case a >= 0.001:
		return fmt.Sprintf("%.4f", x)
	}
	return fmt.Sprintf("%.2g", x)
}
