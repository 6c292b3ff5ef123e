package collector

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

func gzipped(tb testing.TB, data []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(data)
	require.NoError(tb, err)
	require.NoError(tb, z.Close())
	return b.Bytes()
}

func numbered(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		b.WriteString("2026-11-20T10:00:00Z line ")
		b.WriteString(strings.Repeat(string(rune('a'+i%26)), i%40))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func TestCompressedFilesAreUnpackedByContent(t *testing.T) {
	t.Parallel()
	data := numbered(1000)
	enc, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	twice := append(gzipped(t, data), gzipped(t, data)...)
	for name, c := range map[string]struct {
		data []byte
		want int
	}{
		"a.log": {gzipped(t, data), 1000}, "b.log": {enc.EncodeAll(data, nil), 1000}, "c.gz": {data, 1000}, "d.gz": {twice, 2000},
	} {
		f, err := Open(Options{Paths: []string{write(t, name, string(c.data))}, Now: present})
		require.NoError(t, err)
		records, _ := drain(t, f)
		require.Len(t, records, c.want, name)
		require.Empty(t, f.Stats().Problems)
	}
}

func TestTruncatedAndDamagedFilesGiveWhatCouldBeRead(t *testing.T) {
	t.Parallel()
	whole := gzipped(t, numbered(100_000))
	damaged := bytes.Clone(whole)
	damaged[len(damaged)/2] ^= 0xff
	for name, data := range map[string][]byte{"cut": whole[:len(whole)/2], "damaged": damaged, "header only": whole[:10], "two bytes": {0x1f, 0x8b, 8, 0}} {
		path := write(t, "a.log.gz", string(data))
		f, err := Open(Options{Paths: []string{path}, Now: present})
		require.NoError(t, err)
		records, last := drain(t, f)
		if len(data) > 10 {
			require.NotEmpty(t, records, name)
		}
		require.True(t, last["file/"+path].Ended, name)
		st := f.Stats()
		require.Len(t, st.Problems, 1, name)
		require.ErrorContains(t, st.Problems[0], path)
		require.Equal(t, uint64(1), st.Counts.Get(format.BadInput))
	}
}

func TestBinaryJunkIsReadWithoutHarm(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		junk := make([]byte, 200_000)
		for i := range junk {
			junk[i] = byte(rng.Uint32())
		}
		f, err := Open(Options{Paths: []string{write(t, "junk", string(junk))}, Now: present})
		require.NoError(t, err)
		_, last := drain(t, f)
		require.Len(t, last, 1)
	}
}

// endless gives a line without an end, n bytes of it.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	if e.n <= 0 {
		return 0, io.EOF
	}
	p = p[:min(len(p), e.n)]
	for i := range p {
		p[i] = 'x'
	}
	e.n -= len(p)
	return len(p), nil
}

func TestALineOf100MBIsCutInBoundedMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f, err := Open(Options{Paths: []string{Stdin}, Now: present, Stdin: io.MultiReader(strings.NewReader("2026-11-20T10:00:00Z "), &endless{100 << 20}, strings.NewReader("\n2026-11-20T10:00:01Z next\n"))})
	require.NoError(t, err)
	records, _ := drain(t, f)
	runtime.ReadMemStats(&after)
	require.Len(t, records, 2)
	require.Len(t, records[0].Text, record.MaxText)
	st := f.Stats()
	require.Equal(t, uint64(1), st.Counts.Get(format.LongLine))
	require.Equal(t, uint64(21+100<<20-record.MaxText), st.Counts.Get(format.SkippedBytes))
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20), "all that was ever allocated")
	require.NoError(t, f.Close())
}

func TestOpenNamesEveryPathThatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Open(Options{Paths: []string{filepath.Join(dir, "a.log"), filepath.Join(dir, "*.log"), filepath.Join(dir, "[")}})
	require.ErrorContains(t, err, "a.log")
	require.ErrorContains(t, err, "*.log: no file matches")
	_, err = Open(Options{})
	require.ErrorContains(t, err, "no files")
	_, err = Open(Options{Paths: []string{dir}})
	require.ErrorContains(t, err, "has no files")
}

func TestAnEmptyFileEnds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n\n", "x"} {
		path := write(t, "empty.log", text)
		f, err := Open(Options{Paths: []string{path}, Now: present})
		require.NoError(t, err)
		_, last := drain(t, f)
		require.True(t, last["file/"+path].Ended)
	}
}

func age(i int) time.Duration { return time.Duration(i+2) * time.Minute }

func TestManyFilesAreInterleavedWithFewOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const files = maxOpen + 50
	for i := range files {
		text := present().Add(-age(i)).Format("2006-01-02T15:04:05Z") + " a\n" + present().Add(-age(i)/2).Format("2006-01-02T15:04:05Z") + " b\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, string(rune('a'+i%26))+string(rune('a'+i/26))+".log"), []byte(text), 0o600))
	}
	f, err := Open(Options{Paths: []string{dir}, Now: present})
	require.NoError(t, err)
	records, last := drain(t, f)
	require.Len(t, texts(records), 2*files)
	require.Len(t, last, files)
	for i := 1; i < len(records); i++ {
		require.GreaterOrEqual(t, records[i].Time, records[i-1].Time-1e9)
	}
	st := f.Stats()
	require.Equal(t, uint64(2*files), st.Records, "files that were looked at first are not counted twice")
	require.Equal(t, st.Total, st.Read)
}
