package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/forewarn/forewarn/collector/receive"
)

// Bounds of what a body may unpack to. A record of two bytes takes a hundred times as much room, so bytes alone do not bound it.
const (
	maxItems  = 200_000   // log records or data points of a request
	maxBraces = 2_000_000 // objects of a JSON body
)

var errTooMany = errors.New("a request may hold 200000 log records or data points: send smaller batches")

// export is one of the protocol's calls. The messages of its request are those of the collector's service, which on the wire are the same as
// LogsData and MetricsData.
type export struct {
	path, service string
	rejected      string // what the JSON answer calls the number of items that were refused
	// handle returns how many items were refused for good, and why.
	handle func(ctx context.Context, in *receive.Intake, m proto.Message) (rejected int, why string, err error)
	empty  func() proto.Message
	items  [][]protowire.Number // the fields that lead to an item, level by level
}

func (x *Collector) exports() []export {
	return []export{
		{
			"/v1/logs", "opentelemetry.proto.collector.logs.v1.LogsService", "rejectedLogRecords", x.takeLogs,
			func() proto.Message { return &logs.LogsData{} },
			[][]protowire.Number{{1}, {2}, {2}},
		},
		{
			"/v1/metrics", "opentelemetry.proto.collector.metrics.v1.MetricsService", "rejectedDataPoints", x.takeMetrics,
			func() proto.Message { return &metrics.MetricsData{} },
			[][]protowire.Number{{1}, {2}, {2}, {5, 7, 9, 10, 11}, {1}},
		},
	}
}

// decode reads a request.
func (e *export) decode(body []byte) (proto.Message, error) {
	if items(body, e.items) > maxItems {
		return nil, errTooMany
	}
	m := e.empty()
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	return m, nil
}

// decodeJSON reads a request in JSON. Trace and span ids are hexadecimal there, where protobuf's JSON has base64: they are read as if they were that,
// and [hexID] turns them back.
func (e *export) decodeJSON(body []byte) (proto.Message, error) {
	if bytes.Count(body, []byte("{")) > maxBraces {
		return nil, errTooMany
	}
	m := e.empty()
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	return m, nil
}

// items counts the messages that a path of fields leads to. What is malformed is left to who decodes.
func items(body []byte, path [][]protowire.Number) int {
	n := 0
	for len(body) > 0 {
		num, kind, size := protowire.ConsumeTag(body)
		if size < 0 {
			return n
		}
		body = body[size:]
		if kind == protowire.BytesType {
			for _, want := range path[0] {
				if num != want {
					continue
				}
				inner, size := protowire.ConsumeBytes(body)
				switch {
				case size < 0:
					return n
				case len(path) == 1:
					n++
				default:
					n += items(inner, path[1:])
				}
			}
		}
		if size = protowire.ConsumeFieldValue(num, kind, body); size < 0 {
			return n
		}
		body = body[size:]
	}
	return n
}

// response is an export's answer in protobuf: empty, or a partial success.
func response(rejected int, why string) []byte {
	if rejected == 0 && why == "" {
		return nil
	}
	var partial []byte
	if rejected > 0 {
		partial = protowire.AppendVarint(protowire.AppendTag(partial, 1, protowire.VarintType), uint64(rejected))
	}
	partial = protowire.AppendString(protowire.AppendTag(partial, 2, protowire.BytesType), why)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial)
}
