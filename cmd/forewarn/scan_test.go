package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

const quotaSignature = "testdata/signatures/disk-quota.yaml"

// TestScanFindsEveryLogFormatAndItsTime scans one line of each format and looks at what was understood of it.
func TestScanFindsEveryLogFormatAndItsTime(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ name, line, format string }{
		{"ISO with zone", "2026-03-01T14:00:00+02:00 ERROR disk quota exceeded", "lines"},
		{"ISO without zone", "2026-03-01 12:00:00,000 ERROR disk quota exceeded", "lines"},
		{"JSON ts epoch", `{"ts":1772366400.000,"level":"error","msg":"disk quota exceeded"}`, "lines"},
		{"JSON @timestamp", `{"@timestamp":"2026-03-01T12:00:00.000Z","message":"disk quota exceeded"}`, "lines"},
		{"MongoDB JSON", `{"t":{"$date":"2026-03-01T12:00:00.000+00:00"},"s":"E","c":"STORAGE","id":1,"ctx":"x","msg":"disk quota exceeded"}`, "lines"},
		{"logfmt", `time="2026-03-01T12:00:00Z" level=error msg="disk quota exceeded"`, "lines"},
		{"epoch seconds", "1772366400 disk quota exceeded", "lines"},
		{"epoch milliseconds", "1772366400000 disk quota exceeded", "lines"},
		{"redis", "1:M 01 Mar 2026 12:00:00.000 # disk quota exceeded", "lines"},
		{"nginx error", "2026/03/01 12:00:00 [error] 7#7: *1 disk quota exceeded", "lines"},
		{"nginx access", `10.0.0.1 - - [01/Mar/2026:12:00:00 +0000] "GET /disk quota exceeded HTTP/1.1" 507 12 "-" "curl"`, "lines"},
		{"Apache error", "[Sun Mar 01 12:00:00.000000 2026] [core:error] [pid 1] disk quota exceeded", "lines"},
		{"PostgreSQL", "2026-03-01 12:00:00.000 UTC [11] ERROR:  disk quota exceeded", "lines"},
		{"CRI", "2026-03-01T12:00:00.000000000Z stderr F disk quota exceeded", "cri"},
		{"Docker", `{"log":"disk quota exceeded\n","stream":"stderr","time":"2026-03-01T12:00:00.000000000Z"}`, "docker"},
		{"syslog RFC 5424", "<11>1 2026-03-01T12:00:00Z host app 1 - - disk quota exceeded", "syslog"},
		{"journald", `{"__REALTIME_TIMESTAMP":"1772366400000000","MESSAGE":"disk quota exceeded","SYSLOG_IDENTIFIER":"kubelet","PRIORITY":"3","_HOSTNAME":"n1"}`, "journald"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := file(t, "app.log", c.line+"\n")
			a := cli(t, "scan", "-s", quotaSignature, "--format", "json", path)
			require.Zero(t, a.code, a.err)
			require.Contains(t, a.err, " of "+c.format+": 1 warning")
			ws := warnings(t, a.out)
			require.Len(t, ws, 1)
			require.Equal(t, noon, ws[0].Time.UTC(), "the time stamp")
			require.Contains(t, ws[0].Evidence[0].Text, "disk quota exceeded")
		})
	}
}

func TestScanReadsStampsWithoutAYearOrADate(t *testing.T) {
	// Their year is that of the file's last change, so the exact time is the parser's business.
	for name, c := range map[string][2]string{
		"klog":            {"E0301 12:00:00.000000       1 main.go:7] disk quota exceeded", "lines"},
		"syslog RFC 3164": {"<11>Mar  1 12:00:00 host app[7]: disk quota exceeded", "syslog"},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, "app.log", c[0]+"\n")
			require.NoError(t, os.Chtimes(path, time.Time{}, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)))
			a := cli(t, "scan", "-s", quotaSignature, "-o", "json", path)
			require.Zero(t, a.code, a.err)
			require.Contains(t, a.err, " of "+c[1]+":")
			require.Equal(t, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), warnings(t, a.out)[0].Time.UTC())
		})
	}
}

func TestScanZoneDatesStampsThatNameNone(t *testing.T) {
	path := file(t, "app.log", "2026-03-01 12:00:00 disk quota exceeded\n")
	a := cli(t, "scan", "-s", quotaSignature, "-o", "json", "--zone", "Europe/Berlin", path)
	require.Zero(t, a.code, a.err)
	require.Equal(t, time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC), warnings(t, a.out)[0].Time.UTC())
}

// TestScanReadsGenuineClusterOutput scans what a real cluster gave, in each form that kubectl and scrapes have.
func TestScanReadsGenuineClusterOutput(t *testing.T) {
	formats := "../../collector/format/testdata/"
	for _, c := range []struct{ path, format string }{
		{formats + "events-core.in.json", "kubernetes json"},
		{formats + "events-v1.in.json", "kubernetes json"},
		{formats + "list-quota.in.json", "kubernetes json"},
		{formats + "object-pod.in.json", "kubernetes json"},
		{formats + "watch-nodes.in.gz", "kubernetes json"},
		{formats + "audit.in.ndjson", "audit"},
		{formats + "cri.in.log", "cri"},
		{formats + "exposition.in.prom", "exposition"},
	} {
		t.Run(filepath.Base(c.path), func(t *testing.T) {
			a := cli(t, "scan", "-o", "json", c.path)
			require.Zero(t, a.code, a.err)
			require.Contains(t, a.err, " of "+c.format+": ")
			require.NotContains(t, a.err, "looked at 0 records")
			warnings(t, a.out)
		})
	}
}

const refusal = `Error creating: pods "cart-1" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1`

func TestScanReadsEventsAsYAMLAndAsTheTable(t *testing.T) {
	var items []string
	for i := range 20 {
		items = append(items, fmt.Sprintf(`- apiVersion: v1
  kind: Event
  metadata: {name: "cart.%[1]d", namespace: shop, uid: "u%[1]d", creationTimestamp: "%[2]s"}
  type: Warning
  reason: FailedCreate
  message: %[3]q
  involvedObject: {kind: ReplicaSet, namespace: shop, name: cart, apiVersion: apps/v1}
  source: {component: replicaset-controller}
  count: 1
  firstTimestamp: "%[2]s"
  lastTimestamp: "%[2]s"
`, i, time.Date(2026, 3, 1, 12, 0, 15*i, 0, time.UTC).Format(time.RFC3339), refusal))
	}
	list := "apiVersion: v1\nkind: List\nitems:\n" + strings.Join(items, "")
	table := "NAMESPACE   LAST SEEN   TYPE      REASON         OBJECT            MESSAGE\n" +
		strings.Repeat("shop        2m          Warning   FailedCreate   replicaset/cart   "+refusal+"\n", 1) +
		"shop        1m          Warning   FailedCreate   replicaset/cart   (combined from similar events): " + refusal + "\n"
	for name, c := range map[string]struct{ in, format string }{
		"yaml":  {list, "kubernetes yaml"},
		"table": {table, "kubectl events"},
	} {
		t.Run(name, func(t *testing.T) {
			a := cliIn(t, c.in, "scan", "-o", "json", "--explain", "quota-blocks-rollout", "-")
			require.Zero(t, a.code, a.err)
			require.Contains(t, a.err, " of "+c.format+":")
			if name == "yaml" {
				require.Equal(t, "quota-blocks-rollout", warnings(t, a.out)[0].Signature)
				require.Equal(t, "shop", warnings(t, a.out)[0].Key)
			}
			require.NotContains(t, a.err, `no record meets stage "refused"`)
		})
	}
}

// failure is the end of a cart, in seconds of one minute.
func failure(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/cart.log")
	require.NoError(t, err)
	return string(b)
}

const cartSignature = "testdata/signatures/cart.yaml"

func TestScanUnpacks(t *testing.T) {
	var zipped, packed bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := io.WriteString(z, failure(t))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	s, err := zstd.NewWriter(&packed)
	require.NoError(t, err)
	_, err = io.WriteString(s, failure(t))
	require.NoError(t, err)
	require.NoError(t, s.Close())

	want := cliIn(t, failure(t), "scan", "-s", cartSignature, "-o", "json", "-")
	require.Contains(t, want.err, "1 warning (1 incident)")
	for name, in := range map[string]string{"app.log": failure(t), "app.log.gz": zipped.String(), "app.zst": packed.String(), "named wrongly.log": zipped.String()} {
		a := cli(t, "scan", "-s", cartSignature, "-o", "json", file(t, name, in))
		require.Zero(t, a.code, a.err)
		require.Contains(t, a.err, "looked at 5 records in ", name)
		require.Len(t, warnings(t, a.out), 3, name)
		fromStdin := cliIn(t, in, "scan", "-s", cartSignature, "-o", "json", "-")
		require.Len(t, warnings(t, fromStdin.out), 3, name)
	}
}

func TestScanTakesFilesTogetherInTheOrderOfTheirTimes(t *testing.T) {
	dir := t.TempDir()
	lines := strings.SplitAfter(failure(t), "\n")
	// The stages come from different pods' files; the signature follows the namespace.
	for i, part := range []string{lines[4], lines[3], lines[0] + lines[1] + lines[2]} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("part%d.log", i)), []byte(part), 0o600))
	}
	b, err := os.ReadFile(cartSignature)
	require.NoError(t, err)
	one := file(t, "one.yaml", strings.Replace(string(b), "by: pod", "by: cluster", 1))
	want := []string{"forming", "imminent", "incident"}
	for _, args := range [][]string{{dir}, {filepath.Join(dir, "*.log")}, {filepath.Join(dir, "part0.log"), filepath.Join(dir, "part1.log"), filepath.Join(dir, "part2.log")}} {
		a := cli(t, append([]string{"scan", "-s", one, "-o", "json"}, args...)...)
		require.Zero(t, a.code, a.err)
		var states []string
		for _, w := range warnings(t, a.out) {
			states = append(states, w.State)
		}
		require.Equal(t, want, states, "%v: %s", args, a.err)
	}
}

// TestScanTellsOfAStreamAtOnce proves that standard input is a stream: the match in the first line is out while more may come.
func TestScanTellsOfAStreamAtOnce(t *testing.T) {
	for _, format := range []string{"text", "json", "yaml"} {
		t.Run(format, func(t *testing.T) {
			in, feed := io.Pipe()
			var out, errs buffer
			ended := make(chan int, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				ended <- execute(ctx, []string{"scan", "-s", quotaSignature, "-o", format, "-"}, stdio{in, &out, &errs})
			}()
			_, err := io.WriteString(feed, "2026-03-01T12:00:00Z disk quota exceeded\n")
			require.NoError(t, err)
			require.Eventually(t, func() bool { return strings.Contains(out.String(), "disk quota exceeded") }, 10*time.Second, time.Millisecond,
				"the warning is held back: %s", errs.String())
			require.NotContains(t, errs.String(), "looked at", "it is over already")
			_, err = io.WriteString(feed, "2026-03-01T12:00:01Z volume is read-only now\n")
			require.NoError(t, err)
			require.Eventually(t, func() bool { return strings.Contains(strings.ToLower(out.String()), "incident") }, 10*time.Second, time.Millisecond)
			require.NoError(t, feed.Close())
			require.Zero(t, <-ended)
			require.Contains(t, errs.String(), "looked at 2 records")
		})
	}
}

func TestScanOfAStreamCanBeInterrupted(t *testing.T) {
	in, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	var out, errs buffer
	ended := make(chan int, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- execute(ctx, []string{"scan", "-s", quotaSignature, "-"}, stdio{in, &out, &errs}) }()
	_, err := io.WriteString(feed, "2026-03-01T12:00:00Z disk quota exceeded\n")
	require.NoError(t, err)
	eventually(t, "the warning", func() bool { return out.String() != "" })
	cancel()
	require.Zero(t, <-ended)
	require.Contains(t, errs.String(), "1 warning", "what was found so far is told")
}

func TestScanJSONHasWhatToolsNeed(t *testing.T) {
	a := cli(t, "scan", "--format", "json", "-s", cartSignature, "testdata/cart.log")
	require.Zero(t, a.code, a.err)
	for line := range strings.Lines(a.out) {
		var w map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &w))
		for _, name := range []string{"signature", "title", "severity", "state", "stage", "time", "key", "evidence"} {
			require.NotEmpty(t, w[name], name)
		}
	}
	ws := warnings(t, a.out)
	require.Len(t, ws, 3)
	for i, w := range ws {
		require.Equal(t, ws[0].ID, w.ID, "one failure is one warning")
		require.Equal(t, i+1, w.Revision)
		require.Equal(t, "cart-loses-its-database", w.Signature)
		require.Equal(t, "high", w.Severity)
	}
	require.Equal(t, a.out, cli(t, "scan", "-o", "json", "-s", cartSignature, "testdata/cart.log").out)
}

func TestScanTextIsAsStored(t *testing.T) {
	a := cli(t, "scan", "--utc", "-s", cartSignature, "testdata/cart.log")
	require.Zero(t, a.code)
	golden(t, "testdata/scan-cart.txt", a.out)
	require.Equal(t, "1 signature looked at 5 records in 263 B of lines: 1 warning (1 incident)\n", a.err)
}

func TestFailOn(t *testing.T) {
	for severity, want := range map[string]int{"info": exitFound, "medium": exitFound, "high": exitFound, "critical": exitOK} {
		a := cli(t, "scan", "--fail-on", severity, "-s", cartSignature, "testdata/cart.log")
		require.Equal(t, want, a.code, severity)
		require.NotContains(t, a.err, "forewarn:", "the exit code says it")
	}
	require.Zero(t, cliIn(t, "all is well\n", "scan", "--fail-on", "info", "-s", cartSignature, "-").code)
}

func TestNothingFoundSaysWhatWasLookedAt(t *testing.T) {
	a := cliIn(t, "2026-03-01T12:00:00Z all is well\n", "scan", "-")
	require.Equal(t, answer{code: 0, out: "", err: a.err}, a)
	require.Regexp(t, `^\d+ signatures looked at 1 record in 33 B of lines: no warning; .forewarn signature new. begins a signature for what you look for\n$`, a.err)
	a = cliIn(t, "", "scan", "-")
	require.Zero(t, a.code)
	require.Contains(t, a.err, "the input held no record: check that it is a log, a dump of kubectl or a scrape")
}

func TestABrokenSignatureLeavesTheGoodOnesAtWork(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile(cartSignature)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cart.yaml"), b, 0o600))
	broken := filepath.Join(dir, "broken.yaml")
	require.NoError(t, os.WriteFile(broken, []byte("id: broken\ntitle: x\nseverity: hihg\nby: pod\nstages:\n  - {name: a, when: {log: {contains: abcdef}}}\nclear: {quiet: 1m}\n"), 0o600))
	a := cli(t, "scan", "-s", dir, "testdata/cart.log")
	require.Equal(t, exitRefused, a.code, "a job in CI must not stay green over a misspelt signature")
	require.Contains(t, a.out, "cart-loses-its-database")
	require.Contains(t, a.err, broken+`:3:11: unknown value "hihg"
    severity: hihg
              ^
  did you mean "high"?
`)
	require.Contains(t, a.err, "forewarn: 1 signature problem refused, 1 in use\n")

	require.Equal(t, exitFound, cli(t, "scan", "--fail-on", "high", "-s", dir, "testdata/cart.log").code, "a warning outranks it")

	a = cli(t, "scan", "-s", broken, "testdata/cart.log")
	require.Equal(t, exitRefused, a.code)
	require.Contains(t, a.err, "no signature is left")
	a = cli(t, "scan", "-s", t.TempDir(), "testdata/cart.log")
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.err, "name a YAML file or a directory of them")
}

func TestOwnSignaturesBesideTheCatalogue(t *testing.T) {
	alone := cli(t, "scan", "-s", cartSignature, "testdata/cart.log")
	require.Contains(t, alone.err, "1 signature looked")
	both := cli(t, "scan", "-s", cartSignature, "--catalog", "testdata/cart.log")
	require.NotContains(t, both.err, "1 signature looked")
	require.Contains(t, both.out, "cart-loses-its-database")
}

func TestExplainTellsWhyNot(t *testing.T) {
	lines := strings.SplitAfter(failure(t), "\n")
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"one too few":      {lines[0] + lines[1], []string{`missing  slow-queries: 2 of 3 records within 2m`}},
		"nothing like it":  {"2026-03-01T12:00:00Z all is well\n", []string{"nothing that it follows was seen", `no record meets stage "slow-queries"`, `wanted a text that contains "slow query"`, "(1 record)"}},
		"the next is gone": {strings.Join(lines[:3], ""), []string{"app.log: forming", "reached  slow-queries", "missing  pool-full: 0 of 1 record", "no later than 2026-03-01T12:10:20Z"}},
		"all":              {failure(t), []string{"app.log: incident", "reached  incident at 2026-03-01T12:02:20Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, "app.log", c.in)
			a := cli(t, "scan", "-s", cartSignature, "--explain", "cart-loses-its-database", path)
			require.Zero(t, a.code)
			b := cli(t, "signature", "explain", "-s", cartSignature, "cart-loses-its-database", path)
			require.Zero(t, b.code, b.err)
			for _, want := range c.want {
				require.Contains(t, a.err, want, "beside warnings it is no data")
				require.Contains(t, b.out, want, "here it is what was asked for")
			}
		})
	}
}

func TestColoursOnlyWhereTheyAreWanted(t *testing.T) {
	const escape = "\x1b["
	for _, c := range []struct {
		color, noColor string
		want           bool
	}{{"auto", "", false}, {"auto", "1", false}, {"never", "", false}, {"always", "", true}, {"always", "1", true}} {
		t.Setenv("NO_COLOR", c.noColor)
		a := cli(t, "scan", "--color", c.color, "-s", cartSignature, "testdata/cart.log")
		require.Equal(t, c.want, strings.Contains(a.out, escape), "%+v", c)
		require.NotContains(t, a.err, escape, "no progress bar without a terminal")
	}
}
