package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// beMain makes a child process of the test binary behave as forewarn.
const beMain = "FOREWARN_TEST_BE_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(beMain) != "" || len(os.Args) > 1 && os.Args[1] == trialCommand { // a trial of the playground inherits no environment
		code := run()
		writePeak()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// answer is what one command line did.
type answer struct {
	code     int
	out, err string
}

// cli runs one command line in this process, with nothing on stdin.
func cli(tb testing.TB, args ...string) answer {
	tb.Helper()
	return cliIn(tb, "", args...)
}

func cliIn(tb testing.TB, stdin string, args ...string) answer {
	tb.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	code := execute(ctx, args, stdio{strings.NewReader(stdin), &out, &errs})
	require.NoError(tb, ctx.Err(), "%v took longer than a minute", args)
	return answer{code, out.String(), errs.String()}
}

// buffer is a bytes.Buffer that one goroutine writes and others read.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var _ io.Writer = (*buffer)(nil)

// told is what a person's tool reads of a warning's JSON line.
type told struct {
	ID        string    `json:"id"`
	Revision  int       `json:"revision"`
	Signature string    `json:"signature"`
	Title     string    `json:"title"`
	Severity  string    `json:"severity"`
	State     string    `json:"state"`
	Stage     string    `json:"stage"`
	Time      time.Time `json:"time"`
	Key       string    `json:"key"`
	Evidence  []struct {
		Time time.Time         `json:"time"`
		Text string            `json:"text"`
		Attr map[string]string `json:"attrs"`
	} `json:"evidence"`
}

// warnings reads JSON lines.
func warnings(tb testing.TB, lines string) []told {
	tb.Helper()
	var all []told
	for line := range strings.Lines(lines) {
		var w told
		require.NoError(tb, json.Unmarshal([]byte(line), &w), "this line is not one JSON object: %s", line)
		all = append(all, w)
	}
	return all
}

// file writes a file into a directory of the test.
func file(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	require.NoError(tb, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// golden compares got with a stored file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update")
	require.Equal(t, string(want), got)
}

// eventually waits for what another goroutine or process does.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	require.Eventually(tb, holds, 30*time.Second, 20*time.Millisecond, what)
}
