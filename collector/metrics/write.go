package metrics

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/snappy"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// receiver takes remote write, 1.0 and 2.0. It answers 204 when all samples that some signature needs were accepted by the stream, so that a sender
// repeats whatever was not; a sample that comes twice has the same identity. When the stream does not accept them in time, it answers 503 with
// Retry-After. It never answers 429: most senders drop what is refused so, unless they are told otherwise.
type receiver struct {
	o      *RemoteWriteOptions
	c      collector.Common
	filter *Filter
	stats  *counters
	out    *collector.Outlet

	body, unpacked int64
	timeout        time.Duration
	slots          chan struct{} // who holds one is being worked on
	waiting        atomic.Int64
	maxWaiting     int64
	memory         sync.Pool

	flight inflight
	mu     sync.Mutex
	newest time.Time // of what was accepted
}

// receive serves until ctx is done.
func (x *Collector) receive(ctx context.Context, emit collector.Emit) error {
	o := x.o.RemoteWrite
	out, err := x.c.Outlet("remote-write", nil, emit, record.Sample)
	if err != nil {
		return err
	}
	requests := cmp.Or(o.Requests, 8)
	v := &receiver{
		o: o, c: x.c, filter: &x.filter, stats: &x.stats, out: out, body: int64(cmp.Or(o.BodyMB, 8)) << 20, unpacked: int64(cmp.Or(o.UnpackedMB, 32)) << 20,
		timeout: longer(o.Timeout, 20*time.Second), slots: make(chan struct{}, requests), maxWaiting: int64(requests) * int64(requests),
	}
	v.memory.New = func() any { return &exchange{} }
	secure, err := o.tls()
	if err != nil {
		return err
	}
	l := o.Listener
	if l == nil {
		if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen); err != nil {
			return fmt.Errorf("listen for remote write: %w", err)
		}
	}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	server := &http.Server{
		Handler: v, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: v.timeout + 10*time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(x.c.Log().Handler(), slog.LevelDebug), // handshakes of port scanners and the like
	}
	return through(ctx, out, func(ctx context.Context) error {
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(l) }()
		select {
		case err := <-ended:
			return fmt.Errorf("serve remote write: %w", err)
		case <-ctx.Done():
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRequests)
		defer cancel()
		if err := server.Shutdown(last); err != nil {
			_ = server.Close() // who was not answered sends again
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			x.c.Log().Warn("the server of remote write ended with an error", slog.Any("error", err))
		}
		v.wait()
		return context.Cause(ctx)
	})
}

// lastRequests is how long requests that are under way may take when the process ends.
const lastRequests = 5 * time.Second

// wait returns when no request is worked on any more.
func (v *receiver) wait() {
	for range cap(v.slots) {
		v.slots <- struct{}{}
	}
}

// exchange is the memory of one request.
type exchange struct {
	packed   []byte
	unpacked []byte
	request  request
}

// ServeHTTP implements [http.Handler].
func (v *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), v.timeout)
	defer cancel()
	err := v.admit(w, r)
	if err == nil {
		err = v.enter(ctx)
	}
	var q *request
	if err == nil {
		x := v.memory.Get().(*exchange)
		q = &x.request
		err = v.take(ctx, x, w, r)
		v.answer(w, q, err)
		v.release(x)
		<-v.slots
		return
	}
	v.answer(w, nil, err)
}

// enter waits for a slot. The queue is bounded: beyond it, and after the timeout, the sender is told to come again.
func (v *receiver) enter(ctx context.Context) error {
	select {
	case v.slots <- struct{}{}:
		return nil
	default:
	}
	defer v.waiting.Add(-1)
	if v.waiting.Add(1) > v.maxWaiting {
		return refuse(http.StatusServiceUnavailable, "too many requests wait already")
	}
	select {
	case v.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return refuse(http.StatusServiceUnavailable, "too many requests are worked on")
	}
}

// release keeps the memory of a request for another one, unless it was far larger than most.
func (v *receiver) release(x *exchange) {
	const usual = 4 << 20
	if cap(x.packed) > usual || cap(x.unpacked) > usual || cap(x.request.symbols)*24 > usual {
		return
	}
	clear(x.request.symbols)
	clear(x.request.labels)
	clear(x.request.needed)
	v.memory.Put(x)
}

// take reads a request and gives its samples out.
func (v *receiver) take(ctx context.Context, x *exchange, w http.ResponseWriter, r *http.Request) error {
	v2, err := protocol(r)
	if err != nil {
		return err
	}
	if err := v.read(x, w, r); err != nil {
		return err
	}
	q := &x.request
	now := v.c.Clock()()
	q.view, q.latest = v.filter.now(), now.Add(maxAhead).UnixMilli()
	if err := q.decode(x.unpacked, v2); err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	done := func() {}
	if q.oldest != 0 {
		done = v.flight.begin(time.UnixMilli(q.oldest)) // what others promise may not pass it
	}
	err = v.add(ctx, q)
	done()
	if err != nil {
		if ctx.Err() != nil {
			return refuse(http.StatusServiceUnavailable, "the samples were not accepted in time: send them again")
		}
		return err
	}
	v.count(q)
	v.accepted(q, now)
	return nil
}

// maxAhead is how far ahead of our clock the time of a sample may be. What is further would make all other sources look silent.
const maxAhead = 10 * time.Minute

func (v *receiver) read(x *exchange, w http.ResponseWriter, r *http.Request) error {
	body := http.MaxBytesReader(w, r.Body, v.body)
	var err error
	if x.packed, err = readAll(x.packed[:0], body, r.ContentLength); err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return refuse(http.StatusRequestEntityTooLarge, "the body has more than the %d bytes that are taken", v.body)
		}
		return refuse(http.StatusBadRequest, "read the body: %v", err)
	}
	n, err := snappy.DecodedLen(x.packed)
	switch {
	case err != nil:
		return refuse(http.StatusBadRequest, "the body is not packed with snappy in its block format")
	case int64(n) > v.unpacked:
		return refuse(http.StatusRequestEntityTooLarge, "the body has %d bytes unpacked: at most %d are taken", n, v.unpacked)
	case n > 64+64*len(x.packed): // no block is packed that tightly, so don't make room for it
		return refuse(http.StatusBadRequest, "the body claims to have %d bytes unpacked, which its %d can't hold", n, len(x.packed))
	}
	if cap(x.unpacked) < n {
		x.unpacked = make([]byte, n)
	}
	if x.unpacked, err = snappy.Decode(x.unpacked[:cap(x.unpacked)], x.packed); err != nil {
		return refuse(http.StatusBadRequest, "the body is not packed with snappy in its block format, or is damaged")
	}
	return nil
}

// readAll appends what r has to b. size is what is expected, if it is not negative.
func readAll(b []byte, r io.Reader, size int64) ([]byte, error) {
	if room := int(min(max(size, 511), math.MaxInt32)) + 1; cap(b) < room {
		b = make([]byte, 0, room)
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// add gives out the needed samples and waits until they are accepted.
func (v *receiver) add(ctx context.Context, q *request) error {
	added := false
	for i := range q.needed {
		w := &q.needed[i]
		var attrs record.Attrs
		var of string
		if len(w.labels) > format.MaxLabels {
			v.c.Meter.Lost("cut_labels", 1)
		}
		err := w.each(q.latest, func(name string, value float64, ms int64) error {
			if math.IsNaN(value) {
				v.stats.stale.Add(1)
				return nil
			}
			if of != name {
				attrs, of = format.SeriesAttrs(name, w.labels, nil), name
			}
			r := record.Record{Kind: record.Sample, Time: ms * int64(time.Millisecond), Count: 1, Value: value, Attrs: attrs}
			r.ID = seriesID("", name, w.labels, r.Time)
			added = true
			return v.out.Add(ctx, &r)
		})
		if err != nil {
			return err
		}
	}
	if !added {
		return nil
	}
	return v.out.Flush(ctx)
}

func (v *receiver) count(q *request) {
	v.stats.seen.Add(uint64(q.samples + q.histograms))
	v.c.Meter.Lost("refused_samples", q.bad)
	v.c.Meter.Lost("exemplars", q.exemplars)
	v.c.Meter.Lost("native_histograms", q.histograms-q.used)
}

// accepted promises that everything up to the newest sample was given, but for what other requests hold still. A sender that is silent makes
// no promise.
func (v *receiver) accepted(q *request, now time.Time) {
	if q.newest == 0 {
		return
	}
	v.mu.Lock()
	if at := time.UnixMilli(q.newest); at.After(v.newest) {
		v.newest = at
	}
	newest := v.newest
	v.mu.Unlock()
	if newest.After(now) {
		newest = now
	}
	v.c.Meter.Connected(true)
	v.out.Alive(v.flight.before(newest))
}
