package main

import (
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/stream"
)

// page asks for a page of a console and returns its text; empty when there is none.
func page(tb testing.TB, address string) string {
	tb.Helper()
	q, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, address, nil)
	require.NoError(tb, err)
	q.Header.Set("Accept", "text/html")
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return ""
	}
	defer func() { require.NoError(tb, a.Body.Close()) }()
	b, err := io.ReadAll(a.Body)
	require.NoError(tb, err)
	if a.StatusCode != http.StatusOK {
		return ""
	}
	return strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(string(b), " ")), " ")
}

// servedAt waits until a process says where its console is.
func servedAt(p *running) string {
	p.tb.Helper()
	said := regexp.MustCompile(`msg="the console is served" address=(\S+)`)
	eventually(p.tb, "the console is served", func() bool { return said.MatchString(p.errs.String()) })
	return said.FindStringSubmatch(p.errs.String())[1]
}

// TestTheConsoleShowsWhatOtherProcessesDo runs each role as a process of its own.
func TestTheConsoleShowsWhatOtherProcessesDo(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	server, err := stream.Open(t.Context(), stream.Options{DataDir: home})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	require.NoError(t, server.EnsureStreams(t.Context()))
	nats, err := stream.FindURL(home)
	require.NoError(t, err)

	shown := start(t, "console", "--nats", nats, "--data-dir", t.TempDir(), "--console", "127.0.0.1:0")
	at := servedAt(shown)
	eventually(t, "nothing is claimed without a matcher", func() bool {
		return strings.Contains(page(t, at), "No matcher is running: that nothing is shown means nothing.")
	})

	r := newReceiver(t)
	dir := t.TempDir()
	notify := start(t, "notify", "-c", r.config(t, dir, cartSignature), "--nats", nats)
	notify.logged("msg=running")
	match := start(t, "match", "--data-dir", filepath.Join(dir, "match"), "-s", cartSignature, "--nats", nats)
	match.logged("msg=running")
	logs := t.TempDir()
	g := growing{t, filepath.Join(logs, "cart.log")}
	g.say("all is well")
	collect := start(t, "collect", "--data-dir", t.TempDir(), "--nats", nats, logs)
	collect.logged("msg=running")
	eventually(t, "it says what is watched", func() bool { return strings.Contains(page(t, at), "It is quiet, and forewarn is awake.") })
	g.say("slow query", "slow query", "slow query", "connection pool exhausted")
	eventually(t, "the warning is there", func() bool {
		text := page(t, at)
		return strings.Contains(text, "1 imminent") && strings.Contains(text, "The cart is about to lose its database")
	})
	eventually(t, "the pipeline is told of by all of them", func() bool {
		text := page(t, at+"health")
		return strings.Contains(text, "connected") && strings.Contains(text, "hook") && regexp.MustCompile(`hook [1-9]`).MatchString(text)
	})
	for _, p := range []*running{collect, match, notify, shown} {
		require.Zero(t, p.stop(), p.errs.String())
	}
}

func TestTheDemoKeepsItsConsole(t *testing.T) {
	t.Parallel()
	p := start(t, "demo", "--for", "0", "--console", "127.0.0.1:0")
	said := regexp.MustCompile(`The console goes on at (http://\S+); Ctrl-C ends it\.`)
	eventually(t, "it goes on after the demo", func() bool { return said.MatchString(p.errs.String()) })
	at := said.FindStringSubmatch(p.errs.String())[1]
	eventually(t, "three failures were forewarned", func() bool { return strings.Contains(page(t, at), "3 happened") })
	require.Contains(t, page(t, at), "forewarned 5 s before")
	require.NotContains(t, p.errs.String(), "level=", "the machinery is quiet")
	require.Zero(t, p.stop())
}

func TestAnOpenConsoleIsRefused(t *testing.T) {
	path := file(t, "forewarn.yaml", "console:\n  listen: 0.0.0.0:9465\n")
	a := cli(t, "config", "check", path)
	require.Equal(t, exitRefused, a.code)
	require.Contains(t, a.err, "forewarn.yaml:2:11")
	require.Contains(t, a.err, "0.0.0.0:9465 can be reached from other machines")
	require.Contains(t, a.err, "set auth.token_file or auth.proxy, or listen on 127.0.0.1")
	for args, want := range map[string]string{
		"run --console 0.0.0.0:9465":          "can be reached from other machines",
		"demo --for 0 --console 0.0.0.0:9465": "can be reached from other machines",
		"demo --for 0 --console 9465":         "127.0.0.1:9465",
		"console --nats nats://127.0.0.1:1":   "where should the console be served?",
		"console --console 127.0.0.1:0":       "--nats",
		"console extra --nats x":              "usage: forewarn console [flags]",
	} {
		a := cli(t, strings.Fields(args)...)
		require.Equal(t, exitUsage, a.code, "%s: %s", args, a.err)
		require.Contains(t, a.err, want)
	}
}
