package otlp

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/proto"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/forewarn/forewarn/collector/record"
)

func attrs(kv ...string) record.Attrs {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return record.NewAttrs(m)
}

func TestTheProtocolsExampleBecomesOneRecordByEveryWay(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { o.KeepTraceIDs = true })
	src, err := os.ReadFile("testdata/logs.json")
	require.NoError(t, err)
	e := r.exports()[0]
	m, err := e.decodeJSON(src)
	require.NoError(t, err)
	data, _ := m.(*logs.LogsData)
	lr := data.GetResourceLogs()[0].GetScopeLogs()[0].GetLogRecords()[0]
	binary, _ := proto.Clone(data).(*logs.LogsData)
	own := binary.GetResourceLogs()[0].GetScopeLogs()[0].GetLogRecords()[0]
	own.TraceId = []byte{0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 0x0c}
	own.SpanId = []byte{0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74}
	require.Len(t, lr.GetTraceId(), 24, "hexadecimal was read as base64")

	c := r.dial(t)
	var ids []uint64
	for _, send := range []func(){
		func() {
			got := r.post(t, "POST", "/v1/logs", "application/json", "", src)
			require.Equal(t, reply{200, got.header, []byte("{}")}, got)
			require.Equal(t, "application/json", got.header.Get("Content-Type"))
		},
		func() {
			require.Equal(t, 200, r.post(t, "POST", "/v1/logs", "application/json; charset=utf-8", "gzip", zipped(src)).code)
		},
		func() {
			got := r.post(t, "POST", "/v1/logs", "application/x-protobuf", "", wire(t, binary))
			require.Equal(t, 200, got.code)
			require.Empty(t, got.body)
			require.Equal(t, "application/x-protobuf", got.header.Get("Content-Type"))
		},
		func() {
			require.Equal(t, 200, r.post(t, "POST", "/v1/logs", "application/x-protobuf", "gzip", zipped(wire(t, binary))).code)
		},
		func() { _, _, err := call(t.Context(), c, logsCall, binary); require.NoError(t, err) },
		func() {
			_, _, err := call(t.Context(), c, logsCall, binary, grpc.UseCompressor(gzip.Name))
			require.NoError(t, err)
		},
	} {
		send()
		got := r.taken()
		require.Len(t, got, 1)
		require.Equal(t, record.Log, got[0].Kind)
		require.Equal(t, "Example log record", string(got[0].Text))
		require.Equal(t, int64(1544712660300000000), got[0].Time)
		require.Equal(t, attrs(
			record.Component, "my.service", record.SeverityText, "info", "boolean.attribute", "true", "double.attribute", "637.704", "int.attribute", "10",
			"string.attribute", "some string", "array.attribute", `["many","values"]`, "map.attribute", `{"some.map.key":"some value"}`,
			"my.scope.attribute", "some scope attribute", "trace_id", "5b8efff798038103d269b633813fc60c", "span_id", "eee19b7ec3c1b174",
		), got[0].Attrs)
		ids = append(ids, got[0].ID)
	}
	for _, id := range ids {
		require.Equal(t, ids[0], id, "a repeat is the same observation, by whatever way it comes")
	}
}

func TestLogsBecomeRecords(t *testing.T) {
	t.Parallel()
	pod := pairs("k8s.namespace.name", "shop", "k8s.pod.name", "web-5c6f7d8b9c-x2k4z", "k8s.container.name", "web", "k8s.node.name", "n1", "service.name", "web", "os.type", "linux")
	topology := []string{record.Namespace, "shop", record.Pod, "web-5c6f7d8b9c-x2k4z", record.Container, "web", record.Node, "n1", record.Component, "web", record.WorkloadKind, "Deployment", record.WorkloadName, "web"}
	with := func(more ...string) record.Attrs { return attrs(append(more, topology...)...) }
	many := make([]string, 0, 200)
	for range 100 {
		many = append(many, strings.Repeat("x", 1+len(many)/2), "v")
	}
	for _, c := range []struct {
		name   string
		change func(*Options)
		give   *logs.LogRecord
		text   string
		attrs  record.Attrs
		check  func(t *testing.T, r record.Record)
	}{
		{name: "a string", give: line("hello"), text: "hello", attrs: with("os.type", "linux")},
		{name: "a map", give: &logs.LogRecord{Body: object("b", 1, "a", object("c", "<d>"))}, text: `{"a":{"c":"<d>"},"b":1}`, attrs: with("os.type", "linux")},
		{name: "bytes", give: &logs.LogRecord{Body: &common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: []byte{0xff, 'x'}}}}, text: "\xffx", attrs: with("os.type", "linux")},
		{name: "no body", give: &logs.LogRecord{EventName: "device.crash"}, attrs: with("os.type", "linux", "event.name", "device.crash")},
		{name: "severity by number", give: &logs.LogRecord{Body: text("x"), SeverityNumber: 17, SeverityText: "SEVERE"}, text: "x", attrs: with("os.type", "linux", record.SeverityText, "error")},
		{name: "severity by text", give: &logs.LogRecord{Body: text("x"), SeverityText: "Warning"}, text: "x", attrs: with("os.type", "linux", record.SeverityText, "warn")},
		{
			name: "the record's own attributes win", give: &logs.LogRecord{Body: text("x"), Attributes: pairs("k8s.container.name", "sidecar", "os.type", "plan9", "k8s.deployment.name", "shop-web")}, text: "x",
			attrs: with("os.type", "plan9", "k8s.deployment.name", "shop-web").With(record.Container, "sidecar").With(record.WorkloadName, "shop-web"),
		},
		{
			name: "others are dropped", change: func(o *Options) { o.DropOthers, o.Attributes = true, []string{"http.", "user"} },
			give: &logs.LogRecord{Body: text("x"), Attributes: pairs("http.route", "/", "user", "bob", "username", "bob", "a", "b")}, text: "x", attrs: with("http.route", "/", "user", "bob"),
		},
		{
			name: "those that matter come before very many", give: &logs.LogRecord{Body: text("x"), Attributes: pairs(many...)}, text: "x",
			check: func(t *testing.T, r record.Record) {
				t.Helper()
				require.Len(t, r.Attrs, maxAttributes+2)
				require.Equal(t, "n1", r.Attrs.Value(record.Node))
			},
		},
		{name: "a long text is cut", give: line(strings.Repeat("x", record.MaxText+5)), text: strings.Repeat("x", record.MaxText), attrs: with("os.type", "linux")},
		{
			name: "observed when there is no time", give: &logs.LogRecord{Body: text("x"), ObservedTimeUnixNano: ago(time.Hour)}, text: "x", attrs: with("os.type", "linux"),
			check: func(t *testing.T, r record.Record) { t.Helper(); require.Equal(t, int64(ago(time.Hour)), r.Time) },
		},
		{
			name: "now when no time can be believed", give: &logs.LogRecord{Body: text("x"), TimeUnixNano: 5, ObservedTimeUnixNano: 1 << 63}, text: "x", attrs: with("os.type", "linux"),
			check: func(t *testing.T, r record.Record) { t.Helper(); require.Equal(t, present().UnixNano(), r.Time) },
		},
		{name: "secrets stay here", give: line("password=hunter2"), text: "password=[removed]", attrs: with("os.type", "linux")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, func(o *Options) {
				if c.change != nil {
					c.change(o)
				}
				o.HTTP.MaxBodyMB = 4
			})
			require.Equal(t, 200, r.post(t, "POST", "/v1/logs", "application/x-protobuf", "", wire(t, lines(pod, c.give))).code)
			got := r.taken()
			require.Len(t, got, 1)
			require.Equal(t, c.text, string(got[0].Text))
			if c.attrs != nil {
				require.Equal(t, c.attrs, got[0].Attrs)
			}
			if c.check != nil {
				c.check(t, got[0])
			}
		})
	}
}

func TestEqualLinesAreSeveralObservationsAndARepeatIsNone(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	ids := func() []uint64 {
		require.Equal(t, 200, r.post(t, "POST", "/v1/logs", "application/x-protobuf", "", wire(t, lines(nil, line("a"), line("a"), line("b")))).code)
		var out []uint64
		for _, x := range r.taken() {
			out = append(out, x.ID)
		}
		return out
	}
	first := ids()
	require.Len(t, first, 3)
	require.NotEqual(t, first[0], first[1])
	require.Equal(t, first, ids())
}

// sight is how the k8sevents receiver of the OpenTelemetry Collector sends an event.
func sight(count int64, last time.Duration) *logs.LogRecord {
	a := append(pairs("k8s.event.reason", "BackOff", "k8s.event.action", "", "k8s.event.start_time", "2026-11-25 11:00:00 +0000 UTC", "k8s.event.name", "web-1.17d",
		"k8s.event.uid", "uid-1", "k8s.namespace.name", "shop"), &common.KeyValue{Key: "k8s.event.count", Value: whole(count)})
	return &logs.LogRecord{TimeUnixNano: ago(last), SeverityNumber: 13, SeverityText: "Warning", Body: text("Back-off restarting failed container"), Attributes: a}
}

func sightResource() []*common.KeyValue {
	return pairs("k8s.node.name", "n1", "k8s.object.kind", "Pod", "k8s.object.name", "web-5c6f7d8b9c-x2k4z", "k8s.object.uid", "pod-uid", "k8s.object.fieldpath", "spec.containers{web}",
		"k8s.object.api_version", "v1", "k8s.cluster.name", "east")
}

func TestKubernetesEventsAreEventRecordsOfTheIncrease(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	send := func(m proto.Message) []record.Record {
		require.Equal(t, 200, r.post(t, "POST", "/v1/logs", "application/x-protobuf", "", wire(t, m)).code)
		return r.taken()
	}
	got := send(lines(sightResource(), sight(1, time.Hour)))
	require.Len(t, got, 1)
	require.Equal(t, record.Event, got[0].Kind)
	require.Equal(t, "Back-off restarting failed container", string(got[0].Text))
	require.Equal(t, attrs(
		record.EventReason, "BackOff", record.EventType, "Warning", record.EventName, "web-1.17d", record.ObjectKind, "Pod", record.ObjectName, "web-5c6f7d8b9c-x2k4z",
		record.ObjectUID, "pod-uid", record.ObjectAPI, "v1", record.Namespace, "shop", record.Pod, "web-5c6f7d8b9c-x2k4z", record.PodUID, "pod-uid", record.Container, "web",
		record.Node, "n1", record.Cluster, "east", record.WorkloadKind, "Deployment", record.WorkloadName, "web",
	), got[0].Attrs)

	got = send(lines(sightResource(), sight(7, 10*time.Minute)))
	require.Len(t, got, 1)
	require.Equal(t, uint32(6), got[0].Count, "from 1 to 7 is six more")
	require.Equal(t, int64(ago(10*time.Minute)), got[0].Time)
	require.Empty(t, send(lines(sightResource(), sight(7, 10*time.Minute))), "a repeat tells nothing new")

	body := object("type", "MODIFIED", "object", object("kind", "Event", "apiVersion", "v1", "reason", "BackOff", "type", "Warning", "message", "again", "count", 9,
		"metadata", object("name", "web-1.17d", "namespace", "shop", "uid", "uid-1"), "firstTimestamp", "2026-11-25T11:00:00Z", "lastTimestamp", "2026-11-25T11:55:00Z",
		"involvedObject", object("kind", "Pod", "namespace", "shop", "name", "web-5c6f7d8b9c-x2k4z", "uid", "pod-uid"), "source", object("component", "kubelet", "host", "n1")))
	got = send(lines(nil, &logs.LogRecord{Body: body, Attributes: pairs("event.domain", "k8s", "k8s.resource.name", "events")}))
	require.Len(t, got, 1, "the k8sobjects receiver sends the object")
	require.Equal(t, uint32(2), got[0].Count)
	require.Equal(t, "again", string(got[0].Text))
	require.Equal(t, "kubelet", got[0].Attrs.Value(record.EventSource))

	body.GetKvlistValue().GetValues()[0].Value = text("DELETED")
	require.Empty(t, send(lines(nil, &logs.LogRecord{Body: body})))
	got = send(lines(nil, &logs.LogRecord{Body: object("kind", "Event", "apiVersion", "audit.k8s.io/v1", "stage", "ResponseComplete")}))
	require.Equal(t, record.Log, got[0].Kind, "an audit event is a log record")
}

func TestAnEventThatWasNotAcceptedIsNewWhenItComesAgain(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	m := wire(t, lines(sightResource(), sight(3, time.Minute)))
	x := r.newIntake()
	data := &logs.LogsData{}
	require.NoError(t, proto.Unmarshal(m, data))
	x.event(data.GetResourceLogs()[0].GetScopeLogs()[0].GetLogRecords()[0], sightResource())
	require.Len(t, x.records, 2, "when it began, and the rest")
	require.Equal(t, 200, r.post(t, "POST", "/v1/logs", "application/x-protobuf", "", m).code)
	require.Len(t, r.taken(), 2, "what was only looked at is not remembered")
}

func TestPartialSuccessTellsWhatWasRefused(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	bad := &logs.LogRecord{Body: object("kind", "Event", "metadata", "not an object", "count", "x")}
	m := lines(nil, line("good"), bad)
	rejected, why, err := call(t.Context(), r.dial(t), logsCall, m)
	require.NoError(t, err)
	require.Equal(t, uint64(1), rejected)
	require.Contains(t, why, "a Kubernetes event cannot be read")
	require.Len(t, r.taken(), 1)
	got := r.post(t, "POST", "/v1/logs", "application/x-protobuf", "", wire(t, m))
	rejected, _ = partial(got.body)
	require.Equal(t, uint64(1), rejected)
	got = r.post(t, "POST", "/v1/logs", "application/json", "", []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"kvlistValue":{"values":[
		{"key":"kind","value":{"stringValue":"Event"}},{"key":"metadata","value":{"intValue":1}}]}}}]}]}]}`))
	require.Equal(t, 200, got.code)
	require.Contains(t, string(got.body), `"rejectedLogRecords":"1"`)
	require.Contains(t, string(got.body), `"errorMessage":"a Kubernetes event`)
}
