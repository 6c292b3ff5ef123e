package matcher_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// witness is what had been heard of a case when a plan stopped.
type witness struct {
	records  []heard
	history  []moment
	lateness int64
}

// heard is a record as it counts: one that came behind the horizon counts as if it came at it.
type heard struct {
	record       record.Record
	source       string
	late, moment int
	own          int64 // its own time, when record.Time is the horizon
}

// witness goes through the arrivals of a plan with nothing but README.md's words on marks.
func (c *foldCase) witness(p plan) *witness {
	w := &witness{lateness: c.lateness, history: []moment{{horizon: math.MinInt64}}}
	sources := map[string]life{}
	taken := map[string]bool{}
	for i, a := range c.arrivals(p) {
		last := &w.history[len(w.history)-1]
		if a.record == nil {
			m := a.mark
			sources[m.Source] = life{source: m.Source, kinds: m.Kinds, scope: m.Scope, mark: m.Time, ended: m.Ended}
			w.history = append(w.history, moment{max(c.horizon(sources), last.horizon), slices.SortedFunc(maps.Values(sources), func(a, b life) int { return cmp.Compare(a.source, b.source) })})
			continue
		}
		if id := a.source + fmt.Sprint(a.record.ID); !taken[id] {
			taken[id] = true
		} else {
			continue
		}
		h := heard{record: *a.record, source: a.source}
		if h.record.Time <= last.horizon {
			h.own, h.record.Time, h.late, h.moment = h.record.Time, last.horizon, i+1, len(w.history)-1
		}
		w.records = append(w.records, h)
	}
	return w
}

// tooOld returns the roles for which a record that is so late is too old: those whose window is shorter. Holds have no say in it.
func tooOld(sig *signatures.Signature, lateBy int64) (roles uint64) {
	old := func(role int, when *signatures.Condition, within signatures.Duration) {
		if within > 0 && int64(within) < lateBy && (when.Change == nil || when.Change.For == 0) {
			roles |= 1 << role
		}
	}
	for i := range sig.Stages {
		old(i, &sig.Stages[i].When, sig.Stages[i].Within)
	}
	if sig.Incident != nil {
		old(matcher.RoleIncident, &sig.Incident.When, sig.Incident.Within)
	}
	return roles
}

// horizon is the least mark of those who are neither silent nor ended, less the lateness.
func (c *foldCase) horizon(sources map[string]life) int64 {
	newest := int64(math.MinInt64)
	for _, l := range sources {
		if !l.ended {
			newest = max(newest, l.mark)
		}
	}
	watermark := int64(math.MaxInt64)
	for _, l := range sources {
		if !l.ended && l.mark >= newest-c.silentAfter {
			watermark = min(watermark, l.mark)
		}
	}
	return watermark - c.lateness
}

// oracleWarnings folds what was heard: the episodes of each signature and key, as text.
func oracleWarnings(sigs []*signatures.Signature, w *witness, untold bool) map[string][]string {
	warnings := map[string][]string{}
	for _, sig := range sigs {
		type progress struct {
			key  []record.Attr
			seen []observation
		}
		keys := map[string]*progress{}
		for i := range w.records {
			r := &w.records[i]
			on, off := naiveRoles(sig, &r.record)
			if r.late > 0 {
				on &^= tooOld(sig, r.record.Time-r.own)
			}
			if on|off == 0 {
				continue
			}
			key := naiveKey(sig.By, &r.record, r.source)
			text := keyText(key)
			if keys[text] == nil {
				keys[text] = &progress{key: key}
			}
			keys[text].seen = append(keys[text].seen, observation{source: r.source, on: on, off: off, record: &r.record, late: r.late, moment: r.moment})
		}
		for text, p := range keys {
			for _, o := range fold(sig, p.key, p.seen, w.history, w.lateness) {
				if o.told || untold {
					name := sig.ID + " " + text
					warnings[name] = append(warnings[name], o.String())
				}
			}
		}
	}
	return warnings
}

// arrival is one thing that a matching process hears: a record or a mark.
type arrival struct {
	wall   int64
	order  uint64 // among those of one moment
	record *record.Record
	source string // of the record
	mark   matcher.Mark
}

// arrivals lays a case out in an order that the lateness allows: a record comes before any source can have marked its time
// and the lateness. How long each takes depends on it and the seed only, so that leaving one out moves no other.
func (c *foldCase) arrivals(p plan) []arrival {
	seed := p.seed
	var list []arrival
	for i := range c.records {
		r := &c.records[i]
		d := newDice(seed ^ r.record.ID)
		inTime := func() int64 { return r.record.Time + d.Int64N(c.lateness/second)*second }
		if seed == inOrder {
			list = append(list, arrival{wall: r.record.Time, order: uint64(i), record: &r.record, source: r.source})
			continue
		}
		a := arrival{wall: inTime(), order: d.Uint64(), record: &r.record, source: r.source}
		if d.chance(p.late) {
			a.wall += d.Int64N(60) * second
		}
		list = append(list, a)
		for range r.copies {
			a := arrival{wall: inTime(), order: d.Uint64(), record: &r.record, source: cmp.Or(r.twin, r.source)}
			if r.twin == "" && d.chance(50) {
				a.wall += d.Int64N(200) * second
			}
			list = append(list, a)
		}
	}
	for _, l := range c.sources {
		d := newDice(seed ^ record.Identity(l.source))
		m := matcher.Mark{Source: l.source, Kinds: l.kinds, Scope: l.scope}
		wall := start - second
		for m.Time = min(wall, l.mark); ; m.Time = min(m.Time+(d.Int64N(20)+1)*second, l.mark) {
			order := d.Uint64()
			if m.Time < start { // everyone is known from the beginning
				order = 0
			} else {
				wall = max(wall, m.Time+d.Int64N(5)*second)
			}
			m.Ended = l.ended && m.Time == l.mark
			if l.away < m.Time && m.Time < l.back && m.Time < l.mark {
				continue
			}
			list = append(list, arrival{wall: wall, order: order, mark: m})
			if m.Time == l.mark {
				break
			}
		}
	}
	slices.SortStableFunc(list, func(a, b arrival) int { return cmp.Or(cmp.Compare(a.wall, b.wall), cmp.Compare(a.order, b.order)) })
	for _, l := range c.sources { // one source's marks overtake each other never
		var places []int
		var marks []matcher.Mark
		for i := range list {
			if list[i].mark.Source == l.source {
				places, marks = append(places, i), append(marks, list[i].mark)
			}
		}
		slices.SortFunc(marks, func(a, b matcher.Mark) int { return cmp.Compare(a.Time, b.Time) })
		for i, place := range places {
			list[place].mark = marks[i]
		}
	}
	if p.stop > 0 {
		list = list[:len(list)*p.stop/100]
	}
	return list
}

// inOrder is the seed of the arrangement in which nothing is late and nothing comes twice.
const inOrder = 0

func TestOracleGivesWhatWasWorkedOutByHand(t *testing.T) {
	t.Parallel()
	for _, c := range specCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := c.foldCase(t)
			var got []string
			for _, list := range oracleWarnings(f.signatures, f.witness(plan{}), true) {
				got = append(got, list...)
			}
			require.Equal(t, c.want, got)
		})
	}
}

// minimise makes a failing case small: fewer records, sources and signatures, then signatures with fewer features.
func minimise(c *foldCase, fails func(*foldCase) bool) *foldCase {
	for smallerStill := true; smallerStill; {
		smallerStill = false
		try := func(change func(*foldCase)) bool {
			n := *c
			n.records, n.sources, n.signatures = slices.Clone(c.records), slices.Clone(c.sources), slices.Clone(c.signatures)
			change(&n)
			if !fails(&n) {
				return false
			}
			c, smallerStill = &n, true
			return true
		}
		for i := len(c.signatures) - 1; i >= 0 && len(c.signatures) > 1; i-- {
			try(func(n *foldCase) { n.signatures = slices.Delete(n.signatures, i, i+1) })
		}
		for size := max(len(c.records)/2, 1); size > 0; size /= 2 {
			for i := len(c.records) - size; i >= 0; i -= size {
				if i+size <= len(c.records) {
					try(func(n *foldCase) { n.records = slices.Delete(n.records, i, i+size) })
				}
			}
		}
		for i := len(c.sources) - 1; i > 0; i-- {
			name := c.sources[i].source
			try(func(n *foldCase) {
				n.sources = slices.Delete(n.sources, i, i+1)
				n.records = slices.DeleteFunc(n.records, func(r sourced) bool { return r.source == name })
			})
		}
		for i := range c.records {
			if c.records[i].copies > 0 {
				try(func(n *foldCase) { n.records[i].copies = 0 })
			}
		}
		for i := range c.signatures {
			for _, s := range smaller(c.signatures[i]) {
				try(func(n *foldCase) { n.signatures[i] = s })
			}
		}
	}
	return c
}

// String writes a case for a person who has to understand it.
func (c *foldCase) String() string {
	var b strings.Builder
	for _, s := range c.signatures {
		text, err := yaml.Marshal(s)
		if err != nil {
			text = []byte(err.Error())
		}
		b.Write(text)
	}
	at := func(t int64) float64 { return time.Duration(t - start).Seconds() }
	fmt.Fprintf(&b, "lateness %s, silent after %s\n", time.Duration(c.lateness), time.Duration(c.silentAfter))
	for _, l := range c.sources {
		fmt.Fprintf(&b, "source %s kinds %05b scope %v last mark %g ended %t\n", l.source, l.kinds>>1, l.scope, at(l.mark), l.ended)
	}
	for _, r := range slices.SortedFunc(slices.Values(c.records), func(a, b sourced) int { return cmp.Compare(a.record.Time, b.record.Time) }) {
		fmt.Fprintf(&b, "%6g %s %s seq %d id %016x count %d value %g copies %d %s", at(r.record.Time), r.source, r.record.Kind, r.record.Seq, r.record.ID, r.record.Count, r.record.Value, r.copies, r.twin)
		for _, a := range r.record.Attrs {
			fmt.Fprintf(&b, " %s=%s", a.Key[strings.LastIndexByte(a.Key, '.')+1:], a.Value)
		}
		fmt.Fprintf(&b, " %q\n", r.record.Text)
	}
	return b.String()
}

// plans are the ways in which a case is run: two of them, or every one.
func plans(seed uint64, every bool) []plan {
	d := newDice(^seed)
	list := []plan{
		{name: "in order", seed: inOrder, partitions: 1, batch: 1},
		{name: "shuffled", seed: d.Uint64() | 1, partitions: 3, batch: d.IntN(20) + 1},
		{name: "with crashes", seed: d.Uint64() | 1, partitions: 8, batch: d.IntN(10) + 1, crashes: 30},
		{name: "stopped", seed: d.Uint64() | 1, partitions: pick(d, 1, 3, 8), batch: d.IntN(10) + 1, stop: d.IntN(100) + 1},
		{name: "late", seed: d.Uint64() | 1, partitions: 3, batch: d.IntN(10) + 1, crashes: 10, late: 30},
	}
	if every {
		return list
	}
	d.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:2]
}

// differs runs a case by a plan and says how it disagrees with the oracle, or "".
func differs(c *foldCase, p plan) string {
	made, err := c.prepare()
	if err != nil {
		return err.Error()
	}
	return made.differs(c, p)
}

func (m *prepared) differs(c *foldCase, p plan) string {
	got, err := m.run(c, p)
	if err != nil {
		return err.Error()
	}
	want := oracleWarnings(c.signatures, c.witness(p), false)
	for _, list := range want {
		slices.Sort(list)
	}
	if maps.EqualFunc(want, got, slices.Equal) {
		return ""
	}
	var b strings.Builder
	names := slices.Sorted(maps.Keys(want))
	for name := range got {
		if want[name] == nil {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if !slices.Equal(want[name], got[name]) {
			fmt.Fprintf(&b, "%s\n  oracle  %s\n  tracker %s\n", name, strings.Join(want[name], "\n          "), strings.Join(got[name], "\n          "))
		}
	}
	return b.String()
}

// disagreement runs a case in every way, and makes a case small that fails in one.
func disagreement(c *foldCase, ways []plan) string {
	made, err := c.prepare()
	if err != nil {
		return err.Error()
	}
	for _, p := range ways {
		if made.differs(c, p) == "" {
			continue
		}
		small := minimise(c, func(n *foldCase) bool { return differs(n, p) != "" })
		text := fmt.Sprintf("%s: %+v\n%s", p.name, p, small)
		if p.seed != inOrder {
			text += "arrivals:"
			for _, a := range small.arrivals(p) {
				if a.record != nil {
					text += fmt.Sprintf(" %g", time.Duration(a.record.Time-start).Seconds())
				} else {
					text += fmt.Sprintf(" %s=%g", a.mark.Source, time.Duration(a.mark.Time-start).Seconds())
				}
			}
			text += "\n"
		}
		return text + differs(small, p)
	}
	return ""
}

func TestTrackerAgreesWithOracle(t *testing.T) {
	t.Parallel()
	eachCase(t, func(seed uint64) string { return disagreement(newDice(seed).foldCase(), plans(seed, false)) })
}

func TestTrackerGivesWhatWasWorkedOutByHand(t *testing.T) {
	t.Parallel()
	for _, c := range specCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, disagreement(c.foldCase(t), plans(1, true)))
		})
	}
}

func FuzzFold(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("a signature, some records and the lives of their sources"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := dice{rand.New(&byteSource{bytes: b})}
		c := d.foldCase()
		require.Empty(t, disagreement(c, plans(d.Uint64(), false)))
	})
}
