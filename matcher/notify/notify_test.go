package notify

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

var (
	_ Notifier = (*Terminal)(nil)
	_ Notifier = (*JSONLines)(nil)
	_ Notifier = (*Webhook)(nil)
	_ Ticker   = (*Alertmanager)(nil)
	_ Feed     = (*list)(nil)
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func warning(revision uint32, state matcher.State) matcher.Warning {
	return matcher.Warning{
		ID: "00c0ffee00c0ffee", Revision: revision, Signature: "node-memory-eviction", Title: "Node runs out of memory",
		Severity: signatures.Critical, Impact: "pods are evicted", Key: []record.Attr{{Key: "node", Value: "worker-1"}}, KeyText: "worker-1",
		State: state, Stage: "threshold", Total: 2, Opened: start, Time: start.Add(time.Minute),
		Reached:  []matcher.Reached{{Stage: "threshold", Time: start, Count: 1}},
		Next:     &matcher.Next{Stage: "pressure", Title: "the node reports pressure", Missing: "0 of 1 records"},
		Remedies: []signatures.Remedy{{Do: "See who uses the memory.", Risk: signatures.Look, Command: "kubectl describe node {{ .node }} -n {{ .namespace }}"}},
		Evidence: []matcher.Evidence{{Time: start, Stage: "threshold", Kind: "event", Text: "Attempting to reclaim\x1b[31m memory\nnow", Attrs: map[string]string{record.EventReason: "EvictionThresholdMet"}}},
	}
}

// fake answers with the scripted statuses, then with 200, and keeps what it was sent.
type fake struct {
	mu     sync.Mutex
	script []int
	header http.Header
	bodies []string
	heads  []http.Header
	paths  []string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bodies, f.heads, f.paths = append(f.bodies, string(b)), append(f.heads, r.Header), append(f.paths, r.URL.Path)
	status := http.StatusOK
	if len(f.script) > 0 {
		status, f.script = f.script[0], f.script[1:]
	}
	maps.Copy(w.Header(), f.header)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "because")
}

func (f *fake) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.bodies...)
}

func serve(t *testing.T, script ...int) (*fake, *httptest.Server) {
	t.Helper()
	f := &fake{script: script}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return f, s
}

func TestWebhookIsSignedAsStandardWebhooksSays(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	hmacKey, err := newSigner("whsec_" + base64.StdEncoding.EncodeToString(key))
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		sign([]signer{hmacKey}, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)), "the published test vector")
	f, s := serve(t)
	w, err := NewWebhook(s.URL+"/hook", []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"}, s.Client())
	require.NoError(t, err)
	w.now = func() time.Time { return time.Unix(1614265330, 0) }
	require.NoError(t, w.Notify(t.Context(), Single(warning(3, matcher.Forming))))
	require.Equal(t, "00c0ffee00c0ffee-3", f.heads[0].Get("webhook-id"))
	require.Equal(t, "1614265330", f.heads[0].Get("webhook-timestamp"))
	require.Len(t, strings.Fields(f.heads[0].Get("webhook-signature")), 2, "one for each key while it is rotated")
	var body struct {
		Type string
		Data map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(f.bodies[0]), &body))
	require.Equal(t, "warning.forming", body.Type)
	for _, k := range []string{"signature", "title", "severity", "state", "stage", "time", "key", "evidence"} {
		require.Contains(t, body.Data, k)
	}
}

func TestWebhookBodyStaysBelowItsLimitAndSaysSo(t *testing.T) {
	w := warning(1, matcher.Forming)
	for range 100 {
		w.Evidence = append(w.Evidence, matcher.Evidence{Text: strings.Repeat("x", 400)})
	}
	b, err := webhookBody(&w, "")
	require.NoError(t, err)
	require.Less(t, len(b), maxWebhookBody)
	require.Contains(t, string(b), "EvictionThresholdMet", "how it began stays")
	require.Contains(t, string(b), "evidence was left out")
	require.Len(t, w.Evidence, 101, "the caller's warning is not touched")
}

func TestStatusDecidesWhetherAnotherTryIsWorthIt(t *testing.T) {
	for _, c := range []struct {
		status    int
		permanent bool
	}{{400, true}, {401, true}, {404, true}, {410, true}, {413, true}, {408, false}, {425, false}, {429, false}, {500, false}, {502, false}, {503, false}, {504, false}, {301, true}} {
		_, s := serve(t, c.status)
		err := post(t.Context(), s.Client(), s.URL+"/a/secret-token?q=1", nil, nil)
		require.Error(t, err, c.status)
		require.Equal(t, c.permanent, IsPermanent(err), c.status)
		require.NotContains(t, err.Error(), "secret-token")
	}
}

func TestRetryAfterIsReadAsSecondsOrDate(t *testing.T) {
	require.Equal(t, 7*time.Second, parseRetryAfter("7", start))
	require.Equal(t, time.Minute, parseRetryAfter(start.Add(time.Minute).Format(http.TimeFormat), start))
	require.Zero(t, parseRetryAfter(start.Add(-time.Minute).Format(http.TimeFormat), start))
	require.Zero(t, parseRetryAfter("soon", start))
	f, s := serve(t, 429)
	f.header = http.Header{"Retry-After": {"3"}}
	require.Equal(t, 3*time.Second, retryAfter(post(t.Context(), s.Client(), s.URL, nil, nil)))
}

func TestAlertmanagerIdentityStaysWhileTheStageChanges(t *testing.T) {
	f1, s1 := serve(t)
	f2, s2 := serve(t)
	a, err := NewAlertmanager([]string{s1.URL + "/am/", s2.URL}, nil, time.Minute, s1.Client())
	require.NoError(t, err)
	now := start.Add(time.Hour)
	a.now = func() time.Time { return now }
	require.NoError(t, a.Notify(t.Context(), Single(warning(1, matcher.Forming))))
	w := warning(2, matcher.Imminent)
	w.Stage = "pressure"
	require.NoError(t, a.Notify(t.Context(), Single(w)))
	require.NoError(t, a.Notify(t.Context(), Single(warning(3, matcher.Averted))))
	require.Len(t, f2.bodies, 3, "every peer is told")
	require.Equal(t, "/am/api/v2/alerts", f1.paths[0])
	var sent [3][]alert
	for i := range sent {
		require.NoError(t, json.Unmarshal([]byte(f1.bodies[i]), &sent[i]))
		require.Equal(t, sent[0][0].Labels, sent[i][0].Labels, "labels are the identity")
	}
	require.Equal(t, "imminent", sent[1][0].Annotations["state"])
	require.Equal(t, "kubectl describe node worker-1 -n <namespace>", sent[0][0].Annotations["command"])
	require.Equal(t, now.Add(4*time.Minute), sent[0][0].EndsAt, "it ends by itself when nobody repeats it")
	require.Equal(t, now, sent[2][0].EndsAt)
}

func TestAlertmanagerRepeatsWhatFiresAndForFiveMinutesWhatEnded(t *testing.T) {
	f, s := serve(t)
	a, err := NewAlertmanager([]string{s.URL}, nil, 0, s.Client())
	require.NoError(t, err)
	now := start
	a.now = func() time.Time { return now }
	a.Prime([]matcher.Warning{warning(1, matcher.Forming)})
	require.NoError(t, a.Tick(t.Context(), now))
	require.Len(t, f.bodies, 1, "what an earlier process told is repeated")
	require.NoError(t, a.Notify(t.Context(), Single(warning(2, matcher.Averted))))
	require.NoError(t, a.Notify(t.Context(), Single(warning(1, matcher.Forming))), "an old revision that comes again")
	require.NoError(t, a.Tick(t.Context(), now.Add(4*time.Minute)))
	var last []alert
	require.NoError(t, json.Unmarshal([]byte(f.bodies[len(f.bodies)-1]), &last))
	require.Equal(t, "averted", last[0].Annotations["state"])
	n := len(f.bodies)
	require.NoError(t, a.Tick(t.Context(), now.Add(6*time.Minute)))
	require.Len(t, f.bodies, n, "then there is silence")
	require.Empty(t, a.active)
}

func TestAlertmanagerTriesAgainWhileAnyPeerMayTakeIt(t *testing.T) {
	_, bad := serve(t, 400, 400)
	_, down := serve(t, 503)
	a, err := NewAlertmanager([]string{bad.URL, down.URL}, nil, 0, bad.Client())
	require.NoError(t, err)
	err = a.Notify(t.Context(), Single(warning(1, matcher.Forming)))
	require.Error(t, err)
	require.False(t, IsPermanent(err))
}

func TestLabelNames(t *testing.T) {
	for in, want := range map[string]string{"node": "node", "k8s.pod.name": "k8s_pod_name", "severity": "key_severity", "9a": "key_9a", "": "key_", "__x": "key___x"} {
		require.Equal(t, want, labelName(in))
	}
}

func TestTextSaysWhatHowFarAndWhatToDo(t *testing.T) {
	w := warning(1, matcher.Forming)
	got := Text(&w, Style{Evidence: 3})
	require.Equal(t, `2026-11-20 12:01:00  FORMING   Node runs out of memory  node=worker-1
  pods are evicted
  ■□ 1 of 2 stages seen, severity critical, signature node-memory-eviction
  next expected: the node reports pressure (0 of 1 records)
  how long: no forecast yet
  do first (look): See who uses the memory.
      $ kubectl describe node worker-1 -n <namespace>
    12:00:00 event  EvictionThresholdMet: Attempting to reclaim [31m memory now
`, got)
	require.NotContains(t, Text(&w, Style{Evidence: 3}), "\x1b", "a record cannot steer the terminal")
	w.Evidence[0].Record = 1
	w.Evidence = append(w.Evidence, w.Evidence...)
	require.Equal(t, got, Text(&w, Style{Evidence: 3}), "a record that two rungs took is shown once")
	w.State, w.Lead = matcher.InIncident, 90*time.Second
	require.Contains(t, Text(&w, Style{}), "forewarned 1m30s before")
	w.Evidence[0].Text = strings.Repeat("é", 5000)
	w.Impact = strings.Repeat("y", 5000)
	w.Title = strings.Repeat("t", 5000)
	require.LessOrEqual(t, len([]rune(Plain(&w))), 1000)
}

func TestCommandQuotesWhatRecordsSay(t *testing.T) {
	w := warning(1, matcher.Forming)
	w.Key[0].Value = "a'; rm -rf / #"
	require.Equal(t, `kubectl describe node 'a'\''; rm -rf / #' -n <namespace>`, Command(&w, &w.Remedies[0]))
}

func TestJSONLinesWritesOneObjectALine(t *testing.T) {
	var b bytes.Buffer
	j := &JSONLines{Out: &b}
	require.NoError(t, j.Notify(t.Context(), Notice{Warnings: []matcher.Warning{warning(1, matcher.Forming), warning(2, matcher.Imminent)}}))
	require.Equal(t, 2, strings.Count(b.String(), "\n"))
	require.Contains(t, b.String(), `"key":"worker-1"`)
}

func TestNewNamesEveryMistake(t *testing.T) {
	_, err := New(Destination{Type: "pigeon", Severity: "awful"}, Env{})
	require.ErrorContains(t, err, `unknown type "pigeon": use terminal, json, webhook, alertmanager`)
	require.ErrorContains(t, err, "name is missing")
	require.ErrorContains(t, err, `unknown severity "awful"`)
	_, err = New(Destination{Name: "x", Type: "webhook", URLs: []string{"example.org"}}, Env{})
	require.ErrorContains(t, err, "not an absolute http or https URL")
	_, err = New(Destination{Name: "on call", Type: "json"}, Env{})
	require.ErrorContains(t, err, "use at most 64 letters")
	short := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(short, []byte("whsec_YWJj"), 0o600))
	_, err = New(Destination{Name: "x", Type: "webhook", URLs: []string{"http://h/"}, SecretFiles: []string{short}}, Env{})
	require.ErrorContains(t, err, "24 to 64 bytes")
	_, err = New(Destination{Name: "x", Type: "alertmanager"}, Env{})
	require.ErrorContains(t, err, "name every peer")
}

// list is a Feed over fixed warnings that then waits for ctx.
type list struct {
	ws   []matcher.Warning
	next int
	done []string
}

func (l *list) Next(ctx context.Context) (matcher.Warning, uint64, func() error, error) {
	if l.next == len(l.ws) {
		<-ctx.Done()
		return matcher.Warning{}, 0, nil, ctx.Err()
	}
	w := l.ws[l.next]
	l.next++
	return w, uint64(l.next), func() error { l.done = append(l.done, w.ID); return nil }, nil
}

func TestDelivererKeepsOrderOverOutagesAndPassesRefusals(t *testing.T) {
	f, s := serve(t, 503, 429, 200, 400, 500, 200)
	hook, err := NewWebhook(s.URL, nil, s.Client())
	require.NoError(t, err)
	feed := &list{ws: []matcher.Warning{warning(1, matcher.Forming), warning(2, matcher.Imminent), warning(3, matcher.Averted)}}
	d := &Deliverer{Name: "hook", Notifier: hook, Feed: feed, First: time.Millisecond, Most: 2 * time.Millisecond}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	require.Eventually(t, func() bool { return d.Counts().Delivered == 2 }, 10*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	c := d.Counts()
	require.Equal(t, []uint64{2, 3, 1}, []uint64{c.Delivered, c.Failed, c.Refused})
	require.Len(t, feed.done, 3, "each is acknowledged once it needs no further try")
	var states []string
	for _, b := range f.seen() {
		var v struct{ Type string }
		require.NoError(t, json.Unmarshal([]byte(b), &v))
		states = append(states, v.Type)
	}
	require.Equal(t, []string{"warning.forming", "warning.forming", "warning.forming", "warning.imminent", "warning.averted", "warning.averted"}, states)
}

type broken struct{}

func (broken) Next(context.Context) (matcher.Warning, uint64, func() error, error) {
	return matcher.Warning{}, 0, nil, errors.New("stream is gone")
}

func TestDelivererReturnsTheFeedsError(t *testing.T) {
	d := &Deliverer{Name: "x", Notifier: &JSONLines{Out: io.Discard}, Feed: broken{}}
	require.EqualError(t, d.Run(t.Context()), "stream is gone")
}

func TestASecretInTheAddressStaysOutOfErrors(t *testing.T) {
	for _, path := range []string{"/services/T0/B0/s3cret-part", "/bot123:s3cret-part/sendMessage", "/hooks/x?key=s3cret-part", "/s3cret-part"} {
		s := newSink(t, "", answer{status: 404, body: "<pre>Cannot POST " + path + "</pre>"})
		hook := made(t, Destination{Type: "webhook", URLFile: secretFile(t, s.URL+path)}, Env{})
		err := hook.Notify(t.Context(), Single(warning(1, matcher.Forming)))
		require.ErrorContains(t, err, "Cannot POST")
		require.NotContains(t, err.Error(), "s3cret-part", "a server repeats what it was asked for")
	}
}
