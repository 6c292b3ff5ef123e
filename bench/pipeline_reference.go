package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

// ackEvery is how many batches the reference acknowledges at once.
const ackEvery = 16

// RunJetStream sends the same batches through the same stream to consumers that do nothing with them: what the pipeline is
// measured against.
func RunJetStream(ctx context.Context, o PipelineOptions) (result PipelineResult, err error) {
	o.fill()
	l, err := newLoad(o)
	if err != nil {
		return result, err
	}
	r, err := o.open(ctx)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	out, err := r.Publisher(stream.PublisherConfig{Stream: stream.Records, Readers: "bench-", Outstanding: o.InFlight})
	if err != nil {
		return result, err
	}
	var taken atomic.Uint64 // bytes
	consuming, stop := context.WithCancel(ctx)
	defer stop()
	consumers, consumersCtx := errgroup.WithContext(consuming)
	for p := range o.RecordPartitions {
		c, err := r.Consume(ctx, stream.ConsumerConfig{
			Stream: stream.Records, Subject: stream.RecordsSubject(p), Durable: fmt.Sprintf("bench-%d", p), Ordered: true, Prefetch: 32,
		})
		if err != nil {
			return result, errors.Join(err, consumers.Wait())
		}
		consumers.Go(func() error {
			defer c.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the stream goes with it
			return drain(consumersCtx, c, &taken)
		})
	}
	runtime.GC()
	began, cpu := time.Now(), cpuSeconds()
	sending, sendCtx := errgroup.WithContext(consumersCtx)
	for _, s := range l.sources {
		partition := pipeline.RecordPartition(s.name, o.RecordPartitions)
		sending.Go(func() error {
			return s.send(sendCtx, began, began.Add(o.For), o.Compress, func(ctx context.Context, frame []byte) error {
				return out.PublishRecords(ctx, partition, "", append([]byte(nil), frame...))
			})
		})
	}
	err = errors.Join(sending.Wait(), out.Close(ctx))
	result = l.result(began, began.Add(time.Hour), cpu)
	seen, since := uint64(0), time.Now()
	for err == nil && seen < result.Bytes && sleepUntil(consumersCtx, time.Now().Add(time.Millisecond)) {
		if n := taken.Load(); n != seen {
			seen, since = n, time.Now()
		} else if time.Since(since) > o.patience {
			err = fmt.Errorf("%w: JetStream alone gave %d bytes of %d", ErrLost, seen, result.Bytes)
		}
	}
	result = l.result(began, time.Now(), cpu)
	stop()
	return result, errors.Join(err, consumers.Wait())
}

// drain takes what a consumer gives.
func drain(ctx context.Context, c *stream.Consumer, taken *atomic.Uint64) error {
	for n := 1; ; n++ {
		m, err := c.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // it was told to stop
			}
			return err
		}
		taken.Add(uint64(len(m.Data)))
		if n%ackEvery == 0 || m.Pending == 0 {
			if err := c.AckThrough(m.Seq); err != nil {
				return err
			}
		}
	}
}

// cpuSeconds is what the process has used so far.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
