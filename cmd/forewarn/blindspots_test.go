package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher/console"
)

func TestBlindSpotsOfFilesAreWhatTheyCannotShow(t *testing.T) {
	t.Parallel()
	etcd := file(t, "etcd.log", "2026-03-01T10:00:00Z apply request took too long\n")
	a := cli(t, "signature", "blindspots", etcd)
	require.Zero(t, a.code, a.err)
	require.Regexp(t, `^\d+ cannot fire  \d+ sees a part  \d+ can fire\n`, a.out)
	for _, want := range []string{"MISSING", "logs of kubelet", "there is none, while there are other logs", "events ", "there is none\n", "crash-loop", "cannot fire"} {
		require.Contains(t, a.out, want)
	}
	require.NotContains(t, a.out, "etcd-slow-disk")
	require.Contains(t, cli(t, "signature", "blindspots", "--all", etcd).out, "etcd-slow-disk")
	require.Contains(t, cliIn(t, "2026-03-01T10:00:00Z x\n", "signature", "blindspots", "-").out, "logs of coredns: logs come that do not say who wrote them")

	var b console.BlindSpots
	j := cli(t, "signature", "blindspots", "-o", "json", etcd)
	require.NoError(t, json.Unmarshal([]byte(j.out), &b), j.out)
	require.Equal(t, "events", b.Gaps[0].Need)
	require.NotEmpty(t, b.Gaps[0].Mend)
	require.Positive(t, b.Counts["blind"])
}

func TestBlindSpotsThatCannotBeToldSayWhy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--data-dir", t.TempDir()}, "nothing runs on the data directory"},
		{[]string{filepath.Join(t.TempDir(), "nosuch.log")}, "nosuch.log"},
		{[]string{file(t, "empty.log", "")}, "the input held no record"},
		{[]string{"-c", file(t, "bad.yaml", "signature: x\n")}, "signatures"},
	} {
		a := cli(t, append([]string{"signature", "blindspots"}, c.args...)...)
		require.NotZero(t, a.code)
		require.Contains(t, a.err, c.want)
	}
}

// TestTheConsoleOfARunningProcess lives through the pages of the workshop with everything that belongs to them: the armed signatures of the
// matcher, what it has seen, and a trial in a process of its own.
func TestTheConsoleOfARunningProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := growing{t, filepath.Join(dir, "etcd.log")}
	log.say("2026-03-01T10:00:00Z apply request took too long")
	own := file(t, "mine.yaml", sig("of-my-own", "something"))
	config := file(t, "forewarn.yaml", "data_dir: "+filepath.Join(dir, "data")+"\nfiles: [{path: "+log.path+"}]\nconsole: {listen: '127.0.0.1:0'}\nsignatures: ["+own+"]\n")
	p := start(t, "run", "-c", config)
	p.logged("the console is served")
	address := strings.TrimSuffix(regexp.MustCompile(`the console is served" address=(http://\S+)`).FindStringSubmatch(p.errs.String())[1], "/")
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	ask := func(method, path, body string, headers ...string) (int, string) {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), method, address+path, strings.NewReader(body))
		require.NoError(t, err)
		for i := 0; i < len(headers); i += 2 {
			q.Header.Set(headers[i], headers[i+1])
		}
		a, err := browser.Do(q)
		require.NoError(t, err)
		defer func() { _ = a.Body.Close() }()
		b, err := io.ReadAll(a.Body)
		require.NoError(t, err)
		return a.StatusCode, string(b)
	}
	var b console.BlindSpots
	eventually(t, "it says what it sees", func() bool {
		status, body := ask("GET", "/api/blind-spots", "")
		return status == http.StatusOK && json.Unmarshal([]byte(body), &b) == nil && b.Counts["ready"] > 0
	})
	status, page := ask("GET", "/signatures/of-my-own", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "signatures of your own")
	_, page = ask("GET", "/signatures/etcd-slow-disk", "")
	require.Contains(t, page, "the catalogue shipped with forewarn")

	_, page = ask("GET", "/playground", "", "Accept", "text/html")
	csrf := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page)[1]
	status, body := ask("POST", "/api/playground", `{"armed":"all","input":"2026-03-01T10:00:00Z something\n"}`, "X-Csrf-Token", csrf)
	require.Equal(t, http.StatusOK, status, body)
	var out console.Outcome
	require.NoError(t, json.Unmarshal([]byte(body), &out))
	require.Equal(t, 1, out.Hits, "the signature of a file is armed and was tried in another process")

	a := cli(t, "signature", "blindspots", "-c", config)
	require.Zero(t, a.code, a.err)
	require.Contains(t, a.out, "that it was looked for")
	require.Zero(t, p.stop())
}

func TestAConsoleThatDoesNotMatchKnowsTheSignaturesOfItsConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	require.NoError(t, os.WriteFile(good, []byte(sig("mine", "something")), 0o600))
	require.NoError(t, os.WriteFile(bad, []byte("id: [\n"), 0o600))
	var s settings
	s.Signatures = []string{dir}
	a := &consoleArms{p: &process{globals: &globals{}, settings: s}}
	armed := a.Armed()
	require.Greater(t, armed.Set.Len(), 50)
	require.Contains(t, armed.From["mine"], "good.yaml:1")
	require.Contains(t, armed.From["etcd-slow-disk"], "catalogue")
	require.Len(t, armed.Digests["mine"], 64)
	require.Len(t, armed.Refused, 1)
	require.Contains(t, armed.Refused[0], "bad.yaml")

	require.NoError(t, os.Remove(good))
	require.Equal(t, armed.Set.Len(), a.Armed().Set.Len(), "files are not looked at for each page")
	a.looked = time.Time{}
	require.Equal(t, armed.Set.Len()-1, a.Armed().Set.Len())

	s.Resources = true
	s.NoCatalog, s.Signatures = true, nil
	none := (&consoleArms{p: &process{globals: &globals{}, settings: s}}).Armed()
	require.Zero(t, none.Set.Len())
	require.Contains(t, none.Problem, "custom resources")
}
