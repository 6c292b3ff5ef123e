package signatures

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestParseDuration(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
		err  string
	}{
		{text: "90s", want: 90 * time.Second},
		{text: "5m", want: 5 * time.Minute},
		{text: "1h30m", want: 90 * time.Minute},
		{text: "2d", want: 48 * time.Hour},
		{text: "1w", want: 7 * 24 * time.Hour},
		{text: "1w2d3h4m5s6ms", want: 9*24*time.Hour + 3*time.Hour + 4*time.Minute + 5*time.Second + 6*time.Millisecond},
		{text: "-30s", want: -30 * time.Second},
		{text: "1.5h", want: 90 * time.Minute},
		{text: "0s"},
		{text: "3650d", want: maxDuration},
		{text: "", err: "is empty"},
		{text: "-", err: "is empty"},
		{text: "5", err: "has no unit: write 5s"},
		{text: "0", err: "has no unit"},
		{text: "-1.5", err: "has no unit"},
		{text: "1e3", err: "has no unit"},
		{text: "5 m", err: "not a duration"},
		{text: "m", err: "not a duration"},
		{text: "5min", err: "not a duration"},
		{text: "+5m", err: "not a duration"},
		{text: "--5m", err: "not a duration"},
		{text: "5m1h", err: "not in order"},
		{text: "5m5m", err: "not in order"},
		{text: "1..5h", err: "not a duration"},
		{text: "3651d", err: "longer than ten years"},
		{text: "99999999999999999999999w", err: "longer than ten years"},
		{text: "9223372036854775807w9223372036854775807d", err: "longer than ten years"},
		{text: strings.Repeat("x", 1000), err: "x..."},
	}
	for _, tt := range tests {
		got, err := ParseDuration(tt.text)
		if tt.err != "" {
			require.ErrorContains(t, err, tt.err, tt.text)
			continue
		}
		require.NoError(t, err, tt.text)
		require.Equal(t, tt.want, time.Duration(got), tt.text)
	}
}

func TestDurationsAreWrittenAsTheyAreRead(t *testing.T) {
	for text, d := range map[string]time.Duration{
		"0s": 0, "1m30s": 90 * time.Second, "1d": 24 * time.Hour, "2w": 14 * 24 * time.Hour, "8d": 8 * 24 * time.Hour, "-5m": -5 * time.Minute,
		"1us1ns": time.Microsecond + 1,
	} {
		require.Equal(t, text, Duration(d).String())
	}
	require.NotPanics(t, func() { _ = Duration(math.MinInt64).String() })
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		d := Duration(rng.Int64N(2*int64(maxDuration)) - int64(maxDuration))
		got, err := ParseDuration(d.String())
		require.NoError(t, err)
		require.Equal(t, d, got, d.String())
	}
}

func TestScalarsKeepTheAuthorsSpelling(t *testing.T) {
	src := strings.Replace(string(Template("a")), `to: "True"`, "to: False, from: [no, 0x1F, 1_000, 2024-01-01, 1.50]", 1)
	s := sound(t, "a.yaml", []byte(src))[0]
	require.Equal(t, []string{"False"}, s.Clear.When.Change.To.Equals)
	require.Equal(t, []string{"no", "0x1F", "1_000", "2024-01-01", "1.50"}, s.Clear.When.Change.From.Equals)
}

func TestShortAndLongFormsAreTheSame(t *testing.T) {
	base := string(Template("a"))
	with := func(old, text string) [32]byte {
		require.Contains(t, base, old)
		return sound(t, "a.yaml", []byte(strings.Replace(base, old, text, 1)))[0].Digest()
	}
	const kind, message, by = "kind: Pod", "message: Liveness probe failed", "by: pod"
	require.Equal(t, with(kind, kind), with(kind, "kind: [Pod]"))
	require.Equal(t, with(kind, kind), with(kind, "kind: {equals: Pod}"))
	require.Equal(t, with(kind, kind), with(kind, "kind: {equals: [Pod]}"))
	require.Equal(t, with(message, message), with(message, "message: {any: Liveness probe failed}"))
	require.Equal(t, with(message, message), with(message, "message: [Liveness probe failed]"))
	require.NotEqual(t, with(message, message), with(message, "message: {all: Liveness probe failed}"))
	require.Equal(t, with(by, by), with(by, "by: [pod]"))
}

func TestCatalogueAsksForMore(t *testing.T) {
	src := read(t, "testdata/bad/bare.yaml")
	got, problems := Options{}.Parse("bare.yaml", src)
	require.Len(t, got, 1)
	require.Len(t, problems, 5)
	require.Empty(t, Errors(problems))
	got, problems = Options{Catalogue: true}.Parse("bare.yaml", src)
	require.Empty(t, got)
	require.Len(t, Errors(problems), 5)
}

func TestOneBadSignatureDoesNotHideTheOthers(t *testing.T) {
	bad := strings.Replace(string(Template("bad")), "severity: high", "severity: worst", 1)
	broken := "id: [\n"
	src := string(Template("one")) + "---\n" + bad + "---\n" + broken + "---\n" + string(Template("two"))
	got, problems := Parse("x.yaml", []byte(src))
	require.Len(t, got, 2)
	require.Equal(t, "one", got[0].ID)
	require.Equal(t, "two", got[1].ID)
	require.Len(t, problems, 2)
}

func TestHostileFilesAreRefusedInBoundedTime(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	junk := func(n int, alphabet string) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[rng.IntN(len(alphabet))]
		}
		return b
	}
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	files := map[string][]byte{
		"random bytes":      junk(100_000, string(every)),
		"random YAML":       junk(100_000, "ab:- \n{}[],\"'|>#&*!%@?"),
		"random letters":    junk(100_000, "ab \n"),
		"many lists":        bytes.Repeat([]byte("- a\n"), 200_000),
		"many unknown keys": []byte(manyKeys(20_000)),
		"deep lists":        bytes.Repeat([]byte("["), 200_000),
		"deep mappings":     bytes.Repeat([]byte("{a: "), 100_000),
		"deep blocks":       bytes.Repeat([]byte("- "), 200_000),
		"one long line":     bytes.Repeat([]byte("a"), 1_000_000),
		"over a document":   bytes.Repeat([]byte("# a\nb: c\n"), 200_000),
		"over a file":       bytes.Repeat([]byte(" "), maxFile+1),
		"many documents":    bytes.Repeat([]byte("---\nid: x\n"), 5_000),
		"many anchors":      bytes.Repeat([]byte("- &a b\n- *a\n"), 20_000),
		"NUL":               make([]byte, 100_000),
	}
	for name, src := range files {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			got, problems := Parse("x.yaml", src)
			require.Empty(t, got)
			require.NotEmpty(t, problems)
			require.LessOrEqual(t, len(problems), maxProblems+1)
			for _, p := range problems {
				require.Less(t, len(p.Error()), 3000)
			}
			require.Less(t, time.Since(start), 20*time.Second, "generous, for a machine that is shared")
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "key%d: value\n", i)
	}
	return b.String()
}

// FuzzParse looks for a panic, for reports that have no place, and for signatures that are accepted and are not sound.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "regex-large.yaml") {
				continue
			}
			f.Add(readSeed(f, name))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<16 {
			return
		}
		got, problems := Parse("x.yaml", src)
		for _, p := range problems {
			require.Positive(t, p.Line)
			require.Positive(t, p.Column)
			require.NotEmpty(t, p.Message)
			require.True(t, utf8.ValidString(p.Message) || !utf8.Valid(src))
		}
		for _, s := range got {
			require.Empty(t, Errors(Options{}.Check(s)))
			for i := range s.Tests {
				if len(s.Tests[i].Records) > 0 && s.Tests[i].Records[0].Repeat < 1000 {
					_, _ = s.Tests[i].Build(time.Unix(0, 0))
				}
			}
			_, _, _, ok := s.Position("stages[0].when")
			require.True(t, ok)
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"90s", "1h30m", "-2d", "1w", "1.5h", "5", "", "9999999999w", "1h1h", "µs", "1µs"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		require.LessOrEqual(t, time.Duration(d).Abs(), maxDuration)
		again, err := ParseDuration(d.String())
		require.NoError(t, err)
		require.Equal(t, d, again)
	})
}

func BenchmarkParse(b *testing.B) {
	src := Template("a")
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if got, _ := Parse("a.yaml", src); len(got) != 1 {
			b.Fatal("it is sound")
		}
	}
}
