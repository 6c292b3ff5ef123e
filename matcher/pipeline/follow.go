package pipeline

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher/store"
)

// follow gives what a consumer delivers to run until ctx ends. When the consumer fails it is opened again; run's state stays.
func (m *Matcher) follow(ctx, drain context.Context, config func(context.Context) (stream.ConsumerConfig, error),
	run func(ctx, drain context.Context, in <-chan stream.Message, ack func(through uint64) error) error,
) error {
	wait := 100 * time.Millisecond
	for {
		began := time.Now()
		c, err := config(ctx)
		if err == nil {
			err = m.followOnce(ctx, drain, c, run)
		}
		switch {
		case ctx.Err() != nil && drain.Err() == nil && errors.Is(err, context.Canceled):
			return nil // it was told to stop before it had begun
		case ctx.Err() != nil:
			return err
		case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrCorrupt):
			return err
		}
		if time.Since(began) > time.Minute {
			wait = 100 * time.Millisecond
		}
		m.c.Logger.Warn("a partition stopped and begins again", "consumer", c.Durable, "in", wait, "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, 30*time.Second)
	}
}

func (m *Matcher) followOnce(ctx, drain context.Context, config stream.ConsumerConfig,
	run func(ctx, drain context.Context, in <-chan stream.Message, ack func(through uint64) error) error,
) (err error) {
	c, err := m.c.Stream.Consume(ctx, config)
	if err != nil {
		return err
	}
	m.watch(config.Durable, c)
	defer m.watch(config.Durable, nil)

	in := make(chan stream.Message) // the consumer holds messages ready; this goroutine only waits for them
	pumpCtx, stop := context.WithCancel(ctx)
	var pumped error
	var pump sync.WaitGroup
	pump.Go(func() {
		defer close(in)
		for {
			msg, err := c.Next(pumpCtx)
			if err != nil {
				pumped = err
				return
			}
			select {
			case in <- msg:
			case <-pumpCtx.Done():
				return
			}
		}
	})
	err = run(ctx, drain, in, c.AckThrough)
	stop()
	pump.Wait()
	if pumped != nil && ctx.Err() == nil && err == nil {
		err = pumped
	}
	if closing := c.Close(drain); closing != nil && err == nil && ctx.Err() == nil {
		err = closing
	}
	return err
}

func (m *Matcher) watch(name string, c *stream.Consumer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c == nil {
		delete(m.consumers, name)
		return
	}
	m.consumers[name] = c
}

// past asks the streams for an owner.
type past struct{ s *stream.Stream }

// LastHits implements history.
func (p past) LastHits(ctx context.Context) (uint64, error) { return p.s.LastSeq(ctx, stream.Hits, "") }

// Told implements history. It reads WARNINGS, which keeps a month at most.
func (p past) Told(ctx context.Context) (map[string]uint32, error) {
	told := map[string]uint32{}
	err := p.s.Read(ctx, stream.Warnings, "", 0, 0, func(m stream.Message) error {
		if w, err := DecodeWarning(m.Data); err == nil {
			told[w.Warning.ID] = max(told[w.Warning.ID], w.Warning.Revision)
		}
		return nil
	})
	return told, err
}
