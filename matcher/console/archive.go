package console

import (
	"context"
	"net/http"
	"time"
)

// digFor is how long it may take to find a warning that finished long ago.
const digFor = 10 * time.Second

var errBusy = problem{http.StatusServiceUnavailable, "Somebody else is looking for an old warning.", "Load the page again in a moment."}

// find returns a warning that the view holds, or else the archive: links in messages are followed weeks later. One asks the archive at a time.
func (k *Console) find(ctx context.Context, id string) (entry, error) {
	if e, ok := k.c.View.find(id); ok {
		return e, nil
	}
	if k.c.Archive == nil || len(id) > 64 {
		return entry{}, errUnknownWarning
	}
	ctx, cancel := context.WithTimeout(ctx, digFor)
	defer cancel()
	select {
	case k.digging <- struct{}{}:
		defer func() { <-k.digging }()
	case <-ctx.Done():
		return entry{}, errBusy
	}
	told, err := k.c.Archive(ctx, id)
	if err != nil {
		return entry{}, err
	}
	var old View
	for _, t := range told {
		old.Tell(t)
	}
	e, ok := old.find(id)
	if !ok {
		return entry{}, errUnknownWarning
	}
	e.version, e.stated = 0, 0 // of no view that a page could follow
	return e, nil
}
