package cre_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/cre"
)

var update = flag.Bool("update", false, "write the expected results anew")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644)) //nolint:gosec // a file of the repository
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, list)
	return list
}

func problemText(problems []signatures.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.Error() + "\n")
	}
	return b.String()
}

// TestRulesBecomeSignatures keeps what each good file gives: the doubts, and the signatures as JSON.
func TestRulesBecomeSignatures(t *testing.T) {
	for _, path := range files(t, "testdata/good/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			src, err := os.ReadFile(path)
			require.NoError(t, err)
			sigs, problems, mine := cre.Read(filepath.Base(path), src)
			require.True(t, mine)
			require.Empty(t, signatures.Errors(problems))
			got, err := json.MarshalIndent(sigs, "", " ")
			require.NoError(t, err)
			golden(t, strings.TrimSuffix(path, ".yaml")+".want", problemText(problems)+string(got)+"\n")
			for _, s := range sigs {
				require.Empty(t, signatures.Errors(signatures.Options{}.Check(s)), "the language allows it")
				one, err := json.Marshal(s)
				require.NoError(t, err)
				again, problems := signatures.Parse("stored", one)
				require.Empty(t, signatures.Errors(problems), "it can be stored and read again")
				require.Equal(t, s.Digest(), again[0].Digest())
				_, line, column, ok := s.Position("stages[0].when")
				require.True(t, ok && line > 0 && column > 0, "it knows where it stands")
			}
		})
	}
}

// TestBadRulesAreReportedWholeAndStopNoOthers keeps every problem of each bad file, and which of its rules are sound all the same.
func TestBadRulesAreReportedWholeAndStopNoOthers(t *testing.T) {
	for _, path := range files(t, "testdata/bad/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			src, err := os.ReadFile(path)
			require.NoError(t, err)
			sigs, problems, mine := cre.Read(filepath.Base(path), src)
			require.True(t, mine)
			require.NotEmpty(t, signatures.Errors(problems))
			var sound strings.Builder
			for _, s := range sigs {
				fmt.Fprintf(&sound, "sound: %s\n", s.ID)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".err", problemText(problems)+sound.String())
			for _, p := range problems {
				require.Positive(t, p.Line, p.Message)
				require.Positive(t, p.Column, p.Message)
			}
		})
	}
}

func TestPackedRulesAreReadWhateverTheirName(t *testing.T) {
	src, err := os.ReadFile("testdata/good/figures.yaml")
	require.NoError(t, err)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write(src)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	want, _, _ := cre.Read("f", src)
	dir := t.TempDir()
	for _, name := range []string{"rules.yaml", "rules.yaml.gz"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), packed.Bytes(), 0o600))
		set, problems := signatures.Load([]string{dir}, signatures.Options{Foreign: cre.Read})
		require.Empty(t, signatures.Errors(problems))
		require.Equal(t, len(want), set.Len(), name)
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	_, problems, mine := cre.Read("rules.gz", packed.Bytes()[:packed.Len()/2])
	require.True(t, mine)
	require.Contains(t, problemText(problems), "unpack: unexpected EOF")
}

func TestOwnSignaturesAreNoRules(t *testing.T) {
	for _, path := range files(t, "../catalog/*.yaml") {
		src, err := os.ReadFile(path)
		require.NoError(t, err)
		_, _, mine := cre.Read(path, src)
		require.False(t, mine, path)
	}
	_, _, mine := cre.Read("groups.yaml", []byte("groups:\n  - name: a\n    rules:\n      - alert: x\n"))
	require.False(t, mine, "Prometheus has rules too, but below groups")
}

func TestSourcesMeanComponents(t *testing.T) {
	const text = `rules:
  - cre: {id: CRE-2099-2001, severity: 1, title: t, applications: [{name: Redis, containerName: cache}]}
    rule: {set: {event: {source: cre.log.mq}, match: [some long text]}}
`
	o := cre.Options{Sources: map[string][]string{"cre.log.mq": {"rabbitmq"}}}
	sigs, problems, _ := o.Read("f", []byte(text))
	require.Empty(t, problems)
	require.Equal(t, []string{"cre.log.mq", "mq", "redis", "cache", "rabbitmq"}, sigs[0].Stages[0].When.Log.Component.Equals)
}

// FuzzRead looks for what makes the reader panic, hang, or give a signature that the language itself does not allow.
func FuzzRead(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		list, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, path := range list {
			src, err := os.ReadFile(path)
			require.NoError(f, err)
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		sigs, problems, mine := cre.Read("fuzz.yaml", src)
		require.True(t, mine || len(sigs)+len(problems) == 0)
		again, more, _ := cre.Read("fuzz.yaml", src)
		require.Equal(t, problemText(problems), problemText(more))
		require.Len(t, again, len(sigs))
		for _, s := range sigs {
			require.Empty(t, signatures.Errors(signatures.Options{}.Check(s)))
		}
	})
}
