package otlp

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/forewarn/forewarn/collector/receive"
	"github.com/forewarn/forewarn/collector/record"
)

// intake is what one request becomes.
type intake struct {
	x        *Collector
	now      int64
	records  []record.Record
	same     map[uint64]int // how often an identity was given before
	newest   int64
	lost     map[string]int
	rejected int
	why      string
	counts   map[string]uint32 // of events, when what was seen is accepted
}

func (x *Collector) newIntake() *intake {
	return &intake{x: x, now: x.c.Clock()().UnixNano(), same: map[uint64]int{}, lost: map[string]int{}}
}

// reject refuses items for good; the sender is told the first reason.
func (t *intake) reject(n int, format string, args ...any) {
	t.rejected += n
	if t.why == "" && n > 0 {
		t.why = fmt.Sprintf(format, args...)
	}
}

func (t *intake) add(r record.Record) {
	t.newest = max(t.newest, min(r.Time, t.now))
	t.records = append(t.records, r)
}

// accept gives the records out, and counts what is lost once that was done.
func (t *intake) accept(ctx context.Context, in *receive.Intake) error {
	if err := in.Accept(ctx, t.records, t.x.upTo(t.newest)); err != nil {
		return err
	}
	for what, n := range t.lost {
		t.x.c.Meter.Lost(what, n)
	}
	t.x.c.Meter.Lost("rejected", t.rejected)
	return nil
}

func (x *Collector) takeLogs(ctx context.Context, in *receive.Intake, m proto.Message) (rejected int, why string, err error) {
	data, ok := m.(*logs.LogsData)
	if !ok {
		return 0, "", fmt.Errorf("a %T is no logs", m)
	}
	t := x.newIntake()
	if hasEvents(data) { // counts are compared with those of the request before
		select {
		case x.events.turn <- struct{}{}:
			defer func() { <-x.events.turn }()
		case <-ctx.Done():
			return 0, "", receive.ErrBusy
		}
	}
	for _, rl := range data.GetResourceLogs() {
		resource := rl.GetResource().GetAttributes()
		for _, sl := range rl.GetScopeLogs() {
			for _, lr := range sl.GetLogRecords() {
				if isEvent(lr) {
					t.event(lr, resource)
				} else {
					t.log(lr, sl.GetScope(), resource)
				}
			}
		}
	}
	if err := t.accept(ctx, in); err != nil {
		return 0, "", err
	}
	if t.counts != nil {
		for uid, n := range t.counts {
			x.events.counts.put(uid, n)
		}
		x.c.Meter.Lost("forgotten_events", x.events.counts.forgot())
	}
	return t.rejected, t.why, nil
}

// log makes a log record.
func (t *intake) log(lr *logs.LogRecord, scope *common.InstrumentationScope, resource []*common.KeyValue) {
	set, lost := t.x.attributes(lr.GetAttributes(), scope.GetAttributes(), resource)
	t.lost["attributes"] += lost
	complete(set)
	set[record.SeverityText] = severity(lr)
	if name := lr.GetEventName(); name != "" {
		set["event.name"] = name[:min(len(name), record.MaxValue)]
	}
	if t.x.o.KeepTraceIDs {
		set["trace_id"], set["span_id"] = hexID(lr.GetTraceId(), 16), hexID(lr.GetSpanId(), 8)
	}
	text := valueText(lr.GetBody())
	if b := lr.GetBody().GetBytesValue(); b != nil { // a text may hold any bytes
		text = string(b)
	}
	if len(text) > record.MaxText {
		text = text[:record.MaxText]
		t.lost["long_texts"]++
	}
	r := record.Record{Kind: record.Log, Time: t.time(lr.GetTimeUnixNano(), lr.GetObservedTimeUnixNano()), Count: 1, Text: []byte(text), Attrs: record.NewAttrs(set)}
	parts := make([]string, 0, 4+2*len(r.Attrs))
	parts = append(parts, "otlp log", strconv.FormatInt(r.Time, 10), text)
	for _, a := range r.Attrs {
		parts = append(parts, a.Key, a.Value)
	}
	r.ID = t.identity(parts)
	t.add(r)
}

// identity makes an id. Equal records of one request are several observations, and are so again when the request is repeated.
func (t *intake) identity(parts []string) uint64 {
	id := record.Identity(parts...)
	n := t.same[id]
	t.same[id]++
	if n > 0 {
		id = record.Identity(append(parts, "again", strconv.Itoa(n))...)
	}
	return id
}

// earliest is 1990: what is older is no time.
const earliest = 631152000e9

// time returns the first time that can be believed.
func (t *intake) time(stamps ...uint64) int64 {
	for _, s := range stamps {
		if s >= earliest && s <= uint64(t.now)+86400e9 {
			return int64(s)
		}
	}
	return t.now
}

// severity names how bad a log record says that it is.
func severity(lr *logs.LogRecord) string {
	names := [...]string{"trace", "debug", "info", "warn", "error", "fatal"}
	if n := int(lr.GetSeverityNumber()); n >= 1 && n <= 24 {
		return names[(n-1)/4]
	}
	switch strings.ToLower(lr.GetSeverityText()) {
	case "trace", "verbose":
		return "trace"
	case "debug":
		return "debug"
	case "info", "information", "informational", "notice", "normal":
		return "info"
	case "warn", "warning":
		return "warn"
	case "error", "err":
		return "error"
	case "fatal", "critical", "crit", "emergency", "emerg", "alert", "panic":
		return "fatal"
	}
	return ""
}
