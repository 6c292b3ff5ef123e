package literal

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

func show(set []Literal) string {
	var parts []string
	for _, l := range set {
		s := l.Text
		if l.Fold {
			s = "i:" + s
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "|")
}

func TestRequiredTellsWhatEveryMatchContains(t *testing.T) {
	tests := []struct{ expr, any, all string }{
		{`foobar`, "foobar", ""},
		{`foo.*bar`, "foo", "bar"},
		{`foo|bar`, "bar|foo", ""},
		{`foobar|foobaz`, "foobar|foobaz", ""},
		{`502|503|504`, "502|503|504", ""},
		{`(foo|barn)qux`, "barnqux|fooqux", ""},
		{`(foo)(bar)`, "foobar", ""},
		{`(?P<a>foo)+bar`, "foobar", ""},
		{`a+`, "a", ""},
		{`abc+def`, "cdef", "abc"},
		{`(abc){3}`, "abcabcabc", ""},
		{`(abc){2,}x`, "abcabc", "abcx"},
		{`(foo|bar)+ is down`, " is down", ""},
		{`(abc){0}`, "", ""},
		{`(abc){0,1}`, "", ""},
		{`(abc)*`, "", ""},
		{`colou?r`, "color|colour", ""},
		{`^error: \d+$`, "error: ", ""},
		{`\bOOMKilled\b`, "OOMKilled", ""},
		{`node-[0-9]+ is gone`, " is gone", "node-"},
		{`x[ab]y`, "xay|xby", ""},
		{``, "", ""},
		{`.*`, "", ""},
		{`[a-z]+`, "", ""},
		{`foo|`, "", ""},
		{`foo|.*`, "", ""},
		{`(?i)error`, "i:error", ""},
		{`(?i)disc`, "i:disc|ſ", ""},
		{`(?i)tick`, "i:tick|\u212a", ""},
		{`(?i:FOO)Bar`, "i:foobar", ""},
		{`(?i)größer`, "i:gr", ""},
		{`[Ff]ailed`, "i:failed", ""},
		{"a\ufffdbcd", "bcd", "a"},
		{`\xff`, "ÿ", ""},
		{`[^\x00-\x{10FFFF}]foo`, "foo", ""},
		{`a.b.c`, "a", "b|c"},
		{`(?i)node .*hot task`, "i:hot task|\u017f|\u212a", "i:node "},
		{`(?s)foo\nbar`, "foo\nbar", ""},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			r, err := Parse(tt.expr)
			require.NoError(t, err)
			require.Equal(t, tt.any, show(r.Any))
			for want := range strings.SplitSeq(tt.all, "|") {
				if want != "" {
					require.Contains(t, show(r.All), want)
				}
			}
		})
	}
}

func TestParseRefusesWhatRegexpRefuses(t *testing.T) {
	_, err := Parse(`a(b`)
	require.ErrorContains(t, err, "missing closing )")
}

func TestLargeExpressionsStayBounded(t *testing.T) {
	for _, expr := range []string{
		strings.Repeat("(a|b)", 8000),
		strings.Repeat("ab|", 20000) + "c",
		strings.Repeat("(?:", 900) + "x" + strings.Repeat(")+", 900),
		strings.Repeat("x", 60000),
		"(?i)" + strings.Repeat("sk", 30000),
		"(((a{10}){10}){10})",
	} {
		r, err := Parse(expr)
		require.NoError(t, err)
		require.LessOrEqual(t, len(r.Any), maxUnion)
		for _, l := range append(r.Any, r.All...) {
			require.LessOrEqual(t, len(l.Text), max(maxLength, 4))
		}
	}
}

// holds checks the promise for one expression and one text that it may match.
func holds(t *testing.T, expr string, re *regexp.Regexp, r Required, text []byte) {
	t.Helper()
	if !re.Match(text) {
		return
	}
	if len(r.Any) > 0 {
		found := false
		for _, l := range r.Any {
			found = found || l.In(text)
		}
		require.True(t, found, "%q matches %q, which holds none of %q", expr, text, show(r.Any))
	}
	for _, l := range r.All {
		require.True(t, l.In(text), "%q matches %q, which does not hold %q", expr, text, show([]Literal{l}))
	}
	for _, l := range append(r.Any, r.All...) {
		require.NotEmpty(t, l.Text)
	}
}

// randomExpr writes an expression of a few levels over letters that are chosen to be difficult.
func randomExpr(rng *rand.Rand, depth int) string {
	atoms := []string{
		"a", "b", "k", "S", "foo", "task", "ſ", "\u212a", "é", "ß", "界", "\ufffd", ".", `\d`, `\w`, `\W`, "[ab]", "[^a]", "[k-t]", "[sK]", "^", "$",
		`\b`, `\B`, "(?m:^)", `\x{ff}`, `\n`, "[[:upper:]]", "", "[0-9]", `\pL`,
	}
	if depth == 0 {
		return atoms[rng.IntN(len(atoms))]
	}
	sub := func() string { return randomExpr(rng, depth-1) }
	switch rng.IntN(9) {
	case 0:
		return "(?:" + sub() + "|" + sub() + "|" + sub() + ")"
	case 1:
		return "(" + sub() + ")" + []string{"*", "+", "?", "+?", "{2}", "{1,3}", "{0,2}", "{2,}", "{0}", "{3}"}[rng.IntN(10)]
	case 2:
		return "(?i:" + sub() + ")"
	case 3:
		return "(?s:" + sub() + ")"
	case 4:
		return "(?P<n" + fmt.Sprint(rng.IntN(1e9)) + ">" + sub() + ")"
	default:
		return sub() + sub() + sub()
	}
}

// randomMatch writes a text that the expression is likely to match.
func randomMatch(rng *rand.Rand, re *syntax.Regexp, out []byte) []byte {
	one := func(r rune) {
		if re.Flags&syntax.FoldCase != 0 {
			for range rng.IntN(4) {
				r = unicode.SimpleFold(r)
			}
		}
		if r == 0xfffd && rng.IntN(2) == 0 {
			out = append(out, 0xff)
			return
		}
		out = append(out, string(r)...)
	}
	times := func(least, most int) {
		for range least + rng.IntN(most-least+1) {
			out = randomMatch(rng, re.Sub[0], out)
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			one(r)
		}
	case syntax.OpCharClass:
		if n := len(re.Rune) / 2; n > 0 {
			i := rng.IntN(n)
			one(re.Rune[2*i] + rune(rng.IntN(min(int(re.Rune[2*i+1]-re.Rune[2*i]), 200)+1)))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		out = append(out, []string{"a", "K", "\xff", "é", "ſ", " "}[rng.IntN(6)]...)
	case syntax.OpConcat, syntax.OpCapture:
		for _, s := range re.Sub {
			out = randomMatch(rng, s, out)
		}
	case syntax.OpAlternate:
		out = randomMatch(rng, re.Sub[rng.IntN(len(re.Sub))], out)
	case syntax.OpStar:
		times(0, 3)
	case syntax.OpPlus:
		times(1, 3)
	case syntax.OpQuest:
		times(0, 1)
	case syntax.OpRepeat:
		most := re.Max
		if most < 0 {
			most = re.Min + 2
		}
		times(re.Min, most)
	default:
	}
	return out
}

func check(t *testing.T, expr string, seed uint64, texts int) (matched int) {
	t.Helper()
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return 0
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return 0
	}
	r := Of(parsed)
	again, err := Parse(expr)
	require.NoError(t, err)
	require.Equal(t, r, again)
	rng := rand.New(rand.NewPCG(seed, 2))
	for range texts {
		text := randomMatch(rng, parsed, nil)
		if len(text) > 1<<16 {
			continue
		}
		if re.Match(text) {
			matched++
		}
		holds(t, expr, re, r, text)
	}
	return matched
}

func TestNoMatchIsWithoutItsLiterals(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	matched, total := 0, 0
	for i := range 20000 {
		expr := randomExpr(rng, 1+rng.IntN(4))
		matched += check(t, expr, uint64(i), 4)
		total += 4
	}
	require.Greater(t, matched, total/4, "the generator must find matches, or the test shows nothing")
}

func FuzzRequired(f *testing.F) {
	for _, s := range []string{
		`foo|bar`, `(?i)task\s+k`, `a{2,5}b+`, `[^x]*y?`, "\ufffd+", `(?i)[k-s]{3}`, `^(abc|abd|xyz)+$`, `\Qa.b\E`, `(?:(?:a|b)c){2}d`,
	} {
		f.Add(s, "foo", uint64(1))
	}
	f.Fuzz(func(t *testing.T, expr, text string, seed uint64) {
		if len(expr) > 200 {
			return
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			return
		}
		r, err := Parse(expr)
		require.NoError(t, err)
		holds(t, expr, re, r, []byte(text))
		check(t, expr, seed, 3)
	})
}
