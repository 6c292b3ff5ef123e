package console

import (
	"context"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
)

// Facts tells how forewarn itself is.
type Facts interface {
	// Health asks for it anew. It is called by one goroutine at a time, at most every healthEvery.
	Health(ctx context.Context) (Health, error)
}

// Health is how forewarn itself is.
type Health struct {
	Processes    []pipeline.Status  // that match
	Collectors   []collector.Status // that collect
	Destinations []Destination
	Streams      []Stream
	Silences     []Silence
}

// Destination is where warnings go, and what became of them.
type Destination struct {
	Name      string
	Delivered uint64
	Failed    uint64 // tries that were repeated
	Refused   uint64 // for good
	Waiting   uint64 // warnings that it has not got yet
	Held      uint64 // open warnings that are kept from it, because they are silenced or inhibited
	LastError string
}

// Stream is one of the streams between the parts.
type Stream struct {
	Name            string
	Messages, Bytes uint64
	First           time.Time
}

// Silence is a time in which some warnings are not sent.
type Silence struct {
	ID, Matches, By, Comment string
	From, Until              time.Time
}

// Book knows what was seen before, and what people said.
type Book interface {
	// Outlook returns nil when nothing is known.
	Outlook(w *matcher.Warning) *matcher.Outlook
	Feedback(warning string) []sightings.Feedback
	Give(ctx context.Context, f sightings.Feedback) error
}

// noBook is the book of a console that has none.
type noBook struct{}

func (noBook) Outlook(*matcher.Warning) *matcher.Outlook { return nil }
func (noBook) Feedback(string) []sightings.Feedback      { return nil }
func (noBook) Give(context.Context, sightings.Feedback) error {
	return problem{404, "This console has nowhere to keep feedback.", "Use forewarn feedback."}
}

const (
	healthEvery = 2 * time.Second
	healthFor   = 5 * time.Second // how long a question may take
	goneAfter   = 15 * time.Second
)

// health asks for facts when somebody wants them, and not more often than healthEvery for all pages together. While it asks everybody else is given what was
// known before, so that a stream that does not answer holds up one page and not all of them.
type health struct {
	facts Facts

	mu     sync.Mutex
	asking bool
	asked  time.Time
	known  bool
	last   Health
	err    error
}

func newHealth(f Facts) *health { return &health{facts: f} }

// get returns what is known; known is false when nothing ever was.
func (h *health) get() (last Health, known bool, err error) {
	if h.facts == nil {
		return Health{}, false, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asking || time.Since(h.asked) < healthEvery {
		return h.last, h.known, h.err
	}
	h.asking = true
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), healthFor) // the answer is for everybody, not only for the page that asked
	got, err := h.facts.Health(ctx)
	cancel()
	h.mu.Lock()
	h.asking, h.asked, h.err = false, time.Now(), err
	if err == nil {
		h.last, h.known = got, true
	}
	return h.last, h.known, h.err
}

// pulse is the sign of life on every page.
type pulse struct {
	Known      bool
	Alive      bool // a process matches, and told so lately
	Records    uint64
	Sources    int
	Silent     []string
	Signatures int
	Refused    int
	Heard      time.Time // when the last record was taken in
	Lost       uint64
	Waiting    uint64
}

func (k *Console) pulse() pulse {
	h, known, err := k.health.get()
	return pulseOf(&h, known && err == nil, time.Now())
}

func pulseOf(h *Health, known bool, now time.Time) pulse {
	p := pulse{Known: known}
	seen := map[string]bool{}
	for i := range h.Processes {
		s := &h.Processes[i]
		if now.Sub(s.Time) > goneAfter {
			continue
		}
		p.Alive = known
		p.Signatures = max(p.Signatures, s.Signatures)
		p.Refused = max(p.Refused, len(s.Refused))
		for _, in := range s.Inputs {
			p.Records += in.Records
			if in.Heard.After(p.Heard) {
				p.Heard = in.Heard
			}
			if seen[in.Source] {
				continue
			}
			seen[in.Source] = true
			if in.Silent {
				p.Silent = append(p.Silent, in.Source)
			} else if !in.Ended {
				p.Sources++
			}
		}
		for _, n := range s.Losses {
			p.Lost += n
		}
		var waiting uint64
		for _, n := range s.Lag {
			waiting += n
		}
		p.Waiting = max(p.Waiting, waiting) // every process asks the same server
	}
	return p
}
