package format

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// live is a differ whose clock is moved by hand.
type live struct {
	*Objects
	sink collectSink
	now  time.Time
}

func newLive() *live {
	l := &live{now: written()}
	l.Objects = NewObjects(Input{Sink: &l.sink, Live: true, Clock: func() time.Time { return l.now }})
	return l
}

func (l *live) texts() []string {
	var all []string
	for _, r := range l.sink.records {
		all = append(all, string(r.Text))
	}
	l.sink.records = nil
	return all
}

// issued returns certificates that end at the given times, as a Secret has them.
func issued(t *testing.T, ends ...time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	var text bytes.Buffer
	for _, end := range ends {
		c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.AddDate(-1, 0, 0), NotAfter: end}
		der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
		require.NoError(t, err)
		require.NoError(t, pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return base64.StdEncoding.EncodeToString(text.Bytes())
}

func secret(kind, crt string) []byte {
	return fmt.Appendf(nil, `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"tls","namespace":"shop","uid":"s","resourceVersion":"5"},"data":{"tls.crt":%q,"tls.key":"aHVudGVyMg==","other":"aHVudGVyMg=="},"type":%q}`, crt, kind)
}

// TestCertificatesTellWhenTheyExpireAndNothingElse: the nearer end is told when it comes near, though nobody writes the Secret.
func TestCertificatesTellWhenTheyExpireAndNothingElse(t *testing.T) {
	t.Parallel()
	l := newLive()
	end := l.now.Add(40 * 24 * time.Hour).Truncate(time.Second)
	crt := issued(t, end.AddDate(1, 0, 0), end)
	l.Compare(secret("kubernetes.io/tls", crt), "Secret", "v1", TellTrouble)
	require.Empty(t, l.texts(), "it is far away")

	var got []string
	var all []record.Record
	for range 45 {
		l.now = l.now.Add(24 * time.Hour)
		l.Pass("Secret")
		for _, r := range l.sink.records {
			got = append(got, fmt.Sprint(r.When().Sub(end), " ", string(r.Text)))
			all = append(all, r)
		}
		l.sink.records = nil
	}
	require.Equal(t, []string{
		"-720h0m0s tls.expires:  -> 30d", "-168h0m0s tls.expires: 30d -> 7d", "-24h0m0s tls.expires: 7d -> 1d", "0s tls.expires: 1d -> expired",
	}, got)

	var stored bytes.Buffer
	require.NoError(t, l.Store(&stored))
	for _, place := range []string{stored.String(), fmt.Sprint(all)} {
		require.NotContains(t, place, "hunter2")
		require.NotContains(t, place, "aHVudGVyMg")
		require.NotContains(t, place, crt[:40])
	}

	renewed := issued(t, l.now.AddDate(1, 0, 0))
	l.Compare(secret("kubernetes.io/tls", renewed), "Secret", "v1", TellTrouble)
	require.Equal(t, []string{"tls.notAfter: " + end.Format(time.RFC3339) + " -> " + l.now.AddDate(1, 0, 0).Truncate(time.Second).Format(time.RFC3339), "tls.expires: expired -> "}, l.texts())

	l.Compare(bytes.Replace(secret("Opaque", crt), []byte(`"s"`), []byte(`"o"`), 1), "Secret", "v1", TellTrouble)
	l.Compare(bytes.Replace(secret("kubernetes.io/tls", "bm8gY2VydA=="), []byte(`"s"`), []byte(`"n"`), 1), "Secret", "v1", TellTrouble)
	require.Empty(t, l.texts())
}

// TestExpiryIsToldAlikeAfterARestart: the state that was stored knows when to look again.
func TestExpiryIsToldAlikeAfterARestart(t *testing.T) {
	t.Parallel()
	l := newLive()
	hooks := fmt.Appendf(nil, `{"kind":"ValidatingWebhookConfiguration","metadata":{"name":"h","uid":"h"},"webhooks":[{"name":"a.b.c","failurePolicy":"Fail","timeoutSeconds":5,`+
		`"clientConfig":{"service":{"namespace":"x","name":"y"},"caBundle":%q}}]}`, issued(t, l.now.AddDate(0, 0, -1), l.now.Add(10*24*time.Hour)))
	l.Compare(hooks, "ValidatingWebhookConfiguration", "v1", TellTrouble)
	near := l.texts()
	require.Len(t, near, 2)
	require.Equal(t, "webhooks[a.b.c].clientConfig.caBundle.expires:  -> 30d", near[0], "one authority of the bundle is enough")

	var stored bytes.Buffer
	require.NoError(t, l.Store(&stored))
	again := newLive()
	require.NoError(t, again.Restore(&stored))
	for _, x := range []*live{l, again} {
		x.now = x.now.Add(5 * 24 * time.Hour)
		x.Pass("ValidatingWebhookConfiguration")
	}
	require.Len(t, l.sink.records, 1)
	require.Equal(t, l.sink.records, again.sink.records)

	bad := bytes.Replace(hooks, []byte(`"Fail"`), []byte(`"Ignore"`), 1)
	l.texts()
	l.Compare(bad, "ValidatingWebhookConfiguration", "v1", TellTrouble)
	require.Equal(t, []string{"webhooks[a.b.c].failurePolicy: Fail -> Ignore"}, l.texts())
}

func TestEndpointsAreCounted(t *testing.T) {
	t.Parallel()
	l := newLive()
	slice := func(endpoints string) []byte {
		return []byte(`{"kind":"EndpointSlice","metadata":{"name":"web-x","namespace":"shop","uid":"e"},"endpoints":` + endpoints + `}`)
	}
	l.Compare(slice(`[{"addresses":["10.0.0.1"],"conditions":{"ready":true}},{"addresses":["10.0.0.2"]},{"addresses":["10.0.0.3"],"conditions":{"ready":false,"serving":true}}]`), "EndpointSlice", "v1", TellTrouble)
	require.Empty(t, l.texts())
	l.Compare(slice(`[{"addresses":["10.0.0.9"],"conditions":{"ready":true}},{"addresses":["10.0.0.8"]},{"addresses":["10.0.0.3"],"conditions":{"ready":false,"serving":true}}]`), "EndpointSlice", "v1", TellTrouble)
	require.Empty(t, l.texts(), "which pods they are is no change")
	l.Compare(slice(`[{"addresses":["10.0.0.3"],"conditions":{"ready":false}}]`), "EndpointSlice", "v1", TellTrouble)
	require.Equal(t, []string{"endpoints.ready: 2 -> 0", "endpoints.serving: 3 -> 0", "endpoints.total: 3 -> 1"}, l.texts())
	l.Compare(slice(`null`), "EndpointSlice", "v1", TellTrouble)
	require.Equal(t, []string{"endpoints.total: 1 -> 0"}, l.texts())
}

// TestTroubleIsTold gives objects that nobody has seen before.
func TestTroubleIsTold(t *testing.T) {
	t.Parallel()
	condition := func(name, status string) string {
		return fmt.Sprintf(`"status":{"conditions":[{"type":%q,"status":%q,"reason":"Why","observedGeneration":1}]}`, name, status)
	}
	for _, c := range []struct {
		kind, object string
		want         []string
	}{
		{"Node", condition("Ready", "True"), nil},
		{"Node", condition("KernelDeadlock", "False"), nil},
		{"Node", condition("KernelDeadlock", "True"), []string{"status.conditions[KernelDeadlock].reason", "status.conditions[KernelDeadlock].status"}},
		{"Node", condition("Ready", "Unknown"), []string{"status.conditions[Ready].reason", "status.conditions[Ready].status"}},
		{"Deployment", condition("ReplicaFailure", "True"), []string{"status.conditions[ReplicaFailure].reason", "status.conditions[ReplicaFailure].status"}},
		{"Deployment", condition("Progressing", "False"), []string{"status.conditions[Progressing].reason", "status.conditions[Progressing].status"}},
		{"Deployment", condition("Available", "True"), nil},
		{"HorizontalPodAutoscaler", condition("ScalingLimited", "True"), []string{"status.conditions[ScalingLimited].reason", "status.conditions[ScalingLimited].status"}},
		{"HorizontalPodAutoscaler", condition("ScalingLimited", "False"), nil},
		{"Job", condition("Complete", "True"), nil},
		{"Job", condition("Failed", "True"), []string{"status.conditions[Failed].reason", "status.conditions[Failed].status"}},
		{"Job", condition("Suspended", "False"), nil},
		{"Namespace", condition("NamespaceContentRemaining", "False"), nil},
		{"CustomResourceDefinition", condition("NonStructuralSchema", "True"), []string{"status.conditions[NonStructuralSchema].reason", "status.conditions[NonStructuralSchema].status"}},
		{"Certificate", condition("Ready", "False"), []string{"status.conditions[Ready].reason", "status.conditions[Ready].status"}},
		{"PersistentVolumeClaim", `"status":{"phase":"Bound"}`, nil},
		{"PersistentVolumeClaim", `"status":{"phase":"Lost"}`, []string{"status.phase"}},
		{"PersistentVolumeClaim", `"status":{"phase":"Pending"}`, []string{"status.phase"}},
		{"Pod", `"status":{"phase":"Pending"}`, nil},
		{"Pod", `"status":{"phase":"Failed","reason":"Evicted","message":"The node was low on resource: memory."}`, []string{"status.message", "status.phase", "status.reason"}},
		{"Pod", `"status":{"phase":"Pending","containerStatuses":[{"name":"a","state":{"waiting":{"reason":"ContainerCreating"}}}]}`, nil},
		{"Pod", `"status":{"phase":"Pending","initContainerStatuses":[{"name":"a","state":{"waiting":{"reason":"ImagePullBackOff"}}}]}`, []string{"status.initContainerStatuses[a].state.waiting.reason"}},
		{"Pod", `"status":{"containerStatuses":[{"name":"a","restartCount":2,"lastState":{"terminated":{"exitCode":0,"reason":"Completed"}}}]}`, nil},
		{"ResourceQuota", `"status":{"hard":{"pods":"10","requests.cpu":"4"},"used":{"pods":"10","requests.cpu":"3"}}`, []string{"status.used.pods"}},
		{"ResourceQuota", `"status":{"hard":{"requests.cpu":"4"},"used":{"requests.cpu":"4"}}`, []string{"status.used[requests.cpu]"}},
		{"ResourceQuota", `"status":{"hard":{"pods":"0"},"used":{"pods":"0"}}`, nil},
		{"DaemonSet", `"status":{"numberUnavailable":2,"numberReady":5}`, []string{"status.numberUnavailable"}},
		{"EndpointSlice", `"endpoints":[{"addresses":["a"],"conditions":{"ready":false}}]`, []string{"endpoints.ready"}},
	} {
		l := newLive()
		require.True(t, l.Compare([]byte(`{"metadata":{"name":"x","uid":"x"},`+c.object+`}`), c.kind, "v1", TellTrouble))
		var got []string
		for _, r := range l.sink.records {
			require.Equal(t, "added", r.Attrs.Value(record.ChangeVerb))
			got = append(got, r.Attrs.Value(record.ChangePath))
		}
		require.Equal(t, c.want, got, "%s %s", c.kind, c.object)
	}
}

// TestADeletionIsOne: whether it was seen or found missing.
func TestADeletionIsOne(t *testing.T) {
	t.Parallel()
	node := []byte(`{"metadata":{"name":"n","uid":"u","resourceVersion":"7"},"status":{"phase":"x"}}`)
	seen, missed := newLive(), newLive()
	for _, l := range []*live{seen, missed} {
		l.Compare(node, "Node", "v1", TellTrouble)
		l.texts()
	}
	seen.Deleted(node, "Node", "v1")
	missed.now = missed.now.Add(time.Hour)
	missed.Listing()
	missed.Listed("Node", "9")
	require.Len(t, missed.sink.records, 1)
	a, b := seen.sink.records[0], missed.sink.records[0]
	require.Equal(t, a.ID, b.ID)
	require.Equal(t, a.Attrs, b.Attrs)
	require.Equal(t, "n", b.Attrs.Value(record.Node))
	require.Equal(t, missed.now, b.When())
	require.Zero(t, seen.Len())
	missed.Listing()
	missed.Listed("Node", "10")
	require.Len(t, missed.sink.records, 1, "it is gone once")
}

// TestHostileObjects: what a stranger may write into a cluster makes no panic, and no more memory than its size.
func TestHostileObjects(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":[`, 5000) + "1" + strings.Repeat(`]}`, 5000)
	wide := `{"a":0`
	for i := range 6_000 {
		wide += fmt.Sprintf(`,"k%d":%q`, i, strings.Repeat("v", 20))
	}
	wide += "}"
	meta := `"metadata":{"name":"x","namespace":"n","uid":"u"}`
	for _, object := range []string{
		`{"metadata":{"name":"x"},"status":` + deep + `}`, `{` + meta + `,"status":` + wide + `}`, `{` + meta + `,"spec":` + wide + `}`,
		`{` + meta + `,"status":{"m":"` + strings.Repeat("x", 1<<20) + `"}}`,
		`{` + meta + `,"spec":[],"status":"text"}`, `{` + meta + `,"spec":{"containers":{"a":1},"template":[]},"status":{"conditions":{"type":"x"},"containerStatuses":[1,null,"a",[[]]]}}`,
		`{` + meta + `,"status":{"conditions":[{"type":"A"},{"type":"A","status":"True"},{"type":{}}]},"status":{"phase":"twice"}}`,
		`{"metadata":[],"spec":1}`, `{"metadata":{"name":{}}}`, `{"metadata":{"name":"x","ownerReferences":{"controller":true},"managedFields":{"time":"x"},"labels":[1],"deletionTimestamp":7}}`,
		`{"metadata":{"name":"x","managedFields":[1,null,{"time":5},{"time":"3000-01-01T00:00:00Z"},{"time":"2026-11-20T10:00:00Z"}]}}`,
		`{` + meta + `,"endpoints":[1,{"addresses":"x","conditions":[]}],"webhooks":[{"clientConfig":{"caBundle":"!"}}],"data":{"tls.crt":7},"type":"kubernetes.io/tls"}`,
		`{` + meta + `,"status":{"\u0000":"\u0000","":"x","a.b":{"[":"]"}}}`, `{` + meta + `,"status":{`, `nonsense`, ``, `[]`, `{}`, `{"metadata":null}`,
	} {
		for _, kind := range []string{"Pod", "EndpointSlice", "Secret", "APIService", "CustomResourceDefinition", "MutatingWebhookConfiguration", "Other"} {
			for _, told := range []Told{TellAll, TellTrouble, TellNew} {
				if len(object) > 50_000 && (kind != "Pod" || told == TellTrouble) {
					continue // once is enough
				}
				l := newLive()
				l.Compare([]byte(object), kind, "v1", told)
				l.Compare([]byte(object), kind, "v1", told)
				l.Compare([]byte(`{`+meta+`,"status":{"phase":"Failed"}}`), kind, "v1", told)
				var b bytes.Buffer
				require.NoError(t, l.Store(&b))
				require.NoError(t, l.Restore(&b))
				l.Deleted([]byte(object), kind, "v1")
				l.Listing()
				l.Listed(kind, "1")
				require.Zero(t, l.Len())
				require.Empty(t, l.names.numbers)
			}
		}
	}
}

// FuzzObjects: two sights of anything.
func FuzzObjects(f *testing.F) {
	f.Add([]byte(`{"metadata":{"name":"x","uid":"u"},"status":{"conditions":[{"type":"Ready","status":"True"}]}}`), []byte(`{"metadata":{"name":"x","uid":"u"}}`), "Pod")
	f.Add(secret("kubernetes.io/tls", "LS0t"), []byte(`{`), "Secret")
	f.Fuzz(func(t *testing.T, a, b []byte, kind string) {
		l := newLive()
		for _, object := range [][]byte{a, b, a} {
			if l.Compare(object, kind, "v1", TellAll) && !json.Valid(object) {
				require.NotZero(t, l.in.Counts.Get(BadItem))
			}
		}
		before := l.Len()
		var stored bytes.Buffer
		require.NoError(t, l.Store(&stored))
		require.NoError(t, l.Restore(&stored))
		require.Equal(t, before, l.Len())
		l.sink.records = nil
		l.Compare(a, kind, "v1", TellAll)
		require.Empty(t, l.sink.records, "nothing changed since")
	})
}
