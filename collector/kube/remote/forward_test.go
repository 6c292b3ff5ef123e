package remote

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/forewarn/forewarn/collector/kube"
)

// node is an API server that forwards ports as a kubelet does, over SPDY: of one pod, to a server of the test.
type node struct {
	testing.TB
	target string
	pods   string // the answer to a list
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/pods"):
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, n.pods)
	case r.URL.Path != "/api/v1/namespaces/home/pods/forewarn-0/portforward":
		http.NotFound(w, r)
	case !strings.EqualFold(r.Header.Get("Upgrade"), "SPDY/3.1"):
		http.Error(w, "web sockets are not known here", http.StatusBadRequest)
	default:
		n.forward(w, r)
	}
}

func (n *node) forward(w http.ResponseWriter, r *http.Request) {
	if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
		return
	}
	streams := make(chan httpstream.Stream, 16)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	defer func() { _ = conn.Close() }()
	problems := map[string]httpstream.Stream{}
	for {
		select {
		case <-conn.CloseChan():
			return
		case s := <-streams:
			id := s.Headers().Get("requestID")
			if s.Headers().Get("streamType") == "error" {
				problems[id] = s
				continue
			}
			if port := s.Headers().Get("port"); port != "9464" {
				_, _ = fmt.Fprintf(problems[id], "nothing listens on %s", port)
				_ = problems[id].Close()
				_ = s.Close()
				continue
			}
			go n.copy(s, problems[id])
		}
	}
}

func (n *node) copy(s, problem httpstream.Stream) {
	defer func() { _, _ = problem.Close(), s.Close() }()
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(n.Context(), "tcp", n.target)
	if err != nil {
		_, _ = io.WriteString(problem, err.Error())
		return
	}
	defer func() { _ = c.Close() }()
	go func() { _, _ = io.Copy(c, s) }()
	_, _ = io.Copy(s, c)
}

func connect(t *testing.T, n *node) *kube.Client {
	t.Helper()
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, server.URL), 0o600))
	client, err := kube.Connect(kube.ConnectOptions{Kubeconfig: file})
	require.NoError(t, err)
	return client
}

func get(ctx context.Context, from string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	return string(b), err
}

func TestAPortOfAPodIsReachedAsOnItsOwnMachine(t *testing.T) {
	from := make(chan string, 10)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		from <- host
		_, _ = io.WriteString(w, "hello "+r.URL.Path)
	}))
	defer target.Close()
	u, err := url.Parse(target.URL)
	require.NoError(t, err)
	n := &node{TB: t, target: u.Host}
	client := connect(t, n)
	pod := Pod{"home", "forewarn-0"}
	err = Forward(t.Context(), client, pod, 9464, func(ctx context.Context, base string) error {
		for _, path := range []string{"/warnings", "/overview"} {
			text, err := get(ctx, base+path)
			if err != nil {
				return err
			}
			require.Equal(t, "hello "+path, text)
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", <-from)

	t.Run("what the pod says is told", func(t *testing.T) {
		err := Forward(t.Context(), client, pod, 1, func(ctx context.Context, base string) error {
			_, err := get(ctx, base)
			return err
		})
		require.Error(t, err)
	})
	t.Run("a pod that cannot be reached is an error", func(t *testing.T) {
		err := Forward(t.Context(), client, Pod{"home", "other"}, 9464, func(context.Context, string) error { return nil })
		require.ErrorContains(t, err, "forward port 9464 of pod home/other: ")
	})
}

func TestAPodOfForewarnIsFoundWhenItIsReady(t *testing.T) {
	pod := func(name, ready, deleted string) string {
		return `{"metadata":{"namespace":"home","name":"` + name + `"` + deleted + `},"status":{"conditions":[{"type":"Ready","status":"` + ready + `"}]}}`
	}
	gone := `,"deletionTimestamp":"2026-11-20T19:00:00Z"`
	for name, c := range map[string]struct{ items, want, err string }{
		"ready":          {pod("a", "False", "") + "," + pod("b", "True", gone) + "," + pod("c", "True", ""), "c", ""},
		"none is ready":  {pod("a", "False", ""), "", "none of its 1 pods is ready: see kubectl describe pod -n home a"},
		"none is there ": {"", "", "no pod in the cluster has the labels " + Selector},
	} {
		client := connect(t, &node{TB: t, pods: `{"items":[` + c.items + `]}`})
		got, err := Find(t.Context(), client, "", Selector)
		if c.err != "" {
			require.ErrorContains(t, err, c.err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, Pod{"home", c.want}, got)
	}
}
