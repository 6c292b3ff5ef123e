package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/receive"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

const (
	pb = "application/x-protobuf"
	js = "application/json"
)

// nested is a log record whose body is arrays in arrays, so deep. It is written from its end.
func nested(depth int) []byte {
	var v []byte
	wrap := func(tag byte) {
		size := protowire.AppendVarint(nil, uint64(len(v)))
		slices.Reverse(size)
		v = append(append(v, size...), tag)
	}
	for range depth {
		wrap(1<<3 | 2)
		wrap(5<<3 | 2)
	}
	for _, field := range []byte{5, 2, 2, 1} {
		wrap(field<<3 | 2)
	}
	slices.Reverse(v)
	return v
}

func TestHTTPAnswersWithTheStatusThatTheProtocolNames(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	good := wire(t, lines(nil, line("x")))
	empties := protowire.AppendBytes([]byte{0x0a}, protowire.AppendBytes([]byte{0x12}, bytes.Repeat([]byte{0x12, 0}, maxItems+1)))
	for _, c := range []struct {
		name, method, path, media, encoding string
		body                                []byte
		status                              int
		code                                codes.Code // 0 is success
	}{
		{"good", "POST", "/v1/logs", pb, "", good, 200, 0},
		{"nothing", "POST", "/v1/logs", pb, "", nil, 200, 0},
		{"nothing in JSON", "POST", "/v1/metrics", js, "", []byte("{}"), 200, 0},
		{"fields that are not known", "POST", "/v1/logs", js, "", []byte(`{"x":1,"resourceLogs":[{"y":[{}],"scopeLogs":[]}]}`), 200, 0},
		{"a snake", "POST", "/v1/logs", js, "", []byte(`{"resource_logs":[]}`), 200, 0},
		{"null", "POST", "/v1/logs", js, "", []byte(`{"resourceLogs":null}`), 200, 0},
		{"rubbish", "POST", "/v1/logs", pb, "", []byte("rubbish"), 400, codes.InvalidArgument},
		{"cut off", "POST", "/v1/metrics", pb, "", good[:len(good)-3], 400, codes.InvalidArgument},
		{"rubbish in JSON", "POST", "/v1/logs", js, "", []byte("rubbish"), 400, codes.InvalidArgument},
		{"nothing at all in JSON", "POST", "/v1/logs", js, "", nil, 400, codes.InvalidArgument},
		{"a list", "POST", "/v1/logs", js, "", []byte("[]"), 400, codes.InvalidArgument},
		{"another type of a field", "POST", "/v1/logs", js, "", []byte(`{"resourceLogs":"x"}`), 400, codes.InvalidArgument},
		{"an id that is none", "POST", "/v1/logs", js, "", []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"xyz!"}]}]}]}`), 400, codes.InvalidArgument},
		{"text that is not UTF-8", "POST", "/v1/logs", pb, "", wire(t, lines(nil, line("xyz")))[:0], 200, 0},
		{"very many records", "POST", "/v1/logs", pb, "", empties, 413, codes.ResourceExhausted},
		{"very deep", "POST", "/v1/logs", pb, "", nested(12_000), 400, codes.InvalidArgument},
		{"deep", "POST", "/v1/logs", pb, "", nested(1000), 200, 0},
		{"very deep in JSON", "POST", "/v1/logs", js, "", []byte(strings.Repeat(`{"resourceLogs":[`, 20_000)), 400, codes.InvalidArgument},
		{"too large", "POST", "/v1/logs", pb, "", make([]byte, 1<<20+1), 413, codes.ResourceExhausted},
		{"a bomb", "POST", "/v1/logs", js, "gzip", zipped(make([]byte, 64<<20)), 413, codes.ResourceExhausted},
		{"no gzip", "POST", "/v1/logs", js, "gzip", good, 400, codes.InvalidArgument},
		{"another packing", "POST", "/v1/logs", pb, "zstd", good, 415, codes.Unimplemented},
		{"another type", "POST", "/v1/logs", "text/plain", "", good, 415, codes.Unimplemented},
		{"no type", "POST", "/v1/logs", "", "", good, 415, codes.Unimplemented},
		{"another method", "GET", "/v1/logs", js, "", nil, 405, codes.Unimplemented},
		{"another method", "PUT", "/v1/metrics", pb, "", good, 405, codes.Unimplemented},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := r.post(t, c.method, c.path, c.media, c.encoding, c.body)
			require.Equal(t, c.status, got.code, string(got.body))
			require.Equal(t, c.status == 405, got.header.Get("Allow") == "POST")
			require.Empty(t, got.header.Get("Retry-After"))
			if c.code == 0 {
				return
			}
			if c.media == pb { // the error is in the request's own encoding
				var s spb.Status
				require.NoError(t, proto.Unmarshal(got.body, &s))
				require.Equal(t, int32(c.code), s.GetCode())
				require.NotEmpty(t, s.GetMessage())
				require.Equal(t, pb, got.header.Get("Content-Type"))
				return
			}
			var s struct {
				Code    int
				Message string
			}
			require.NoError(t, json.Unmarshal(got.body, &s))
			require.Equal(t, int(c.code), s.Code)
			require.NotEmpty(t, s.Message)
		})
	}
	require.Equal(t, 404, r.post(t, "POST", "/v1/traces", pb, "", nil).code)
}

func TestGRPCAnswersWithTheCodeThatTheProtocolNames(t *testing.T) {
	t.Parallel()
	tokens := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(tokens, []byte("opensesame"), 0o600))
	r := start(t, func(o *Options) { o.GRPC.TokenFile = tokens })
	c := r.dial(t)
	known := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer opensesame")
	good := lines(nil, line("x"))
	_, _, err := call(t.Context(), c, logsCall, good)
	require.Equal(t, codes.Unauthenticated, status.Code(err))
	_, _, err = call(known, c, logsCall, good)
	require.NoError(t, err)
	_, _, err = call(known, c, logsCall, lines(nil, line(strings.Repeat("x", 2<<20))))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Empty(t, status.Convert(err).Details(), "without RetryInfo it is not worth sending again")
	_, _, err = call(known, c, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", good)
	require.Equal(t, codes.Unimplemented, status.Code(err))
	for name, body := range map[string][]byte{
		"rubbish": []byte("rubbish"), "very deep": nested(12_000),
		"very many": protowire.AppendBytes([]byte{0x0a}, protowire.AppendBytes([]byte{0x12}, bytes.Repeat([]byte{0x12, 0}, maxItems+1))),
	} {
		var out emptypb.Empty
		err = c.Invoke(known, logsCall, body, &out, grpc.ForceCodec(raw{}))
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
	}
	require.Len(t, r.taken(), 1)
}

// raw sends bytes as they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) ([]byte, error) {
	b, _ := v.([]byte)
	return b, nil
}

func (raw) Unmarshal([]byte, any) error { return nil }

func TestWhoFindsNoRoomIsAskedToComeAgain(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) {
		o.GRPC.MaxRequests, o.HTTP.MaxRequests = 1, 1
		o.GRPC.Wait, o.HTTP.Wait = signatures.Duration(200*time.Millisecond), signatures.Duration(200*time.Millisecond)
	})
	c := r.dial(t)
	r.mu.Lock()
	opened := make(chan struct{})
	r.hold = func(ctx context.Context) error {
		select {
		case <-opened:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	r.mu.Unlock()
	_, _, err := call(t.Context(), c, logsCall, lines(nil, line("x")))
	require.Equal(t, codes.Unavailable, status.Code(err))
	var retry *errdetails.RetryInfo
	for _, d := range status.Convert(err).Details() {
		retry, _ = d.(*errdetails.RetryInfo)
	}
	require.Equal(t, receive.RetryAfter, retry.GetRetryDelay().AsDuration())
	got := r.post(t, "POST", "/v1/logs", pb, "", wire(t, lines(nil, line("x"))))
	require.Equal(t, http.StatusServiceUnavailable, got.code)
	require.NotEmpty(t, got.header.Get("Retry-After"))

	close(opened)
	require.Eventually(t, func() bool { // as senders do
		_, _, err = call(t.Context(), c, logsCall, lines(nil, line("x")))
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	ids := map[uint64]bool{}
	for _, x := range r.taken() {
		ids[x.ID] = true
	}
	require.Len(t, ids, 1, "what came several times is one observation")
}

func TestTheNewestRecordIsPromisedWithADelay(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	require.Equal(t, 200, r.post(t, "POST", "/v1/logs", pb, "", wire(t, lines(nil, line("x")))).code)
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Equal(t, present().Add(-time.Minute-30*time.Second).UnixNano(), r.mark)
}

func TestMistakesOfOptionsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := New(Options{}, collector.Common{})
	require.ErrorContains(t, err, "neither grpc nor http is set")
	_, err = New(Options{GRPC: &receive.Options{Listen: "x"}, HTTP: &receive.Options{Listen: ":1", MaxRequests: -1}, MaxSeries: -1, MaxEvents: -1, Delay: -1, Attributes: []string{""}}, collector.Common{})
	for _, word := range []string{"grpc: listen", "http: max_requests", "max_series", "max_events", "delay", "attributes"} {
		require.ErrorContains(t, err, word)
	}
}

// fuzzed decodes a body and makes records of it, which must be within the limits of a batch.
func fuzzed(t *testing.T, which int, body []byte, inJSON bool) {
	t.Helper()
	x, err := New(Options{GRPC: &receive.Options{Listen: ":0"}, Keep: []string{"*"}, MaxSeries: 8, MaxEvents: 8}, collector.Common{Now: present})
	require.NoError(t, err)
	e := x.exports()[which]
	decode := e.decode
	if inJSON {
		decode = e.decodeJSON
	}
	m, err := decode(body)
	if err != nil {
		return
	}
	n := 0
	outlet, err := collector.NewOutlet(collector.OutletOptions{Source: "fuzz", Kinds: record.Kinds()}, func(_ context.Context, frame []byte) error {
		var b record.Batch
		err := b.Decode(frame)
		n += b.Len()
		return err
	})
	require.NoError(t, err)
	rejected, why, err := e.handle(t.Context(), receive.NewIntake(outlet), m)
	require.NoError(t, err)
	require.Equal(t, rejected > 0, why != "")
	if data, ok := m.(*logs.LogsData); ok && !hasEvents(data) {
		count := 0
		for _, rl := range data.GetResourceLogs() {
			for _, sl := range rl.GetScopeLogs() {
				count += len(sl.GetLogRecords())
			}
		}
		require.Equal(t, count, n, "each log record is one record")
	}
}

func seeds(f *testing.F, which int, file string) {
	f.Helper()
	src, err := os.ReadFile(file)
	require.NoError(f, err)
	f.Add(src, true)
	x, err := New(Options{GRPC: &receive.Options{Listen: ":0"}}, collector.Common{Now: present})
	require.NoError(f, err)
	m, err := x.exports()[which].decodeJSON(src)
	require.NoError(f, err)
	b, err := proto.Marshal(m)
	require.NoError(f, err)
	f.Add(b, false)
}

func FuzzLogs(f *testing.F) {
	seeds(f, 0, "testdata/logs.json")
	b, err := proto.Marshal(lines(sightResource(), sight(3, time.Minute)))
	require.NoError(f, err)
	f.Add(b, false)
	f.Fuzz(func(t *testing.T, body []byte, inJSON bool) { fuzzed(t, 0, body, inJSON) })
}

func FuzzMetrics(f *testing.F) {
	seeds(f, 1, "testdata/metrics.json")
	f.Fuzz(func(t *testing.T, body []byte, inJSON bool) { fuzzed(t, 1, body, inJSON) })
}
