package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// cluster answers scrapes without a network.
type cluster struct {
	mu     sync.Mutex
	down   map[string]bool
	takes  time.Duration
	asked  map[string][]time.Time
	atOnce atomic.Int64
	most   atomic.Int64
}

var _ http.RoundTripper = (*cluster)(nil)

func (c *cluster) RoundTrip(r *http.Request) (*http.Response, error) {
	n := c.atOnce.Add(1)
	defer c.atOnce.Add(-1)
	for m := c.most.Load(); n > m && !c.most.CompareAndSwap(m, n); m = c.most.Load() {
	}
	c.mu.Lock()
	if c.asked == nil {
		c.asked = map[string][]time.Time{}
	}
	c.asked[r.URL.Host] = append(c.asked[r.URL.Host], time.Now())
	down, takes := c.down[r.URL.Host], c.takes
	c.mu.Unlock()
	if takes > 0 && !sleep(r.Context(), takes) {
		return nil, r.Context().Err()
	}
	if down {
		return nil, errors.New("connection refused")
	}
	return &http.Response{
		StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("# TYPE wanted gauge\nwanted{pod=\"web-0\",namespace=\"shop\"} 1\nother 2\n")),
		Header: http.Header{"Content-Type": {"text/plain; version=0.0.4"}}, Request: r,
	}, nil
}

func (c *cluster) set(host string, down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down == nil {
		c.down = map[string]bool{}
	}
	c.down[host] = down
}

// nodes are kubelets of so many nodes.
func (c *cluster) nodes(n int) []Target {
	var out []Target
	for i := range n {
		name := fmt.Sprintf("node-%d", i)
		node := record.Attrs{{Key: record.Node, Value: name}}
		out = append(out, Target{Name: name, URL: "http://" + name + "/metrics", Attrs: node, Scope: node, Client: &http.Client{Transport: c}})
	}
	return out
}

func fixed(list []Target) Find {
	return func(context.Context) ([]Target, error) { return list, nil }
}

func TestAThousandTargetsAreSpreadOverTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{takes: 100 * time.Millisecond}
		r := newRig(t, Options{Scrape: &ScrapeOptions{}}, nil, fixed(c.nodes(1000)))
		r.Need(need("wanted"))
		r.start(t)
		time.Sleep(5 * time.Minute)
		require.ErrorIs(t, r.stop(), context.Canceled)

		require.LessOrEqual(t, c.most.Load(), int64(16))
		require.Zero(t, r.lost(t, "missed_scrapes"))
		second := map[int64]int{}
		for host, at := range c.asked {
			require.GreaterOrEqual(t, len(at), 9, host)
			for i := 1; i < len(at); i++ {
				require.InDelta(t, 30, at[i].Sub(at[i-1]).Seconds(), 2, host)
			}
			second[at[0].Unix()]++
		}
		require.Len(t, c.asked, 1000)
		for at, n := range second {
			require.LessOrEqual(t, n, 70, "at second %d: an interval of 30 s has 33 a second", at)
		}
		got := r.seen()
		require.GreaterOrEqual(t, len(got), 9000)
		ids := map[uint64]bool{}
		for i := range got {
			ids[got[i].ID] = true
		}
		require.Len(t, ids, len(got))
		require.Equal(t, "wanted", got[0].Attrs.Value(record.MetricName))
		require.Equal(t, "shop", got[0].Attrs.Value(record.Namespace))
		require.Contains(t, got[0].Attrs.Value(record.Node), "node-")
	})
}

func TestTargetsThatCannotBeVisitedInTimeAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{takes: 9 * time.Second}
		r := newRig(t, Options{Scrape: &ScrapeOptions{Concurrency: 1}}, nil, fixed(c.nodes(10)))
		r.Need(need("wanted"))
		r.start(t)
		time.Sleep(10 * time.Minute)
		require.ErrorIs(t, r.stop(), context.Canceled)
		require.EqualValues(t, 1, c.most.Load())
		require.Greater(t, r.lost(t, "missed_scrapes"), 50)
		require.Greater(t, len(r.seen()), 50)
	})
}

// TestATargetThatFailsIsSilentForItsScopeAlone follows the marks: the matcher judges by them who is silent, and for what.
func TestATargetThatFailsIsSilentForItsScopeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		r := newRig(t, Options{Scrape: &ScrapeOptions{}}, nil, fixed(c.nodes(3)))
		r.Need(need("wanted", "up"))
		r.start(t)
		time.Sleep(5 * time.Minute)
		require.Empty(t, r.of("metrics/scrape/node-1"))
		c.set("node-1", true)
		failed := time.Now()
		time.Sleep(5 * time.Minute)

		all := r.of("metrics/scrape")
		require.InDelta(t, 0, time.Since(all[len(all)-1].at).Seconds(), 12, "all other targets are alive")
		require.Empty(t, all[len(all)-1].scope)
		silent := r.of("metrics/scrape/node-1")
		require.Len(t, silent, 1, "it is said once")
		require.Equal(t, "k8s.node.name=node-1", silent[0].scope)
		require.Equal(t, uint8(1<<record.Sample), silent[0].kinds)
		require.False(t, silent[0].ended)
		require.InDelta(t, 0, failed.Sub(silent[0].at).Seconds(), 30, "it stands at its last answer")
		require.InDelta(t, 10, r.lost(t, "failed_scrapes"), 1)
		require.Equal(t, 1, strings.Count(r.log.String(), "does not answer"), "one line a change")
		require.Contains(t, r.log.String(), "connection refused")

		c.set("node-1", false)
		time.Sleep(time.Minute)
		silent = r.of("metrics/scrape/node-1")
		require.Len(t, silent, 2)
		require.True(t, silent[1].ended)
		require.Zero(t, silent[1].kinds, "it makes nothing unknown any more")
		require.Contains(t, r.log.String(), "answers again")

		ups := map[float64]int{}
		for _, x := range r.seen() {
			if x.Attrs.Value(record.MetricName) == "up" && x.Attrs.Value("label.target") == "node-1" {
				ups[x.Value]++
				require.Equal(t, "node-1", x.Attrs.Value(record.Node))
			}
		}
		require.InDelta(t, 10, ups[0], 1)
		require.InDelta(t, 12, ups[1], 2)
	})
}

func TestWhoWasSilentIsKnownAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		kept := collector.Directory(t.TempDir())
		run := func(targets []Target, d time.Duration) *rig {
			r := newRig(t, Options{Scrape: &ScrapeOptions{}}, func(c *collector.Common) { c.Checkpoints = kept }, fixed(targets))
			r.Need(need("wanted"))
			r.start(t)
			time.Sleep(d)
			require.ErrorIs(t, r.stop(), context.Canceled)
			return r
		}
		c.set("node-0", true)
		c.set("node-1", true)
		r := run(c.nodes(3), 2*time.Minute)
		require.Len(t, r.of("metrics/scrape/node-0"), 1)
		require.Len(t, r.of("metrics/scrape/node-1"), 1)

		c.set("node-0", false)
		r = run(c.nodes(1), 2*time.Minute) // node-1 is gone
		for _, source := range []string{"metrics/scrape/node-0", "metrics/scrape/node-1"} {
			require.Len(t, r.of(source), 1, source)
			require.True(t, r.of(source)[0].ended, source)
		}
		r = run(c.nodes(1), 2*time.Minute)
		require.Empty(t, r.of("metrics/scrape/node-0"))

		require.NoError(t, kept.Save("metrics/scrape", []byte("{damaged")))
		r = run(c.nodes(1), 2*time.Minute)
		require.NotEmpty(t, r.seen())
		require.Contains(t, r.log.String(), "can't be read")
	})
}

func TestTargetsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		var n atomic.Int64
		find := func(context.Context) ([]Target, error) {
			if n.Load() < 0 {
				return nil, errors.New("the API does not answer")
			}
			list := c.nodes(int(n.Load()))
			return append(list, list...), nil // repeats are taken once
		}
		n.Store(2)
		r := newRig(t, Options{Scrape: &ScrapeOptions{}}, nil, Find(find))
		r.Need(need("wanted"))
		r.start(t)
		count := func(host string, d time.Duration) int {
			c.mu.Lock()
			before := len(c.asked[host])
			c.mu.Unlock()
			time.Sleep(d)
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.asked[host]) - before
		}
		require.InDelta(t, 4, count("node-1", 2*time.Minute), 1)
		n.Store(1)
		time.Sleep(time.Minute)
		require.Zero(t, count("node-1", 2*time.Minute))
		n.Store(-1)
		require.InDelta(t, 4, count("node-0", 2*time.Minute), 1, "what is known is scraped on")
		require.Equal(t, 1, strings.Count(r.log.String(), "targets can't be found"))
		require.Positive(t, r.lost(t, "failed_discoveries"))
		require.Positive(t, r.lost(t, "repeated_targets"))
		n.Store(3)
		time.Sleep(time.Minute)
		require.InDelta(t, 4, count("node-2", 2*time.Minute), 1)
	})
}

func TestAnAgentSpeaksForItsNodeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		r := newRig(t, Options{Scrape: &ScrapeOptions{Of: OfNode}}, func(c *collector.Common) { c.Node = "node-0" }, fixed(c.nodes(1)))
		r.Need(need("wanted"))
		r.start(t)
		time.Sleep(2 * time.Minute)
		marks := r.of("metrics/scrape/node-0")
		require.NotEmpty(t, marks)
		require.Equal(t, "k8s.node.name=node-0", marks[0].scope)
	})
	nobody := newRig(t, Options{Scrape: &ScrapeOptions{Of: OfNode}}, nil)
	require.ErrorContains(t, nobody.Run(t.Context(), nobody.emit), "the node has no name")
}

func TestNothingIsPromisedBeforeTargetsWereFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Scrape: &ScrapeOptions{}}, nil, Find(func(context.Context) ([]Target, error) { return nil, errors.New("no") }))
		r.Need(need("wanted"))
		r.start(t)
		time.Sleep(10 * time.Minute)
		require.Empty(t, r.of("metrics/scrape"))
	})
}

// TestAPromiseWaitsForScrapesUnderWay: a slow target's samples have the time at which the scrape began.
func TestAPromiseWaitsForScrapesUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{takes: 9 * time.Second}
		r := newRig(t, Options{Scrape: &ScrapeOptions{}}, nil, fixed(c.nodes(1)))
		r.Need(need("wanted"))
		r.start(t)
		time.Sleep(5 * time.Minute)
		require.ErrorIs(t, r.stop(), context.Canceled)
		require.NotEmpty(t, r.seen())
		require.Greater(t, len(r.of("metrics/scrape")), 20)
		require.Zero(t, r.late)
	})
}

func TestWhatIsNeededMayChangeWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		r := newRig(t, Options{Scrape: &ScrapeOptions{}, Keep: []string{"kept"}}, nil, fixed(c.nodes(1)))
		r.start(t)
		time.Sleep(2 * time.Minute)
		require.Empty(t, r.seen())
		r.Need(need("other"))
		time.Sleep(2 * time.Minute)
		got := r.seen()
		require.NotEmpty(t, got)
		require.Equal(t, "other", got[0].Attrs.Value(record.MetricName))
		require.Positive(t, r.Stats().Lines)
	})
}

func TestScrapesStopWhenNothingTakesTheirSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		r := newRig(t, Options{Scrape: &ScrapeOptions{}}, nil, fixed(c.nodes(3)))
		r.Need(need("wanted"))
		full := errors.New("the stream is gone")
		r.breakWith(full)
		r.start(t)
		time.Sleep(2 * time.Minute)
		require.ErrorIs(t, r.stop(), full)
	})
}

// TestAnswersOfTargets serves real HTTP: what a target may answer, and what becomes of it.
func TestAnswersOfTargets(t *testing.T) {
	t.Parallel()
	packed := func(text string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(text))
		_ = z.Close()
		return b.Bytes()
	}
	bomb := packed("wanted 1\n" + strings.Repeat("a 1\n", 1<<20))
	for name, c := range map[string]struct {
		kind, encoding string
		body           []byte
		status         int
		want           int
		problem        string
		lost           string
	}{
		"text":                    {kind: "text/plain; version=0.0.4; charset=utf-8", body: []byte("wanted 1\n"), want: 1},
		"no type":                 {body: []byte("wanted 1\n"), want: 1},
		"OpenMetrics":             {kind: "application/openmetrics-text; version=1.0.0", body: []byte("wanted 1\n# EOF\n"), want: 1},
		"OpenMetrics without end": {kind: "application/openmetrics-text; version=1.0.0", body: []byte("wanted 1\n"), want: 1, problem: "not whole"},
		"packed":                  {kind: "text/plain", encoding: "gzip", body: packed("wanted 1\n"), want: 1},
		"packed and cut":          {kind: "text/plain", encoding: "gzip", body: packed("wanted 1\n" + strings.Repeat("b 2\n", 1000))[:25], problem: "EOF"},
		"not packed as it says":   {kind: "text/plain", encoding: "gzip", body: []byte("wanted 1\n"), problem: "unpack"},
		"a bomb":                  {kind: "text/plain", encoding: "gzip", body: bomb, want: 1, problem: "larger than body_mb"},
		"another encoding":        {kind: "text/plain", encoding: "br", body: []byte("wanted 1\n"), problem: "not asked for"},
		"a login page":            {kind: "text/html", body: []byte("<html>"), problem: "no scrape"},
		"protobuf":                {kind: "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily", body: []byte{1}, problem: "no scrape"},
		"forbidden":               {status: http.StatusForbidden, problem: "403"},
		"a redirect":              {status: http.StatusFound, problem: "302"},
		"many samples":            {kind: "text/plain", body: []byte(strings.Repeat("wanted 1\n", 300)), want: 100, lost: "samples_over_limit"},
		"a damaged sample":        {kind: "text/plain", body: []byte("wanted{ 1\nwanted 2\n"), want: 1, lost: "bad_samples"},
		"very many labels":        {kind: "text/plain", body: []byte("wanted{" + strings.Repeat("x=\"\",", 200) + "namespace=\"shop\"} 1\n"), want: 1, lost: "cut_labels"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					t.Error("a redirect was followed")
				}
				w.Header().Set("Content-Type", c.kind)
				w.Header().Set("Location", "/elsewhere")
				if c.encoding != "" {
					w.Header().Set("Content-Encoding", c.encoding)
				}
				if c.kind == "" {
					w.Header()["Content-Type"] = nil
				}
				if c.status != 0 {
					w.WriteHeader(c.status)
				}
				_, _ = w.Write(c.body)
			}))
			defer s.Close()
			r := newRig(t, Options{Scrape: &ScrapeOptions{Interval: signatures.Duration(time.Second), BodyMB: 1, Samples: 100, Static: []StaticTargets{
				{URLs: []string{s.URL + "/metrics"}, Node: "n1", Attrs: map[string]string{"service.name": "x"}},
			}}}, nil)
			r.Need(need("wanted", "up"))
			r.start(t)
			var got []record.Record
			up := -1.0
			require.Eventually(t, func() bool {
				got = got[:0]
				for _, x := range r.seen() {
					if x.Attrs.Value(record.MetricName) == "up" {
						up = x.Value
						return true
					}
					got = append(got, x)
				}
				return false
			}, patience, 10*time.Millisecond)
			require.Len(t, got, c.want)
			for _, x := range got {
				require.Equal(t, "n1", x.Attrs.Value(record.Node))
				require.Equal(t, "x", x.Attrs.Value(record.Component))
			}
			if c.problem == "" {
				require.InDelta(t, 1, up, 0, r.log.String())
			} else {
				require.Zero(t, up)
				require.Contains(t, r.log.String(), c.problem)
				require.NotZero(t, r.lost(t, "failed_scrapes"))
			}
			if c.lost != "" {
				require.NotZero(t, r.lost(t, c.lost))
			}
		})
	}
}

func TestCredentialsAndCertificatesOfTargets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte("first\n"), 0o600))
	var seen sync.Map
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization"), true)
		_, _ = io.WriteString(w, "wanted 1\n")
	}))
	defer s.Close()
	ca := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(ca, pemOf(s.Certificate().Raw), 0o600))
	r := newRig(t, Options{Scrape: &ScrapeOptions{Interval: signatures.Duration(time.Second), Static: []StaticTargets{
		{URLs: []string{s.URL}, Access: Access{TokenFile: token, CAFile: ca}},
		{URLs: []string{s.URL + "/unknown-authority"}},
	}}}, nil)
	r.Need(need("wanted"))
	r.start(t)
	has := func(header string) func() bool {
		return func() bool { _, ok := seen.Load(header); return ok }
	}
	require.Eventually(t, has("Bearer first"), patience, 10*time.Millisecond)
	require.NoError(t, os.WriteFile(token, []byte("second\n"), 0o600))
	require.Eventually(t, has("Bearer second"), patience, 10*time.Millisecond, "the file is read anew")
	require.Eventually(t, func() bool { return strings.Contains(r.log.String(), "certificate") }, patience, 10*time.Millisecond)
	require.False(t, has("")(), "an unknown server got a request")
	require.NotContains(t, r.log.String(), "first")
}

func TestWhatTheTargetItselfIsDoesNotGoOntoSeriesOfOthers(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "kube_pod_status_ready{namespace=\"shop\",pod=\"web-0\"} 1\nprocess_open_fds 7\nkube_node_info{node=\"n2\"} 1\n")
	}))
	defer s.Close()
	self := record.NewAttrs(map[string]string{record.Namespace: "monitoring", record.Pod: "ksm-0", record.Node: "n1"})
	r := newRig(t, Options{Keep: []string{"*"}, Scrape: &ScrapeOptions{Interval: signatures.Duration(time.Second)}}, nil, fixed([]Target{{Name: "ksm", URL: s.URL, Self: self}}))
	r.start(t)
	require.Eventually(t, func() bool { return len(r.seen()) >= 4 }, patience, 10*time.Millisecond)
	where := map[string]string{}
	for _, x := range r.seen() {
		where[x.Attrs.Value(record.MetricName)] = x.Attrs.Value(record.Namespace) + "/" + x.Attrs.Value(record.Pod) + "/" + x.Attrs.Value(record.Node)
	}
	require.Equal(t, map[string]string{"kube_pod_status_ready": "shop/web-0/", "process_open_fds": "monitoring/ksm-0/n1", "kube_node_info": "//n2", "up": "monitoring/ksm-0/n1"}, where)
}
