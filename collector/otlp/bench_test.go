package otlp

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/receive"
	"github.com/forewarn/forewarn/collector/record"
)

// BenchmarkLogs measures from the bytes of a request to emitted frames; bytes are those of the request.
func BenchmarkLogs(b *testing.B) {
	x, err := New(Options{GRPC: &receive.Options{Listen: ":0"}}, collector.Common{Now: present})
	require.NoError(b, err)
	var all []*logs.LogRecord
	for i := range 1000 {
		all = append(all, &logs.LogRecord{
			TimeUnixNano: ago(0) + uint64(i), SeverityNumber: 9, Body: text(fmt.Sprintf("INFO [worker-3] request %d handled in 42 ms path=/api/v1/namespaces/default/pods status=200", i)),
			Attributes: pairs("log.iostream", "stdout", "log.file.path", "/var/log/pods/shop_web/web/0.log"),
		})
	}
	m := lines(pairs("k8s.namespace.name", "shop", "k8s.pod.name", "web-5c6f7d8b9c-x2k4z", "k8s.container.name", "web", "k8s.node.name", "n1", "service.name", "web"), all...)
	body, err := proto.Marshal(m)
	require.NoError(b, err)
	e := x.exports()[0]
	outlet, err := collector.NewOutlet(collector.OutletOptions{Source: "otlp", Kinds: record.Kinds()}, func(context.Context, []byte) error { return nil })
	require.NoError(b, err)
	in := receive.NewIntake(outlet)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		m, err := e.decode(body)
		require.NoError(b, err)
		_, _, err = e.handle(b.Context(), in, m)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "records/s")
}
