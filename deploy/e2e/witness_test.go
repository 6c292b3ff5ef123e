//go:build e2e

package e2e

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// patience is how long failures may take to show that were brought about together. Most take seconds, the slowest a minute; a
// machine that is slower has the rest.
const patience = 5 * time.Minute

// witness keeps everything that collectors emit.
type witness struct {
	mu      sync.Mutex
	until   time.Time // what is expected has to come before
	frames  [][]byte
	records []record.Record
	oncall  *oncall
	more    chan struct{} // closed and replaced when there are more records
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	return &witness{oncall: newOncall(t), more: make(chan struct{}), until: time.Now().Add(patience)}
}

// again begins to be patient anew, for what is brought about now.
func (w *witness) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = time.Now().Add(patience)
}

// emit is a collector.Emit.
func (w *witness) emit(_ context.Context, frame []byte) error {
	var b record.Batch
	frame = slices.Clone(frame)
	if err := b.Decode(frame); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames = append(w.frames, frame)
	for i := range b.Len() {
		r := b.At(i)
		w.records = append(w.records, r.Clone())
	}
	w.oncall.feed(&b)
	close(w.more)
	w.more = make(chan struct{})
	return nil
}

// after returns the records from the nth on, and a channel that is closed when there are more.
func (w *witness) after(n int) ([]record.Record, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records[n:len(w.records):len(w.records)], w.more
}

// await waits until all records so far are as they should be: until ok returns nil.
func (w *witness) await(t *testing.T, what string, ok func([]record.Record) error) {
	t.Helper()
	w.mu.Lock()
	deadline := time.After(time.Until(w.until))
	w.mu.Unlock()
	for {
		records, more := w.after(0)
		err := ok(records)
		if err == nil {
			return
		}
		select {
		case <-more:
		case <-deadline:
			require.NoError(t, err, what)
		}
	}
}

// next waits for one more record.
func (w *witness) next(t *testing.T) {
	t.Helper()
	_, more := w.after(0)
	select {
	case <-more:
	case <-time.After(patience):
		require.Failf(t, "no record", "in %v", patience)
	}
}

// want is what a record has to be like.
type want struct {
	kind  record.Kind
	text  string            // is in its text
	attrs map[string]string // it has these; "*" is any value
}

func (x want) matches(r *record.Record) bool {
	if r.Kind != x.kind || !strings.Contains(string(r.Text), x.text) {
		return false
	}
	for k, v := range x.attrs {
		if got, has := r.Attrs.Get(k); !has || v != "*" && got != v {
			return false
		}
	}
	return true
}

// near tells whether a record is so like what is wanted that it explains why nothing else is: all but one attribute agree, or
// all but the text.
func (x want) near(r *record.Record) bool {
	if r.Kind != x.kind {
		return false
	}
	wrong := 0
	if !strings.Contains(string(r.Text), x.text) {
		wrong++
	}
	for k, v := range x.attrs {
		if got, has := r.Attrs.Get(k); !has || v != "*" && got != v {
			wrong++
		}
	}
	return wrong == 1
}

// expect waits for a record that is as wanted and returns it.
func (w *witness) expect(t *testing.T, x want) record.Record {
	t.Helper()
	w.mu.Lock()
	deadline := time.After(time.Until(w.until))
	w.mu.Unlock()
	seen := 0
	var near []string
	for {
		records, more := w.after(seen)
		for i := range records {
			switch r := &records[i]; {
			case x.matches(r):
				return *r
			case len(near) < 5 && x.near(r):
				near = append(near, describe(r))
			}
		}
		seen += len(records)
		select {
		case <-more:
		case <-deadline:
			require.Failf(t, "no such record", "%s\namong %d records; the nearest are\n%s", x, seen, strings.Join(near, "\n"))
		}
	}
}

func (x want) String() string {
	parts := []string{x.kind.String(), x.text}
	for _, k := range slices.Sorted(maps.Keys(x.attrs)) {
		parts = append(parts, k+"="+x.attrs[k])
	}
	return strings.Join(parts, " ")
}

func describe(r *record.Record) string {
	parts := []string{r.When().Format(time.TimeOnly), r.Kind.String(), string(r.Text)}
	for _, a := range r.Attrs {
		parts = append(parts, a.Key+"="+a.Value)
	}
	return strings.Join(parts, " ")
}
