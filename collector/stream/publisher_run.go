package stream

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Times between attempts while nothing is stored.
const (
	retryFirst = 50 * time.Millisecond
	retryLast  = 5 * time.Second
)

var errLost = errors.New("the connection to the server was lost")

// window is the state of a publisher. Its goroutine alone has it.
type window struct {
	p       *Publisher
	queue   []*outgoing // not stored yet, in order; the first one never is
	sent    int         // how many of them are on their way
	next    uint64      // number of the next message
	round   uint64      // answers of earlier rounds can be good news only
	dials   uint64      // s.dials when the round began
	failing bool        // only the oldest message is sent, until it is stored
	backoff time.Duration
	timer   *time.Timer
	waiters []waiter
}

type waiter struct {
	upTo uint64
	done chan struct{}
}

// run owns the window until the publisher is closed.
func (p *Publisher) run(sub *nats.Subscription, status chan nats.Status) {
	w := &window{p: p, backoff: retryFirst, timer: time.NewTimer(p.c.AckTimeout), dials: p.s.dials.Load()}
	defer func() {
		w.timer.Stop()
		for _, o := range w.queue { // lets callers of Publish go who wait for room
			p.release(o.size)
		}
		p.s.conn.RemoveStatusListener(status)
		_ = sub.Unsubscribe() // fails only when the connection is closed, which ends the subscription too
		close(p.ended)
	}()
	for {
		select {
		case o := <-p.in:
			w.add(o)
		case a := <-p.acks:
			w.answered(a)
		case st, ok := <-status:
			switch {
			case !ok:
				status = nil // the connection is closed
			case st == nats.RECONNECTING:
				w.fail(errLost)
			case st == nats.CONNECTED && w.failing:
				w.retry()
			}
		case <-w.timer.C:
			w.tick()
		case done := <-p.flush:
			w.waiters = append(w.waiters, waiter{w.next, done})
			w.release()
		case <-p.stop:
			return
		}
	}
}

func (w *window) add(o *outgoing) {
	o.number = w.next
	w.next++
	w.p.withID(o)
	w.queue = append(w.queue, o)
	w.p.held.Store(uint64(len(w.queue)))
	if !w.failing {
		w.send()
	}
}

// send sends what is not on its way.
func (w *window) send() {
	for w.sent < len(w.queue) {
		// A connection that came since the round began may have lost what is on its way: it must go first.
		if d := w.p.s.dials.Load(); w.sent == 0 {
			w.dials = d
		} else if d != w.dials {
			w.fail(errLost)
			return
		}
		if err := w.sendOne(w.queue[w.sent]); err != nil {
			w.fail(err)
			return
		}
		w.sent++
	}
}

func (w *window) sendOne(o *outgoing) error {
	if o.stored {
		return nil
	}
	p := w.p
	o.msg.Reply = p.prefix + strconv.FormatUint(o.number, 10) + "." + strconv.FormatUint(w.round, 10)
	if o.sent = time.Now(); w.sent == 0 {
		w.timer.Reset(p.c.AckTimeout)
	}
	if err := p.s.conn.PublishMsg(o.msg); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

func (w *window) answered(a ack) {
	if len(w.queue) == 0 || a.number < w.queue[0].number || a.number >= w.next {
		return
	}
	o := w.queue[a.number-w.queue[0].number]
	if a.err != nil {
		if a.round == w.round && !o.stored {
			w.fail(a.err)
		}
		return
	}
	if !o.stored {
		o.stored = true
		w.p.stored.Add(1)
		if a.duplicate {
			w.p.duplicates.Add(1)
		}
	}
	n := 0
	for n < len(w.queue) && w.queue[n].stored {
		w.p.release(w.queue[n].size)
		if w.p.c.Recycle != nil {
			w.p.c.Recycle(w.queue[n].msg.Data)
		}
		w.queue[n] = nil
		n++
	}
	if n == 0 {
		return
	}
	w.queue = w.queue[n:]
	w.sent = max(w.sent-n, 0)
	w.p.held.Store(uint64(len(w.queue)))
	w.release()
	if w.failing { // the oldest one is stored: the way is free again
		w.failing, w.backoff = false, retryFirst
		w.p.trouble.Store(nil)
		w.p.s.opts.Logger.Info("publishing goes on", "outstanding", len(w.queue))
		w.send()
	}
	if len(w.queue) > 0 && !w.failing {
		w.timer.Reset(time.Until(w.queue[0].sent.Add(w.p.c.AckTimeout)))
	}
}

// release wakes those who wait for what is stored by now.
func (w *window) release() {
	oldest := w.next
	if len(w.queue) > 0 {
		oldest = w.queue[0].number
	}
	kept := w.waiters[:0]
	for _, x := range w.waiters {
		if x.upTo <= oldest {
			close(x.done)
		} else {
			kept = append(kept, x)
		}
	}
	w.waiters = kept
}

// fail stops sending, and tries the oldest message after a pause that grows.
func (w *window) fail(err error) {
	if len(w.queue) == 0 {
		return
	}
	if !w.failing {
		w.p.s.opts.Logger.Warn("nothing can be stored, holding back and trying again", "error", err, "outstanding", len(w.queue))
	}
	w.failing, w.sent = true, 0
	w.round++
	w.p.trouble.Store(&err)
	w.timer.Reset(w.backoff)
	w.backoff = min(2*w.backoff, retryLast)
}

// tick is the timer: time to try again, or an acknowledgement that did not come.
func (w *window) tick() {
	switch {
	case len(w.queue) == 0:
	case w.failing && w.sent == 0:
		w.retry()
	case time.Since(w.queue[0].sent) >= w.p.c.AckTimeout:
		w.fail(fmt.Errorf("no acknowledgement within %s", w.p.c.AckTimeout))
	default:
		w.timer.Reset(time.Until(w.queue[0].sent.Add(w.p.c.AckTimeout)))
	}
}

// retry sends the oldest message alone.
func (w *window) retry() {
	if len(w.queue) == 0 || w.sent > 0 {
		return
	}
	w.p.retries.Add(1)
	w.dials = w.p.s.dials.Load()
	if err := w.sendOne(w.queue[0]); err != nil {
		w.fail(err)
		return
	}
	w.sent = 1
}
