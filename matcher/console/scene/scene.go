// Package scene makes what a console shows in tests and screenshots: a cluster in which several failures of the catalogue are under way, and texts as somebody would write them who
// wants to harm the reader. Nothing but tests uses it.
package scene

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
)

// Cast raises warnings of the catalogue's signatures as of a moment.
type Cast struct {
	Now time.Time
	set *signatures.Set
}

// New reads the catalogue.
func New(now time.Time) (*Cast, error) {
	set, problems := signatures.LoadFS(catalog.FS, signatures.Options{})
	if bad := signatures.Errors(problems); len(bad) > 0 {
		return nil, fmt.Errorf("read the catalogue: %w", bad[0])
	}
	return &Cast{now.UTC(), set}, nil
}

// Role says how far a warning has got.
type Role struct {
	Signature string
	Key       []record.Attr
	State     matcher.State
	// Ages are how long ago each rung was reached, the first stage first.
	Ages     []time.Duration
	Missing  string
	Forecast *matcher.Forecast
	Texts    []Text
	Silent   []string
	// Incomplete says why it may not be the whole truth.
	Incomplete []string
	Reason     string
	Revision   uint32
}

// Text is a record of evidence.
type Text struct {
	Rung   int // by number
	Age    time.Duration
	Kind   record.Kind
	Reason string
	Text   string
	Source string
	Attrs  map[string]string
}

// Raise makes the warning.
func (c *Cast) Raise(r Role) (pipeline.Told, error) {
	var s *signatures.Signature
	for _, x := range c.set.All() {
		if x.ID == r.Signature {
			s = x
		}
	}
	if s == nil {
		return pipeline.Told{}, fmt.Errorf("no signature %q in the catalogue", r.Signature)
	}
	w := matcher.Warning{
		Revision: max(r.Revision, 1), Signature: s.ID, Digest: "5ce0e", Title: s.Title, Severity: s.Severity, Key: r.Key, State: r.State,
		Total: len(s.Stages), Forecast: r.Forecast, Silent: r.Silent, Incomplete: r.Incomplete, Reason: r.Reason,
	}
	for i, a := range r.Key {
		if i > 0 {
			w.KeyText += "/"
		}
		w.KeyText += a.Value
	}
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, s.ID, w.KeyText) // a hash takes everything
	w.ID = fmt.Sprintf("%016x", h.Sum64())
	matcher.Dress(&w, s)
	c.climb(&w, s, &r)
	for _, t := range r.Texts {
		e := matcher.Evidence{Time: c.Now.Add(-t.Age), Stage: rungName(s, t.Rung), Kind: t.Kind.String(), Text: t.Text, Source: t.Source, Attrs: map[string]string{}}
		maps.Copy(e.Attrs, t.Attrs)
		if t.Reason != "" {
			e.Attrs[record.EventReason] = t.Reason
		}
		w.Evidence = append(w.Evidence, e)
	}
	return pipeline.Told{Warning: w}, nil
}

func rungName(s *signatures.Signature, n int) string {
	if n < len(s.Stages) {
		return s.Stages[n].Name
	}
	return "incident"
}

func (c *Cast) climb(w *matcher.Warning, s *signatures.Signature, r *Role) {
	count := map[int]uint64{}
	for _, t := range r.Texts {
		count[t.Rung]++
	}
	for i, age := range r.Ages {
		rung := matcher.Reached{Stage: rungName(s, i), Time: c.Now.Add(-age), Count: max(count[i], 1)}
		rung.Title = s.Incident.Title
		if i < len(s.Stages) {
			rung.Title = s.Stages[i].Title
		} else {
			w.Incident = &rung.Time
			w.Lead = rung.Time.Sub(w.Reached[0].Time)
		}
		w.Reached = append(w.Reached, rung)
		w.Stage, w.Time = rung.Stage, rung.Time
	}
	w.Opened = w.Reached[0].Time
	if w.State.Final() {
		last := c.Now.Add(-r.Ages[len(r.Ages)-1] / 3)
		w.Closed, w.Time = &last, last
		return
	}
	if n := len(r.Ages); n <= len(s.Stages) {
		w.Next = &matcher.Next{Stage: rungName(s, n), Title: s.Incident.Title, Missing: r.Missing}
		if n < len(s.Stages) {
			w.Next.Title = s.Stages[n].Title
		}
	}
}

// Book is a book in memory.
type Book struct {
	// Outlooks are by signature.
	Outlooks map[string]*matcher.Outlook

	mu   sync.Mutex
	said map[string][]sightings.Feedback
}

var _ console.Book = (*Book)(nil)

// Outlook implements console.Book.
func (b *Book) Outlook(w *matcher.Warning) *matcher.Outlook { return b.Outlooks[w.Signature] }

// Feedback implements console.Book.
func (b *Book) Feedback(warning string) []sightings.Feedback {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.said[warning])
}

// Give implements console.Book.
func (b *Book) Give(_ context.Context, f sightings.Feedback) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.said == nil {
		b.said = map[string][]sightings.Feedback{}
	}
	b.said[f.Warning] = append(b.said[f.Warning], f)
	return nil
}

// Facts are facts that do not change.
type Facts struct {
	State console.Health
	Err   error
}

var _ console.Facts = (*Facts)(nil)

// Health implements console.Facts. Processes have told their state just now.
func (f *Facts) Health(context.Context) (console.Health, error) {
	h := f.State
	h.Processes = slices.Clone(h.Processes)
	for i := range h.Processes {
		h.Processes[i].Time = time.Now().UTC()
	}
	h.Collectors = slices.Clone(h.Collectors)
	for i := range h.Collectors {
		h.Collectors[i].Time = time.Now().UTC()
	}
	return h, f.Err
}
