package matcher_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/cre"
)

// rulesPerCase is how many rules are tried on each log.
const rulesPerCase = 6

// frameCase is some rules and a log.
type frameCase struct {
	dice
	rules   []refRule
	yaml    string
	sigs    []*signatures.Signature
	program *matcher.Program
	lines   []refLine
}

func newFrameCase(seed uint64) *frameCase {
	c := &frameCase{dice: newDice(seed)}
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range rulesPerCase {
		c.rule(&b, i)
	}
	c.yaml = b.String()
	c.log(false)
	return c
}

// log makes another log.
func (c *frameCase) log(disorder bool) {
	at := start
	c.lines = nil
	for i := range 4 + c.IntN(26) {
		at += int64(pick(c.dice, 0, 0, 1, 1, 1, 2, 3, 5)) * second
		t := at
		if disorder && c.chance(20) {
			t -= int64(1+c.IntN(6)) * second
		}
		var words []string
		for range pick(c.dice, 0, 1, 1, 1, 1, 1, 2, 3) {
			words = append(words, c.word())
		}
		c.lines = append(c.lines, refLine{at: t, text: strings.Join(words, " and "), number: i + 1})
	}
}

// compile makes a program of the rules, by way of their text.
func (c *frameCase) compile() error {
	sigs, problems, _ := cre.Read("rules.yaml", []byte(c.yaml))
	if bad := signatures.Errors(problems); len(bad) > 0 || len(sigs) != len(c.rules) {
		return fmt.Errorf("the rules are refused: %v\n%s", bad, c.yaml)
	}
	program, problems := matcher.Compile(sigs, matcher.CompileOptions{})
	if len(problems) > 0 {
		return problems[0]
	}
	c.sigs, c.program = sigs, program
	return nil
}

func (c *frameCase) word() string {
	return pick(c.dice, "alpha", "alpha", "alpha", "bravo", "bravo", "bravo", "gamma", "gamma", "delta", "maintenance", "shutting down", "nothing")
}

// rule writes a rule, and keeps what it means: equal terms of a set, and equal neighbours of a sequence, are one slot.
func (c *frameCase) rule(b *strings.Builder, number int) {
	r := refRule{sequence: c.chance(50)}
	type listed struct {
		text  string
		count int
	}
	var list []listed
	total := 0
	for range pick(c.dice, 1, 2, 2, 2, 3, 3, 4) {
		t := listed{pick(c.dice, "alpha", "bravo", "gamma", "delta"), pick(c.dice, 1, 1, 1, 1, 2, 3)}
		list = append(list, t)
		total += t.count
	}
	if r.sequence && total < 2 {
		list = append(list, listed{"bravo", 1})
		total++
	}
	for _, t := range list {
		at := slices.IndexFunc(r.slots, func(s refSlot) bool { return s.text == t.text })
		if r.sequence && (len(r.slots) == 0 || at < 0 || r.slots[len(r.slots)-1].text != t.text) {
			at = -1
		} else if r.sequence {
			at = len(r.slots) - 1
		}
		if at < 0 {
			r.slots = append(r.slots, refSlot{t.text, t.count})
		} else {
			r.slots[at].need += t.count
		}
	}
	kind, key := "set", "match"
	if r.sequence {
		kind, key = "sequence", "order"
	}
	fmt.Fprintf(b, "  - cre: {id: CRE-%04d, title: t, severity: 1}\n    rule:\n      %s:\n        event: {source: cre.log.some}\n", number, kind)
	if total > 1 {
		r.window = int64(pick(c.dice, 1, 2, 3, 5, 8, 20)) * second
		fmt.Fprintf(b, "        window: %s\n", time.Duration(r.window))
	}
	fmt.Fprintf(b, "        %s:\n", key)
	for _, t := range list {
		fmt.Fprintf(b, "          - {value: %s, count: %d}\n", t.text, t.count)
	}
	negates := pick(c.dice, 0, 0, 1, 1, 2)
	if negates > 0 {
		b.WriteString("        negate:\n")
	}
	for range negates {
		n := refNegate{text: pick(c.dice, "maintenance", "shutting down", "delta"), anchor: min(total-1, pick(c.dice, 0, 0, 0, 1, 1, 2)), absolute: c.chance(25)}
		if c.chance(50) {
			n.window = int64(pick(c.dice, 1, 2, 5, 10, -1)) * second
		}
		if c.chance(40) {
			n.slide = int64(pick(c.dice, -1, -2, -5, 1, 3)) * second
		}
		r.negates = append(r.negates, n)
		fmt.Fprintf(b, "          - {value: %s, window: %s, slide: %s, anchor: %d, absolute: %t}\n", n.text, time.Duration(n.window), time.Duration(n.slide), n.anchor, n.absolute)
	}
	c.rules = append(c.rules, r)
}

// show is a rule of the case and its log, for people.
func (c *frameCase) show(i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n", c.rules[i])
	for _, l := range c.lines {
		fmt.Fprintf(&b, "%3d %4gs %s\n", l.number, time.Duration(l.at-start).Seconds(), l.text)
	}
	return b.String()
}

// run gives lines to an engine in the order of arrival and returns the frames of each rule, each with its lines in order. Of rules without
// frames the lines can't be told: only their number is.
func (c *frameCase) run(lines []refLine, inOrder bool) (frames [][][]int, err error) {
	lateness, newest := int64(0), int64(math.MinInt64)
	for _, l := range lines {
		newest = max(newest, l.at)
		lateness = max(lateness, newest-l.at)
	}
	options := matcher.TrackerOptions{Lateness: time.Duration(lateness), Firings: true}
	if inOrder || lateness == 0 {
		options.Lateness = -1
	}
	engine, err := matcher.NewEngine(c.program, options)
	if err != nil {
		return nil, err
	}
	switch c.IntN(6) { // how progress is kept makes no difference
	case 0:
		engine.Behave(matcher.AllAwake)
	case 1:
		engine.Behave(matcher.AllCold)
	case 2:
		engine.Behave(matcher.AllAsleep)
	case 3:
		engine.Behave(matcher.AllTidy | matcher.AllCold)
	}
	if inOrder {
		engine.UseReferenceOrder()
	}
	if err := c.feed(engine, lines); err != nil {
		return nil, err
	}
	engine.Finish()
	frames = make([][][]int, len(c.rules))
	rule := func(id string) (n int) { _, _ = fmt.Sscanf(id, "cre-%d", &n); return n }
	for _, f := range engine.Firings() {
		var frame []int
		for _, id := range f.Records {
			frame = append(frame, int(id))
		}
		slices.Sort(frame)
		frames[rule(f.Signature)] = append(frames[rule(f.Signature)], frame)
	}
	for _, w := range engine.Open() {
		if n := rule(w.Signature); c.sigs[n].Frame == nil {
			frames[n] = make([][]int, w.Reached[0].Count)
		} else if got, want := w.Reached[0].Count, len(frames[n])*max(c.sigs[n].Stages[0].Count, 1); stageOf(c.sigs[n], w.Reached[0].Stage) == 0 && int(got) != want {
			return nil, fmt.Errorf("%s counts %d records of its first stage in %d frames:\n%s", w.Signature, got, len(frames[n]), c.show(n))
		}
	}
	return frames, nil
}

func stageOf(s *signatures.Signature, name string) int {
	return slices.IndexFunc(s.Stages, func(x signatures.Stage) bool { return x.Name == name })
}

// feed gives the lines in batches of a few.
func (c *frameCase) feed(engine *matcher.Engine, lines []refLine) error {
	var builder record.Builder
	var batch record.Batch
	newest := int64(math.MinInt64)
	attrs := record.NewAttrs(map[string]string{record.FilePath: "some.log"})
	for len(lines) > 0 {
		n := min(len(lines), 1+c.IntN(4))
		for _, l := range lines[:n] {
			newest = max(newest, l.at)
		}
		h := record.Header{Source: "file/some.log", Kinds: 1 << record.Log, Scope: attrs, Mark: newest - 1, Ended: n == len(lines) && c.chance(50)}
		if err := builder.Reset(h); err != nil {
			return err
		}
		for _, l := range lines[:n] {
			r := record.Record{Kind: record.Log, Time: l.at, Seq: uint64(l.number), ID: uint64(l.number), Count: 1, Text: []byte(l.text), Attrs: attrs}
			if err := builder.Add(&r); err != nil {
				return err
			}
		}
		if err := batch.Decode(builder.AppendTo(nil)); err != nil {
			return err
		}
		engine.Feed(&batch)
		lines = lines[n:]
	}
	return nil
}

// compare says where the engine differs from the slow one.
func (c *frameCase) compare(got [][][]int, lines []refLine) string {
	for i, r := range c.rules {
		want := reference(r, lines, refDefects{}).frames
		for _, f := range want {
			slices.Sort(f)
		}
		if len(r.slots) == 1 && r.slots[0].need == 1 && len(r.negates) == 0 {
			want = make([][]int, len(want))
		}
		if fmt.Sprint(got[i]) != fmt.Sprint(want) {
			return fmt.Sprintf("want %v\ngot  %v\n%s", want, got[i], c.show(i))
		}
	}
	return ""
}

// TestFramesAgreeWithReference tries rules of CRE on logs in order, on shuffled ones that the lateness puts right, and on disordered ones
// of which the reference engine drops what is late.
func TestFramesAgreeWithReference(t *testing.T) {
	eachCase(t, func(seed uint64) string {
		c := newFrameCase(seed)
		if err := c.compile(); err != nil {
			return err.Error()
		}
		for _, way := range []string{"in order", "in order", "shuffled", "shuffled", "disordered", "disordered"} {
			c.log(way == "disordered")
			given := slices.Clone(c.lines)
			if way == "shuffled" {
				due := map[int]int64{}
				for _, l := range given {
					due[l.number] = l.at + int64(c.IntN(9))*second
				}
				slices.SortStableFunc(given, func(a, b refLine) int { return cmp.Compare(due[a.number], due[b.number]) })
			}
			got, err := c.run(given, way == "disordered")
			if err != nil {
				return way + ": " + err.Error()
			}
			if wrong := c.compare(got, c.lines); wrong != "" {
				return way + ":\n" + wrong
			}
		}
		return ""
	})
}

// TestDifferencesFromTheReferenceAreThoseThatAreListed compares the slow engine with and without the reference engine's defects: where
// a rule has none of the shapes that the defects need, they fire on the same lines.
func TestDifferencesFromTheReferenceAreThoseThatAreListed(t *testing.T) {
	var compared, fired, differed, listed int
	for seed := range uint64(4000) {
		c := newFrameCase(seed + 1)
		var ticking []refLine
		for i, l := range c.lines { // time passes between any two instants, and no two lines are of one
			l.at += int64(i) * int64(time.Millisecond)
			ticking = append(ticking, refLine{at: l.at - int64(time.Microsecond)}, l)
		}
		for i, r := range c.rules {
			was, now := reference(r, ticking, asItIs), reference(r, ticking, refDefects{})
			same := fmt.Sprint(was.frames) == fmt.Sprint(now.frames)
			counted := slices.ContainsFunc(r.slots, func(s refSlot) bool { return s.need > 1 })
			if r.sequence && (counted || len(r.negates) == 0 && len(r.slots) > 2) || !r.sequence && counted && len(r.negates) > 0 {
				listed++
				if !same || was.crash {
					differed++
				}
				continue
			}
			compared++
			if len(now.frames) > 0 {
				fired++
			}
			require.True(t, same, "seed %d: reference %v, here %v\n%s", seed+1, was.frames, now.frames, c.show(i))
		}
	}
	require.Greater(t, fired, compared/4, "too few of the rules fire for this to show anything")
	require.Positive(t, differed)
	t.Logf("%d rules compared, %d of them fired; %d more have the shape of a defect, and %d of those differ", compared, fired, listed, differed)
}
