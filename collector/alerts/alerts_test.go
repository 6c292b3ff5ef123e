package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/receive"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// rig is a running collector and what it gave.
type rig struct {
	url      string
	registry *prometheus.Registry

	mu      sync.Mutex
	records []record.Record
	mark    int64
	fail    error
}

func present() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func start(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{registry: prometheus.NewPedanticRegistry()}
	meters, err := collector.NewMeters(r.registry)
	require.NoError(t, err)
	o := Options{Server: receive.Options{Listen: "127.0.0.1:0", MaxBodyMB: 1}}
	if change != nil {
		change(&o)
	}
	x, err := New(o, collector.Common{Cluster: "prod", Meter: meters.For("alerts"), Now: present})
	require.NoError(t, err)
	address := make(chan string, 1)
	x.ready = func(a string) { address <- a }
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	cause := errors.New("the test is over")
	ran := make(chan error, 1)
	go func() { ran <- x.Run(ctx, r.emit) }()
	t.Cleanup(func() {
		cancel(cause)
		err := <-ran
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.fail != nil && errors.Is(err, r.fail) { // an emit that fails ends a collector
			return
		}
		require.ErrorIs(t, err, cause)
	})
	r.url = "http://" + <-address + Path
	return r
}

func (r *rig) emit(_ context.Context, frame []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	var b record.Batch
	if err := b.Decode(frame); err != nil {
		return err
	}
	r.mark = b.Header().Mark
	for i := range b.Len() {
		x := b.At(i)
		r.records = append(r.records, x.Clone())
	}
	return nil
}

func (r *rig) taken() []record.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]record.Record(nil), r.records...)
}

func (r *rig) post(t *testing.T, body string) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, strings.NewReader(body))
	require.NoError(t, err)
	q.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func TestAlertsBecomeRecordsOncePerChangeOfState(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	body, err := os.ReadFile("testdata/firing.json")
	require.NoError(t, err)
	for range 2 { // an Alertmanager repeats what fires
		code, text := r.post(t, string(body))
		require.Equal(t, 200, code, text)
	}
	got := r.taken()
	require.Len(t, got, 4)
	require.Equal(t, got[0].ID, got[2].ID, "a repeat is the same observation")
	require.Equal(t, got[1].ID, got[3].ID)
	require.NotEqual(t, got[0].ID, got[1].ID)
	firing, resolved := got[0], got[1]
	require.Equal(t, record.Alert, firing.Kind)
	require.Equal(t, "Pod shop/web-5c6f7d8b9c-x2k4z is crash looping.", string(firing.Text))
	require.Equal(t, time.Date(2026, 11, 25, 11, 58, 30, 123e6, time.UTC), firing.When())
	require.Equal(t, record.NewAttrs(map[string]string{
		record.AlertName: "KubePodCrashLooping", record.AlertState: "firing", record.Cluster: "prod", record.Namespace: "shop",
		record.Pod: "web-5c6f7d8b9c-x2k4z", record.Container: "web", record.WorkloadKind: "Deployment", record.WorkloadName: "web",
		"label.namespace": "shop", "label.pod": "web-5c6f7d8b9c-x2k4z", "label.container": "web", "label.severity": "warning", "label.reason": "CrashLoopBackOff",
	}), firing.Attrs)
	require.Equal(t, "resolved", resolved.Attrs.Value(record.AlertState))
	require.Equal(t, time.Date(2026, 11, 25, 11, 59, 0, 0, time.UTC), resolved.When(), "it ceased at its end")
	require.Equal(t, present().Add(-time.Minute).UnixNano(), r.mark, "what an Alertmanager may hold back is not promised")
}

// sent makes a message of one alert, changed.
func sent(t *testing.T, change func(m, a map[string]any)) string {
	t.Helper()
	a := map[string]any{
		"status": "firing", "labels": map[string]any{"alertname": "A", "node": "n1"}, "annotations": map[string]any{"summary": "s"},
		"startsAt": "2026-11-25T11:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "f1",
	}
	m := map[string]any{"version": "4", "groupKey": "{}:{}", "status": "firing", "receiver": "forewarn", "truncatedAlerts": 0, "alerts": []any{a}}
	if change != nil {
		change(m, a)
	}
	b, err := json.Marshal(m)
	require.NoError(t, err)
	return string(b)
}

func TestMessagesAreAnsweredWithTheTruth(t *testing.T) {
	t.Parallel()
	many := map[string]any{"alertname": "A", strings.Repeat("n", 300): "x"}
	for i := range 100 {
		many["l"+strings.Repeat("x", i)] = "v"
	}
	for _, c := range []struct {
		name    string
		body    string
		code    int
		says    string
		records int
		lost    string // a reason and how many
	}{
		{"one", sent(t, nil), 200, "", 1, ""},
		{"none", sent(t, func(m, _ map[string]any) { m["alerts"] = []any{} }), 200, "", 0, ""},
		{"a field that is not known", sent(t, func(m, a map[string]any) { m["new"], a["new"] = 1, []any{} }), 200, "", 1, ""},
		{"truncated", sent(t, func(m, _ map[string]any) { m["truncatedAlerts"] = 7 }), 200, "", 1, `{collector="alerts",reason="truncated_alerts"} 7`},
		{"one of two is bad", sent(t, func(m, a map[string]any) { m["alerts"] = []any{a, map[string]any{"status": "firing"}} }), 200, "", 1, `{collector="alerts",reason="bad_alerts"} 1`},
		{"very many labels", sent(t, func(_, a map[string]any) { a["labels"] = many }), 200, "", 1, `{collector="alerts",reason="labels"} 61`},
		{"without a name", sent(t, func(_, a map[string]any) { a["labels"] = map[string]any{} }), 400, "alertname", 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"another state", sent(t, func(_, a map[string]any) { a["status"] = "pending" }), 400, "firing or resolved", 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"another version", sent(t, func(m, _ map[string]any) { m["version"] = "3" }), 400, `"3"`, 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"no alerts", `{"version":"4"}`, 400, "the alerts are missing", 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"a bad time", sent(t, func(_, a map[string]any) { a["startsAt"] = "yesterday" }), 400, "webhook", 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"a time before computers", sent(t, func(_, a map[string]any) { a["startsAt"] = "0001-01-01T00:00:00Z" }), 200, "", 1, ""},
		{"labels of another type", sent(t, func(_, a map[string]any) { a["labels"] = []any{1} }), 400, "webhook", 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"a list", "[]", 400, "webhook", 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"null", "null", 400, "version", 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"nothing", "", 400, "webhook", 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"two", sent(t, nil) + "{}", 400, "follows", 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"cut off", sent(t, nil)[:50], 400, "webhook", 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"very deep", strings.Repeat(`{"alerts":[`, 20_000), 400, "webhook", 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"too large", `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "max_body_mb", 0, `{collector="alerts",reason="refused_requests"} 1`},
		{"a large text", sent(t, func(_, a map[string]any) {
			a["annotations"] = map[string]any{"summary": strings.Repeat("x", record.MaxText+9)}
		}), 200, "", 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, nil)
			code, text := r.post(t, c.body)
			require.Equal(t, c.code, code, text)
			require.Contains(t, text, c.says)
			require.Len(t, r.taken(), c.records)
			want := ""
			if c.lost != "" {
				want = "# HELP forewarn_collector_lost_total What was seen and is in no record, or not wholly, by the reason; see the READMEs of the collectors.\n" +
					"# TYPE forewarn_collector_lost_total counter\nforewarn_collector_lost_total" + c.lost + "\n"
			}
			require.NoError(t, testutil.GatherAndCompare(r.registry, strings.NewReader(want), "forewarn_collector_lost_total"))
		})
	}
}

func TestWhatIsNotEmittedIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.mu.Lock()
	r.fail = errors.New("the stream is away")
	r.mu.Unlock()
	// The outlet's own run ends with the first failed emit, and the collector with it; the sender must never have heard a 2xx.
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, strings.NewReader(sent(t, nil)))
	require.NoError(t, err)
	q.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 503, resp.StatusCode)
	require.NotEmpty(t, resp.Header.Get("Retry-After"))
	require.Empty(t, r.taken())
}

func TestAReceiverMayCountAsAliveWhileItListens(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { o.AssumeAlive, o.Delay = true, signatures.Duration(time.Second) })
	code, _ := r.post(t, `{"version":"4","alerts":[]}`)
	require.Equal(t, 200, code)
	code, _ = r.post(t, sent(t, nil))
	require.Equal(t, 200, code)
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Equal(t, present().Add(-time.Second).UnixNano(), r.mark)
}

func TestMistakesOfOptionsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Delay: -1, Server: receive.Options{Listen: "x", MaxBodyMB: -2}}, collector.Common{})
	for _, word := range []string{"delay", "listen", "max_body_mb"} {
		require.ErrorContains(t, err, word)
	}
}

func FuzzMessage(f *testing.F) {
	body, err := os.ReadFile("testdata/firing.json")
	require.NoError(f, err)
	f.Add(body)
	f.Add([]byte(`{"version":"4","alerts":[{"status":"resolved","labels":{"alertname":"x"},"endsAt":"9999-12-31T23:59:59Z"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := decode(body)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		records, lost := m.records(present())
		require.Equal(t, len(m.Alerts), len(records)+lost.bad)
		var b record.Builder
		require.NoError(t, b.Reset(record.Header{Source: "alerts"}))
		for i := range records {
			if err := b.Add(&records[i]); errors.Is(err, record.ErrFull) {
				b.AppendTo(nil)
				err = b.Add(&records[i])
				require.NoError(t, err)
			} else {
				require.NoError(t, err, "each record is within the limits")
			}
		}
		again, _ := m.records(present())
		for i := range records {
			require.Equal(t, records[i].ID, again[i].ID)
			require.True(t, bytes.Equal(records[i].Text, again[i].Text))
		}
	})
}
