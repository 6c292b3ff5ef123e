package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxLive    = 256                    // pages that may be open at once; more are told to come again
	liveEvery  = 5 * time.Second        // how often a page is told that all is well, and asked for what changes by itself
	liveLeast  = 250 * time.Millisecond // between two messages of changes: a storm is told in steps
	liveWrite  = 10 * time.Second       // a client that takes nothing for so long is cut off
	liveReturn = 2 * time.Second        // after which a browser comes again
)

// message tells an open page to replace, insert or remove one element.
type message struct {
	ID   string `json:"id"`
	HTML string `json:"html,omitempty"` // empty: it goes
	Into string `json:"into,omitempty"` // the list that it is put into when it is not there yet; without one it is only replaced
	Rank string `json:"rank,omitempty"` // its place in the list, in the order of these texts
	Say  string `json:"say,omitempty"`  // what is read aloud
	// Keep, if it is not nil, says what the list ID holds: everything else in it goes, and HTML is not looked at.
	Keep []string `json:"keep,omitzero"`
}

// follower makes what an open page is told: everything that changed after a version of the view. It is called by one goroutine, at each change and now and then besides.
type follower func(since uint64) ([]message, error)

// stream tells an open page of changes by server-sent events:
//
//	event: change  a message
//	event: pulse   the time, and how forewarn is
//	event: reset   the page is of another view than this: load it again
//
// Their ids are moments of the view, so that a browser that comes again (Last-Event-ID), or that has just loaded the page (?since=), is told what it missed and nothing
// twice. Nothing is queued for a page: it is asked for what changed when there is time to send it.
func (k *Console) stream(w http.ResponseWriter, r *http.Request, p *page) {
	if p.follow == nil {
		k.fail(w, r, problem{http.StatusNotAcceptable, "This page does not change.", ""})
		return
	}
	select {
	case k.live <- struct{}{}:
		defer func() { <-k.live }()
	default:
		w.Header().Set("Retry-After", "30")
		k.fail(w, r, problem{http.StatusServiceUnavailable, "Too many pages are open.", "Close some, or load the page again later."})
		return
	}
	follow, err := p.follow(k, r)
	if err != nil {
		k.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold the messages back
	l := &liveWriter{w: w, c: http.NewResponseController(w)}
	from := r.Header.Get("Last-Event-ID")
	if from == "" {
		from = r.URL.Query().Get("since")
	}
	if err := k.tell(r.Context(), l, from, follow); err != nil {
		k.c.Log.Debug("an open page is told no more", "path", r.URL.Path, "error", err)
	}
}

func (k *Console) tell(ctx context.Context, l *liveWriter, from string, follow follower) error {
	_ = l.c.SetReadDeadline(time.Time{}) // it is as long as the page is open
	now, changed := k.c.View.now()
	epoch, text, _ := strings.Cut(from, ".")
	told, err := strconv.ParseUint(text, 10, 64)
	if err := l.say("retry: %d\n\n", liveReturn.Milliseconds()); err != nil {
		return err
	}
	if err != nil || epoch != now.epoch || told > now.version {
		told = now.version
		if err := l.event("reset", now, struct{}{}); err != nil {
			return err
		}
	}
	beat := time.NewTicker(liveEvery)
	defer beat.Stop()
	for {
		messages, err := follow(told)
		if err != nil {
			return err
		}
		for _, m := range messages {
			if err := l.event("change", at{now.epoch, told, false, 0}, m); err != nil { // the id is of what was told before, until all of it is sent
				return err
			}
		}
		told = now.version
		pulse, err := k.part("/", "pulse", k.pulse())
		if err != nil {
			return err
		}
		if err := l.event("pulse", now, map[string]any{"html": pulse, "now": k.c.Now().UnixMilli()}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
		case <-changed:
			select { // what comes meanwhile is told with it
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(liveLeast):
			}
		}
		now, changed = k.c.View.now()
	}
}

// liveWriter writes events.
type liveWriter struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (l *liveWriter) event(name string, id at, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	return l.say("event: %s\nid: %s\ndata: %s\n\n", name, id, b)
}

func (l *liveWriter) say(format string, args ...any) error {
	_ = l.c.SetWriteDeadline(time.Now().Add(liveWrite)) // a writer without deadlines is one of a test
	if _, err := fmt.Fprintf(l.w, format, args...); err != nil {
		return fmt.Errorf("tell an open page: %w", err)
	}
	if err := l.c.Flush(); err != nil {
		return fmt.Errorf("tell an open page: %w", err)
	}
	return nil
}
