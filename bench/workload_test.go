package bench

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

var update = flag.Bool("update", false, "write what workloads must come to, and golden files")

// expectBlock is the part of a workload's file that -update writes.
var expectBlock = regexp.MustCompile(`(?m)^expect:\n(?:[ ].*\n)*`)

// TestEveryWorkloadHasItsExpectedResults holds the recorded numbers against the twin where that takes no time, and makes them anew with
// -update.
func TestEveryWorkloadHasItsExpectedResults(t *testing.T) {
	all, err := Workloads()
	require.NoError(t, err)
	for _, w := range all {
		t.Run(w.Name, func(t *testing.T) {
			if !*update {
				require.NotNil(t, w.Expect, "run go test ./bench -run Expected -update")
				require.Len(t, w.Expect.Of, len(w.Signatures.Counts))
				if w.SizeMB > 10 {
					return // the engine is held against these at every run
				}
			} else {
				w.Expect = nil
			}
			c, err := w.Corpus()
			require.NoError(t, err)
			twin, err := newTwin(c.Patterns)
			require.NoError(t, err)
			got := Expect{Digest: c.Digest, Records: c.Records, Of: twin.expect(c, w.Signatures.Counts)}
			if !*update {
				require.Equal(t, *w.Expect, got)
				return
			}
			file := filepath.Join("workloads", w.Name+".yaml")
			src, err := os.ReadFile(file)
			require.NoError(t, err)
			block := fmt.Sprintf("expect:\n  digest: %q\n  records: %d\n  of:\n", got.Digest, got.Records)
			for _, x := range got.Of {
				block += fmt.Sprintf("    - {signatures: %d, hits: %d, warnings: %d}\n", x.Signatures, x.Hits, x.Warnings)
			}
			src = append(expectBlock.ReplaceAll(src, nil), block...)
			require.NoError(t, os.WriteFile(file, src, 0o644))
		})
	}
}

// TestEngineFindsWhatIsExpected goes all the way from batches to warnings with the small workloads.
func TestEngineFindsWhatIsExpected(t *testing.T) {
	all, err := Workloads()
	require.NoError(t, err)
	for _, w := range all {
		if w.SizeMB > 10 {
			continue
		}
		t.Run(w.Name, func(t *testing.T) {
			c, err := w.Corpus()
			require.NoError(t, err)
			for _, n := range w.Signatures.Counts {
				p, err := c.Compile(n)
				require.NoError(t, err)
				want, ok := c.Expected(n)
				require.True(t, ok)
				s := matcher.NewScratch(p)
				hits := 0
				for _, b := range c.Batches {
					hits += len(p.Scan(b, s))
				}
				require.Equal(t, want.Hits, hits)
				engine, err := matcher.NewEngine(p, matcher.TrackerOptions{Lateness: time.Minute})
				require.NoError(t, err)
				warned := map[string]bool{}
				tell := func(changes []matcher.Change) {
					for _, x := range changes {
						warned[x.Warning.ID] = true
					}
				}
				for _, b := range c.Batches {
					tell(engine.Feed(b))
				}
				tell(engine.Finish())
				require.Len(t, warned, want.Warnings)
			}
		})
	}
}

func TestBadWorkloadsAreReportedWhole(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			require.NoError(t, err)
			_, got := ParseWorkload(filepath.Base(file), src)
			require.Error(t, got)
			golden := strings.TrimSuffix(file, ".yaml") + ".err"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got.Error()+"\n"), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got.Error()+"\n")
		})
	}
}

func TestSignaturesOfEverySetAreLanguage(t *testing.T) {
	for name, kind := range mustSets(t) {
		for i := range min(kind.most, 200) {
			p := kind.make(i)
			s := &signatures.Signature{
				ID: fmt.Sprintf("%s-%d", name, i), Title: "A text was seen", Severity: signatures.Medium, By: signatures.Key{"pod"},
				Stages: []signatures.Stage{{Name: "seen", When: p.Condition()}}, Clear: signatures.Clear{Quiet: signatures.Duration(time.Hour)},
			}
			require.Empty(t, signatures.Errors(signatures.Options{}.Check(s)), "%s %d", name, i)
		}
	}
}

func TestShapesAreRefusedWithTheirPlace(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"just text\n", "shape x: it needs at least one ordinary line and one with {msg}"},
		{"a\n{num ten} {msg}\n", "shape x, line 2: {num ten}: it needs a number"},
		{"a\n{hex 0} {msg}\n", "shape x, line 2: {hex 0}: it needs a number"},
	} {
		_, err := ParseShape("x", c.text)
		require.ErrorContains(t, err, c.want)
	}
	s, err := ParseShape("x", "# component: etcd\n{a} {pick one|two} {\nerror: {msg}\n")
	require.NoError(t, err)
	require.Equal(t, "etcd", s.Component)
	require.Equal(t, "{a} ", s.ordinary[0][0].text)
	require.True(t, bytes.HasPrefix([]byte(s.ordinary[0][2].text), []byte(" {")))
}
