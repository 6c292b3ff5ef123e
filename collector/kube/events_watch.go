package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// jittered is a time in whole seconds, up to half as long again, so that what began together does not end together.
func jittered(d time.Duration) int { return int((d + rand.N(d/2+1)).Seconds()) }

// watch opens a watch and follows it. It returns nil when the server ended it in order.
func (s *eventsSession) watch(ctx context.Context) error {
	if err := s.find(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := s.open(ctx)
	if err != nil {
		return err
	}
	s.common.Meter.Connected(true)
	lines, probes := make(chan watchLine, eventsAtOnce), make(chan eventsProbe)
	var group errgroup.Group
	group.Go(func() error { return readWatch(ctx, body, lines) })
	group.Go(func() error { s.probe(ctx, probes); return nil })
	err = s.follow(ctx, lines, probes)
	cancel()
	_ = body.Close()
	if ended := group.Wait(); err == nil {
		err = ended
	}
	return err
}

// eventsAtOnce is how many changes are emitted together at most.
const eventsAtOnce = 1000

// follow takes what a watch and the probes say until the lines end.
func (s *eventsSession) follow(ctx context.Context, lines <-chan watchLine, probes <-chan eventsProbe) error {
	promise := eventsPromise{version: s.version}
	quiet := time.NewTimer(s.quiet)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-quiet.C:
			if len(lines) == 0 { // else both came at the same moment
				promise.caughtUp = s.common.Clock()()
			}
			if err := s.commit(ctx, false); err != nil {
				return err
			}
			quiet.Reset(max(s.quiet, time.Second)) // nothing was to be read, and still is not, unless there is a line
		case p := <-probes:
			if err := s.take(&promise, p); err != nil {
				return err
			}
		case l, ok := <-lines:
			if !ok {
				return s.commit(ctx, false)
			}
			if err := s.lines(ctx, l, lines); err != nil {
				return err
			}
			if !sleep(ctx, s.pause) {
				return context.Cause(ctx)
			}
			quiet.Reset(s.quiet)
		}
	}
}

// lines takes a line and those that came with it.
func (s *eventsSession) lines(ctx context.Context, l watchLine, more <-chan watchLine) error {
	for n := 1; ; n++ {
		if err := s.line(ctx, l); err != nil {
			return err
		}
		if n == eventsAtOnce {
			return s.commit(ctx, false)
		}
		var ok bool
		select {
		case l, ok = <-more:
		default:
		}
		if !ok {
			return s.commit(ctx, false)
		}
	}
}

// sleep returns false when ctx was done before d was over.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// line takes one line of the watch.
func (s *eventsSession) line(ctx context.Context, l watchLine) error {
	s.alive = true
	switch l.Type {
	case "ADDED", "MODIFIED":
		return s.happened(ctx, l.Object)
	case "DELETED": // it was kept long enough; nothing happened
		o, err := format.DecodeEvent(l.Object, nil, s.trust)
		if err != nil {
			s.common.Meter.Lost("bad_events", 1)
			return nil //nolint:nilerr // it is counted
		}
		s.ledger.gone(eventKeyOf(o.UID))
		s.reached(o.Version)
	case "BOOKMARK":
		var b struct{ Metadata metav1.ObjectMeta }
		if err := json.Unmarshal(l.Object, &b); err != nil {
			return readError{fmt.Errorf("read a bookmark: %w", err)}
		}
		if s.listing != nil {
			if b.Metadata.Annotations[metav1.InitialEventsAnnotationKey] == "true" {
				return s.listed(ctx, b.Metadata.ResourceVersion)
			}
			return nil
		}
		s.reached(b.Metadata.ResourceVersion)
	case "ERROR":
		return watchFailed(l.Object)
	default:
		return readError{fmt.Errorf("the watch has a line of the type %q, which is none", l.Type)}
	}
	return nil
}

// reached says that everything up to a resource version was read.
func (s *eventsSession) reached(version string) {
	if s.listing == nil && version != "" {
		s.version = version
	}
}

// trust returns a time in Unix nanoseconds, or 0 when no clock that was ever set can have said it.
func (s *eventsSession) trust(t time.Time) int64 {
	if t.Year() < 1990 || t.After(s.common.Clock()().Add(24*time.Hour)) {
		return 0
	}
	return t.UnixNano()
}

// happened takes the state of an event.
func (s *eventsSession) happened(ctx context.Context, object []byte) error {
	o, err := format.DecodeEvent(object, nil, s.trust)
	if err != nil {
		s.common.Meter.Lost("bad_events", 1)
		return nil //nolint:nilerr // it is counted
	}
	if o.Last == 0 {
		o.Last = s.common.Clock()().UnixNano()
	}
	key := eventKeyOf(o.UID)
	place, _ := strconv.ParseUint(o.Version, 10, 64) // nothing but order depends on it
	if s.listing != nil {
		s.ledger.listed(key)
	}
	seen := s.ledger.seen(key)
	if o.Combined && o.Count > seen {
		s.common.Meter.Lost("combined_by_writer", int(o.Count-seen))
	}
	s.records = o.Since(seen, s.records[:0])
	for i := range s.records {
		s.records[i].Seq = place
		x := eventRecord{s.records[i], key, o.Count}
		if i+1 < len(s.records) {
			x.count = 1 // its first time; the next record is the rest
		}
		if s.listing != nil && !s.listing.add(x) {
			err = s.release(ctx)
		} else if s.listing == nil {
			err = s.give(ctx, x)
		}
		if err != nil {
			return err
		}
	}
	s.reached(o.Version)
	return nil
}

// eventRecord is a record of an event that was counted up to count.
type eventRecord struct {
	record.Record
	key   eventKey
	count uint32
}

// give gives a record to the outlet, unless it was given.
func (s *eventsSession) give(ctx context.Context, x eventRecord) error {
	if x.count <= s.ledger.seen(x.key) {
		return nil
	}
	s.given = true
	s.common.Meter.Lost("forgotten_events", s.ledger.add(x.ID, x.key, x.count, x.Time))
	return s.outlet.Add(ctx, &x.Record)
}

// eventsList holds what a list tells until it can be given in order of time: a list has events by name, and what reads on must not take most of
// them for late.
type eventsList struct {
	began   time.Time
	records []eventRecord
	bytes   int
}

// eventsListBytes bounds what is put in order. A longer list is in order within such pieces.
const eventsListBytes = 32 << 20

func (l *eventsList) reset() { l.records, l.bytes = nil, 0 }

// add returns false when there is enough to be released.
func (l *eventsList) add(x eventRecord) bool {
	l.records = append(l.records, x)
	l.bytes += 200 + len(x.Text) + 64*len(x.Attrs)
	return l.bytes < eventsListBytes
}

// release gives what the list told so far.
func (s *eventsSession) release(ctx context.Context) error {
	slices.SortStableFunc(s.listing.records, func(a, b eventRecord) int { return cmp.Compare(a.Time, b.Time) })
	for chunk := range slices.Chunk(s.listing.records, eventsAtOnce) {
		for _, x := range chunk {
			if err := s.give(ctx, x); err != nil {
				return err
			}
		}
		if err := s.commit(ctx, false); err != nil {
			return err
		}
	}
	s.listing.reset()
	return nil
}

// listed ends a list: the server had everything in it, and nothing else, at a resource version.
func (s *eventsSession) listed(ctx context.Context, version string) error {
	if version == "" {
		return readError{errors.New("the list of events has no resource version")}
	}
	if err := s.release(ctx); err != nil {
		return err
	}
	began := s.listing.began
	s.listing, s.version, s.alive = nil, version, true
	s.ledger.listEnd()
	if err := s.commit(ctx, true); err != nil {
		return err
	}
	s.outlet.Alive(began)
	return nil
}

// eventsProbe is a question whether the server is alive: when it was asked, and the resource version of the answer.
type eventsProbe struct {
	sent    time.Time
	version string
	err     error
}

// probe asks for one event every now and then, which etcd itself answers.
func (s *eventsSession) probe(ctx context.Context, out chan<- eventsProbe) {
	for sleep(ctx, time.Duration(s.o.Probe)) {
		p := eventsProbe{sent: s.common.Clock()()}
		var list struct{ Metadata metav1.ListMeta }
		b, err := s.client.Get(ctx, s.path, url.Values{"limit": {"1"}})
		if err == nil {
			err = json.Unmarshal(b, &list)
		}
		p.version, p.err = list.Metadata.ResourceVersion, err
		select {
		case out <- p:
		case <-ctx.Done():
		}
	}
}

// eventsPromise is what is known of up to when a watch has given everything. A watch of events has no bookmarks to tell it, for the API server
// reads them past its cache. So a probe that is answered promises what happened before the one before it was sent, if the watch was open since
// and everything that came was read: the server had a whole interval to send it.
type eventsPromise struct {
	sent     time.Time // when the last probe that was answered was sent
	caughtUp time.Time // when nothing was to be read, last
	version  string    // what the watch had reached before the next probe was sent
	failed   int       // probes in a row
}

// take makes a promise of a probe.
func (s *eventsSession) take(x *eventsPromise, p eventsProbe) error {
	if p.err != nil {
		x.sent = time.Time{}
		if x.failed++; x.failed >= 3 {
			return readError{fmt.Errorf("the server does not answer while its watch is open: %w", p.err)}
		}
		return nil
	}
	s.alive, x.failed = true, 0
	if goneBack(p.version, x.version) {
		return fmt.Errorf("%w: the server is at %s and was at %s before, so it was restored from a backup", errExpired, p.version, x.version)
	}
	x.version = s.version
	if !x.sent.IsZero() && !x.caughtUp.IsZero() && s.listing == nil {
		upTo := x.sent
		if x.caughtUp.Before(upTo) {
			upTo = x.caughtUp
		}
		s.outlet.Alive(upTo)
	}
	x.sent = p.sent
	return nil
}

// goneBack reports whether one resource version is older than another that was there before.
func goneBack(version, before string) bool {
	now, err := strconv.ParseUint(version, 10, 64)
	was, bad := strconv.ParseUint(before, 10, 64)
	return err == nil && bad == nil && now < was
}
