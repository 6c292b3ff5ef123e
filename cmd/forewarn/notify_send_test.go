package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNotifyTestTellsOfEachDestinationWhetherItTookIt(t *testing.T) {
	var mu sync.Mutex
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, string(b))
		if strings.Contains(r.URL.Path, "locked") {
			http.Error(w, "no", http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte("s3cret"), 0o600))
	config := file(t, "forewarn.yaml", `notify:
  - {name: good, type: webhook, urls: ["`+server.URL+`/open"], severity: critical}
  - {name: locked, type: webhook, urls: ["`+server.URL+`/locked"], token_file: `+token+`}
  - {name: away, type: alertmanager, urls: ["http://127.0.0.1:1"]}
`)
	a := cli(t, "notify", "test", "-c", config, "--data-dir", dir)
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.err, "2 destinations did not take the test")
	require.Regexp(t, `good +webhook +taken`, a.out)
	require.Regexp(t, `locked +webhook +failed`, a.out)
	require.Contains(t, a.out, "what to do: the destination does not accept who we are: check token_file ("+token+")")
	require.Contains(t, a.out, "what to do: nothing listens there: check host and port")
	require.NotContains(t, a.out+a.err, "s3cret")
	require.Contains(t, bodies[0], "TEST of forewarn: nothing is wrong")

	bodies = nil
	require.Zero(t, cli(t, "notify", "test", "-c", config, "good", "--over", "--severity", "high").code)
	require.Len(t, bodies, 2)
	require.Contains(t, bodies[1], `"type":"warning.averted"`)
	require.Contains(t, bodies[1], `"severity":"high"`)

	j := cli(t, "notify", "test", "-c", config, "good", "-o", "json")
	var results []sentTest
	require.NoError(t, json.Unmarshal([]byte(j.out), &results))
	require.True(t, results[0].Taken)

	for _, wrong := range [][]string{{"nobody"}, {"--severity", "awful"}, {"good", "--over=maybe"}} {
		b := cli(t, append([]string{"notify", "test", "-c", config}, wrong...)...)
		require.Equal(t, exitUsage, b.code, wrong)
		require.Empty(t, b.out)
	}
	require.Contains(t, cli(t, "notify", "test", "-c", config, "nobody").err, "the configuration has good, locked, away")
	require.Contains(t, cli(t, "notify", "test").out, "TEST of forewarn", "without a configuration, to the terminal")
}

func TestNotifyTestPublishesEventsOnNATS(t *testing.T) {
	config := file(t, "forewarn.yaml", "notify: [{name: bus, type: cloudevents}]\n")
	a := cli(t, "notify", "test", "-c", config, "--data-dir", t.TempDir())
	require.Zero(t, a.code, a.err+a.out)
	require.Regexp(t, `bus +cloudevents +taken`, a.out)
}

func TestNotifyPreviewSendsNothingAndNeedsNoSecret(t *testing.T) {
	config := file(t, "forewarn.yaml", wholeConfig)
	a := cli(t, "notify", "preview", "-c", config)
	require.Zero(t, a.code, a.err)
	for _, want := range []string{
		"=== screen (terminal), message 1 of 1: stdout", "POST https://slack.com/api/chat.postMessage", "POST https://events.eu.pagerduty.com/v2/...", "mail from forewarn@example.org to on-call@example.org",
		"NATS forewarn.events.imminent.example-memory-leak", "Event on Pod shop/cart-7d9f-x2x1k", "Authorization: Bearer ***", "EXAMPLE: Container is about to be killed",
	} {
		require.Contains(t, a.out, want)
	}
	require.NotContains(t, a.out, "of-your-file")

	tmpl := file(t, "chat.tmpl", `{{ define "title" }}OWN {{ .Count }}{{ end }}`)
	warnings := cli(t, "notify", "preview", "-o", "json") // the terminal's
	require.Contains(t, warnings.out, `"destination": "terminal"`)
	lines := file(t, "w.json", `{"id":"a","revision":1,"title":"One","state":"forming","key_parts":[{"name":"node","value":"w1"}],"key":"w1"}
{"type":"warning.incident","data":{"id":"b","revision":3,"title":"Two","state":"incident","key":"w2"}}
`)
	b := cli(t, "notify", "preview", "-c", config, "--destination", "chat", "--template", tmpl, "--warning", lines)
	require.Zero(t, b.code, b.err)
	require.Contains(t, b.out, "OWN 2")
	require.Contains(t, b.out, "node=w1")
	require.Equal(t, 1, strings.Count(b.out, "==="))

	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--destination", "nobody"}, exitUsage, "there is no destination \"nobody\""},
		{[]string{"--warning", file(t, "bad.json", `{"id": 7}`)}, exitRefused, "warning 1: "},
		{[]string{"--warning", file(t, "none.json", "")}, exitRefused, "it holds no warning"},
		{[]string{"--warning", "/nowhere.json"}, exitFailure, "no such file"},
		{[]string{"--destination", "chat", "--template", file(t, "bad.tmpl", "{{ define \"title\" }}\n{{ .Warning.Titel }}{{ end }}")}, exitRefused, "line 2, column 12: there is no field Titel"},
		{[]string{"--destination", "chat", "--template", file(t, "none.tmpl", "x")}, exitRefused, "defines neither title, body nor html"},
	} {
		x := cli(t, append([]string{"notify", "preview", "-c", config}, c.args...)...)
		require.Equal(t, c.code, x.code, "%v: %s", c.args, x.err)
		require.Contains(t, x.err, c.want)
		require.Empty(t, x.out)
	}
}
