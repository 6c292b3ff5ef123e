package matcher_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Random signatures and records out of vocabularies so small that everything meets everything: few values, few keys, times
// that tie, durations that end together.

const (
	second = int64(time.Second)
	start  = 1_700_000_000 * second
	all    = 1<<record.Event | 1<<record.Log | 1<<record.Change | 1<<record.Sample | 1<<record.Alert
)

// dice is the only source of chance.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))} }

// byteSource gives a fuzzer's bytes as random numbers; when they are used up it goes on with a fixed sequence.
type byteSource struct {
	bytes []byte
	rest  rand.PCG
}

func (s *byteSource) Uint64() uint64 {
	if len(s.bytes) == 0 {
		return s.rest.Uint64()
	}
	var b [8]byte
	n := copy(b[6:], s.bytes) // few bytes a number, in its high bits, which are the ones that IntN looks at
	s.bytes = s.bytes[n:]
	return binary.LittleEndian.Uint64(b[:])
}

func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

func pick[T any](d dice, list ...T) T { return list[d.IntN(len(list))] }

func (d dice) seconds(list ...int) signatures.Duration {
	return signatures.Duration(int64(pick(d, list...)) * second)
}

// some returns a random non-empty part of a list.
func some[T any](d dice, list ...T) []T {
	var out []T
	for _, x := range list {
		if d.chance(40) {
			out = append(out, x)
		}
	}
	if len(out) == 0 {
		return []T{pick(d, list...)}
	}
	return out
}

// foldCase is everything that decides the warnings: what arrives when is not part of it.
type foldCase struct {
	signatures  []*signatures.Signature
	sources     []life
	records     []sourced
	lateness    int64
	silentAfter int64
	end         int64 // the last mark of the sources that live
}

type sourced struct {
	source string
	copies int    // how often it arrives again
	twin   string // the source from which it arrives again; its own when empty
	record record.Record
}

func (d dice) foldCase() *foldCase {
	c := &foldCase{lateness: int64(d.IntN(20)+1) * second, silentAfter: 40 * second}
	for i := range pick(d, 1, 1, 2, 3) {
		c.signatures = append(c.signatures, d.signature(i))
	}
	span := pick(d, 20, 60, 150)
	c.end = start + int64(span)*second + pick(d, int64(d.IntN(30))*second, 400*second, 400*second, 400*second)
	c.sources = append(c.sources, life{source: "live", kinds: all, mark: c.end})
	if d.chance(15) { // nobody but the sources below gives some of the kinds
		c.sources[0].kinds = pick[uint8](d, 1<<record.Event, all&^(1<<record.Change), all&^(1<<record.Event))
	}
	for i := range d.IntN(3) {
		l := life{source: fmt.Sprintf("s%d", i), kinds: pick[uint8](d, all, 1<<record.Event, 1<<record.Change|1<<record.Sample, all), mark: c.end}
		if d.chance(40) {
			l.scope = record.NewAttrs(map[string]string{pick(d, record.Node, record.Namespace, record.Pod): pick(d, "n0", "p0", "p1")})
		}
		if d.chance(35) {
			l.mark = start + int64(d.IntN(span+20))*second
			l.ended = d.chance(40)
		} else if d.chance(20) {
			l.away = start + int64(d.IntN(span))*second
			l.back = l.away + c.silentAfter + int64(d.IntN(100))*second
		}
		c.sources = append(c.sources, l)
	}
	for i := range pick(d, 3, 8, 20, 40, 60) {
		source := pick(d, c.sources...)
		twin := pick(d, c.sources...)
		if r := d.record(i, span, source); r.record.Time <= source.mark+3*second {
			if d.chance(30) {
				r.twin = twin.source
			}
			c.records = append(c.records, r)
		}
	}
	if d.chance(10) { // a long time in which nothing happens
		from, gap := start+int64(d.IntN(span))*second, int64(300+d.IntN(60))*second
		later := func(t int64) int64 {
			if t > from {
				return t + gap
			}
			return t
		}
		c.end = later(c.end)
		for i := range c.records {
			c.records[i].record.Time = later(c.records[i].record.Time)
		}
		for i := range c.sources {
			c.sources[i].mark = later(c.sources[i].mark)
		}
	}
	return c
}

func (d dice) signature(i int) *signatures.Signature {
	s := &signatures.Signature{
		ID: fmt.Sprintf("case-%d", i), Title: "A case", Severity: signatures.High,
		By: pick(d, signatures.Key{"pod"}, signatures.Key{"node"}, signatures.Key{"namespace"}, signatures.Key{"cluster"}, signatures.Key{"stream"},
			signatures.Key{"namespace", "node"}, signatures.Key{record.Component}),
	}
	n := pick(d, 1, 2, 2, 3, 3, 4)
	if d.chance(40) {
		s.Order = signatures.Any
		if d.chance(50) {
			s.Need = d.IntN(n) + 1
		}
		if d.chance(50) {
			s.Within = d.seconds(3, 8, 20, 40)
		}
	}
	for j := range n {
		st := signatures.Stage{Name: fmt.Sprintf("s%d", j), When: d.rungCondition()}
		st.Count, st.Distinct, st.Within = d.amount()
		if j > 0 && s.Order != signatures.Any && d.chance(40) {
			st.FollowsWithin = d.seconds(1, 5, 10, 20)
		}
		s.Stages = append(s.Stages, st)
	}
	if d.chance(30) {
		s.Tell = s.Stages[d.IntN(n)].Name
	}
	if d.chance(65) {
		in := &signatures.Incident{When: d.rungCondition()}
		in.Count, in.Distinct, in.Within = d.amount()
		s.Incident = in
	}
	if d.chance(40) {
		for range pick(d, 1, 1, 2, 3) {
			u := signatures.Unless{When: d.condition(), Slide: d.seconds(-20, -10, -5, -1, 0, 0, 0, 1, 5), Window: d.seconds(0, 1, 5, 10, 20)}
			u.Window = max(u.Window, signatures.Duration(second))
			if d.chance(60) {
				u.Anchor = s.Stages[d.IntN(n)].Name
			}
			s.Unless = append(s.Unless, u)
		}
	}
	if d.chance(60) {
		when := d.condition()
		s.Clear.When = &when
		if d.chance(50) {
			s.Clear.For = d.seconds(1, 5, 10, 20)
		}
	}
	if s.Clear.When == nil || d.chance(50) {
		s.Clear.Quiet = d.seconds(3, 5, 10, 20, 30)
	}
	if d.chance(70) {
		s.Expire = max(d.seconds(5, 20, 30, 60), s.Clear.Quiet)
	}
	return s
}

func (d dice) amount() (count int, distinct *signatures.Distinct, within signatures.Duration) {
	if d.chance(30) {
		count, within = d.IntN(3)+2, d.seconds(2, 5, 10, 20)
	}
	if d.chance(12) {
		distinct, within = &signatures.Distinct{Of: pick(d, signatures.Key{"node"}, signatures.Key{record.Pod}), Count: 2}, d.seconds(5, 10, 20)
	}
	if within == 0 && d.chance(10) {
		within = d.seconds(5, 10)
	}
	return count, distinct, within
}

func is(words ...string) signatures.Match { return signatures.Match{Equals: words} }

// rungCondition may need a history.
func (d dice) rungCondition() signatures.Condition {
	switch n := d.IntN(100); {
	case n < 12:
		c := signatures.ChangeCondition{Kind: is("Pod"), Path: pick(d, "phase", "ready[*].status"), To: is(some(d, "A", "B", "C")...), For: d.seconds(1, 5, 10, 20)}
		if d.chance(20) {
			c.To = signatures.Match{Not: []string{pick(d, "A", "B")}}
		}
		if d.chance(20) {
			c.From = is(some(d, "A", "B", "C")...)
		}
		return signatures.Condition{Change: &c}
	case n < 27:
		return signatures.Condition{Sample: d.sample()}
	}
	return d.condition()
}

func (d dice) sample() *signatures.SampleCondition {
	c := &signatures.SampleCondition{Metric: pick(d, "m0", "m1")}
	if d.chance(30) {
		c.Labels = map[string]signatures.Match{"l": is(pick(d, "x", "y"))}
	}
	switch d.IntN(6) {
	case 0:
		c.Rate, c.Above = d.seconds(5, 10, 30), new(pick(d, 0.1, 0.5, 1))
	case 1:
		c.Of, c.Above = &signatures.SeriesRef{Metric: pick(d, "limit", "m0")}, new(pick(d, 0.5, 1))
	case 2:
		c.Below = new(pick[float64](d, 1, 3))
	case 3:
		c.Above, c.Below = new(1.0), new(5.0)
	default:
		c.Above = new(pick[float64](d, 1, 3))
	}
	if d.chance(50) {
		c.For = d.seconds(1, 5, 10)
	}
	return c
}

// condition is one that a single record decides.
func (d dice) condition() signatures.Condition {
	leaf := func() signatures.Condition {
		switch n := d.IntN(100); {
		case n < 65:
			return signatures.Condition{Event: &signatures.EventCondition{Reason: is(some(d, "R0", "R1", "R2", "R3", "R4")...)}}
		case n < 80:
			return signatures.Condition{Change: &signatures.ChangeCondition{Kind: is("Pod"), Path: "phase", To: is(some(d, "A", "B", "C")...)}}
		case n < 90:
			return signatures.Condition{Sample: &signatures.SampleCondition{Metric: pick(d, "m0", "m1"), Above: new(pick[float64](d, 1, 3))}}
		case n < 95:
			return signatures.Condition{Log: &signatures.LogCondition{Contains: signatures.Text{Any: some(d, "alpha", "beta", "gamma")}}}
		default:
			return signatures.Condition{Alert: &signatures.AlertCondition{Name: is("A0")}}
		}
	}
	if d.chance(15) {
		return signatures.Condition{Any: []signatures.Condition{leaf(), leaf()}}
	}
	return leaf()
}

// record makes the i-th record.
func (d dice) record(i, span int, source life) sourced {
	r := record.Record{
		Kind: pick(d, record.Event, record.Event, record.Event, record.Event, record.Change, record.Change, record.Sample, record.Sample, record.Log, record.Alert),
		Time: start + int64(d.IntN(span))*second, Seq: uint64(d.IntN(4)), ID: record.Identity("case", fmt.Sprint(i)), Count: 1,
	}
	attrs := map[string]string{record.Node: pick(d, "n0", "n0", "n1"), record.Namespace: "ns", record.Pod: pick(d, "p0", "p0", "p1", "p2")}
	if d.chance(5) {
		delete(attrs, pick(d, record.Node, record.Namespace, record.Pod))
		attrs[pick(d, record.Cluster, record.Container, record.FilePath)] = "x"
	}
	if d.chance(50) {
		attrs[record.Component] = pick(d, "c0", "c1")
	}
	switch r.Kind {
	case record.Event:
		attrs[record.EventReason] = pick(d, "R0", "R1", "R2", "R3", "R4")
		if d.chance(70) {
			attrs[record.EventType] = pick(d, "Normal", "Warning")
		}
		if d.chance(50) {
			attrs[record.ObjectKind], attrs[record.ObjectName] = "Pod", "p"
		}
		if d.chance(10) {
			r.Count = uint32(d.IntN(4) + 1)
		}
	case record.Log:
		r.Text = []byte("it says " + pick(d, "alpha", "beta", "gamma", "nothing"))
	case record.Change:
		attrs[record.ObjectKind], attrs[record.ObjectName] = "Pod", pick(d, "a", "b")
		attrs[record.ChangePath] = pick(d, "phase", "phase", "ready[x].status", "ready[y].status")
		attrs[record.ChangeFrom], attrs[record.ChangeTo], attrs[record.ChangeVerb] = pick(d, "A", "B", "C"), pick(d, "A", "B", "C"), "modified"
		if d.chance(10) {
			attrs[record.ChangeVerb] = "deleted"
			delete(attrs, record.ChangeTo)
			delete(attrs, record.ChangePath)
		}
	case record.Sample:
		attrs = map[string]string{record.Node: attrs[record.Node], record.Namespace: attrs[record.Namespace], record.Pod: attrs[record.Pod]}
		attrs[record.MetricName], attrs["label.l"] = pick(d, "m0", "m0", "m1", "limit"), pick(d, "x", "x", "y")
		r.Value = float64(d.IntN(6))
		if attrs[record.MetricName] == "limit" {
			r.Value = pick[float64](d, 2, 4, 0)
		}
	case record.Alert:
		attrs[record.AlertName], attrs[record.AlertState] = "A0", pick(d, "firing", "resolved")
	}
	r.Attrs = record.NewAttrs(attrs)
	copies := 0
	if d.chance(10) {
		copies = d.IntN(2) + 1
	}
	return sourced{source: source.source, copies: copies, record: r}
}

// smaller yields every signature that has one feature less, for making a failing case small.
func smaller(s *signatures.Signature) []*signatures.Signature {
	var list []*signatures.Signature
	try := func(change func(*signatures.Signature)) {
		c := *s
		c.Stages, c.Unless = slices.Clone(s.Stages), slices.Clone(s.Unless)
		if s.Incident != nil {
			in := *s.Incident
			c.Incident = &in
		}
		before := c.ShortDigest()
		change(&c)
		if c.ShortDigest() != before {
			list = append(list, &c)
		}
	}
	if len(s.Stages) > 1 {
		for i := range s.Stages {
			try(func(c *signatures.Signature) {
				name := c.Stages[i].Name
				c.Stages = slices.Delete(c.Stages, i, i+1)
				c.Need = min(c.Need, len(c.Stages))
				c.Unless = slices.DeleteFunc(c.Unless, func(u signatures.Unless) bool { return u.Anchor == name })
				if c.Tell == name {
					c.Tell = ""
				}
				c.Stages[0].FollowsWithin = 0
			})
		}
	}
	for i := range s.Unless {
		try(func(c *signatures.Signature) { c.Unless = slices.Delete(c.Unless, i, i+1) })
		try(func(c *signatures.Signature) { c.Unless[i].Slide = 0 })
	}
	for i := range s.Stages {
		try(func(c *signatures.Signature) { c.Stages[i].Distinct = nil })
		try(func(c *signatures.Signature) { c.Stages[i].Count = 0 })
		try(func(c *signatures.Signature) { c.Stages[i].FollowsWithin = 0 })
		try(func(c *signatures.Signature) {
			if c.Stages[i].Count < 2 && c.Stages[i].Distinct == nil {
				c.Stages[i].Within = 0
			}
		})
		for _, when := range simpler(&s.Stages[i].When) {
			try(func(c *signatures.Signature) { c.Stages[i].When = when })
		}
	}
	if s.Incident != nil {
		try(func(c *signatures.Signature) { c.Incident = nil })
		try(func(c *signatures.Signature) { c.Incident.Count = 0 })
		try(func(c *signatures.Signature) { c.Incident.Distinct = nil })
	}
	if s.Clear.Quiet != 0 {
		try(func(c *signatures.Signature) { c.Clear.When, c.Clear.For = nil, 0 })
	}
	if s.Clear.When != nil {
		try(func(c *signatures.Signature) { c.Clear.Quiet = 0 })
		try(func(c *signatures.Signature) { c.Clear.For = 0 })
	}
	try(func(c *signatures.Signature) { c.Expire = 0 })
	try(func(c *signatures.Signature) { c.Within = 0 })
	try(func(c *signatures.Signature) { c.Need = 0 })
	try(func(c *signatures.Signature) { c.Order, c.Need, c.Within = "", 0, 0 })
	try(func(c *signatures.Signature) { c.Tell = "" })
	return list
}

// simpler yields conditions that ask for less.
func simpler(c *signatures.Condition) []signatures.Condition {
	list := slices.Clone(c.Any)
	if e := c.Event; e != nil && len(e.Reason.Equals) > 1 {
		for _, word := range e.Reason.Equals {
			list = append(list, signatures.Condition{Event: &signatures.EventCondition{Reason: is(word)}})
		}
	}
	return list
}

// scanSignature has conditions of every form, each of which needs one record only.
func (d dice) scanSignature(i int) *signatures.Signature {
	s := &signatures.Signature{ID: fmt.Sprintf("scan-%d", i), Title: "A case", Severity: signatures.Low, By: d.signature(i).By}
	for j := range d.IntN(3) + 1 {
		when := d.tree(2)
		if d.chance(30) {
			when = d.rungCondition()
		}
		s.Stages = append(s.Stages, signatures.Stage{Name: fmt.Sprintf("s%d", j), When: when})
	}
	if d.chance(50) {
		s.Incident = &signatures.Incident{When: d.tree(1)}
	}
	if d.chance(50) {
		s.Unless = []signatures.Unless{{When: d.tree(1), Window: d.seconds(1)}}
	}
	s.Clear.Quiet = d.seconds(10)
	if d.chance(50) {
		when := d.tree(1)
		s.Clear.When = &when
	}
	return s
}

// tree is a condition of at most so many levels of all, any and not.
func (d dice) tree(depth int) signatures.Condition {
	switch n := d.IntN(10); {
	case depth > 0 && n < 2:
		return signatures.Condition{Any: []signatures.Condition{d.tree(depth - 1), d.tree(depth - 1)}}
	case depth > 0 && n < 5:
		c := signatures.Condition{All: []signatures.Condition{d.leaf()}}
		if d.chance(50) {
			c.All = append(c.All, d.tree(depth-1))
		}
		if d.chance(50) {
			not := d.tree(depth - 1)
			c.All = append(c.All, signatures.Condition{Not: &not})
		}
		return c
	}
	return d.leaf()
}

// leaf is one of every form of leaf, with what may stand beside it.
func (d dice) leaf() signatures.Condition {
	var c signatures.Condition
	switch d.IntN(6) {
	case 0:
		c.Event = &signatures.EventCondition{Reason: d.match("R0", "R1", "R2")}
		if d.chance(40) {
			c.Event.Message = d.text()
		}
		if d.chance(20) {
			c.Event.Line = d.text()
			if d.chance(50) {
				c.Event.Line = signatures.Text{Regex: pick(d, `R[01]\s+pod/`, `^Warning R0`, `(alpha|beta)$`)}
			}
			if d.chance(50) {
				c.Event.Reason = signatures.Match{}
			}
		}
		if d.chance(30) {
			c.Event.Object = &signatures.ObjectMatch{Kind: is(pick(d, "Pod", "Node"))}
		}
	case 1, 2:
		c.Log = &signatures.LogCondition{Contains: d.text()}
		if d.chance(30) {
			c.Log.Regex = pick(d, `be+ta`, `alpha (beta|gamma)`, `(?i)ALPHA`, `took=[0-9]+m?s`, `^it says`, `gamma$`)
		}
		if d.chance(15) {
			c.Log.JQ = pick(d, jqTwins()...).text
		}
		if d.chance(20) {
			c.Log.Component = is(pick(d, "c0", "c1"))
		}
		if d.chance(20) {
			f := signatures.LogField{Name: pick(d, "took", "level", "a.b"), Is: is(pick(d, "warn", "5s", "12", "alpha"))}
			if d.chance(50) {
				f.Is, f.Above = signatures.Match{}, new(4.0)
			}
			c.Log.Fields = []signatures.LogField{f}
		}
	case 3:
		c.Change = &signatures.ChangeCondition{Kind: is("Pod"), Path: pick(d, "phase", "ready[*].status", "ready[x].status")}
		if d.chance(50) {
			c.Change.To = d.match("A", "B", "C")
		}
		if d.chance(20) {
			c.Change.Verb = is(pick(d, "modified", "deleted"))
		}
	case 4:
		c.Sample = d.sample()
		c.Sample.Rate, c.Sample.Of, c.Sample.For = 0, nil, 0
	default:
		c.Alert = &signatures.AlertCondition{Name: is("A0")}
		if d.chance(50) {
			c.Alert.State = is(pick(d, "firing", "resolved"))
		}
	}
	if d.chance(15) {
		c.Attrs = map[string]signatures.Match{pick(d, record.Node, record.Component): d.match("n0", "n1", "c0")}
	}
	if d.chance(2) { // an environment for it is dear
		c.CEL = pick(d, celTwins()...).text
	}
	return c
}

func (d dice) match(words ...string) signatures.Match {
	w := some(d, words...)
	switch d.IntN(9) {
	case 0:
		return signatures.Match{Not: w}
	case 1:
		return signatures.Match{Prefix: []string{w[0][:1]}}
	case 2:
		return signatures.Match{Suffix: []string{w[0][len(w[0])-1:]}}
	case 3:
		return signatures.Match{Regex: w[0] + "|" + words[0]}
	case 4:
		return signatures.Match{Contains: []string{w[0][1:]}}
	case 5:
		return signatures.Match{Equals: []string{strings.ToLower(w[0])}, IgnoreCase: true}
	}
	return is(w...)
}

func (d dice) text() signatures.Text {
	words := some(d, "alpha", "beta", "gamma", "alpha beta", "et", "bet", "took", "error: ", "aa")
	t := signatures.Text{IgnoreCase: d.chance(20)}
	if t.IgnoreCase {
		words[0] = strings.ToUpper(words[0])
	}
	switch d.IntN(4) {
	case 0:
		t.All = words
	case 1:
		t.Any, t.None = words, []string{pick(d, "delta", "gamma", "beta")}
	case 2:
		t.Any, t.Regex = words, pick(d, `alph.`, `b[e3]ta`, `(alpha|beta) gamma`)
	default:
		t.Any = words
	}
	return t
}

// line is a text of few words in every form.
func (d dice) line() []byte {
	word := func() string {
		return pick(d, "alpha", "beta", "gamma", "delta", "ALPHA", "beeta", "aaa", "it says", "error: ", "be\x00ta", "\xff", "b3ta", "alph", "a\nb")
	}
	switch d.IntN(5) {
	case 0:
		return fmt.Appendf(nil, `{"level":%q,"took":%s,"msg":"alpha","a":{"b":%q}}`, pick(d, "warn", "info"), pick(d, "12", `"5s"`, "3", `"x"`), pick(d, "alpha", "warn"))
	case 1:
		return fmt.Appendf(nil, "level=%s took=%s msg=%s", pick(d, "warn", "info"), pick(d, "5s", "12", "100ms"), pick(d, "alpha", "beta"))
	}
	var words []string
	for range d.IntN(6) {
		words = append(words, word())
	}
	return []byte(strings.Join(words, pick(d, " ", "", "  ")))
}

// scanRecord is a record with a richer text.
func (d dice) scanRecord(i int) sourced {
	s := d.record(i, 60, life{source: "live"})
	if s.record.Kind == record.Log || s.record.Kind == record.Event {
		s.record.Text = d.line()
	}
	if s.record.Kind == record.Event && d.chance(50) {
		s.record.Attrs = s.record.Attrs.With(record.ObjectKind, pick(d, "Pod", "Node"))
	}
	return s
}
