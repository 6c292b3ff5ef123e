package kube

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// logReader reads one log after the other.
type logReader struct {
	*podLogs
	client *Client
	outlet *collector.Outlet
	desk   *logDesk
}

// logTurn is how much of a log is read in one turn while others wait. It grows when a turn brings nothing new, because what is read again of the
// last seconds is more than that.
const logTurn = 8 << 20

func (r *logReader) work(ctx context.Context, tasks <-chan *podLog) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case l := <-tasks:
			if err := r.serve(ctx, l); err != nil {
				return err
			}
		}
	}
}

// emitError is an error of the outlet, which ends the collector.
type emitError struct{ error }

func (e emitError) Unwrap() error { return e.error }

// serve reads a log: first what is left of the run before, if the container restarted, then what there is. It returns an error only when the
// collector has to end.
func (r *logReader) serve(ctx context.Context, l *podLog) error {
	reading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.desk.mu.Lock()
	previous, follow, running, restarts := l.previous, l.follows, l.running, l.restarts
	l.cancel = cancel
	r.desk.mu.Unlock()
	var err error
	if previous {
		if err = r.readPrevious(ctx, reading, l, restarts-1); err == nil {
			r.desk.mu.Lock()
			l.previous = l.restarts != restarts // it may have restarted again meanwhile
			r.desk.mu.Unlock()
		}
	}
	if err == nil {
		err = r.read(ctx, reading, l, restarts, url.Values{}, follow, nil)
	}
	var emit emitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &emit):
		return emit.error
	case errors.Is(context.Cause(reading), errGiveWay):
		err = errGiveWay
	case apierrors.IsNotFound(err): // the pod is gone, which the watch tells as well
	case err != nil:
		r.common.Log().Debug("a log cannot be read; it is tried again", "namespace", l.namespace, "pod", l.pod, "container", l.key.container, "error", err)
		r.common.Meter.Reconnect()
	}
	r.desk.back(l, err == nil && !running, err, time.Now())
	return nil
}

// readPrevious reads what is left of the run of a container before this one. Where a connection broke, what was read since may be of this run,
// so it begins there.
func (r *logReader) readPrevious(ctx, reading context.Context, l *podLog, restarts int) error {
	l.reading.Lock()
	from := l.broken
	l.reading.Unlock()
	err := r.read(ctx, reading, l, restarts, url.Values{"previous": {"true"}}, false, from)
	if err == nil {
		l.reading.Lock()
		l.broken = nil
		l.reading.Unlock()
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) && (apierrors.IsBadRequest(err) || apierrors.IsNotFound(err)) { // the kubelet has it no more
		r.common.Meter.Lost("previous_logs_gone", 1)
		return nil
	}
	return err
}

// read reads a log to its end, or follows it: from its position, or from an earlier one, leaving out what was given since. It ends with reading; what
// was read is given out while ctx lasts.
func (r *logReader) read(ctx, reading context.Context, l *podLog, restarts int, p url.Values, follow bool, from *logPosition) error {
	l.reading.Lock()
	known := l.position.resume()
	since := l.position.since(r.desk.start)
	if from != nil {
		known.floor, since = from.Floor, from.since(r.desk.start)
	}
	l.reading.Unlock()
	p.Set("container", l.key.container)
	p.Set("timestamps", "true")
	p.Set("sinceTime", since.UTC().Format(time.RFC3339))
	if follow {
		p.Set("follow", "true")
	} else {
		p.Set("limitBytes", strconv.Itoa(l.turn))
	}
	began := r.common.Clock()()
	body, err := r.client.Open(reading, fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/log", url.PathEscape(l.namespace), url.PathEscape(l.pod)), p)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	t := &logTake{r: r, l: l, ctx: ctx, known: known, restarts: restarts}
	t.begin(follow)
	err = t.lines(body, follow)
	t.end()
	switch {
	case t.failed() != nil:
		return emitError{t.failed()}
	case err != nil:
		l.reading.Lock()
		if l.broken == nil {
			at := l.position.clone()
			l.broken = &at
		}
		l.reading.Unlock()
		return fmt.Errorf("read the log of %s/%s: %w", l.namespace, l.pod, err)
	}
	switch {
	case follow || t.bytes < l.turn:
		l.reading.Lock()
		l.complete = began
		l.reading.Unlock()
		l.turn = logTurn
	case t.fresh == 0:
		l.turn *= 2
	}
	return nil
}

// logTake takes the lines of one answer.
type logTake struct {
	r        *logReader
	l        *podLog
	ctx      context.Context //nolint:containedctx // the parser's sink has none
	known    *resume
	restarts int
	err      error // of the outlet
	bytes    int
	fresh    int // lines that were not given before
	given    int // records
	buf      []byte
	timer    *time.Timer
	counts   format.Counts
}

// failed returns the error of the outlet.
func (t *logTake) failed() error {
	t.l.reading.Lock()
	defer t.l.reading.Unlock()
	return t.err
}

var _ format.Sink = (*logTake)(nil)

func (t *logTake) begin(follow bool) {
	now := t.r.common.Clock()
	t.l.reading.Lock()
	defer t.l.reading.Unlock()
	t.l.position.Restarts = t.restarts
	if follow {
		t.l.open = now()
	}
	t.l.parser = format.Named("cri").Open(format.Input{Sink: t, Counts: &t.counts, Attrs: t.l.run(t.restarts), Now: now(), Live: true, Clock: now}, nil)
	t.timer = time.AfterFunc(t.r.settle, t.flush)
	t.timer.Stop()
}

// flush gives out what waits for lines that continue it.
func (t *logTake) flush() {
	t.l.reading.Lock()
	defer t.l.reading.Unlock()
	if t.l.parser != nil {
		t.l.parser.Flush()
		t.l.settled = t.l.position.clone()
	}
}

func (t *logTake) end() {
	t.timer.Stop()
	t.l.reading.Lock()
	defer t.l.reading.Unlock()
	t.l.parser.Close()
	t.l.parser, t.l.settled, t.l.open = nil, t.l.position.clone(), time.Time{}
	t.counts.Each(func(what format.Count, n uint64) {
		if what.Loss() {
			t.r.common.Meter.Lost(what.String(), int(n))
		}
	})
}

// lines reads lines until the answer ends, or the outlet refuses.
func (t *logTake) lines(body io.Reader, follow bool) error {
	in := bufio.NewReaderSize(body, 64<<10)
	var line []byte
	for t.failed() == nil {
		part, err := in.ReadSlice('\n')
		t.bytes += len(part)
		if room := record.MaxText + 64 - len(line); len(part) > room { // the parser cuts and counts what is over
			t.r.common.Meter.Lost("skipped_bytes", len(part)-room)
			part = part[:room]
		}
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil:
			t.take(bytes.TrimRight(line, "\r\n"))
			line = line[:0]
			t.timer.Reset(t.r.settle)
		case !errors.Is(err, io.EOF):
			return err // the line under way comes again
		default:
			if t.bytes < t.l.turn || follow { // else the turn ended in the middle of a line, which comes again
				t.take(line)
			}
			return nil
		}
	}
	return nil
}

// take takes a line: a time stamp, a space, and what the program wrote.
func (t *logTake) take(line []byte) {
	if len(line) == 0 {
		return
	}
	stamp, text, _ := bytes.Cut(line, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil { // the kubelet says in the log's place why there is none
		t.r.common.Meter.Lost("logs_without_stamp", 1)
		return
	}
	hash := hashLine(line)
	t.l.reading.Lock()
	defer t.l.reading.Unlock()
	if t.known.knows(at.UnixNano(), hash) {
		return
	}
	t.fresh++
	t.l.position.given(at.UnixNano(), hash)
	t.buf = append(append(append(append(t.buf[:0], stamp...), " stdout F "...), text...), '\n')
	t.l.parser.Write(t.buf)
}

// Add implements [format.Sink]. The API server does not tell stdout from stderr, and has no offsets: a record is known by what it says and when.
func (t *logTake) Add(x *record.Record) {
	if t.err != nil {
		return
	}
	t.given++
	own := *x
	own.Attrs = x.Attrs.With(record.Stream, "")
	own.Seq = uint64(t.given)
	own.ID = record.Identity("podlog", t.l.key.uid, t.l.key.container, strconv.FormatInt(x.Time, 36), string(x.Text))
	t.err = t.r.outlet.Add(t.ctx, &own)
}
