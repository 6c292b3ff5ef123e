package format

import (
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

var update = flag.Bool("update", false, "write what is read as the golden files")

// collectSink keeps copies of all records.
type collectSink struct{ records []record.Record }

func (s *collectSink) Add(r *record.Record) { s.records = append(s.records, r.Clone()) }

// written is when tests' inputs were written, and tests' present.
func written() time.Time { return time.Date(2026, 11, 20, 20, 0, 0, 0, time.UTC) }

// parse reads a whole input in pieces of n bytes.
func parse(tb testing.TB, data []byte, n int, in Input) (*Family, []record.Record, *Counts) {
	tb.Helper()
	sink := &collectSink{}
	in.Sink, in.Counts = sink, &Counts{}
	if in.Now.IsZero() {
		in.Now = written()
	}
	sample := data[:min(len(data), Sample)]
	family := Detect(sample)
	p := family.Open(in, sample)
	for i := 0; i < len(data); i += n {
		p.Write(data[i:min(len(data), i+n)])
	}
	p.Close()
	return family, sink.records, in.Counts
}

func readTestdata(tb testing.TB, path string) []byte {
	tb.Helper()
	b, err := os.ReadFile(path)
	require.NoError(tb, err)
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(b))
		require.NoError(tb, err)
		b, err = io.ReadAll(z)
		require.NoError(tb, err)
	}
	return b
}

// TestGolden reads genuine output and compares all records with testdata/*.golden. Pieces of any size must give the same.
func TestGolden(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/*.in*")
	require.NoError(t, err)
	require.NotEmpty(t, inputs)
	for _, path := range inputs {
		name, _, _ := strings.Cut(filepath.Base(path), ".in")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := readTestdata(t, path)
			family, records, counts := parse(t, data, 64<<10, Input{})
			var got bytes.Buffer
			got.WriteString("# " + family.Name + "\n")
			counts.Each(func(c Count, n uint64) {
				require.False(t, c.Loss(), "%d %s", n, c)
			})
			for i := range records {
				got.Write(record.AppendJSON(nil, &records[i]))
				got.WriteByte('\n')
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
			}
			require.Equal(t, string(readTestdata(t, golden)), got.String())
			for _, n := range []int{1, 7, 1000} {
				_, again, _ := parse(t, data, n, Input{})
				require.Equal(t, records, again, "in pieces of %d bytes", n)
			}
		})
	}
}
