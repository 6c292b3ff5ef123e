package matcher_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// twin makes random programs and texts that meet often: literals of all lengths over a small alphabet, expressions with and
// without literals, and the texts spliced from them.
type twin struct{ *rand.Rand }

func (d twin) pick(words ...string) string { return words[d.IntN(len(words))] }

func (d twin) text(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(d.pick("a", "b", "K", "k", "s", "S", "7", " ", "-", "[", "{", "@", "`", "\x00", "\xff", "é", "\u212a", "\u017f", "\n", "error", "Error", "failed to "))
	}
	return b.String()
}

func (d twin) regex() string {
	atom := func() string {
		return d.pick("a", "b+", "[ab]", "k", ".", `\d`, `\w+`, "(a|bb|error)", `\b`, "é", "[^a]", "(?i:k)", "(?i:failed)", "failed to", "s?", "a{2,3}", "[é-ü]", ".*", "error", `\s`, "(?s:.)", "")
	}
	var b strings.Builder
	if d.IntN(6) == 0 {
		b.WriteString(d.pick("^", "(?m)^", "(?i)", `\A`))
	}
	for range 1 + d.IntN(5) {
		b.WriteString(atom())
	}
	if d.IntN(6) == 0 {
		b.WriteString(d.pick("$", `\z`, "(?m:$)"))
	}
	if d.IntN(4) == 0 {
		return b.String() + "|" + atom() + atom()
	}
	return b.String()
}

func (d twin) condition() signatures.Condition {
	c := &signatures.LogCondition{}
	if d.IntN(3) == 0 {
		c.Component.Equals = []string{d.pick("etcd", "kubelet")}
	}
	if d.IntN(3) > 0 {
		for range 1 + d.IntN(3) {
			c.Contains.Any = append(c.Contains.Any, d.text(1+d.IntN(16)))
		}
		c.Contains.IgnoreCase = d.IntN(3) == 0
	}
	if d.IntN(3) == 0 {
		c.Contains.All = []string{d.text(1 + d.IntN(9)), d.text(1)}
	}
	if d.IntN(5) == 0 {
		c.Contains.None = []string{d.text(2)}
	}
	if d.IntN(3) == 0 {
		c.Regex = d.regex()
	}
	if d.IntN(8) == 0 {
		c.Fields = []signatures.LogField{{Name: d.pick("level", "a.b"), Is: signatures.Match{Equals: []string{d.pick("error", "a", "x/y")}}}}
	}
	return signatures.Condition{Log: c}
}

func (d twin) line(sigs []*signatures.Signature) string {
	var b strings.Builder
	for range d.IntN(5) {
		b.WriteString(d.text(d.IntN(20)))
		switch c := sigs[d.IntN(len(sigs))].Stages[0].When.Log; d.IntN(4) {
		case 0:
			if len(c.Contains.Any) > 0 {
				b.WriteString(c.Contains.Any[0])
			}
		case 1:
			if len(c.Contains.Any) > 0 {
				b.WriteString(strings.ToUpper(c.Contains.Any[0]))
			}
		case 2:
			b.WriteString(strings.Join(c.Contains.All, ""))
		}
	}
	if d.IntN(10) == 0 {
		return d.pick(`{"level":"error"}`, `{"level":"\u0065rror","a":{"b":"x\/y"}}`, `level=error a.b=a`, `{"a":{"b":"\u0061"}}`, `a.b="x/y"`)
	}
	return b.String()
}

// TestScanAgreesWithTheSlowLoop compares Scan with Evaluate for each record and condition: more than 20,000 batches of pairs.
func TestScanAgreesWithTheSlowLoop(t *testing.T) {
	t.Parallel()
	d := twin{rand.New(rand.NewPCG(1, 2))}
	var scratch matcher.Scratch // one for all programs, as in a process that reloads
	for n := range 2500 {
		var sigs []*signatures.Signature
		for i := range 1 + d.IntN(6) {
			sigs = append(sigs, one(fmt.Sprintf("s%d", i), d.condition()))
		}
		p, _ := matcher.Compile(sigs, matcher.CompileOptions{})
		var records []record.Record
		for range 1 + d.IntN(12) {
			r := line(d.line(sigs))
			if c := d.pick("etcd", "kubelet", "", "other"); c != "" {
				r.Attrs = r.Attrs.With(record.Component, c)
			}
			records = append(records, r)
		}
		var want, got []string
		for i := range records {
			for _, s := range bodies(t, p) {
				if matcher.Evaluate(&s.Stages[0].When, &records[i]) {
					want = append(want, fmt.Sprintf("%s %q", s.ID, records[i].Text))
				}
			}
		}
		for _, h := range p.Scan(batchOf(t, records), &scratch) {
			got = append(got, fmt.Sprintf("%s %q", p.Lookup(h.Signature).Signature.ID, h.Record.Text))
		}
		if fmt.Sprint(want) != fmt.Sprint(got) {
			for _, s := range sigs {
				t.Logf("%s: %+v", s.ID, *s.Stages[0].When.Log)
			}
			require.Equal(t, want, got, "case %d", n)
		}
	}
}

// fuzzPool is a program with conditions of every tier.
func fuzzPool(tb testing.TB) *matcher.Program {
	tb.Helper()
	var sigs []*signatures.Signature
	add := func(c signatures.LogCondition) {
		sigs = append(sigs, one(fmt.Sprintf("s%d", len(sigs)), signatures.Condition{Log: &c}))
	}
	for _, w := range []string{"ab", "abc", "oops", "error", "failed to", "connection refused", "failed to connect to the peer", "\x00\xff", "a\nb"} {
		add(signatures.LogCondition{Contains: signatures.Text{Any: []string{w}}})
		add(signatures.LogCondition{Contains: signatures.Text{Any: []string{w}, IgnoreCase: true}})
	}
	for _, re := range []string{`(?i)disk (full|slow)`, `took \d+ms`, `^panic: .*\bnil\b`, `code=(4|5)\d\d$`, `[^a-z]+oops`} {
		add(signatures.LogCondition{Regex: re})
	}
	for _, re := range []string{`\d{3,}$`, `^[A-F]+\s`, `(?i)k.s`, `é|ü.`, `\bx\w*y\b`} {
		add(signatures.LogCondition{Regex: re, Component: signatures.Match{Equals: []string{"etcd"}}})
	}
	limit := 1.5
	add(signatures.LogCondition{Fields: []signatures.LogField{{Name: "took", Above: &limit}}})
	return mustCompile(tb, sigs...)
}

func FuzzScan(f *testing.F) {
	for _, s := range []string{"", "ab", "xxabc", "Failed to connect to the PEER", "disk full", "\x00\xff", "took 12ms", `{"took":"2s"}`, "K\u017fs 1234", "é"} {
		f.Add([]byte(s), []byte("a\nb"), true)
	}
	p := fuzzPool(f)
	f.Fuzz(func(t *testing.T, a, b []byte, known bool) {
		records := []record.Record{line(string(a)), line(string(b)), line(string(a) + string(b))}
		if known {
			records[1].Attrs = records[1].Attrs.With(record.Component, "etcd")
			records[2].Attrs = records[2].Attrs.With(record.Component, "other")
		}
		for i := range records {
			if len(records[i].Text) > record.MaxText {
				return
			}
		}
		var want, got []string
		for i := range records {
			for _, s := range bodies(t, p) {
				if matcher.Evaluate(&s.Stages[0].When, &records[i]) {
					want = append(want, fmt.Sprint(i, s.ID))
				}
				records[i].Seq = uint64(i)
			}
		}
		for _, h := range p.Scan(batchOf(t, records), &matcher.Scratch{}) {
			got = append(got, fmt.Sprint(h.Record.Seq, p.Lookup(h.Signature).Signature.ID))
		}
		require.Equal(t, want, got)
	})
}
