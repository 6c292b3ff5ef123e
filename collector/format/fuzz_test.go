package format

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// seeds are the beginnings of all inputs of testdata, and hostile ones.
func seeds(f *testing.F) {
	f.Helper()
	paths, err := filepath.Glob("testdata/*.in*")
	require.NoError(f, err)
	for _, path := range paths {
		if b, err := os.ReadFile(path); err == nil && !strings.HasSuffix(path, ".gz") {
			f.Add(b[:min(len(b), 3000)])
		}
	}
	for _, s := range []string{
		"", "\n", "\x00", "\xff\xfe", "{", "[", "[{", "{\"items\":[", "{\"items\":[{}]}", "{\"a\":\"\\", "<34>", "<34>1 ", "---\n- ", "items:\n- a: &a [*a]\n",
		"{\"log\":\"x\"}", "LAST SEEN   TYPE   REASON   OBJECT   MESSAGE\n5m", "# TYPE a counter\na{b=\"c\\\"\"} NaN 1e99\n", "2026-11-20T10:00:00Z stdout P ",
		"{\"MESSAGE\":[1,2,300],\"__REALTIME_TIMESTAMP\":\"99999999999999999999\"}", "Jan 32 25:61:61 ", "9999999999999999999", "[[[[[[[[[[",
	} {
		f.Add([]byte(s))
	}
}

// FuzzFamilies gives any bytes to every family: none may fail, lose the count of its lines, or give a record that a batch
// refuses, and pieces of any size must give the same.
func FuzzFamilies(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for i := range families {
			var before []record.Record
			for _, n := range []int{len(data) + 1, 3} {
				sink := &collectSink{}
				in := Input{Sink: sink, Counts: &Counts{}, Now: written(), Limits: Limits{LineBytes: 200, EntryBytes: 300, EntryLines: 5, ItemBytes: 500, Objects: 4, SortedBytes: 2000}}
				p := families[i].Open(in, data)
				for at := 0; at < len(data); at += n {
					p.Write(data[at:min(at+n, len(data))])
				}
				p.Close()
				var b record.Builder
				require.NoError(t, b.Reset(record.Header{Source: "x"}))
				for j := range sink.records {
					require.NoError(t, b.Add(&sink.records[j]), families[i].Name)
					require.NotZero(t, sink.records[j].Time)
				}
				if before != nil {
					require.Equal(t, before, sink.records, families[i].Name)
				}
				before = sink.records
			}
		}
	})
}

// FuzzStamps reads any line as a stamp, twice: the short way of the second time must agree with the first.
func FuzzStamps(f *testing.F) {
	for _, s := range []string{"2026-11-20T10:00:00.123456789+05:30", "Nov 20 10:00:00", "I1120 10:00:00.1", "1741701619.421", "[11/Mar/2025:14:00:19 +0100]", "3/11/2025 2:00:19 PM", "20251231-1:2:3", "1.7e9", "{\"t\":{\"$date\":{\"$numberLong\":\"1\"}}}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		s := NewStamps(Input{Now: written()})
		ns, end, found := s.Read(line)
		require.LessOrEqual(t, end, len(line))
		again, endAgain, foundAgain := s.Read(line)
		require.Equal(t, found, foundAgain)
		if s.last != nil && !strings.Contains(s.last.name, "15:04:05]") && s.last.name != "15:04:05" {
			require.Equal(t, ns, again)
			require.Equal(t, end, endAgain)
		}
	})
}

// FuzzDetect finds a family for anything, and opens it.
func FuzzDetect(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		require.NotNil(t, Detect(data))
	})
}

// FuzzExposition reads any line as a sample; what is one is read the same when it is written again.
func FuzzExposition(f *testing.F) {
	f.Add([]byte(`a_total{b="c\n\"\\",d="e"} 1.5e3 1795201842645`))
	f.Add([]byte(`{"my.metric","b"="c"} +Inf`))
	f.Add([]byte(`x 1 # {trace_id="a"} 1`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var s Series
		if s.Parse(line) {
			require.NotEmpty(t, s.Name)
			require.False(t, bytes.Contains([]byte(s.Name), []byte("{")) && line[0] != '{')
		}
	})
}
