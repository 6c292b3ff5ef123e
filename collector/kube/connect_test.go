package kube

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/forewarn/forewarn/signatures"
)

// newTestClient returns a client of a server that answers with handle.
func newTestClient(tb testing.TB, handle http.HandlerFunc) *Client {
	tb.Helper()
	server := httptest.NewServer(handle)
	tb.Cleanup(server.Close)
	c, err := newClient(&rest.Config{Host: server.URL, QPS: -1}, time.Minute)
	require.NoError(tb, err)
	return c
}

// status is an error as the API server words it.
func status(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,"reason":%q,"code":%d}`, message, reason, code)
}

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- {name: one, cluster: {server: "https://one.example:6443"}}
- {name: two, cluster: {server: "https://two.example:6443"}}
users:
- {name: me, user: {token: abc}}
contexts:
- {name: one, context: {cluster: one, user: me}}
- {name: two, context: {cluster: two, user: me}}
current-context: one
`

func TestConnectUsesTheContextThatIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, []byte(kubeconfig), 0o600))
	for context, want := range map[string]string{"": "https://one.example:6443", "two": "https://two.example:6443"} {
		c, err := Connect(ConnectOptions{Kubeconfig: file, Context: context})
		require.NoError(t, err)
		require.Equal(t, want, c.Host())
		require.Equal(t, "forewarn", c.Config.UserAgent)
		require.Zero(t, c.Config.Timeout, "a timeout of the whole client would end watches")
	}
}

func TestConnectSaysWhatIsWrongAndWhatMendsIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	good := write("good", kubeconfig)
	for name, x := range map[string]struct {
		options ConnectOptions
		want    []string
	}{
		"no such file":     {ConnectOptions{Kubeconfig: filepath.Join(dir, "none")}, []string{"none", "check the path"}},
		"no such context":  {ConnectOptions{Kubeconfig: good, Context: "three"}, []string{`"three"`, "kubectl config get-contexts"}},
		"no clusters":      {ConnectOptions{Kubeconfig: write("empty", "apiVersion: v1\nkind: Config\n")}, []string{"empty", "names no cluster"}},
		"no kubeconfig":    {ConnectOptions{Kubeconfig: write("bad", "\t{")}, []string{"bad"}},
		"several problems": {ConnectOptions{Kubeconfig: good, QPS: -1, Burst: -1, Timeout: signatures.Duration(-1)}, []string{"qps -1", "burst -1", "timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Connect(x.options)
			for _, want := range x.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestAnswersOfTheServerSayWhatMendsThem(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/unknown":
			status(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
		case "/denied":
			status(w, http.StatusForbidden, "Forbidden", "events is forbidden")
		case "/old":
			status(w, http.StatusGone, "Expired", "too old resource version")
		default:
			_, _ = io.WriteString(w, r.URL.RawQuery)
		}
	})
	_, err := c.Get(t.Context(), "/unknown", nil)
	require.True(t, apierrors.IsUnauthorized(err))
	require.ErrorContains(t, err, "renew the kubeconfig's credentials")
	_, err = c.Open(t.Context(), "/denied", nil)
	require.True(t, apierrors.IsForbidden(err))
	require.ErrorContains(t, err, "ClusterRole")
	_, err = c.Open(t.Context(), "/old", nil)
	require.True(t, apierrors.IsResourceExpired(err) || apierrors.IsGone(err))

	b, err := c.Get(t.Context(), "/echo", map[string][]string{"limit": {"5"}})
	require.NoError(t, err)
	require.Equal(t, "limit=5", string(b))
}

func TestConnectionThatIsRefusedSaysSo(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c, err := newClient(&rest.Config{Host: server.URL, QPS: -1}, time.Minute)
	require.NoError(t, err)
	_, err = c.Get(t.Context(), "/version", nil)
	require.ErrorContains(t, err, "nothing listens there")
}

func TestOpenWaitsForTheBeginningOnly(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begins" {
			_, _ = io.WriteString(w, "first ")
			w.(http.Flusher).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "last")
	})
	c.timeout = 200 * time.Millisecond
	_, err := c.Open(t.Context(), "/hangs", nil)
	require.ErrorContains(t, err, "no answer within 200ms")

	c.timeout = time.Minute
	body, err := c.Open(t.Context(), "/begins", nil)
	require.NoError(t, err)
	close(release)
	b, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Equal(t, "first last", string(b))
	require.NoError(t, body.Close())
}
