package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
)

// Status is what a matching process says of itself, so that "nothing found" can be trusted. All numbers are since Began but
// those of partitions, which are as of now.
type Status struct {
	Instance string    `json:"instance"`
	Version  string    `json:"version,omitempty"`
	Began    time.Time `json:"began"`
	Time     time.Time `json:"time"` // when it was made
	Stopped  bool      `json:"stopped,omitempty"`

	Program    string   `json:"program"` // the digest
	Signatures int      `json:"signatures"`
	Disarmed   []string `json:"disarmed,omitempty"` // they do not apply here
	Refused    []string `json:"refused,omitempty"`  // with the reason

	Inputs     []Input           `json:"inputs"`
	Partitions []Partition       `json:"partitions"`
	Open       map[string]int    `json:"open"`              // warnings by state, of the partitions that this process owns
	Losses     map[string]uint64 `json:"losses,omitempty"`  // everything lost, late, evicted or passed over, by what it was
	Dead       []DeadLetter      `json:"dead,omitempty"`    // the last messages that could not be used
	Lag        map[string]uint64 `json:"lag"`               // messages that wait, by consumer
	Unowned    []string          `json:"unowned,omitempty"` // consumers that no process has
	Store      store.Sizes       `json:"store"`
}

// Partition is one partition of HITS as this process sees it.
type Partition struct {
	Partition int    `json:"partition"`
	Position  uint64 `json:"position"` // in the stream, committed
	Active    bool   `json:"active"`   // this process has committed for it
}

// StatusRole is the role in the keys of matching processes' statuses: see [stream.StatusKey].
const StatusRole = "match"

// StatusOf decodes a status.
func StatusOf(b []byte) (Status, error) {
	var s Status
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("decode status: %w", err)
	}
	return s, nil
}

// Status returns the state of the process. Lag and unowned consumers are as of the last time that it was told.
func (m *Matcher) Status() Status {
	p := m.program.Load()
	losses, open := m.losses()
	maps.DeleteFunc(losses, func(_ string, n uint64) bool { return n == 0 })
	s := Status{
		Instance: m.c.Instance, Version: m.c.Version, Began: m.began.UTC(), Time: m.c.Now().UTC(),
		Program: p.Digest(), Signatures: p.Len(), Disarmed: p.Disarmed(), Refused: *m.refused.Load(),
		Inputs: m.inputs.snapshot(), Open: map[string]int{}, Losses: losses, Dead: m.dead.last(), Store: m.c.Store.Sizes(),
	}
	for kind, n := range open {
		s.Open[string(kind.State)] += n
	}
	for _, o := range m.owners {
		if st := o.state.Load(); st != nil {
			s.Partitions = append(s.Partitions, Partition{o.partition, st.Position, st.Active})
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Lag, s.Unowned = maps.Clone(m.lag), m.unowned
	return s
}

// Hits returns how many hits were found.
func (m *Matcher) Hits() uint64 { return m.metrics.hits.Value() }

// losses sums what was lost, by what it was, and the open warnings. Counts of nothing are there too: a counter that appears with its first loss
// shows no increase.
func (m *Matcher) losses() (map[string]uint64, map[openKind]int) {
	losses, open := map[string]uint64{}, map[openKind]int{}
	addLosses(losses, &matcher.Stats{})
	for _, o := range m.owners {
		st := o.state.Load()
		if st == nil {
			continue
		}
		addLosses(losses, &st.Tracker)
		if st.Active {
			for kind, n := range st.Open {
				open[kind] += n
			}
		}
	}
	m.mu.Lock()
	for consumer, n := range m.lost {
		losses["unread_"+consumer] += n
	}
	m.mu.Unlock()
	for what, c := range map[string]*counted{
		"bad_batches": m.metrics.badBatches, "bad_hit_messages": m.metrics.badHits, "lost_hits": m.metrics.lostHits,
		"lost_warnings": m.metrics.lostWarnings, "lost_progress": m.metrics.lostProgress, "intake_bad_records": m.metrics.intakeBad,
		"stream_resets": m.metrics.streamResets, "cel_errors": m.metrics.celErrors,
	} {
		losses[what] += c.Value()
	}
	return losses, open
}

// tell writes the status now and then, and once more at the end.
func (m *Matcher) tell(ctx, drain context.Context) {
	t := time.NewTicker(m.c.StatusEvery)
	defer t.Stop()
	failing := false
	put := func(ctx context.Context, stopped bool) {
		m.measure(ctx)
		s := m.Status()
		s.Stopped = stopped
		b, err := json.Marshal(s)
		if err == nil {
			err = m.c.Stream.PutStatus(ctx, stream.StatusKey(StatusRole, m.c.Instance), b)
		}
		if err != nil && !failing && ctx.Err() == nil { // one that was cut off by the end is told again, below
			m.c.Logger.Warn("the status cannot be told", "error", err)
		}
		failing = err != nil
	}
	for {
		put(ctx, false)
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(drain, 2*time.Second)
			defer cancel()
			put(ctx, true)
			return
		case <-t.C:
		}
	}
}

// measure asks the server how much waits and what it removed unread.
func (m *Matcher) measure(ctx context.Context) {
	all, err := m.c.Stream.Info(ctx)
	if err != nil {
		return // telling the status fails too, and is logged
	}
	lag := map[string]uint64{}
	var unowned []string
	for _, s := range all {
		if s.Stream == stream.Warnings {
			continue
		}
		for _, c := range s.Consumers {
			n := c.Pending + uint64(c.Unacked)
			lag[c.Name] = n
			m.metrics.lag.WithLabelValues(s.Stream, c.Name).Set(float64(n))
			if !c.Owned && c.Pending > 0 {
				unowned = append(unowned, c.Name)
			}
		}
	}
	m.mu.Lock()
	consumers := maps.Clone(m.consumers)
	m.lag, m.unowned = lag, unowned
	m.mu.Unlock()
	for name, c := range consumers {
		if n, err := c.Lost(ctx); err == nil {
			m.mu.Lock()
			m.lost[name] = max(m.lost[name], n)
			m.mu.Unlock()
		}
	}
}
