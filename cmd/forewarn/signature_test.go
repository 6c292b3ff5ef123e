package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestANewSignatureLintsPassesItsTestsAndFires(t *testing.T) {
	a := cli(t, "signature", "new", "redis-memory-full")
	require.Zero(t, a.code, a.err)
	require.Empty(t, a.err)
	path := file(t, "redis-memory-full.yaml", a.out)
	require.Equal(t, answer{0, "", "1 signature, 0 errors, 0 warnings\n"}, cli(t, "signature", "lint", "--strict", path))
	require.Equal(t, answer{0, "", "2 tests of 1 signature: 2 passed, 0 failed\n"}, cli(t, "signature", "test", path))
	require.Contains(t, cli(t, "signature", "show", "-s", path).out, "redis-memory-full")
}

func TestTheCatalogueLintsAndPassesItsTests(t *testing.T) {
	a := cli(t, "signature", "lint", "--strict")
	require.Zero(t, a.code, a.out)
	require.Contains(t, a.err, ", 0 errors, 0 warnings\n")
	a = cli(t, "signature", "test")
	require.Zero(t, a.code, a.out)
	require.Contains(t, a.err, ", 0 failed\n")
}

const brokenSignature = `id: broken
titel: It breaks
severity: hihg
by: pod
stages:
  - name: a
    when: {log: {regex: "no response from .*("}}
    count: 3
clear: {quiet: soon}
`

func TestLintTellsEveryMistakeWithPlaceCaretAndMend(t *testing.T) {
	path := file(t, "broken.yaml", brokenSignature)
	a := cli(t, "signature", "lint", path)
	require.Equal(t, exitRefused, a.code)
	for _, want := range []string{
		path + ":2:1: unknown key \"titel\" in the signature\n    titel: It breaks\n    ^\n  did you mean \"title\"?\n",
		path + ":3:11: unknown value \"hihg\"\n    severity: hihg\n              ^\n  did you mean \"high\"?\n",
		path + ":7:45: the regex can't be read",
		path + ":9:16: \"soon\" is not a duration\n    clear: {quiet: soon}\n                   ^\n",
	} {
		require.Contains(t, a.out, want)
	}
	require.Regexp(t, `^1 signature, \d+ errors, \d+ warnings\n$|^0 signatures, \d+ errors, \d+ warnings\n$`, a.err)

	var problems []struct {
		File, Severity, Message, Suggestion string
		Line, Column                        int
	}
	j := cli(t, "signature", "lint", "-o", "json", path)
	require.Equal(t, exitRefused, j.code)
	require.NoError(t, json.Unmarshal([]byte(j.out), &problems))
	require.Contains(t, problems, struct {
		File, Severity, Message, Suggestion string
		Line, Column                        int
	}{path, "error", `unknown value "hihg"`, `did you mean "high"?`, 3, 11})
	y := cli(t, "signature", "lint", "-o", "yaml", path)
	require.Equal(t, exitRefused, y.code)
	requireSame(t, j.out, y.out)
}

// requireSame compares JSON with YAML output.
func requireSame(t *testing.T, asJSON, asYAML string) {
	t.Helper()
	var j, y any
	require.NoError(t, yaml.Unmarshal([]byte(asJSON), &j)) // JSON is YAML, and numbers are then of one type
	require.NoError(t, yaml.Unmarshal([]byte(asYAML), &y))
	require.Equal(t, j, y)
}

func TestLintOfSoundSignaturesIsAnEmptyListForTools(t *testing.T) {
	path := file(t, "new.yaml", cli(t, "signature", "new", "new").out)
	require.Equal(t, "[]\n", cli(t, "signature", "lint", "-o", "json", path).out)
}

func TestLintOfWhatIsNotThere(t *testing.T) {
	a := cli(t, "signature", "lint", filepath.Join(t.TempDir(), "missing"))
	require.Equal(t, exitRefused, a.code)
	require.Contains(t, a.out, "no such file")
	a = cli(t, "signature", "lint", t.TempDir())
	require.Contains(t, a.err, "0 signatures")
}

func TestAFailingTestIsTold(t *testing.T) {
	b, err := os.ReadFile(cartSignature)
	require.NoError(t, err)
	path := file(t, "cart.yaml", strings.Replace(string(b), "{state: incident, at: 2m}", "{state: incident, at: 1m30s}", 1))
	a := cli(t, "signature", "test", path)
	require.Equal(t, exitRefused, a.code)
	require.Contains(t, a.out, "FAIL  cart-loses-its-database: slow queries fill the pool\n")
	require.Contains(t, a.err, "1 passed, 1 failed")

	var results []testResult
	j := cli(t, "signature", "test", "-o", "json", path)
	require.NoError(t, json.Unmarshal([]byte(j.out), &results))
	require.Len(t, results, 2)
	require.False(t, results[0].Passed)
	require.NotEmpty(t, results[0].Failures)
	require.True(t, results[1].Passed)
	requireSame(t, j.out, cli(t, "signature", "test", "-o", "yaml", path).out)
}

func TestABrokenSignatureFailsTest(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile(cartSignature)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cart.yaml"), b, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "broken.yaml"), []byte(brokenSignature), 0o600))
	a := cli(t, "signature", "test", dir)
	require.Equal(t, exitRefused, a.code, "its tests did not run, so they did not pass")
	require.Contains(t, a.err, "broken.yaml:3:11")
	require.Contains(t, a.err, "2 passed, 0 failed", "those of the sound one did")
}

func TestShow(t *testing.T) {
	list := cli(t, "signature", "show")
	require.Zero(t, list.code)
	require.Regexp(t, `^ID +SEVERITY +STAGES +BY +TITLE\n`, list.out)
	require.Contains(t, list.out, "node-memory-eviction")

	one := cli(t, "signature", "show", "-s", cartSignature, "cart-loses-its-database")
	require.Zero(t, one.code)
	golden(t, "testdata/show-cart.txt", one.out)
	require.Equal(t, one.out, cli(t, "signature", "explain", "-s", cartSignature, "cart-loses-its-database").out)

	j, y := cli(t, "signature", "show", "-o", "json", "crash-loop"), cli(t, "signature", "show", "-o", "yaml", "crash-loop")
	requireSame(t, j.out, y.out)
	// What is shown as YAML is again a signature.
	var all []yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(y.out), &all))
	text, err := yaml.Marshal(&all[0])
	require.NoError(t, err)
	path := file(t, "shown.yaml", string(text))
	a := cli(t, "signature", "lint", path)
	require.Zero(t, a.code, a.out)
	require.Zero(t, cli(t, "signature", "test", path).code)
	require.Equal(t, cli(t, "signature", "explain", "crash-loop").out, cli(t, "signature", "explain", "-s", path, "crash-loop").out)
}

func TestEverySignatureOfTheCatalogueIsToldInWords(t *testing.T) {
	var all []struct{ ID, Title string }
	require.NoError(t, json.Unmarshal([]byte(cli(t, "signature", "show", "-o", "json").out), &all))
	require.GreaterOrEqual(t, len(all), 25)
	for _, s := range all {
		a := cli(t, "signature", "explain", s.ID)
		require.Zero(t, a.code, a.err)
		require.Contains(t, a.out, s.Title+" ("+s.ID)
		for line := range strings.Lines(a.out) {
			if strings.Contains(line, "$ ") || strings.Contains(line, "when") && strings.Contains(line, "regex") {
				continue
			}
			require.Equal(t, strings.Count(line, "{"), strings.Count(line, "}"), "%s: %s", s.ID, line)
		}
	}
}

// compiled is the schema that a command prints.
func compiled(t *testing.T, args ...string) *jsonschema.Schema {
	t.Helper()
	a := cli(t, args...)
	require.Zero(t, a.code, a.err)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(a.out))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("schema.json", doc))
	s, err := c.Compile("schema.json")
	require.NoError(t, err)
	return s
}

// instance is a YAML text as the validator wants it.
func instance(t *testing.T, text string) any {
	t.Helper()
	var v any
	require.NoError(t, yaml.Unmarshal([]byte(text), &v))
	b, err := json.Marshal(v)
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	require.NoError(t, err)
	return doc
}

func TestTheSchemaOfSignaturesTakesGoodOnesAndRefusesBadOnes(t *testing.T) {
	s := compiled(t, "signature", "schema")
	require.NoError(t, s.Validate(instance(t, cli(t, "signature", "new", "redis-memory-full").out)))
	b, err := os.ReadFile(cartSignature)
	require.NoError(t, err)
	require.NoError(t, s.Validate(instance(t, string(b))))
	require.Error(t, s.Validate(instance(t, brokenSignature)))
}
