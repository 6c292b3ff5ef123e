package bench

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// prepare writes a workload's log and compiles its signatures.
func prepare(tb testing.TB, w Plain) (log string, program *matcher.Program, planted int) {
	tb.Helper()
	var src bytes.Buffer
	require.NoError(tb, w.WriteSignatures(&src))
	sigs, problems := signatures.Parse("bench.yaml", src.Bytes())
	require.Empty(tb, signatures.Errors(problems))
	program, problems = matcher.Compile(sigs, matcher.CompileOptions{})
	require.Empty(tb, problems)
	log = filepath.Join(tb.TempDir(), "bench.log")
	f, err := os.Create(log)
	require.NoError(tb, err)
	planted, err = w.WriteLog(f)
	require.NoError(tb, err)
	require.NoError(tb, f.Close())
	return log, program, planted
}

// scanFile is what `forewarn scan` does, without the printing, and returns the number of warnings.
func scanFile(tb testing.TB, log string, program *matcher.Program) int {
	tb.Helper()
	files, err := collector.Open(collector.Options{Paths: []string{log}})
	require.NoError(tb, err)
	defer func() { require.NoError(tb, files.Close()) }()
	engine, err := matcher.NewEngine(program, matcher.TrackerOptions{Lateness: time.Minute})
	require.NoError(tb, err)
	warnings := 0
	var b record.Batch
	for {
		frame, err := files.Next(tb.Context())
		if errors.Is(err, io.EOF) {
			return warnings + len(engine.Finish())
		}
		require.NoError(tb, err)
		require.NoError(tb, b.Decode(frame))
		warnings += len(engine.Feed(&b))
	}
}

// BenchmarkScan is the work of `forewarn scan`: file to warnings with 1,000 mixed signatures. Each run must raise exactly
// the planted warnings.
func BenchmarkScan(b *testing.B) {
	w := Plain{Seed: 1, Signatures: 1000, Bytes: 100 << 20, Planted: 500}
	log, program, planted := prepare(b, w)
	b.SetBytes(int64(w.Bytes))
	for b.Loop() {
		require.Equal(b, planted, scanFile(b, log, program))
	}
}
