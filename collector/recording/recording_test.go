package recording

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

var update = flag.Bool("update", false, "write the stored recording anew")

func frames(tb testing.TB, n, size int) [][]byte {
	tb.Helper()
	var out [][]byte
	for i := range n {
		var b record.Builder
		require.NoError(tb, b.Reset(record.Header{Source: "file/x", Kinds: 1 << record.Log}))
		require.NoError(tb, b.Add(&record.Record{Kind: record.Log, Time: int64(i), ID: uint64(i), Text: []byte(fmt.Sprint(i, strings.Repeat("x", size)))}))
		out = append(out, b.AppendTo(nil))
	}
	return out
}

func recorded(tb testing.TB, all [][]byte, flushEvery int, end bool) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, Info{Created: time.Unix(0, 0).UTC(), Cluster: "test"})
	require.NoError(tb, err)
	for i, f := range all {
		require.NoError(tb, w.Write(f))
		if flushEvery > 0 && (i+1)%flushEvery == 0 {
			require.NoError(tb, w.Flush())
		}
	}
	if end {
		require.NoError(tb, w.Close())
	} else {
		require.NoError(tb, w.Flush())
	}
	return buf.Bytes()
}

func readAll(tb testing.TB, data []byte) ([][]byte, *Reader) {
	tb.Helper()
	r, err := NewReader(bytes.NewReader(data))
	require.NoError(tb, err)
	defer r.Close()
	var out [][]byte
	for {
		f, err := r.Next(tb.Context())
		if errors.Is(err, io.EOF) {
			return out, r
		}
		require.NoError(tb, err)
		out = append(out, bytes.Clone(f))
	}
}

func TestRecordingGivesBackWhatWentIn(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 100_000} {
		all := frames(t, 50, size)
		got, r := readAll(t, recorded(t, all, 0, true))
		require.Equal(t, all, got)
		require.NoError(t, r.Problem())
		require.Equal(t, "test", r.Info().Cluster)
	}
}

func TestRecordingWithoutItsEndIsReadAndTold(t *testing.T) {
	t.Parallel()
	all := frames(t, 30, 100)
	data := recorded(t, all, 10, false)
	got, r := readAll(t, data)
	require.Equal(t, all, got)
	require.ErrorContains(t, r.Problem(), "cut off")
	for n := len(data) - 1; n > 60; n -= 7 { // wherever it is cut, whole blocks are read
		got, r := readAll(t, data[:n])
		require.Contains(t, []int{0, 10, 20}, len(got))
		require.Equal(t, all[:len(got)], append([][]byte{}, got...))
		require.ErrorContains(t, r.Problem(), "cut off")
	}
}

func TestRecordingWithADamagedBlockGoesOnBehindIt(t *testing.T) {
	t.Parallel()
	all := frames(t, 30, 100)
	data := recorded(t, all, 10, true)
	first := bytes.Index(data, []byte{0x28, 0xb5, 0x2f, 0xfd})
	data[first+20] ^= 1
	got, r := readAll(t, data)
	require.Equal(t, all[10:], got)
	require.ErrorContains(t, r.Problem(), "checksum")
}

func TestReaderRefusesWhatIsNoRecording(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"empty":       "",
		"a log":       "2026-11-20T10:00:00Z line of a log",
		"its version": magic + "\x09\n\x02\x00\x00\x00{}",
		"its length":  magic + "\x01\n\xff\xff\xff\xff{}",
		"cut":         magic + "\x01\n\x09\x00\x00\x00{}",
		"no JSON":     magic + "\x01\n\x02\x00\x00\x00[[",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := NewReader(strings.NewReader(data))
			require.Error(t, err)
		})
	}
}

// TestStoredRecordingStillOpens reads a recording that was made when the format was new.
func TestStoredRecordingStillOpens(t *testing.T) {
	t.Parallel()
	all := frames(t, 5, 100)
	if *update {
		require.NoError(t, os.WriteFile("testdata/v1.fwrec", recorded(t, all, 2, true), 0o644))
	}
	data, err := os.ReadFile("testdata/v1.fwrec")
	require.NoError(t, err)
	got, r := readAll(t, data)
	require.NoError(t, r.Problem())
	require.Len(t, got, 5)
	var b record.Batch
	require.NoError(t, b.Decode(got[4]))
	require.Equal(t, "4"+strings.Repeat("x", 100), strings.ReplaceAll(string(b.At(0).Text), " ", ""))
}

func FuzzReader(f *testing.F) {
	f.Add(recorded(f, frames(f, 5, 100), 2, true))
	f.Add(recorded(f, frames(f, 5, 100), 2, false))
	f.Add([]byte(magic + "\x01\n\x02\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := NewReader(bytes.NewReader(data)); err == nil {
			defer r.Close()
			for {
				if _, err := r.Next(t.Context()); err != nil {
					return
				}
			}
		}
	})
}
