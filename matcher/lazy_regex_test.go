package matcher

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// randomRegex makes expressions out of all that the syntax has, and texts that meet them often.
type randomRegex struct{ *rand.Rand }

func (r randomRegex) pick(list ...string) string { return list[r.IntN(len(list))] }

func (r randomRegex) expression(depth int) string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		b.WriteString(r.pick("a", "b", "ab", "_", "-", " ", ".", `\d`, `\w`, `\W`, `\s`, `\S`, "[ab]", "[^a]", "[é-ü]", "é", "k", "(?i:k)", "(?i:s)", `\b`, `\B`, "^", "$", `\A`, `\z`, "(?m:^)", "(?m:$)", "(?s:.)", `\n`, "K", `\pL`, `\x{fffd}`, "(?U:a+)"))
		if depth > 0 && r.IntN(4) == 0 {
			b.WriteString("(" + r.expression(depth-1) + r.pick("", "|"+r.expression(depth-1)) + ")")
		}
		if s := b.String(); r.IntN(3) == 0 && !strings.HasSuffix(s, "+") {
			b.WriteString(r.pick("*", "+", "?", "{2}", "{1,3}", "+?"))
		}
	}
	return r.pick("", "", "", "(?i)", "(?m)", "(?s)") + b.String()
}

func (r randomRegex) text() []byte {
	var b strings.Builder
	for range r.IntN(14) {
		b.WriteString(r.pick("a", "b", "ab", "ab", "ab", "A", "B", "_", "-", " ", "7", "\n", "é", "ü", "k", "K", "s", "\u212a", "\u017f", "\xff", "\xc3", "\ufffd", "日"))
	}
	return []byte(b.String())
}

func TestLazyRegexAgreesWithPackageRegexp(t *testing.T) {
	t.Parallel()
	r := randomRegex{rand.New(rand.NewPCG(8, 1))}
	matches, begun := 0, 0
	for range 20_000 {
		expr := r.expression(2)
		want, err := regexp.Compile(expr)
		if err != nil {
			continue
		}
		got := newLazyRegex(expr)
		if len(got.prefix) > 1 {
			begun++
		}
		for range 12 {
			text := r.text()
			if want.Match(text) {
				matches++
			}
			if want.Match(text) != decide(got, expr, text) {
				require.Equal(t, want.Match(text), decide(got, expr, text), "%q on %q", expr, text)
			}
		}
	}
	require.Greater(t, matches, 40_000)
	require.Greater(t, begun, 300, "expressions that begin with more than one known byte")
}

func TestLazyRegexWithTooManyStatesStaysRight(t *testing.T) {
	const expr = `[ab][a-c]{15}[bc]x?$`
	want, got := regexp.MustCompile(expr), newLazyRegex(expr)
	r := rand.New(rand.NewPCG(3, 4))
	for n := 0; got.flushes < maxFlushes; n++ {
		require.Less(t, n, 100_000)
		text := make([]byte, 60)
		for i := range text {
			text[i] = "abcdx"[r.IntN(5)]
		}
		require.Equal(t, want.Match(text), decide(got, expr, text), "%s", text)
		require.LessOrEqual(t, len(got.states), maxLazyStates+1)
	}
	_, sure := got.match([]byte("abbbbbbbbbbbbbbbbc"))
	require.False(t, sure, "package regexp takes over")
	big := newLazyRegex(`(a{900}|b{900}|c{900}|[d-f]{900})x`)
	_, sure = big.match([]byte(strings.Repeat("b", 900) + "x"))
	require.False(t, sure)
	require.Empty(t, big.steps)
}

func TestLazyRegexAllocatesNothingOnceItsStatesAreMade(t *testing.T) {
	re := newLazyRegex(`took (\d+)ms.*\b(code|status)=5\d\d$`)
	text := []byte("request 7 took 12ms with status=503")
	matched, sure := re.match(text)
	require.True(t, matched && sure)
	require.Zero(t, testing.AllocsPerRun(100, func() { re.match(text) }))
}

// decide asks package regexp where the automaton is not sure, as a scratch does.
func decide(r *lazyRegex, expr string, text []byte) bool {
	matched, sure := r.match(text)
	return matched && sure || !sure && regexp.MustCompile(expr).Match(text)
}

func FuzzLazyRegex(f *testing.F) {
	for _, s := range []string{`a+b`, `(?i)k\b`, `^$`, `é|\x{212a}`, `(?m)^a$`, `\Bx`} {
		f.Add(s, []byte("a\nK\u212a é\xff"))
	}
	f.Fuzz(func(t *testing.T, expr string, text []byte) {
		if len(expr) > 200 || len(text) > 2000 {
			return
		}
		want, err := regexp.Compile(expr)
		if err != nil {
			return
		}
		require.Equal(t, want.Match(text), decide(newLazyRegex(expr), expr, text))
	})
}

// BenchmarkConfirm compares what is run on a line that holds an expression's literal.
func BenchmarkConfirm(b *testing.B) {
	const expr = `failed to (mount|attach) volume.*\b(code|status)=5\d\d\b`
	line := []byte(`E0314 09:26:53.101214    2214 reconciler.go:312] failed to attach volume pvc-7c1f2b90-11aa-4bb2-9cc0-0a8b7c6d5e4f of pod default/web-5d4f8c7b9d-2xk7q to node-1: request rejected by the cloud with status=503 after 12 retries`)
	b.Run("lazy", func(b *testing.B) {
		re := newLazyRegex(expr)
		b.SetBytes(int64(len(line)))
		for b.Loop() {
			re.match(line)
		}
	})
	b.Run("regexp", func(b *testing.B) {
		re := regexp.MustCompile(expr)
		b.SetBytes(int64(len(line)))
		for b.Loop() {
			re.Match(line)
		}
	})
}

// A line that has what an expression begins with, and not the rest of it: most lines that an expression is asked about are such.
func BenchmarkLazyRegexOnNearMisses(b *testing.B) {
	re := newLazyRegex(`failed to attach volume after \d+(ms|s)`)
	line := []byte(`E1126 12:00:00.000000 1 controller.go:114] failed to attach volume after the node pod="shop/cart-7d9f8b6c5d-x2x4q" err="rpc error: code = Internal desc = could not attach volume vol-0a1b2c3d4e5f: the instance was stopped while it was being attached"`)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if matched, sure := re.match(line); matched || !sure {
			b.Fatal("it does not match")
		}
	}
}
