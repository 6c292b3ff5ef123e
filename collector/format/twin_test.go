package format

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// TestStampsAgreeWithTheStandardLibrary writes random times in many layouts and reads them back.
func TestStampsAgreeWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{time.UTC, time.FixedZone("", 5*3600+1800), time.FixedZone("", -9*3600)}
	for _, layout := range []string{
		"2006-01-02T15:04:05.000000000Z07:00", "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05,000", "2006-01-02 15:04:05.000000-0700", "2006/01/02 15:04:05",
		"[2006-01-02 15:04:05.000]", "02/Jan/2006:15:04:05 -0700", "[02/Jan/2006:15:04:05 -0700]", "02 Jan 2006 15:04:05.000", "2006 Jan 02 15:04:05", "Mon, 02 Jan 2006 15:04:05 -0700",
		"Mon Jan _2 15:04:05 2006", "01/02/2006 3:04:05 PM", "01/02/2006, 15:04:05", "20060102T150405Z0700", "20060102 15:04:05", "Jan _2 15:04:05", "I0102 15:04:05.000000",
		"99:M 02 Jan 2006 15:04:05.000", `ts=2006-01-02T15:04:05.000Z07:00`, `{"ts":"2006-01-02T15:04:05.000Z07:00"}`,
	} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, uint64(len(layout))))
			for _, zone := range zones {
				s := NewStamps(Input{Now: written(), Location: zone})
				at := written().Add(-300 * 24 * time.Hour)
				for range 2000 {
					// Mostly small steps, as in logs, so that what is remembered is used; now and then a leap.
					at = at.Add(time.Duration(rng.Int64N(int64(time.Minute))))
					if rng.IntN(50) == 0 {
						at = written().Add(-time.Duration(rng.Int64N(300 * day)))
					}
					line := at.In(zone).Format(layout)
					want, err := time.ParseInLocation(layout, line, zone)
					require.NoError(t, err)
					if want.Year() == 0 { // no year in the layout
						want = time.Date(at.In(zone).Year(), want.Month(), want.Day(), want.Hour(), want.Minute(), want.Second(), want.Nanosecond(), zone)
					}
					ns, _, found := s.Read([]byte(line + " and text"))
					require.True(t, found, line)
					require.Equal(t, want.UnixNano(), ns, line)
				}
			}
		})
	}
}

// TestExpositionAgreesWithPrometheus reads genuine scrapes with Prometheus' own parser too.
func TestExpositionAgreesWithPrometheus(t *testing.T) {
	t.Parallel()
	data := readTestdata(t, "testdata/exposition.in.prom")
	_, records, _ := parse(t, data, 1000, Input{})
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(data))
	require.NoError(t, err)
	sum, n := 0.0, 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			n++
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
		}
	}
	ours := 0.0
	for _, r := range records {
		require.NotNil(t, families[r.Attrs.Value(record.MetricName)])
		ours += r.Value
	}
	require.Len(t, records, n)
	require.Less(t, math.Abs(sum-ours), math.Abs(sum)*1e-9)
}

// discard counts records.
type discard struct{ n int }

func (d *discard) Add(*record.Record) { d.n++ }

func TestLogLinesAllocateNothing(t *testing.T) {
	for name, line := range map[string]string{
		"iso":    "2026-11-20T10:00:00.123Z ERROR [worker] it failed\n",
		"klog":   "E1120 10:00:00.000001       1 a.go:1] bad\n",
		"cri":    "2026-11-20T10:00:00.123456789Z stderr F ERROR it failed\n",
		"docker": `{"log":"ERROR it failed\n","stream":"stderr","time":"2026-11-20T10:00:00.123Z"}` + "\n",
		"json":   `{"level":"error","ts":"2026-11-20T10:00:00.123Z","msg":"it failed"}` + "\n",
		"syslog": "Nov 20 10:00:00 node-1 kubelet[1]: E1120 10:00:00.000001 1 a.go:1] bad\n",
	} {
		sink := &discard{}
		p := Detect([]byte(line)).Open(Input{Sink: sink, Now: written()}, []byte(line))
		data := bytes.Repeat([]byte(line), 1000)
		p.Write(data) // what is remembered grows once
		require.Zero(t, testing.AllocsPerRun(5, func() { p.Write(data) }), name)
		require.Equal(t, 6999, sink.n, name) // the last one is held back, to see whether it goes on
	}
}
