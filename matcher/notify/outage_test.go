package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

// outage is a destination that is away until a time, in all the ways in which one can be away, and takes everything then.
type outage struct {
	until time.Time

	mu    sync.Mutex
	tries int
	taken []string // what identifies a revision there, in order
}

// away returns how a try fails, nil once the destination is there again.
func (o *outage) away() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !time.Now().Before(o.until) {
		return nil
	}
	o.tries++
	return errors.New("connection reset by peer")
}

func (o *outage) take(identity string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken = append(o.taken, identity)
}

// RoundTrip implements http.RoundTripper.
func (o *outage) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	answer := func(status int, header http.Header, text string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
	}
	if err := o.away(); err != nil {
		switch o.tries % 4 {
		case 0:
			<-r.Context().Done() // a timeout
			return nil, r.Context().Err()
		case 1:
			return nil, err
		case 2:
			return answer(http.StatusServiceUnavailable, nil, "later")
		default:
			return answer(http.StatusTooManyRequests, http.Header{"Retry-After": {"90"}}, "slowly")
		}
	}
	o.take(identity(r, body))
	return answer(http.StatusOK, nil, `{"ok":true,"channel":"C1","ts":"1.1"}`)
}

// identity is what tells one revision from another in a request, "" for one that tells none.
func identity(r *http.Request, body []byte) string {
	if id := r.Header.Get("webhook-id"); id != "" {
		return id
	}
	for i := range outageWarnings {
		for revision := 1; revision <= 3; revision++ {
			if bytes.Contains(body, fmt.Appendf(nil, "title of w%02d-%d", i, revision)) {
				return fmt.Sprintf("w%02d-%d", i, revision)
			}
		}
	}
	return ""
}

// PublishEvent implements Bus.
func (o *outage) PublishEvent(_ context.Context, _, id string, _ map[string]string, _ []byte) error {
	if err := o.away(); err != nil {
		return err
	}
	o.take(id)
	return nil
}

// RecordEvent implements EventRecorder.
func (o *outage) RecordEvent(_ context.Context, e ObjectEvent) error {
	if err := o.away(); err != nil {
		return err
	}
	o.take(identity(&http.Request{}, []byte(e.Note)))
	return nil
}

// Send implements Mailer.
func (o *outage) Send(_ context.Context, _ string, _ []string, message []byte) (map[string]error, error) {
	if err := o.away(); err != nil {
		return nil, err
	}
	o.take(identity(&http.Request{}, message))
	return nil, nil
}

const outageWarnings = 20

// outageFeed gives three revisions of each of the warnings, while the destination is away and after it.
func outageFeed() *list {
	l := &list{}
	for i := range outageWarnings {
		for revision, state := range []matcher.State{matcher.Forming, matcher.Imminent, matcher.InIncident} {
			w := Example(start)
			w.ID, w.Revision, w.State = fmt.Sprintf("w%02d", i), uint32(revision+1), state
			w.Title = fmt.Sprintf("title of w%02d-%d", i, revision+1)
			l.ws = append(l.ws, w)
		}
	}
	return l
}

// TestAnOutageOfTwoHoursLosesNothing: every revision arrives once, in order, at each kind of destination.
func TestAnOutageOfTwoHoursLosesNothing(t *testing.T) {
	for _, d := range []Destination{
		{Type: "webhook", URLs: []string{"https://h"}},
		{Type: "alertmanager", URLs: []string{"https://h"}},
		{Type: "slack", URLFile: "f"},
		{Type: "slack", TokenFile: "f", Channel: "c"},
		{Type: "pagerduty", KeyFile: "f"},
		{Type: "teams", URLFile: "f"},
		{Type: "email", SMTP: "h:25", From: "f@h", To: []string{"a@h"}},
		{Type: "cloudevents"},
		{Type: "cloudevents", URLs: []string{"https://h"}},
		{Type: "kubernetes"},
	} {
		t.Run(d.Type+d.TokenFile+strings.Join(d.URLs, ""), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &outage{until: time.Now().Add(2 * time.Hour)}
				d.Name = "x"
				n, err := New(d, Env{Client: &http.Client{Transport: o}, Bus: o, Objects: o, Mail: o, Pretend: true})
				require.NoError(t, err)
				feed := outageFeed()
				deliverer := &Deliverer{Name: "x", Notifier: n, Feed: feed}
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- deliverer.Run(ctx) }()
				time.Sleep(2*time.Hour - time.Minute)
				require.Zero(t, deliverer.Counts().Delivered)
				time.Sleep(20 * time.Minute)
				stop()
				require.NoError(t, <-ended)
				require.Greater(t, o.tries, 20, "it is asked again and again")
				var want, got []string
				for i := range feed.ws {
					want = append(want, revisionID(&feed.ws[i]))
				}
				for _, id := range o.taken {
					again := d.TokenFile != "" && len(got) > 0 && got[len(got)-1] == id   // a step of a bot is a change of the message and a word in its thread
					again = again || d.Type == "alertmanager" && slices.Contains(got, id) // what fires is repeated, and its identity is the alert
					if id != "" && !again {
						got = append(got, id)
					}
				}
				require.Equal(t, want, got)
				require.Len(t, feed.done, len(want), "each is acknowledged")
				require.Zero(t, deliverer.Counts().Refused)
			})
		})
	}
}

var (
	_ http.RoundTripper = (*outage)(nil)
	_ Bus               = (*outage)(nil)
	_ EventRecorder     = (*outage)(nil)
	_ Mailer            = (*outage)(nil)
)
