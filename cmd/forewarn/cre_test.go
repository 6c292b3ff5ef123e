package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const queueRules = "testdata/cre/queue.yaml"

// TestScanWithRulesReadsLikeAnyOther keeps what a person sees: the warnings of CRE rules are warnings like all others.
func TestScanWithRulesReadsLikeAnyOther(t *testing.T) {
	a := cli(t, "scan", "--utc", "-s", queueRules, "testdata/cre/queue.log")
	require.Zero(t, a.code, a.err)
	golden(t, "testdata/scan-cre.txt", a.out)
	require.Equal(t, `2 signatures looked at 12 records in 500 B of lines: 2 warnings (2 imminent)
  cre-2099-0101 fired 2 times in testdata/cre/queue.log
`, a.err, "the third figure is negated, and the second has a line out of order that is put right")
	require.Equal(t, exitFound, cli(t, "scan", "--fail-on", "critical", "-s", queueRules, "testdata/cre/queue.log").code)
}

func TestReferenceOrderDropsLateLines(t *testing.T) {
	a := cli(t, "scan", "-s", queueRules, "--reference-order", "testdata/cre/queue.log")
	require.Zero(t, a.code, a.err)
	require.NotContains(t, a.err, "fired 2 times", "the second figure lacks the line that came late")
	require.Contains(t, a.err, "1 disordered")
	require.Contains(t, a.err, "2 warnings (2 imminent)", "what a single line shows has no order")
}

func TestScanWithADirectoryOfRulesAndSignatures(t *testing.T) {
	a := cli(t, "scan", "-s", "testdata/cre/mixed", "-o", "json", "testdata/cre/queue.log", "testdata/cart.log")
	require.Zero(t, a.code, a.err)
	require.Contains(t, a.err, "3 signatures looked at 17 records")
	found := map[string]string{}
	for _, w := range warnings(t, a.out) {
		found[w.Signature] = w.State
	}
	require.Equal(t, map[string]string{"cre-2099-0101": "imminent", "cre-2099-0102": "imminent", "cart-loses-its-database": "incident"}, found)
}

// TestRulesOfASourceLeaveOtherLogsAlone scans the same lines as the log of different software.
func TestRulesOfASourceLeaveOtherLogsAlone(t *testing.T) {
	b, err := os.ReadFile("testdata/cre/queue.log")
	require.NoError(t, err)
	for _, c := range []struct {
		file string
		args []string
		want string
	}{
		{"app.log", nil, "2 warnings"},
		{"nginx.log", nil, "no warning"},
		{"nginx.log", []string{"--source", "cre.log.queue=nginx"}, "2 warnings"},
	} {
		path := file(t, c.file, string(b))
		a := cli(t, append([]string{"scan", "-s", queueRules, path}, c.args...)...)
		require.Zero(t, a.code, a.err)
		require.Contains(t, a.err, c.want, "%+v", c)
	}
}

// TestRulesOnEventsMatchEventRecords has a rule that was made for the lines of kubectl get events, and gives it the events themselves.
func TestRulesOnEventsMatchEventRecords(t *testing.T) {
	rule := file(t, "events.yaml", `rules:
  - cre: {id: CRE-2099-0103, severity: 1, title: A quota holds up a deployment}
    rule:
      set:
        event: {source: cre.kubernetes}
        match:
          - regex: 'Warning\s+FailedCreate\s+replicaset/cart\s+.*exceeded quota'
`)
	table := "NAMESPACE   LAST SEEN   TYPE      REASON         OBJECT            MESSAGE\n" +
		"shop        2m          Warning   FailedCreate   replicaset/cart   " + refusal + "\n"
	list := `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Event","metadata":{"name":"c.1","namespace":"shop","uid":"u1"},
"type":"Warning","reason":"FailedCreate","message":"exceeded quota: q","involvedObject":{"kind":"ReplicaSet","namespace":"shop","name":"cart"},
"source":{"component":"replicaset-controller"},"count":1,"firstTimestamp":"2026-03-01T12:00:00Z","lastTimestamp":"2026-03-01T12:00:00Z"}]}`
	lines := "2026-03-01T12:00:00Z Warning FailedCreate replicaset/cart " + refusal + "\n"
	for name, in := range map[string]string{"table": table, "objects": list, "lines": lines} {
		a := cliIn(t, in, "scan", "-s", rule, "-")
		require.Zero(t, a.code, a.err)
		require.Contains(t, a.err, "1 warning", name)
		require.Contains(t, a.out, "A quota holds up a deployment", name)
	}
}

func TestSignatureCommandsTakeRules(t *testing.T) {
	a := cli(t, "signature", "lint", queueRules)
	require.Zero(t, a.code, a.out)
	require.Equal(t, "2 signatures, 0 errors, 0 warnings\n", a.err)
	a = cli(t, "signature", "test", queueRules)
	require.Zero(t, a.code, a.err)
	require.Contains(t, cli(t, "signature", "show", "-s", queueRules).out, "cre-2099-0101  high")
	a = cli(t, "signature", "explain", "-s", queueRules, "CRE-2099-0101")
	require.Zero(t, a.code, a.err)
	golden(t, "testdata/explain-cre.txt", a.out)
	a = cli(t, "signature", "explain", "-s", queueRules, "CRE-2099-0101", "testdata/cre/queue.log")
	require.Zero(t, a.code, a.err)
	require.Contains(t, a.out, "cre-2099-0101 testdata/cre/queue.log: imminent")
	require.Contains(t, a.out, "nothing speaks against the frame: false", "why the third does not fire")
}

// TestRulesUsedWrongly has what people get wrong, and what they are told.
func TestRulesUsedWrongly(t *testing.T) {
	b, err := os.ReadFile(queueRules)
	require.NoError(t, err)
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.yaml")
	require.NoError(t, os.WriteFile(broken, []byte(strings.Replace(string(b), "window: 10s", "window: 10", 1)), 0o600))

	a := cli(t, "scan", "-s", dir, "testdata/cre/queue.log")
	require.Equal(t, exitRefused, a.code, "one rule is refused, the other works on")
	require.Contains(t, a.out, "The queue server panics")
	require.Contains(t, a.err, broken+`:22:17: CRE-2099-0101: invalid 'window'
            window: 10
                    ^
  a Go duration such as 300ms, 30s, 5m or 1h30m
`)

	a = cli(t, "scan", "-s", queueRules, "--source", "rabbitmq", "testdata/cre/queue.log")
	require.Equal(t, exitUsage, a.code)
	require.Contains(t, a.err, `--source "rabbitmq": use SOURCE=COMPONENT, such as cre.log.mq=rabbitmq`)

	none := file(t, "none.yaml", "terms: {a: some text}\n")
	a = cli(t, "scan", "-s", none, "testdata/cre/queue.log")
	require.Equal(t, exitRefused, a.code)
	require.Contains(t, a.err, "rules not found")

	a = cli(t, "scan", "-s", queueRules, "--explain", "CRE-2099-9999", "testdata/cre/queue.log")
	require.Equal(t, exitUsage, a.code)
	require.Contains(t, a.err, "no such signature is armed")
}
