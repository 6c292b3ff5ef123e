// Package notify delivers warnings to people and tools.
//
// A [Notifier] knows one destination's contract and nothing of queues. A [Deliverer] owns the order, the retries and
// the acknowledgements of one destination: it takes warnings from a [Feed], hands them on until the destination has them or says that it
// never will, and only then takes the next. Every destination has a Feed and a Deliverer of its own, so one that is dead
// neither blocks nor loses the others'.
//
// A warning is delivered at least once. It carries one id for its whole life, and every destination that can replace an
// earlier message by a later one is told which: see each notifier's comment.
package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// Notifier hands notices to one destination.
//
// Notify returns nil when the destination has taken it, an error that [IsPermanent] when it never will, and any other
// error when it is worth trying again. It must honour ctx, must not keep the notice's warnings, and is called by one goroutine at a time.
type Notifier interface {
	Notify(ctx context.Context, n Notice) error
}

// Ticker is a Notifier with something to say when nothing happens, such as firing alerts that must be repeated.
type Ticker interface {
	Notifier
	// Interval is the time between two ticks; it does not change.
	Interval() time.Duration
	// Tick does what is due at now. Its errors are those of Notify; a tick that failed is not repeated, the next one comes.
	Tick(ctx context.Context, now time.Time) error
	// Prime tells which warnings were delivered by an earlier process, newest revisions only, before the first Notify.
	Prime(w []matcher.Warning)
}

// permanent marks an error that another try cannot mend.
type permanent struct{ err error }

func (p permanent) Error() string { return p.err.Error() }
func (p permanent) Unwrap() error { return p.err }

// Permanent marks err as one that another try cannot mend: the destination refused the content itself.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent reports whether err, or an error that it wraps, was marked by [Permanent].
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}

// after is an error that names when the destination wants to be asked again (Retry-After).
type after struct {
	err  error
	wait time.Duration
}

func (a after) Error() string { return fmt.Sprintf("%v (asked to wait %s)", a.err, a.wait) }
func (a after) Unwrap() error { return a.err }

// retryAfter returns how long the destination asked to wait, or 0.
func retryAfter(err error) time.Duration {
	if a, ok := errors.AsType[after](err); ok {
		return a.wait
	}
	return 0
}
