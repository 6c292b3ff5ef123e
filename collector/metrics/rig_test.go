package metrics

import (
	"context"
	"encoding/pem"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	client "github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// patience is how long a test waits for what will come on any machine.
const patience = 30 * time.Second

// taken keeps what a collector emits.
type taken struct {
	mu      sync.Mutex
	records []record.Record
	marks   []mark
	fail    error

	promised map[string]int64
	late     int // records that came after a promise that nothing of their time would
}

type mark struct {
	source string
	scope  string
	kinds  uint8
	at     time.Time
	ended  bool
}

func (k *taken) emit(_ context.Context, frame []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	var b record.Batch
	if err := b.Decode(frame); err != nil {
		return err
	}
	h := b.Header()
	m := mark{source: strings.Clone(h.Source), kinds: h.Kinds, ended: h.Ended}
	for _, a := range h.Scope {
		m.scope += a.Key + "=" + a.Value
	}
	if h.Mark != 0 {
		m.at = time.Unix(0, h.Mark).UTC()
	}
	k.marks = append(k.marks, m)
	for i := range b.Len() {
		r := b.At(i)
		if r.Time < k.promised[m.source] {
			k.late++
		}
		k.records = append(k.records, r.Clone())
	}
	if k.promised == nil {
		k.promised = map[string]int64{}
	}
	k.promised[m.source] = max(k.promised[m.source], h.Mark)
	return nil
}

func (k *taken) seen() []record.Record {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]record.Record(nil), k.records...)
}

// of returns the marks of a source.
func (k *taken) of(source string) []mark {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []mark
	for _, m := range k.marks {
		if m.source == source {
			out = append(out, m)
		}
	}
	return out
}

func (k *taken) breakWith(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = err
}

// rig is a collector that runs in a test.
type rig struct {
	*Collector
	taken
	registry *client.Registry
	log      *logs
	stop     func() error
}

type logs struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t *testing.T, o Options, change func(*collector.Common), find ...Discovery) *rig {
	t.Helper()
	r := &rig{registry: client.NewRegistry(), log: &logs{}}
	meters, err := collector.NewMeters(r.registry)
	require.NoError(t, err)
	c := collector.Common{Name: "metrics", Meter: meters.For("metrics"), Logger: slog.New(slog.NewTextHandler(r.log, nil))}
	if change != nil {
		change(&c)
	}
	r.Collector, err = New(o, c, find...)
	require.NoError(t, err)
	return r
}

// start runs the collector until stop, or the end of the test.
func (r *rig) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, r.emit) }()
	var once sync.Once
	var result error
	r.stop = func() error {
		once.Do(func() {
			cancel()
			result = <-ended
		})
		return result
	}
	t.Cleanup(func() { _ = r.stop() })
}

// lost returns how often something was counted as lost.
func (r *rig) lost(t *testing.T, reason string) int {
	t.Helper()
	families, err := r.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "forewarn_collector_lost_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "reason" && l.GetValue() == reason {
					return int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return 0
}

func need(metrics ...string) []signatures.MetricNeed {
	var out []signatures.MetricNeed
	for _, m := range metrics {
		out = append(out, signatures.MetricNeed{Metric: m})
	}
	return out
}

func viewOf(needs []signatures.MetricNeed, besides ...string) *view {
	var f Filter
	f.Set(needs, besides...)
	return f.now()
}

// captures are genuine scrapes of a cluster; signatures/catalog/README.md says what they are.
func captures(tb testing.TB) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob("../../signatures/catalog/testdata/captures/metrics/*.prom.gz")
	require.NoError(tb, err)
	require.NotEmpty(tb, files)
	out := map[string][]byte{}
	for _, file := range files {
		f, err := os.Open(file)
		require.NoError(tb, err)
		z, err := gzip.NewReader(f)
		require.NoError(tb, err)
		text, err := io.ReadAll(z)
		require.NoError(tb, err)
		require.NoError(tb, f.Close())
		out[strings.TrimSuffix(filepath.Base(file), ".prom.gz")] = text
	}
	return out
}

func pemOf(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }
