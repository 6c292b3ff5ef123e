package signatures

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a stored file, or stores it.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run the test with -update to store it")
	require.Equal(t, string(want), string(got))
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	src, err := os.ReadFile(file)
	require.NoError(t, err)
	return src
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}

func render(problems []Problem) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.Error() + "\n")
	}
	return b.String()
}

// sound reads a file without any problem.
func sound(t *testing.T, file string, src []byte) []*Signature {
	t.Helper()
	got, problems := Options{Catalogue: true}.Parse(file, src)
	require.Empty(t, render(problems))
	require.NotEmpty(t, got)
	return got
}

func TestGoodFilesHaveNoProblem(t *testing.T) {
	for _, file := range files(t, "testdata/good/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			for _, s := range sound(t, file, read(t, file)) {
				require.Empty(t, Options{Catalogue: true}.Check(s), "checking it again finds nothing either")
				for i := range s.Tests {
					records, err := s.Tests[i].Build(time.Unix(0, 0))
					require.NoError(t, err)
					require.NotEmpty(t, records)
				}
			}
		})
	}
}

func TestBadFilesAreReportedWhole(t *testing.T) {
	for _, file := range files(t, "testdata/bad/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src := read(t, file)
			got, problems := Parse(filepath.Base(file), src)
			require.NotEmpty(t, problems)
			if errors := Errors(problems); len(errors) > 0 {
				require.Empty(t, got, "a signature with an error must not be used")
			} else {
				require.NotEmpty(t, got, "warnings alone refuse nothing")
			}
			for _, p := range problems {
				require.Positive(t, p.Line)
				require.Positive(t, p.Column)
				require.NotEmpty(t, p.Message)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".err", []byte(render(problems)))
			_, again := Parse(filepath.Base(file), src)
			require.Equal(t, problems, again, "the report is the same each time")
		})
	}
}

func TestGoodFilesHaveTheSameMeaningWithOtherLineEnds(t *testing.T) {
	for _, file := range files(t, "testdata/good/*.yaml") {
		src := read(t, file)
		want := sound(t, file, src)
		for name, other := range map[string][]byte{
			"CRLF":            bytes.ReplaceAll(src, []byte("\n"), []byte("\r\n")),
			"byte order mark": append([]byte("\ufeff"), src...),
			"no end of line":  bytes.TrimRight(src, "\n"),
		} {
			got := sound(t, file, other)
			require.Len(t, got, len(want), name)
			for i := range got {
				require.Equal(t, want[i].Digest(), got[i].Digest(), name)
			}
		}
	}
}

func TestJSONIsTheSameSignature(t *testing.T) {
	for _, file := range files(t, "testdata/good/*.yaml") {
		for _, s := range sound(t, file, read(t, file)) {
			b, err := json.Marshal(s)
			require.NoError(t, err)

			var decoded Signature
			require.NoError(t, json.Unmarshal(b, &decoded))
			bare := *s
			bare.source = nil
			require.Equal(t, bare, decoded, "the store keeps signatures as JSON")

			read := sound(t, "x.json", b) // JSON is YAML, and the long forms are part of the language
			require.Equal(t, s.Digest(), read[0].Digest())
		}
	}
}

func TestDigestIsOfWhatASignatureDoesAndSays(t *testing.T) {
	base := Template("a")
	digest := func(old, with string) [32]byte {
		src := bytes.Replace(base, []byte(old), []byte(with), 1)
		got, problems := Parse("x.yaml", src)
		require.Empty(t, Errors(problems))
		return got[0].Digest()
	}
	same := digest("", "")
	require.Equal(t, same, digest("id: a\n", "id:   a  # comment\n"))
	require.Equal(t, same, digest("the database goes away", "another name of a test"))
	require.NotEqual(t, same, digest("count: 5", "count: 6"))
	require.NotEqual(t, same, digest("follows_within: 10m", "follows_within: 11m"))
	require.NotEqual(t, same, digest("severity: high", "severity: low"))
}

func TestTemplateIsASoundSignature(t *testing.T) {
	got := sound(t, "new.yaml", Template("my-own"))
	require.Len(t, got, 1)
	require.Equal(t, "my-own", got[0].ID)
	require.NotContains(t, string(Template("my-own")), "my-signature")
}

func TestSignaturesMadeInCodeAreCheckedWithoutPlaces(t *testing.T) {
	got := Options{}.Check(&Signature{ID: "made", Title: "x", Severity: "bad", By: Key{"pod"}})
	require.NotEmpty(t, Errors(got))
	text := render(got)
	require.Contains(t, text, "signature made: severity: unknown value \"bad\"")
	require.Contains(t, text, `"stages" is empty`)
	require.Contains(t, text, "nothing says when it is over")
}

func TestPositionLeadsToTheField(t *testing.T) {
	src := Template("a")
	s := sound(t, "dir/a.yaml", src)[0]
	lines := strings.Split(string(src), "\n")
	tests := []struct{ path, at string }{
		{"id", "a"},
		{"stages[0].when.log.contains.any[1]", "no route to host"},
		{"stages[0].when.log.contains.any[7]", "contains: ["},
		{"stages[1].when.event.reason.equals[0]", "Unhealthy"},
		{"stages[1].when.event.source", "event: {"},
		{"stages[1]", "name: probe-fails"},
		{"clear", "clear:"},
		{"clear.when.change.path", `"status.conditions`},
		{"tests[0].records[0].attrs.pod", "web-1"},
	}
	for _, tt := range tests {
		file, line, column, ok := s.Position(tt.path)
		require.True(t, ok, tt.path)
		require.Equal(t, "dir/a.yaml", file)
		require.True(t, strings.HasPrefix(lines[line-1][column-1:], tt.at), "%s leads to %q", tt.path, lines[line-1][column-1:])
	}
	p := s.Problem("stages[1].when.event.reason", "it is wrong", "mend it")
	require.Equal(t, "dir/a.yaml", p.File)
	require.Contains(t, p.Error(), "^")
	require.True(t, p.IsError())

	_, _, _, ok := (&Signature{ID: "x"}).Position("id")
	require.False(t, ok)
	require.Equal(t, "signature x: id: wrong", (&Signature{ID: "x"}).Problem("id", "wrong", "").Error())
}

func TestPositionsHoldInListsAndLaterDocuments(t *testing.T) {
	one := strings.ReplaceAll(string(Template("one")), "\n", "\n    ")
	src := "# first\n---\nsignatures:\n  - " + strings.TrimSpace(one) + "\n---\n" + string(Template("two")) + "...\n---\n" + string(Template("three"))
	got := sound(t, "x.yaml", []byte(src))
	require.Len(t, got, 3)
	lines := strings.Split(src, "\n")
	for i, id := range []string{"one", "two", "three"} {
		require.Equal(t, id, got[i].ID)
		_, line, column, ok := got[i].Position("id")
		require.True(t, ok)
		require.True(t, strings.HasPrefix(lines[line-1][column-1:], id), lines[line-1])
	}
}

func TestExamplesInTheDocumentsAreSignatures(t *testing.T) {
	for file, start := range map[string]string{"README.md": "```yaml\n", "signature.go": "People write it in YAML:\n//\n"} {
		_, text, ok := strings.Cut(string(read(t, file)), start)
		require.True(t, ok, file)
		if file == "README.md" {
			text, _, _ = strings.Cut(text, "```")
		} else {
			text, _, _ = strings.Cut(text, "\n//\n")
			text = strings.ReplaceAll("\n"+text, "\n//\t", "\n")
		}
		got, problems := Parse(file, []byte(text))
		require.Empty(t, render(Errors(problems)))
		require.Len(t, got, 1)
	}
}
