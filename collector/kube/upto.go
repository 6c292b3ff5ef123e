package kube

import (
	"sync"
	"time"
)

// upTo follows up to when everything that happened to a kind was told. Its methods may be called on a nil upTo.
//
// While a watch gives something and then has to be waited for, all that the server had to say was read: that is a sign. A watch that is silent
// is known up to a little while ago: the transport ends a connection that is dead within 45 seconds, and a matcher waits for what comes late for
// another 30 by default. When a watch was opened anew, what happened meanwhile comes first, and no sign counts before the first time that
// it had to be waited for.
type upTo struct {
	mu      sync.Mutex
	sign    time.Time
	ready   bool // something is known at all
	denied  bool
	open    bool
	drained bool      // what happened before the watch was opened was read
	since   time.Time // when reading began to wait; zero while what was read is told
	cause   error     // why nothing is open; nil when a watch came to its planned end
}

const (
	// waited is how long a read must have waited to show that nothing was left to read, after a watch was opened.
	waited = time.Second
	// unsure is how long a silent watch may have been dead without our knowing.
	unsure = 15 * time.Second
)

func (u *upTo) listed(at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ready, u.sign = true, later(u.sign, at)
}

// resumed says that everything up to a time was told before a restart.
func (u *upTo) resumed() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ready = true
}

func (u *upTo) deny(denied bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.denied = denied
}

func (u *upTo) opened() {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open, u.drained, u.since, u.cause = true, false, time.Time{}, nil
}

func (u *upTo) closed(cause error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open, u.since, u.cause = false, time.Time{}, cause
}

func (u *upTo) reading(now time.Time) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.since = now
}

// read says that a read has returned. What it brought is not told yet, but what came before is.
func (u *upTo) read(now time.Time) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if wait := now.Sub(u.since); wait >= waited || u.drained && wait > time.Millisecond {
		u.drained = true
		u.sign = later(u.sign, u.since)
	}
	u.since = time.Time{}
}

// at returns up to when everything is known. ok is false when nothing is, and counts is false when the kind cannot be watched.
func (u *upTo) at(now time.Time) (t time.Time, ok, counts bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t = u.sign
	if u.open && !u.since.IsZero() && now.Sub(u.since) >= waited {
		t = later(t, later(u.since, now.Add(-unsure)))
	}
	return t, u.ready && !t.IsZero(), !u.denied
}

// begun reports whether something was ever known.
func (u *upTo) begun() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ready
}

// missing returns why a kind is not watched that can be: nil when it is, or will be in a moment. begun is false before the first try has ended.
func (u *upTo) missing() (cause error, begun bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.denied || u.open {
		return nil, true
	}
	return u.cause, u.ready || u.cause != nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
