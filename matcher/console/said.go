package console

import (
	"context"
	"slices"
	"time"

	"github.com/forewarn/forewarn/matcher/sightings"
)

const (
	saidEvery = 3 * time.Second       // how often it is looked for what people said elsewhere
	saidWait  = 2 * time.Second       // how long a person waits for what they said to come back
	saidLook  = 20 * time.Millisecond // how often it is looked for meanwhile
)

// awaitFeedback waits until the book holds what was just given to it: it comes by way of the store, and whoever gave it wants to see it. When it takes too long
// the page is told later, as it is of everybody else's.
func (k *Console) awaitFeedback(ctx context.Context, f *sightings.Feedback) {
	ctx, cancel := context.WithTimeout(ctx, saidWait)
	defer cancel()
	t := time.NewTicker(saidLook)
	defer t.Stop()
	for {
		for _, x := range k.c.Book.Feedback(f.Warning) {
			if x.Verdict == f.Verdict && x.By == f.By && x.Time.Equal(f.Time) {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// watchFeedback tells open pages what people said elsewhere, by the command line or another console.
func (k *Console) watchFeedback(ctx context.Context) {
	t := time.NewTicker(saidEvery)
	defer t.Stop()
	known := map[string][]sightings.Feedback{}
	for {
		k.noticeFeedback(known)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// noticeFeedback touches the warnings of which something else is said than was known.
func (k *Console) noticeFeedback(known map[string][]sightings.Feedback) {
	held := map[string]bool{}
	for _, e := range k.c.View.since(0) {
		id := e.warning.ID
		held[id] = true
		said := k.c.Book.Feedback(id)
		if slices.Equal(said, known[id]) {
			continue
		}
		known[id] = said
		k.c.View.Touch(id)
	}
	for id := range known {
		if !held[id] {
			delete(known, id)
		}
	}
}
