package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/forewarn/forewarn/collector/format"
)

// list reads all objects, page by page.
func (r *reflector) list(ctx context.Context, into follower, accept func(version string)) error {
	r.mu.Lock()
	lost := r.unreadable()
	into.listing()
	r.mu.Unlock()
	version, next := "", ""
	for {
		head, err := r.readPage(ctx, into, next)
		switch {
		case err != nil && next != "" && forgotten(err):
			r.unpage = true
			return fmt.Errorf("list %s: the list changed while it was read, it will be read in one: %w", r.resource, errChanged)
		case err != nil:
			return err
		}
		if version == "" {
			version = string(format.Member(head, "metadata", "resourceVersion"))
		}
		if version == "" || version == "0" {
			return fmt.Errorf("list %s: the answer has no resourceVersion to watch from", r.resource)
		}
		if next = string(format.Member(head, "metadata", "continue")); next == "" {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := into.complete(version, r.unreadable() != lost); err != nil {
		return stoppedError{err}
	}
	r.unpage = false
	accept(version)
	return nil
}

var errChanged = errors.New("inconsistent pages")

// readPage reads a page of a list, and returns what it says besides its items.
func (r *reflector) readPage(ctx context.Context, into follower, next string) (head []byte, err error) {
	p := r.resource.params()
	if !r.unpage {
		p.Set("limit", fmt.Sprint(r.page))
	}
	if next != "" {
		p.Set("continue", next)
	}
	item := func(object []byte, kind string) error {
		if kind == "" { // a list whose items are null
			head = append(head[:0], object...)
			return nil
		}
		if err := into.listed(object, kind); err != nil {
			return stoppedError{err}
		}
		return nil
	}
	err = r.read(ctx, p, time.Minute, nil, item, func(h []byte) { head = append(head[:0], h...) })
	if err == nil && head == nil {
		err = fmt.Errorf("list %s: the answer ended before the list did", r.resource)
	}
	return head, err
}

// read passes an answer's values to item, as they come, and what a list says besides to head. idle is how long the server may say nothing; reads, if
// not nil, is told when it was waited for.
func (r *reflector) read(ctx context.Context, p url.Values, idle time.Duration, reads *upTo,
	item func(value []byte, kind string) error, head func([]byte),
) error {
	body, err := r.client.Open(ctx, r.resource.path(), p)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // what was read is all that counts
	silent := time.AfterFunc(idle, func() { _ = body.Close() })
	defer silent.Stop()
	if reads != nil {
		reads.opened()
		r.permit()
	}
	var failed error
	values := format.NewValues(maxObjectB, &r.counts, func(value []byte, kind string) {
		if failed == nil {
			failed = item(value, kind)
		}
	}, head)
	buf := make([]byte, 64<<10)
	for {
		silent.Reset(idle)
		reads.reading(r.now())
		n, err := body.Read(buf)
		reads.read(r.now())
		if !silent.Stop() {
			return fmt.Errorf("read %s: the server said nothing for %s", r.resource, idle)
		}
		if n > 0 {
			r.backoff.Reset()
		}
		r.mu.Lock()
		_, _ = values.Write(buf[:n]) // it never fails
		r.tellLoss()
		r.mu.Unlock()
		switch {
		case failed != nil:
			return failed
		case err != nil:
			return ended(err, values.Partial(), r.resource)
		}
	}
}

// ended says what the end of an answer means. partial is set when it came in the middle of a value.
func ended(err error, partial bool, r resource) error {
	switch {
	case errors.Is(err, io.EOF) && !partial:
		return nil
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %s: %w", r, err)
}

// watch tells what happens after r.version until the watch ends, which it does now and then as planned.
func (r *reflector) watch(ctx context.Context) error {
	p := r.resource.params()
	p.Set("watch", "1")
	p.Set("resourceVersion", r.version)
	p.Set("allowWatchBookmarks", "true")
	lasts := watchFor + rand.N(watchFor/2)
	p.Set("timeoutSeconds", strconv.Itoa(int(lasts/time.Second)))
	began, told := r.now(), 0
	err := r.read(ctx, p, r.idle, &r.known, func(value []byte, _ string) error {
		told++
		return r.event(value)
	}, nil)
	if err == nil && told == 0 && r.now().Sub(began) < time.Second {
		return fmt.Errorf("watch %s: the server ended it at once", r.resource)
	}
	return err
}

// event takes an event of a watch.
func (r *reflector) event(value []byte) error {
	verb, object := string(format.Member(value, "type")), format.Member(value, "object")
	switch verb {
	case "ADDED", "MODIFIED", "DELETED":
		if err := r.into.happened(verb, object); err != nil {
			return stoppedError{err}
		}
	case "BOOKMARK":
	case "ERROR":
		var status metav1.Status
		if err := json.Unmarshal(object, &status); err != nil {
			return fmt.Errorf("watch %s: the server ended it with %.200q", r.resource, object)
		}
		return fmt.Errorf("watch %s: %w", r.resource, &apierrors.StatusError{ErrStatus: status})
	default:
		r.counts.Add(format.BadItem, 1)
		return nil
	}
	if v := format.Member(object, "metadata", "resourceVersion"); len(v) > 0 {
		r.version = string(v)
	}
	return nil
}
