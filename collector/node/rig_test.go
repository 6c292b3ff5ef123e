package node

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
)

// patience is how long a test waits for what will come on any machine.
const patience = 30 * time.Second

func present() time.Time { return time.Date(2026, 11, 25, 22, 0, 0, 0, time.UTC) }

// rig runs a collector and keeps what it gives.
type rig struct {
	mu      sync.Mutex
	records []record.Record
	headers []record.Header
	kept    map[string][]byte
	log     strings.Builder
	meters  *collector.Meters
}

var _ collector.Checkpoints = (*rig)(nil)

func newRig(t *testing.T) *rig {
	t.Helper()
	meters, err := collector.NewMeters(nil)
	require.NoError(t, err)
	return &rig{kept: map[string][]byte{}, meters: meters}
}

func (r *rig) common(name string) collector.Common {
	return collector.Common{
		Name: name, Cluster: "prod", Node: "node-1", Checkpoints: r, Meter: r.meters.For(name), Now: present,
		Logger: slog.New(slog.NewTextHandler(r, nil)),
	}
}

func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *rig) Load(name string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept[name], nil
}

func (r *rig) Save(name string, b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept[name] = b
	return nil
}

// run runs a collector until stop.
func (r *rig) run(t *testing.T, c collector.Collector, err error) (stop func()) {
	t.Helper()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- c.Run(ctx, func(_ context.Context, frame []byte) error {
			var b record.Batch
			if err := b.Decode(frame); err != nil {
				return err
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			h := *b.Header()
			h.Source, h.Scope = strings.Clone(h.Source), h.Scope.Clone()
			r.headers = append(r.headers, h)
			for i := range b.Len() {
				x := b.At(i)
				r.records = append(r.records, x.Clone())
			}
			return nil
		})
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				require.NoError(t, err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func (r *rig) texts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]string, len(r.records))
	for i := range r.records {
		all[i] = string(r.records[i].Text)
	}
	return all
}

func (r *rig) expect(t *testing.T, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.texts()) >= len(want) }, patience, 2*time.Millisecond, "%q", want)
	require.Equal(t, want, r.texts())
}

func (r *rig) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func (r *rig) lost(name string) map[string]uint64 {
	for _, s := range r.meters.States() {
		if s.Collector == name {
			return s.Lost
		}
	}
	return nil
}
