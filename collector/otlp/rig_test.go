package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource1 "go.opentelemetry.io/proto/otlp/resource/v1"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/receive"
	"github.com/forewarn/forewarn/collector/record"
)

const (
	logsCall    = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
	metricsCall = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
)

// rig is a running collector and what it gave.
type rig struct {
	*Collector

	url, grpc string
	registry  *prometheus.Registry

	mu      sync.Mutex
	records []record.Record
	mark    int64
	hold    func(ctx context.Context) error // called by emit, when set
}

func present() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// ago is a stamp so long before the present.
func ago(d time.Duration) uint64 { return uint64(present().Add(-d).UnixNano()) }

func start(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{registry: prometheus.NewPedanticRegistry()}
	meters, err := collector.NewMeters(r.registry)
	require.NoError(t, err)
	server := receive.Options{Listen: "127.0.0.1:0", MaxBodyMB: 1}
	o := Options{Keep: []string{"*"}}
	g, h := server, server
	o.GRPC, o.HTTP = &g, &h
	if change != nil {
		change(&o)
	}
	r.Collector, err = New(o, collector.Common{Meter: meters.For("otlp"), Now: present})
	require.NoError(t, err)
	ready := make(chan [2]string, 1)
	r.ready = func(g, h string) { ready <- [2]string{g, h} }
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	cause := errors.New("the test is over")
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx, r.emit) }()
	t.Cleanup(func() {
		cancel(cause)
		require.ErrorIs(t, <-ran, cause)
	})
	at := <-ready
	r.grpc, r.url = at[0], "http://"+at[1]
	return r
}

func (r *rig) emit(ctx context.Context, frame []byte) error {
	r.mu.Lock()
	hold := r.hold
	r.mu.Unlock()
	if hold != nil {
		if err := hold(ctx); err != nil {
			return err
		}
	}
	var b record.Batch
	if err := b.Decode(frame); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mark = b.Header().Mark
	for i := range b.Len() {
		x := b.At(i)
		r.records = append(r.records, x.Clone())
	}
	return nil
}

// taken returns what was emitted since it was asked last.
func (r *rig) taken() []record.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.records
	r.records = nil
	return got
}

type reply struct {
	code   int
	header http.Header
	body   []byte
}

func (r *rig) post(t *testing.T, method, path, media, encoding string, body []byte) reply {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, r.url+path, bytes.NewReader(body))
	require.NoError(t, err)
	q.Header.Set("Content-Type", media)
	if encoding != "" {
		q.Header.Set("Content-Encoding", encoding)
	}
	resp, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return reply{resp.StatusCode, resp.Header, b}
}

func (r *rig) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient(r.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// call makes one call and returns what is in its answer.
func call(ctx context.Context, c *grpc.ClientConn, method string, m proto.Message, options ...grpc.CallOption) (rejected uint64, why string, err error) {
	var out emptypb.Empty
	if err := c.Invoke(ctx, method, m, &out, options...); err != nil {
		return 0, "", err
	}
	rejected, why = partial(out.ProtoReflect().GetUnknown())
	return rejected, why, nil
}

// partial reads the partial success of an answer.
func partial(b []byte) (rejected uint64, why string) {
	each := func(b []byte, f func(num protowire.Number, v []byte, n uint64)) {
		for len(b) > 0 {
			num, kind, n := protowire.ConsumeTag(b)
			b = b[n:]
			if kind == protowire.VarintType {
				v, n := protowire.ConsumeVarint(b)
				f(num, nil, v)
				b = b[n:]
			} else {
				v, n := protowire.ConsumeBytes(b)
				f(num, v, 0)
				b = b[n:]
			}
		}
	}
	each(b, func(_ protowire.Number, v []byte, _ uint64) {
		each(v, func(num protowire.Number, v []byte, n uint64) {
			if num == 1 {
				rejected = n
			} else {
				why = string(v)
			}
		})
	})
	return rejected, why
}

func wire(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	require.NoError(t, err)
	return b
}

func zipped(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write(b)
	_ = w.Close()
	return buf.Bytes()
}

func text(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func whole(n int64) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: n}}
}

// pairs are attributes with texts.
func pairs(kv ...string) []*common.KeyValue {
	var out []*common.KeyValue
	for i := 0; i < len(kv); i += 2 {
		out = append(out, &common.KeyValue{Key: kv[i], Value: text(kv[i+1])})
	}
	return out
}

func object(fields ...any) *common.AnyValue {
	list := &common.KeyValueList{}
	for i := 0; i < len(fields); i += 2 {
		var v *common.AnyValue
		switch x := fields[i+1].(type) {
		case string:
			v = text(x)
		case int:
			v = whole(int64(x))
		case *common.AnyValue:
			v = x
		}
		name, _ := fields[i].(string)
		list.Values = append(list.Values, &common.KeyValue{Key: name, Value: v})
	}
	return &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: list}}
}

// lines is a request of log records of one resource.
func lines(resource []*common.KeyValue, records ...*logs.LogRecord) *logs.LogsData {
	return &logs.LogsData{ResourceLogs: []*logs.ResourceLogs{{
		Resource: &resource1.Resource{Attributes: resource}, ScopeLogs: []*logs.ScopeLogs{{LogRecords: records}},
	}}}
}

func line(s string) *logs.LogRecord {
	return &logs.LogRecord{TimeUnixNano: ago(time.Minute), Body: text(s)}
}
