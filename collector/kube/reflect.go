package kube

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
)

// follower is told all there is of one kind, and then everything that happens to it. Its errors end the reflector.
type follower interface {
	// listing says that all objects will be told now.
	listing()
	// listed takes one of them, valid during the call.
	listed(object []byte, kind string) error
	// complete says that all were told, as of a resource version. What was told before and not now is gone, unless some could not be read.
	complete(version string, unreadable bool) error
	// happened takes an object that was ADDED, MODIFIED or DELETED, valid during the call.
	happened(verb string, object []byte) error
}

// reflector keeps a follower up to date with one kind: it lists in pages, watches from there, watches again from where a watch ended, and lists
// anew when the server has forgotten what came after. Objects pass through it one at a time.
type reflector struct {
	client   *Client
	resource resource
	into     follower
	meter    *collector.Meter
	log      *slog.Logger
	now      func() time.Time
	backoff  collector.Backoff
	seldom   collector.Backoff // for a kind that the server lacks or does not let us read
	// idle is how long a watch may be silent: the server sends bookmarks about every minute.
	idle   time.Duration
	page   int
	settle time.Duration
	// learn, if set, is told all there is once before watching begins from a version that was kept over a restart.
	learn follower

	mu      sync.Mutex // held while something is told; with it, version and what the follower knows belong together
	version string     // what was told; empty before the first list
	counts  format.Counts
	counted format.Counts // what the meter knows

	known  upTo
	tried  chan struct{} // closed when the first list, or the first try of it, is over
	once   sync.Once
	unpage bool      // the server forgot the list's snapshot between two pages: take it in one
	absent time.Time // since when the kind could not be read; zero while it can
	denied bool      // and that was told
}

const (
	pageSize   = 500
	watchFor   = 8 * time.Minute // how long a watch lasts at least; up to half more, so that not all end together
	slowRetry  = 5 * time.Minute
	absentFor  = time.Minute      // how long a kind that was watched may be absent before it is done without
	settleFor  = 10 * time.Second // and one that never was
	watchIdle  = 3 * time.Minute
	maxObjectB = 8 << 20
)

func newReflector(client *Client, r resource, into follower, c *collector.Common) *reflector {
	return &reflector{
		client: client, resource: r, into: into, meter: c.Meter, log: c.Log().With("kind", r.String()), now: c.Clock(),
		seldom: collector.Backoff{Min: time.Second, Max: slowRetry}, idle: watchIdle, settle: settleFor, page: pageSize, tried: make(chan struct{}),
	}
}

// stopped is an error of the follower.
type stoppedError struct{ error }

func (e stoppedError) Unwrap() error { return e.error }

// run reflects until ctx is done, whose cause it returns, or the follower fails.
func (r *reflector) run(ctx context.Context) error {
	defer r.once.Do(func() { close(r.tried) })
	for {
		err := r.cycle(ctx)
		r.known.closed(err)
		var stop stoppedError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &stop):
			return stop.error
		case err == nil: // a watch came to its planned end
			continue
		case forgotten(err):
			r.log.Info("the server has forgotten what came after; listing anew", "version", r.version, "cause", err)
			r.mu.Lock()
			r.version = ""
			r.mu.Unlock()
			r.meter.Lost("gaps", 1)
		case absent(err) && r.lasts():
			r.deny(err)
			if !r.seldom.Wait(ctx) {
				return context.Cause(ctx)
			}
			continue
		default:
			r.log.Debug("the watch is lost; trying again", "cause", err)
		}
		r.once.Do(func() { close(r.tried) })
		r.meter.Reconnect()
		if !r.backoff.Wait(ctx) {
			return context.Cause(ctx)
		}
	}
}

// cycle lists, if it has to, and watches once.
func (r *reflector) cycle(ctx context.Context) error {
	if r.version == "" {
		began := r.now()
		if err := r.list(ctx, r.into, r.accept); err != nil {
			return err
		}
		r.known.listed(began)
	} else if r.learn != nil {
		if err := r.list(ctx, r.learn, func(string) {}); err != nil {
			return err
		}
	}
	r.learn = nil
	r.once.Do(func() { close(r.tried) })
	return r.watch(ctx)
}

// accept takes the version of a list that is complete.
func (r *reflector) accept(version string) { r.version = version }

// lasts reports whether a kind that cannot be read is to be done without, for now. An API server that has just been started forbids everything at
// first, and lacks what others extend it by.
func (r *reflector) lasts() bool {
	if r.absent.IsZero() {
		r.absent = r.now()
	}
	patience := r.settle
	if r.known.begun() {
		patience = absentFor
	}
	return r.now().Sub(r.absent) >= patience
}

// deny tells once that a kind cannot be read. It does not count for what the collector knows: what nobody may see cannot be waited for.
func (r *reflector) deny(err error) {
	r.known.deny(true)
	r.once.Do(func() { close(r.tried) })
	if r.denied {
		return
	}
	r.denied = true
	reason := "forbidden_kinds"
	if !apierrors.IsForbidden(err) {
		reason = "missing_kinds"
	}
	r.meter.Lost(reason, 1)
	r.log.Warn("cannot watch this kind; its changes are not seen. Trying again more and more seldom", "cause", err)
}

// permit is called when a watch was opened.
func (r *reflector) permit() {
	r.known.deny(false)
	r.absent = time.Time{}
	r.seldom.Reset()
	if r.denied {
		r.denied = false
		r.log.Info("this kind can be watched now")
	}
}

// tellLoss passes on to the meter what could not be read.
func (r *reflector) tellLoss() {
	r.counts.Each(func(what format.Count, n uint64) {
		more := int(n - r.counted.Get(what))
		if more > 0 && (what.Loss() || what == format.ForgottenObject) {
			r.meter.Lost(what.String(), more)
		}
		r.counted.Add(what, more)
	})
}

func (r *reflector) unreadable() uint64 {
	return r.counts.Get(format.BadItem) + r.counts.Get(format.LargeItem)
}

// forgotten reports whether the server cannot go on from the version that was asked for: it was compacted away, or it lies in a future which the
// server lost with its disk.
func forgotten(err error) bool {
	return apierrors.IsGone(err) || apierrors.IsResourceExpired(err) || apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}

// absent reports whether a kind cannot be read as things are.
func absent(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err)
}
