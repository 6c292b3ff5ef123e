package bench

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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

// naive counts the signatures that a loop over all of them finds in the lines: what scan must be many times faster than.
func naive(tb testing.TB, log string, limit int, program *matcher.Program) int {
	tb.Helper()
	text, err := os.ReadFile(log)
	require.NoError(tb, err)
	type test struct {
		literal string
		regex   *regexp.Regexp
	}
	var tests []test
	for _, c := range program.Signatures() {
		body, err := program.Body(c.Digest)
		require.NoError(tb, err)
		l := body.Stages[0].When.Log
		if l.Regex != "" {
			tests = append(tests, test{regex: regexp.MustCompile(l.Regex)})
			continue
		}
		tests = append(tests, test{literal: l.Contains.Any[0]})
	}
	found := map[int]bool{}
	for line := range strings.SplitSeq(string(text[:min(limit, len(text))]), "\n") {
		for i, t := range tests {
			if t.regex != nil && t.regex.MatchString(line) || t.regex == nil && strings.Contains(line, t.literal) {
				found[i] = true
			}
		}
	}
	return len(found)
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

// leastRatio is how many times faster than the naive loop scan must at least be. It was measured at some 300; noise on a
// shared machine does not reach a third of that.
const leastRatio = 50

// BenchmarkSmoke is CI's guard: scan against the naive loop, side by side, so that a slow machine slows both.
func BenchmarkSmoke(b *testing.B) {
	w := Plain{Seed: 2, Signatures: 1000, Bytes: 32 << 20, Planted: 300}
	log, program, planted := prepare(b, w)
	const naiveBytes = 512 << 10
	for b.Loop() {
		began := time.Now()
		require.Equal(b, planted, scanFile(b, log, program))
		fast := float64(w.Bytes) / time.Since(began).Seconds()
		began = time.Now()
		require.NotZero(b, naive(b, log, naiveBytes, program))
		slow := naiveBytes / time.Since(began).Seconds()
		b.ReportMetric(fast/1e6, "MB/s")
		b.ReportMetric(fast/slow, "x-naive")
		require.Greater(b, fast/slow, float64(leastRatio), "scan is not even %d times as fast as a loop over the signatures", leastRatio)
	}
}
