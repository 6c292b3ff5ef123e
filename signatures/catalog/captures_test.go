package catalog

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures/catalog/demo"
)

var update = flag.Bool("update", false, "rewrite testdata/captures.golden")

const golden = "testdata/captures.golden"

// captures are what is read together, by the name that the golden has for it. README.md says what each of them shows.
func captures() []capture {
	in := func(names ...string) []string {
		for i, n := range names {
			names[i] = filepath.Join("testdata/captures", n)
		}
		return names
	}
	return []capture{
		{name: "watch", paths: in("watch/deployments.ndjson.gz", "watch/events.ndjson.gz", "watch/hpas.ndjson.gz", "watch/jobs.ndjson.gz", "watch/namespaces.ndjson.gz",
			"watch/nodes.ndjson.gz", "watch/pods.ndjson.gz", "watch/pvcs.ndjson.gz", "watch/replicasets.ndjson.gz")},
		{name: "events", paths: in("watch/events.ndjson.gz")},
		{name: "events-v1", paths: in("watch/events-v1.ndjson.gz")},
		{name: "event-list", paths: in("events/all-events.json.gz")},
		{name: "objects", paths: in("objects")},
		{name: "metrics", paths: in("metrics")},
		{name: "logs", paths: in("logs"), healthy: true},
		{name: "hpa-scaled", paths: in("events/hpa-scaled.json.gz"), healthy: true},
		{name: "healthy", paths: in("healthy"), healthy: true},
		{name: "noise", paths: []string{"testdata/noise"}, healthy: true},
	}
}

type capture struct {
	name    string
	paths   []string
	healthy bool // nothing was wrong with it
}

func TestTheCapturesRaiseTheRightWarningsAndNoOthers(t *testing.T) {
	program := compile(t)
	var got []string
	for _, c := range captures() {
		files, err := collector.Open(collector.Options{Paths: c.paths})
		require.NoError(t, err)
		warnings := replay(t, program, files)
		if c.healthy {
			require.Empty(t, lines(c.name, warnings), "%s was well", c.name)
		}
		got = append(got, lines(c.name, warnings)...)
	}
	got = append(got, lines("demo", replay(t, program, recording(t)))...)
	text := strings.Join(got, "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(text), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), text, "run with -update, and verify every line of the difference by hand")
}

// recording opens the demo's recording.
func recording(t *testing.T) *collector.Files {
	t.Helper()
	path := filepath.Join(t.TempDir(), demo.Name)
	src, err := io.ReadAll(demo.Recording())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, src, 0o600))
	files, err := collector.Open(collector.Options{Paths: []string{path}})
	require.NoError(t, err)
	return files
}

func compile(t *testing.T) *matcher.Program {
	t.Helper()
	program, problems := matcher.Compile(load(t), matcher.CompileOptions{})
	require.Empty(t, problems)
	return program
}

// replay runs what the files say through the program, and returns the last revision of every warning that was told.
func replay(t *testing.T, program *matcher.Program, files *collector.Files) []matcher.Warning {
	t.Helper()
	engine, err := matcher.NewEngine(program, matcher.TrackerOptions{})
	require.NoError(t, err)
	last := map[string]matcher.Warning{}
	keep := func(changes []matcher.Change) {
		for _, c := range changes {
			last[c.Warning.ID] = c.Warning
		}
	}
	var batch record.Batch
	records := 0
	for {
		frame, err := files.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, batch.Decode(frame))
		records += batch.Len()
		keep(engine.Feed(&batch))
	}
	keep(engine.Finish())
	require.NotZero(t, records, "the files hold records")
	stats := engine.Stats()
	for what, n := range stats.Losses() {
		require.Zero(t, n, "nothing was lost: %s", what)
	}
	var out []matcher.Warning
	for _, w := range last {
		if !w.Retracted {
			out = append(out, w)
		}
	}
	return out
}

// lines tells warnings one a line, in the order of signature, key and time.
func lines(name string, warnings []matcher.Warning) []string {
	var out []string
	for _, w := range warnings {
		rungs := make([]string, len(w.Reached))
		for i, r := range w.Reached {
			rungs[i] = r.Stage + "@" + r.Time.UTC().Format("15:04:05")
		}
		line := fmt.Sprintf("%-10s %-28s %-44s %-9s %s", name, w.Signature, cmp.Or(w.KeyText, "-"), w.State, strings.Join(rungs, " "))
		if w.Incident != nil {
			line += fmt.Sprintf(" lead %s", w.Lead.Round(time.Second))
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}
