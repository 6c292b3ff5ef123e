package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/receive"
	"github.com/forewarn/forewarn/collector/record"
)

// RemoteWriteOptions say where remote write is taken and from whom.
type RemoteWriteOptions struct {
	Server receive.Options `yaml:"server" json:"server" doc:"Where remote write is taken, such as listen: :9201."`
	Path   string          `yaml:"path,omitempty" json:"path,omitempty" doc:"The path; /api/v1/write without it."`
}

const defaultWritePath = "/api/v1/write"

func (o *RemoteWriteOptions) path() string {
	if o.Path == "" {
		return defaultWritePath
	}
	return o.Path
}

func (o *RemoteWriteOptions) check(p *problems) {
	if o.Path != "" && (!strings.HasPrefix(o.Path, "/") || strings.ContainsAny(o.Path, " {}?#")) {
		p.add("remote_write.path", errors.New("a path begins with / and has no blanks, braces or query: write one such as "+defaultWritePath))
	}
	_, err := receive.NewGuard(o.Server, nil)
	p.add("remote_write.server", err)
}

// receiver takes remote write, 1.0 and 2.0. It answers 204 when all samples that some signature needs were accepted by the stream, so that a sender
// repeats whatever was not; a sample that comes twice has the same identity. When the stream does not accept them in time, it answers 503 with
// Retry-After. It never answers 429: most senders drop what is refused so, unless they are told otherwise.
type receiver struct {
	c       collector.Common
	filter  *Filter
	stats   *counters
	out     *collector.Outlet
	memory  sync.Pool // of *request
	working sync.WaitGroup

	flight inflight
	mu     sync.Mutex
	newest time.Time // of what was accepted
}

func newReceiver(c collector.Common, filter *Filter, stats *counters, out *collector.Outlet) *receiver {
	return &receiver{c: c, filter: filter, stats: stats, out: out, memory: sync.Pool{New: func() any { return &request{} }}}
}

// receive serves until ctx is done.
func (x *Collector) receive(ctx context.Context, emit collector.Emit) error {
	out, err := x.c.Outlet("remote-write", nil, emit, record.Sample)
	if err != nil {
		return err
	}
	guard, err := receive.NewGuard(x.o.RemoteWrite.Server, x.c.Log())
	if err != nil {
		return fmt.Errorf("remote write: %w", err)
	}
	v := newReceiver(x.c, &x.filter, &x.stats, out)
	server := receive.NewServer(guard, x.c.Log(), v.observe, v.route(x.o.RemoteWrite.path()))
	if _, err := server.Listen(ctx); err != nil {
		return fmt.Errorf("listen for remote write: %w", err)
	}
	return through(ctx, out, func(ctx context.Context) error {
		err := server.Run(ctx)
		v.working.Wait() // who is cut off and not answered sends again
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Cause(ctx)) {
				x.c.Log().Warn("the server of remote write ended with an error", slog.Any("error", err))
			}
			return context.Cause(ctx)
		}
		return err
	})
}

func (v *receiver) route(path string) receive.Route {
	return receive.Route{
		Path: path, Types: []string{"application/x-protobuf", ""}, Encodings: []string{receive.Snappy}, Unnamed: receive.Snappy,
		Handle: v.handle,
		Fail:   func(_ string, e *receive.Error) receive.Reply { return plain(e.Status, e.Message, 0, 0) },
	}
}

// observe counts what was refused.
func (v *receiver) observe(_ string, status int) {
	switch {
	case status < 300:
	case status == http.StatusUnauthorized:
		v.c.Meter.Lost("requests_unauthorized", 1)
	case status == http.StatusRequestEntityTooLarge:
		v.c.Meter.Lost("requests_too_large", 1)
	case status == http.StatusUnsupportedMediaType:
		v.c.Meter.Lost("requests_unsupported", 1)
	case status == http.StatusServiceUnavailable:
		v.c.Meter.Lost("requests_put_off", 1)
	default:
		v.c.Meter.Lost("requests_bad", 1)
	}
}

// plain is an answer with what was written, which remote write 2.0 asks for in headers; what no signature needs counts as written.
func plain(status int, text string, samples, histograms int) receive.Reply {
	r := receive.Reply{Status: status, Header: map[string]string{
		"X-Prometheus-Remote-Write-Samples-Written":    strconv.Itoa(samples),
		"X-Prometheus-Remote-Write-Histograms-Written": strconv.Itoa(histograms),
		"X-Prometheus-Remote-Write-Exemplars-Written":  "0",
	}}
	if text != "" {
		r.Media, r.Body = "text/plain; charset=utf-8", []byte(text+"\n")
	}
	return r
}

// handle reads a request and gives its samples out.
func (v *receiver) handle(ctx context.Context, in receive.Request) (receive.Reply, error) {
	v.working.Add(1)
	defer v.working.Done()
	v2 := false
	switch in.Params["proto"] { // old senders of 1.0 name none
	case "", "prometheus.WriteRequest":
	case "io.prometheus.write.v2.Request":
		v2 = true
	default:
		return receive.Reply{}, receive.Refuse(http.StatusUnsupportedMediaType, "message %.100q: prometheus.WriteRequest and io.prometheus.write.v2.Request are taken", in.Params["proto"])
	}
	q := v.memory.Get().(*request)
	defer v.release(q)
	now := v.c.Clock()()
	q.view, q.latest = v.filter.now(), now.Add(maxAhead).UnixMilli()
	if err := q.decode(in.Body, v2); err != nil {
		return receive.Reply{}, receive.Refuse(http.StatusBadRequest, "%v", err)
	}
	done := func() {}
	if q.oldest != 0 {
		done = v.flight.begin(time.UnixMilli(q.oldest)) // what others promise may not pass it
	}
	err := v.add(ctx, q)
	done()
	if err != nil {
		if ctx.Err() != nil {
			err = receive.Refuse(http.StatusServiceUnavailable, "the samples were not accepted in time: send them again")
		}
		return receive.Reply{}, err
	}
	v.count(q)
	v.accepted(q, now)
	if len(q.refused) > 0 { // the others were written
		return plain(http.StatusBadRequest, errors.Join(q.refused...).Error(), q.samples, q.histograms), nil
	}
	return plain(http.StatusNoContent, "", q.samples, q.histograms), nil
}

// release keeps the memory of a request for another one, unless it was far larger than most.
func (v *receiver) release(q *request) {
	const usual = 4 << 20
	if cap(q.symbols)*24 > usual {
		return
	}
	clear(q.symbols)
	clear(q.labels)
	clear(q.needed)
	v.memory.Put(q)
}

// maxAhead is how far ahead of our clock the time of a sample may be. What is further would make all other sources look silent.
const maxAhead = 10 * time.Minute

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
