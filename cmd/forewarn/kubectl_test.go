package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// kubectl runs a command line of the plugin.
func kubectl(t *testing.T, args ...string) answer {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	io := stdio{strings.NewReader(""), &out, &errs}
	code := executeRoot(ctx, newPlugin(io), args, io)
	return answer{code, out.String(), errs.String()}
}

func TestHelpOfThePluginIsAsStored(t *testing.T) {
	everyCommand(newPlugin(stdio{nil, io.Discard, io.Discard}), func(c *cobra.Command) {
		words := strings.Fields(strings.TrimPrefix(c.CommandPath(), "kubectl "))
		if len(words) > 1 && (words[1] == "completion" || words[1] == "help") {
			return
		}
		a := kubectl(t, append(words[1:], "--help")...)
		require.Zero(t, a.code)
		golden(t, filepath.Join("testdata", "help-kubectl", strings.Join(words, "-")+".txt"), a.out)
	})
}

func TestTheProgramIsAPluginByItsName(t *testing.T) {
	for name, is := range map[string]bool{"/usr/local/bin/kubectl-forewarn": true, "kubectl-forewarn.exe": true, "bin/forewarn": false, "/forewarn": false} {
		require.Equal(t, is, isPlugin(name), name)
	}
}

const crashing = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"cart-1","namespace":"shop","uid":"0f"},
"status":{"initContainerStatuses":[{"name":"init","restartCount":0}],"containerStatuses":[{"name":"cart","restartCount":3},{"name":"side","restartCount":0}]}}`

// podServer is an API server with one pod.
func podServer(t *testing.T) (kubeconfigFile string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		q := r.URL.Query()
		switch {
		case r.URL.Path == "/api/v1/namespaces/shop/pods/cart-1":
			_, _ = io.WriteString(w, crashing)
		case r.URL.Path != "/api/v1/namespaces/shop/pods/cart-1/log" || q.Get("timestamps") != "true":
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"no such pod","code":404}`)
		case q.Get("container") == "cart" && q.Get("previous") == "true":
			_, _ = io.WriteString(w, "2026-11-20T19:00:00.1Z slow query took 3s\n2026-11-20T19:00:01Z slow query took 3s\nslow query without a time\n2026-11-20T19:00:03Z connection pool exhausted\n")
		case q.Get("container") == "cart":
			_, _ = io.WriteString(w, "2026-11-20T19:01:00Z database orders is unreachable\n")
		case q.Get("container") == "init":
			_, _ = io.WriteString(w, "2026-11-20T18:59:00Z ready\n")
		}
	}))
	t.Cleanup(s.Close)
	return kubeconfig(t, s.URL)
}

func TestThePluginLooksForFailuresBeforeAndAfterARestart(t *testing.T) {
	config := podServer(t)
	a := kubectl(t, "logs", "cart-1", "-n", "shop", "--kubeconfig", config, "-s", "testdata/signatures/cart.yaml", "-o", "json", "--progress", "never")
	require.Zero(t, a.code, a.err)
	ws := warnings(t, a.out)
	require.NotEmpty(t, ws)
	last := ws[len(ws)-1]
	require.Equal(t, "incident", last.State, a.out)
	require.Equal(t, "shop/cart-1", last.Key, "records know their pod")
	require.Contains(t, a.err, "no logs of side: it wrote nothing")

	bad := kubectl(t, "logs", "cart-1", "-n", "shop", "-c", "cat", "--kubeconfig", config)
	require.Equal(t, exitFailure, bad.code)
	require.Contains(t, bad.err, `pod cart-1 has no container "cat": it has init, cart, side`)
	gone := kubectl(t, "logs", "cart-2", "-n", "shop", "--kubeconfig", config)
	require.Contains(t, gone.err, "there is no pod cart-2 in the namespace shop")
}

func TestWhatWasSeenIsToldToTheMachineItselfAlone(t *testing.T) {
	p := &process{}
	mux := http.NewServeMux()
	p.tell(mux)
	for _, path := range []string{"/overview", "/warnings", "/signature"} {
		for from, header := range map[string]string{"10.0.0.7:40000": "", "[2001:db8::1]:40000": "", "127.0.0.1:40000": "X-Forwarded-For", "pipe": ""} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
			r.RemoteAddr = from
			if header != "" {
				r.Header.Set(header, "10.0.0.7")
			}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			require.Equal(t, http.StatusForbidden, w.Code, "%s from %s", path, from)
		}
	}
}

func TestARunningForewarnAnswersThePlugin(t *testing.T) {
	var log buffer
	p := &process{
		globals: &globals{stdio: stdio{nil, io.Discard, io.Discard}, log: slog.New(slog.NewTextHandler(&log, nil))},
		settings: settings{
			DataDir: t.TempDir(), Listen: "127.0.0.1:0", Signatures: []string{"testdata/signatures/cart.yaml"}, Files: []fileSettings{{Path: "testdata/cart.log"}},
		},
		roles: roles{collect: true, match: true, notify: true},
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	defer func() {
		stop()
		require.NoError(t, <-ended)
	}()
	var base string
	eventually(t, "it listens", func() bool {
		m := regexp.MustCompile(`msg=listening address=(\S+)`).FindStringSubmatch(log.String())
		if m != nil {
			base = "http://" + m[1]
		}
		return m != nil
	})
	var ws []matcher.Warning
	eventually(t, "it warns", func() bool {
		return fetch(t.Context(), base+"/warnings", &ws) == nil && len(ws) > 0
	})
	require.Equal(t, "cart-loses-its-database", ws[0].Signature)
	var o overview
	eventually(t, "it tells its status", func() bool { return fetch(t.Context(), base+"/overview", &o) == nil && len(o.Processes) == 1 })
	var s *signatures.Signature
	require.NoError(t, fetch(t.Context(), base+"/signature?id="+url.QueryEscape("cart-loses-its-database"), &s))
	require.Equal(t, ws[0].Title, s.Title)
	s = nil
	require.NoError(t, fetch(t.Context(), base+"/signature?id=none", &s))
	require.Nil(t, s)

	var table bytes.Buffer
	require.NoError(t, warningTable(&table, ws, nil, time.UTC))
	require.Contains(t, table.String(), ws[0].ID)
	b, err := json.Marshal(explained{Warnings: ws, Signature: s})
	require.NoError(t, err)
	require.Contains(t, string(b), `"warnings"`)
}
