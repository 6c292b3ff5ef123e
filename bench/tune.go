package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is one configuration of the path from records to warnings: what tune varies.
type Setting struct {
	BatchKB    int  // of a batch, in units of 1024 bytes
	Workers    int  // batches that are scanned at once
	Partitions int  // of records
	InFlight   int  // batches that are sent and not stored yet
	Fetch      int  // batches of a partition that are asked for ahead
	Window     int  // batches that are scanned before they are acknowledged together
	Compress   bool // batches travel compressed
}

// settings are the setting as a row of a result has it.
func (s Setting) settings() map[string]string {
	return map[string]string{
		"batch": strconv.Itoa(s.BatchKB) + "k", "workers": strconv.Itoa(s.Workers), "partitions": strconv.Itoa(s.Partitions),
		"in flight": strconv.Itoa(s.InFlight), "fetch": strconv.Itoa(s.Fetch), "window": strconv.Itoa(s.Window), "compress": strconv.FormatBool(s.Compress),
	}
}

// Drive runs the pipeline once with a setting: at a rate of records a second, or as fast as it can when that is 0. It returns how many records a
// second came through and, at a rate, how long warnings took.
type Drive func(ctx context.Context, s Setting, rate float64) (recordsPerSecond float64, latency []Quantile, err error)

// errUnfit is what the error of a Drive wraps when the setting itself is no good: tune tells it, and goes on without that setting.
var errUnfit = errors.New("the setting is unfit")

// TuneOptions say what Tune looks for. A zero field means its default.
type TuneOptions struct {
	Start  Setting
	Cores  int           // of the machine; workers are tried up to twice as many
	Rate   float64       // records a second at which latency is measured; half of what the start can carry when 0
	Limit  time.Duration // the p99 that a recommended setting keeps; 25 ms when 0
	Rounds int           // of each setting; 3 when 0
	// Within is when the search ends with the best so far; 0 is never. The setting under way is measured to its end.
	Within time.Duration
	Tell   func(string, ...any)
}

// Tuned is what Tune found.
type Tuned struct {
	Rows        []Row   // a row a setting that was tried; the recommended one is noted
	Recommended Setting // the fastest that keeps the limit, or the one with the least p99 when none does
	Start       Setting
	Kept        bool // the recommended one keeps the limit
	Rate        float64
	Limit       time.Duration
	Cut         bool // TuneOptions.Within ended the search: there may be a better one
}

// knob is one thing that tune turns.
type knob struct {
	name   string
	values []int
	turn   func(s *Setting, value int)
}

func knobs(cores int) []knob {
	workers := []int{1}
	for n := 2; n <= 2*cores; n *= 2 {
		workers = append(workers, n)
	}
	return []knob{
		{"batch size", []int{32, 128, 256, 512}, func(s *Setting, n int) { s.BatchKB = n }},
		{"workers", workers, func(s *Setting, n int) { s.Workers = n }},
		{"partitions", []int{1, 2, 4, 8}, func(s *Setting, n int) { s.Partitions = n }},
		{"in flight", []int{16, 64, 256}, func(s *Setting, n int) { s.InFlight = n }},
		{"fetch", []int{4, 16, 32, 128}, func(s *Setting, n int) { s.Fetch = n }},
		{"window", []int{8, 32, 64, 256}, func(s *Setting, n int) { s.Window = n }},
		{"compression", []int{0, 1}, func(s *Setting, n int) { s.Compress = n == 1 }},
	}
}

// trial is a setting with what its rounds gave.
type trial struct {
	setting Setting
	speed   Metric
	p99     Metric
	curve   []Quantile
}

// keeps reports whether the trial keeps the limit.
func (t *trial) keeps(limit time.Duration) bool { return t.p99.Median() <= limit.Seconds() }

// better reports whether t is to be preferred to u: one that keeps the limit to one that does not, then the faster one; and when none keeps it, the
// one with the shorter latency. A difference of less than 3 % is none.
func (t *trial) better(u *trial, limit time.Duration) bool {
	if t.keeps(limit) != u.keeps(limit) {
		return t.keeps(limit)
	}
	if t.keeps(limit) {
		return t.speed.Median() > 1.03*u.speed.Median()
	}
	return t.p99.Median() < 0.97*u.p99.Median()
}

// Tune turns one knob after the other, each from the best setting so far, and measures throughput at full speed and latency at a rate.
func Tune(ctx context.Context, drive Drive, o TuneOptions) (*Tuned, error) {
	o.Cores, o.Rounds, o.Limit = max(1, o.Cores), cmp.Or(o.Rounds, 3), cmp.Or(o.Limit, 25*time.Millisecond)
	if o.Start == (Setting{}) {
		o.Start = Setting{BatchKB: 256, Workers: o.Cores, Partitions: 4, InFlight: 256, Fetch: 32, Window: 64}
	}
	if o.Tell == nil {
		o.Tell = func(string, ...any) {}
	}
	if o.Rate == 0 {
		full, _, err := drive(ctx, o.Start, 0)
		if err != nil {
			return nil, fmt.Errorf("run the pipeline at full speed: %w", err)
		}
		o.Rate = full / 2
		o.Tell("%.0f records a second at full speed: latency is measured at half of that", full)
	}
	x := search{o: &o, drive: drive, began: time.Now()}
	var err error
	if x.best, err = x.try(ctx, o.Start); err != nil {
		return nil, err
	}
	for before := (*trial)(nil); before != x.best && !x.cut; { // a knob may want another turn when later ones have turned
		before = x.best
		for _, k := range knobs(o.Cores) {
			if err := x.turn(ctx, k); err != nil {
				return nil, err
			}
		}
	}
	if x.cut {
		o.Tell("%v are over: the best so far is taken", o.Within)
	}
	return x.found(), nil
}

// search is what Tune knows so far.
type search struct {
	o     *TuneOptions
	drive Drive
	began time.Time
	tried []*trial
	best  *trial
	cut   bool
}

// turn tries the values of a knob, from the best setting so far.
func (x *search) turn(ctx context.Context, k knob) error {
	from := x.best.setting
	for _, v := range k.values {
		if x.cut = x.o.Within > 0 && time.Since(x.began) > x.o.Within; x.cut {
			return nil
		}
		s := from
		k.turn(&s, v)
		t, err := x.try(ctx, s)
		if errors.Is(err, errUnfit) {
			x.o.Tell("%v", err)
			continue
		}
		if err != nil {
			return err
		}
		if t.better(x.best, x.o.Limit) {
			x.best = t
		}
	}
	return nil
}

// try measures a setting that was not tried before.
func (x *search) try(ctx context.Context, s Setting) (*trial, error) {
	if i := slices.IndexFunc(x.tried, func(t *trial) bool { return t.setting == s }); i >= 0 {
		return x.tried[i], nil
	}
	t, err := x.o.try(ctx, x.drive, s)
	if err == nil {
		x.tried = append(x.tried, t)
	}
	return t, err
}

// found makes the result.
func (x *search) found() *Tuned {
	out := &Tuned{
		Recommended: x.best.setting, Start: x.o.Start, Kept: x.best.keeps(x.o.Limit), Rate: x.o.Rate, Limit: x.o.Limit, Cut: x.cut,
	}
	for _, t := range x.tried {
		row := Row{Workload: "tune", Candidate: engineName, Settings: t.setting.settings(), Metrics: []Metric{t.speed, t.p99}}
		if t == x.best {
			row.Note, row.Latency = recommended, t.curve
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// try measures one setting.
func (o *TuneOptions) try(ctx context.Context, drive Drive, s Setting) (*trial, error) {
	t := &trial{setting: s, speed: Metric{Name: RecordsRate, Unit: "records/s"}, p99: Metric{Name: LatencyP99, Unit: "s", Less: true}}
	for range o.Rounds {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		speed, _, err := drive(ctx, s, 0)
		if err != nil {
			return nil, fmt.Errorf("run the pipeline at full speed with %v: %w", s, err)
		}
		_, latency, err := drive(ctx, s, o.Rate)
		if err != nil {
			return nil, fmt.Errorf("run the pipeline at %.0f records a second with %v: %w", o.Rate, s, err)
		}
		i := slices.IndexFunc(latency, func(q Quantile) bool { return q.Part >= 0.99 })
		if i < 0 {
			return nil, fmt.Errorf("run the pipeline with %v: it gave no latency: send for longer", s)
		}
		t.speed.Rounds, t.p99.Rounds, t.curve = append(t.speed.Rounds, speed), append(t.p99.Rounds, latency[i].Seconds), latency
	}
	o.Tell("%v: %.0f records/s, p99 %.1f ms", s, t.speed.Median(), 1000*t.p99.Median())
	return t, nil
}

// String is the setting in words.
func (s Setting) String() string {
	x := fmt.Sprintf("batches of %d KB, %d workers, %d partitions, %d in flight, fetch %d, window %d", s.BatchKB, s.Workers, s.Partitions, s.InFlight, s.Fetch, s.Window)
	if s.Compress {
		x += ", compressed"
	}
	return x
}

// Config is the recommended setting as a configuration for forewarn run -c.
func (t *Tuned) Config() string {
	s := t.Recommended
	text := fmt.Sprintf("# Written by forewarn bench tune: %v.\n", s)
	if t.Cut {
		text += "# The search was ended before all settings were tried.\n"
	}
	if !t.Kept {
		text += fmt.Sprintf("# No setting kept a p99 of %v at %.0f records a second; this one came nearest.\n", t.Limit, t.Rate)
	}
	return text + fmt.Sprintf("send: {batch_kb: %d, compress: %t, in_flight: %d}\nmatch: {workers: %d, fetch: %d, window: %d}\nnats:\n  record_partitions: %d # fixed when the streams are made\n",
		s.BatchKB, s.Compress, s.InFlight, s.Workers, s.Fetch, s.Window, s.Partitions)
}

// The drawing on a terminal, in characters.
const drawWidth, drawHeight = 64, 16

// WriteChart draws what was tried on a terminal: throughput upwards, latency to the right, both logarithmic.
func (t *Tuned) WriteChart(to io.Writer) error {
	p := tradePlot("tune", rowPointers(t.Rows))
	if p == nil {
		return nil
	}
	var xs, ys []float64
	for _, s := range p.series {
		for _, v := range s.points {
			xs, ys = append(xs, v.x), append(ys, v.y)
		}
	}
	x, y := newAxis(xs, 0, drawWidth-1), newAxis(ys, drawHeight-1, 0)
	grid := make([][]rune, drawHeight)
	for i := range grid {
		grid[i] = []rune(strings.Repeat(" ", drawWidth))
	}
	for i, s := range p.series {
		for _, v := range s.points {
			grid[int(y.at(v.y)+.5)][int(x.at(v.x)+.5)] = []rune{'·', '◆'}[i]
		}
	}
	var b strings.Builder
	b.WriteString("records a second (· tried, ◆ recommended)\n")
	for i, line := range grid {
		label := ""
		switch i {
		case 0:
			label = short1(round2(y.to))
		case drawHeight - 1:
			label = short1(round2(y.from))
		}
		fmt.Fprintf(&b, "%8s │%s\n", label, strings.TrimRight(string(line), " "))
	}
	from, end := fmt.Sprintf("%.1f ms", 1000*x.from), fmt.Sprintf("%.1f ms p99", 1000*x.to)
	fmt.Fprintf(&b, "%8s └%s\n%10s%s%*s\n", "", strings.Repeat("─", drawWidth), "", from, drawWidth-len(from), end)
	if _, err := io.WriteString(to, b.String()); err != nil {
		return fmt.Errorf("write chart: %w", err)
	}
	return nil
}

// round2 keeps two digits of a number.
func round2(v float64) float64 {
	x, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 2, 64), 64)
	if err != nil {
		return v
	}
	return x
}

func rowPointers(rows []Row) []*Row {
	out := make([]*Row, len(rows))
	for i := range rows {
		out[i] = &rows[i]
	}
	return out
}
