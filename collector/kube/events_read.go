package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// errExpired says that the server does not have the changes since a resource version any more, so that a list is needed.
var errExpired = errors.New("the resource version is too old")

// readError is the server's or the connection's fault: it is tried again.
type readError struct{ error }

func (e readError) Unwrap() error { return e.error }

// failed sorts the error of a request.
func failed(err error) error {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return fmt.Errorf("%w: %w", errExpired, err)
	}
	return readError{err}
}

// find asks which events API the server has.
func (s *eventsSession) find(ctx context.Context) error {
	if s.path != "" {
		return nil
	}
	group := "/apis/events.k8s.io/v1"
	_, err := s.client.Get(ctx, group, nil)
	switch {
	case apierrors.IsNotFound(err):
		group = "/api/v1"
	case err != nil:
		return failed(err)
	}
	if s.o.Namespace != "" {
		group += "/namespaces/" + url.PathEscape(s.o.Namespace)
	}
	s.path = group + "/events"
	return nil
}

// open opens a watch: from s.version, or beginning with everything that there is.
func (s *eventsSession) open(ctx context.Context) (io.ReadCloser, error) {
	p := url.Values{"watch": {"true"}, "allowWatchBookmarks": {"true"}, "timeoutSeconds": {strconv.Itoa(jittered(s.watchFor))}}
	if s.version != "" {
		p.Set("resourceVersion", s.version)
		body, err := s.client.Open(ctx, s.path, p)
		if err != nil {
			return nil, failed(err)
		}
		return body, nil
	}
	s.ledger.list()
	s.listing = &eventsList{began: s.common.Clock()()}
	if !s.plain {
		p.Set("sendInitialEvents", "true")
		p.Set("resourceVersionMatch", string(metav1.ResourceVersionMatchNotOlderThan))
		body, err := s.client.Open(ctx, s.path, p)
		switch {
		case err == nil:
			return body, nil
		case !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) && !apierrors.IsMethodNotSupported(err):
			return nil, failed(err)
		}
		s.plain = true // an older server
	}
	version, err := s.pages(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.listed(ctx, version); err != nil {
		return nil, err
	}
	return s.open(ctx)
}

// eventsPage is how many events a page of a list has.
const eventsPage = 500

// pages lists all events page by page, and returns the list's resource version. When the server forgets the list between two pages, it is asked
// for everything at once, because what is left of the pages would not fit what was read.
func (s *eventsSession) pages(ctx context.Context) (version string, err error) {
	p := url.Values{"limit": {strconv.Itoa(eventsPage)}}
	for {
		var next string
		version, next, err = s.client.page(ctx, s.path, p, func(item []byte) error { return s.happened(ctx, item) })
		switch {
		case errors.Is(err, errExpired) && p.Has("continue"):
			p = url.Values{}
			s.ledger.list()
			s.listing.reset()
		case err != nil || next == "":
			return version, err
		default:
			p.Set("continue", next)
		}
	}
}

// watchLine is one line of a watch.
type watchLine struct {
	Type   string
	Object json.RawMessage
}

// readWatch sends the lines of a watch until it ends, and closes out. It returns nil when the server ended it.
func readWatch(ctx context.Context, body io.Reader, out chan<- watchLine) error {
	defer close(out)
	d := json.NewDecoder(body)
	for {
		var l watchLine
		if err := d.Decode(&l); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return readError{fmt.Errorf("read a watch: %w", err)}
		}
		select {
		case out <- l:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watchFailed makes an error of the line with which a server ends a watch.
func watchFailed(object json.RawMessage) error {
	var status metav1.Status
	if err := json.Unmarshal(object, &status); err != nil {
		return readError{fmt.Errorf("the watch ended with what is no status: %w", err)}
	}
	return failed(apierrors.FromObject(&status))
}
