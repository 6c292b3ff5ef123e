package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
)

// catalogNeeds are what the shipped catalogue looks at.
func catalogNeeds(tb testing.TB) []signatures.MetricNeed {
	tb.Helper()
	set, problems := signatures.LoadFS(catalog.FS, signatures.Options{})
	require.Empty(tb, signatures.Errors(problems))
	needs := signatures.MetricNeeds(set)
	require.NotEmpty(tb, needs)
	return needs
}

// slowly is the obvious reader: every line is parsed, and then looked at.
func slowly(v *view, data []byte) []string {
	var out []string
	for line := range strings.Lines(string(data)) {
		var s format.Series
		if !strings.HasSuffix(line, "\n") || strings.HasPrefix(line, "#") || !s.Parse([]byte(strings.TrimRight(line, "\r\n"))) || len(line) > maxLine {
			continue
		}
		if m := v.find([]byte(s.Name)); m != nil && m.keeps(s.Labels) && !math.IsNaN(s.Value) {
			out = append(out, shown(&s))
		}
	}
	return out
}

func shown(s *format.Series) string {
	return fmt.Sprintf("%s%v%v %d", s.Name, s.Labels, s.Value, s.Time)
}

func quickly(v *view, r io.Reader, openMetrics bool) ([]string, *text, error) {
	var out []string
	x := &text{view: v, limit: 64 << 20, openMetrics: openMetrics}
	err := x.read(r, func(s *format.Series) error {
		out = append(out, shown(s))
		return nil
	})
	return out, x, err
}

func TestReadingByNameGivesWhatReadingEveryLineGives(t *testing.T) {
	t.Parallel()
	views := map[string]*view{"catalogue": viewOf(catalogNeeds(t)), "everything": viewOf(nil, "*")}
	total := 0
	for name, data := range captures(t) {
		for what, v := range views {
			want := slowly(v, data)
			for _, r := range []io.Reader{bytes.NewReader(data), iotest.HalfReader(bytes.NewReader(data)), iotest.DataErrReader(bytes.NewReader(data))} {
				got, x, err := quickly(v, r, false)
				require.NoError(t, err)
				require.Equal(t, want, got, "%s, %s", name, what)
				require.Zero(t, x.skipped.bad)
				require.EqualValues(t, len(data), x.skipped.bytes)
			}
			total += len(want)
		}
		one, _, err := quickly(views["catalogue"], iotest.OneByteReader(bytes.NewReader(data)), false)
		require.NoError(t, err)
		require.Equal(t, slowly(views["catalogue"], data), one)
	}
	require.Greater(t, total, 10_000)
}

func TestScrapesThatAreNotWhole(t *testing.T) {
	t.Parallel()
	v := viewOf(need("a", "b"))
	for name, c := range map[string]struct {
		text    string
		open    bool
		want    []string
		err     error
		bad     int
		nan     int
		long    int
		byError error
	}{
		"whole":                                     {text: "a 1\nb 2\n", want: []string{"a[]1 0", "b[]2 0"}},
		"a number is cut":                           {text: "a 1\nb 12", want: []string{"a[]1 0"}, err: errEndless},
		"a connection that broke":                   {text: "a 1\nb 12", want: []string{"a[]1 0"}, byError: io.ErrUnexpectedEOF},
		"OpenMetrics":                               {text: "a 1 1.5\n# EOF\n", open: true, want: []string{"a[]1 1500000000"}},
		"OpenMetrics without its end":               {text: "a 1\n", open: true, want: []string{"a[]1 0"}, err: errEndless},
		"nothing at all":                            {text: ""},
		"no value":                                  {text: "a NaN\nb 1\n", want: []string{"b[]1 0"}, nan: 1},
		"a needed line that is damaged":             {text: "a{x=1} 1\nb 1\n", want: []string{"b[]1 0"}, bad: 1},
		"a damaged line that nobody needs":          {text: "c{x=1} 1\nb 1\n", want: []string{"b[]1 0"}},
		"lines with carriage returns":               {text: "a 1\r\nb 2\r\n", want: []string{"a[]1 0", "b[]2 0"}},
		"a longer name that begins like the needed": {text: "a 1\naa 3\na_total 4\na{x=\"1\"} 2\n", want: []string{"a[]1 0", "a[{x 1}]2 0"}},
		"a name among the labels":                   {text: `{"a",x="1"} 2` + "\n", want: []string{"a[{x 1}]2 0"}},
		"an endless line":                           {text: "a 1\nb{x=\"" + strings.Repeat("y", 3*maxLine) + "\"} 1\nb 2\n", want: []string{"a[]1 0", "b[]2 0"}, long: 1},
		"an endless line at the end":                {text: "a 1\nb{x=\"" + strings.Repeat("y", 3*maxLine), want: []string{"a[]1 0"}, long: 1, err: errEndless},
		"a very large and a negative value":         {text: "a +Inf\nb -1e300\n", want: []string{"a[]+Inf 0", "b[]-1e+300 0"}},
		"an exemplar":                               {text: "a{le=\"1\"} 3 # {trace_id=\"x\"} 0.5 1.0\n", want: []string{"a[{le 1}]3 0"}},
		"comments and empty lines":                  {text: "# HELP a b\n# TYPE a gauge\n\na 1\n", want: []string{"a[]1 0"}},
		"blanks before it":                          {text: " a 1\nb 1\n", want: []string{"b[]1 0"}, bad: 1},
		"bytes that are no text":                    {text: "\x00\xff\n\xfe{\n\nb 1\n", want: []string{"b[]1 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := io.Reader(strings.NewReader(c.text))
			if c.byError != nil {
				r = io.MultiReader(r, iotest.ErrReader(c.byError))
				c.err = c.byError
			}
			got, x, err := quickly(v, r, c.open)
			require.Equal(t, c.want, got)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, []int{c.bad, c.nan, c.long}, []int{x.skipped.bad, x.skipped.nan, x.skipped.long})
		})
	}
}

func TestAScrapeIsReadUpToItsLimit(t *testing.T) {
	t.Parallel()
	x := &text{view: viewOf(need("a")), limit: 1000}
	n := 0
	err := x.read(strings.NewReader(strings.Repeat("a 1\n", 1000)), func(*format.Series) error { n++; return nil })
	require.ErrorIs(t, err, errTooLarge)
	require.LessOrEqual(t, n, 250)

	stop := errors.New("stop")
	require.ErrorIs(t, x.read(strings.NewReader("a 1\n"), func(*format.Series) error { return stop }), stop)
	require.NoError(t, x.read(strings.NewReader("a 1\n"), func(*format.Series) error { return nil }), "it is used again")
}

func TestLinesThatNobodyNeedsAllocateNothing(t *testing.T) {
	data := captures(t)["kubelet-cadvisor"]
	x := &text{view: viewOf(need("nothing_of_it")), limit: 64 << 20}
	r := bytes.NewReader(data)
	give := func(*format.Series) error { return nil }
	require.NoError(t, x.read(r, give))
	require.Zero(t, testing.AllocsPerRun(5, func() {
		r.Reset(data)
		_ = x.read(r, give)
	}))
}

// FuzzScrape reads any bytes, in pieces of any size; the samples are those that reading line by line gives.
func FuzzScrape(f *testing.F) {
	f.Add([]byte("# TYPE a gauge\na{b=\"c\\n\"} 1 1795201842645\nab 2\na 3\n"), true)
	f.Add([]byte("{\"a\",b=\"c\"} +Inf\n a 1\na 2"), false)
	v := viewOf(need("a"))
	f.Fuzz(func(t *testing.T, data []byte, halves bool) {
		r := io.Reader(bytes.NewReader(data))
		if halves {
			r = iotest.OneByteReader(r)
		}
		got, _, _ := quickly(v, r, false)
		want := slowly(v, data)
		require.True(t, slices.Equal(want, got), "%q and %q", want, got)
	})
}

func BenchmarkScrape(b *testing.B) {
	v := viewOf(catalogNeeds(b))
	all := captures(b)
	for _, name := range []string{"kubelet-cadvisor", "kube-apiserver", "etcd"} {
		b.Run(name, func(b *testing.B) {
			data := all[name]
			x := &text{view: v, limit: 64 << 20}
			r := bytes.NewReader(data)
			n := 0
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(data)
				n = 0
				if err := x.read(r, func(*format.Series) error { n++; return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n), "kept")
		})
	}
}
