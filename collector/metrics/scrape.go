package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// accept asks for the text format first: there metrics have the names that the program gave them, while OpenMetrics renames counters.
const accept = "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"

// scraping is the memory of one scrape, which the next one uses again.
type scraping struct {
	text text
	gzip gzip.Reader
}

// fetch scrapes a target and gives its needed samples to add. What was added before an error is sound.
func (s *scraper) fetch(ctx context.Context, t *Target, at time.Time) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout(t))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("User-Agent", "forewarn")
	client := t.Client
	if client == nil {
		client = s.client
	}
	w, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = w.Body.Close() }() // it was only read
	if w.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %s", w.Status)
	}
	kind, err := answerKind(w.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	m := s.memory.Get().(*scraping)
	defer s.memory.Put(m)
	var body io.Reader = w.Body
	switch w.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		if err := m.gzip.Reset(w.Body); err != nil {
			return fmt.Errorf("unpack the answer: %w", err)
		}
		body = &m.gzip
	default:
		return fmt.Errorf("it answered in the encoding %q, which was not asked for", w.Header.Get("Content-Encoding"))
	}
	m.text.view, m.text.limit, m.text.openMetrics = s.filter.now(), s.bodyBytes, kind == openMetrics
	defer func() { s.count(&m.text.skipped) }()
	return m.text.read(body, s.adder(ctx, t, at))
}

const (
	plainText   = "text/plain"
	openMetrics = "application/openmetrics-text"
)

// answerKind refuses what is no scrape, such as the page of a proxy that wants a login.
func answerKind(contentType string) (string, error) {
	if contentType == "" {
		return plainText, nil
	}
	kind, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && kind == openMetrics, err == nil && kind == plainText:
		return kind, nil
	default:
		return "", fmt.Errorf("it answered with %q, which is no scrape: check the path", contentType)
	}
}

// adder returns what takes the samples of one scrape.
func (s *scraper) adder(ctx context.Context, t *Target, at time.Time) func(*format.Series) error {
	n := 0
	return func(x *format.Series) error {
		if n++; n > s.samples {
			s.c.Meter.Lost("samples_over_limit", 1)
			return nil
		}
		if len(x.Labels) > format.MaxLabels {
			s.c.Meter.Lost("cut_labels", 1)
		}
		a := format.SeriesAttrs(x.Name, x.Labels, nil)
		if !aboutOther(a) {
			a = beneath(a, t.Self)
		}
		r := record.Record{Kind: record.Sample, Time: x.Time, Seq: uint64(n), Count: 1, Value: x.Value, Attrs: beneath(a, t.Attrs)}
		if r.Time == 0 {
			r.Time = at.UnixNano()
		}
		r.ID = seriesID(t.Name, x.Name, x.Labels, r.Time)
		if err := s.out.Add(ctx, &r); err != nil {
			return emitError{err}
		}
		return nil
	}
}

// emitError says that a scrape ended because its samples could not be given out, which is no fault of the target's.
type emitError struct{ error }

// count adds up what a scrape passed over.
func (s *scraper) count(c *textCounts) {
	s.stats.bytes.Add(uint64(c.bytes))
	s.stats.lines.Add(uint64(c.lines))
	s.c.Meter.Lost("bad_samples", c.bad)
	s.c.Meter.Lost("long_lines", c.long)
	s.stats.stale.Add(uint64(c.nan))
}

// up is the metric by which a signature can look at the targets themselves, as with Prometheus: 1 when the scrape succeeded, else 0.
const up = "up"

func (s *scraper) addUp(ctx context.Context, t *Target, at time.Time, ok bool) error {
	labels := []format.Label{{Name: "target", Value: t.Name}}
	if m := s.filter.now().find([]byte(up)); m == nil || !m.keeps(labels) {
		return nil
	}
	r := record.Record{
		Kind: record.Sample, Time: at.UnixNano(), Count: 1, ID: seriesID(t.Name, up, labels, at.UnixNano()),
		Attrs: beneath(beneath(format.SeriesAttrs(up, labels, nil), t.Self), t.Attrs),
	}
	if ok {
		r.Value = 1
	}
	return s.out.Add(ctx, &r)
}

// inflight knows when the oldest of what is under way began: what is promised may not pass it.
type inflight struct {
	mu sync.Mutex
	at map[*time.Time]struct{}
}

func (f *inflight) begin(at time.Time) (done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == nil {
		f.at = map[*time.Time]struct{}{}
	}
	f.at[&at] = struct{}{}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.at, &at)
	}
}

// before returns at, or an earlier time at which something began that is still under way.
func (f *inflight) before(at time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	for began := range f.at {
		if began.Before(at) {
			at = *began
		}
	}
	return at
}

// reason shortens what an HTTP client says, which repeats the URL.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "it did not answer in time"
	}
	s := err.Error()
	if _, after, ok := strings.Cut(s, `": `); ok && strings.HasPrefix(s, "Get ") || strings.HasPrefix(s, "Post ") {
		s = after
	}
	return s
}
