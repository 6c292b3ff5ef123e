package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

// informed is a Ticker that learns before each tick what was told meanwhile. Several processes may serve one destination, and the
// one that waits is given nothing: it would repeat for ever what was open when it started.
type informed struct {
	notify.Ticker
	stream *stream.Stream
	goes   func(*matcher.Warning) (goes, held bool)
	dress  func(*matcher.Warning)
	last   uint64 // the message of WARNINGS up to which it knows

	open map[string]bool            // what was told and is open
	held map[string]matcher.Warning // the last revisions of those that are held back: they are told when nothing holds them any more
}

// Tick implements notify.Ticker.
func (i *informed) Tick(ctx context.Context, now time.Time) error {
	var news []matcher.Warning
	err := i.stream.Read(ctx, stream.Warnings, stream.WarningsSubject, i.last+1, 0, func(m stream.Message) error {
		i.last = m.Seq
		if told, err := pipeline.DecodeWarning(m.Data); err == nil {
			news = append(news, told.Warning)
		}
		return nil
	})
	i.learn(news)
	if err != nil {
		return fmt.Errorf("learn what was told: %w", err) // repeating what may be over is worse than being late
	}
	return i.Ticker.Tick(ctx, now)
}

// learn primes the Ticker with those revisions that the destination is told, and with what is free again.
func (i *informed) learn(news []matcher.Warning) {
	if i.open == nil {
		i.open, i.held = map[string]bool{}, map[string]matcher.Warning{}
	}
	var told []matcher.Warning
	for _, w := range news {
		goes, held := i.goes(&w)
		_, was := i.held[w.ID]
		delete(i.held, w.ID)
		switch over := w.State.Final(); {
		case !goes, over && was && !i.open[w.ID]: // it came and went while it was held back
		case !over && held:
			i.held[w.ID] = w
		default: // the end of what was told is told in any case
			told = append(told, w)
			if i.open[w.ID] = true; over {
				delete(i.open, w.ID)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(i.held)) {
		w := i.held[id]
		if _, held := i.goes(&w); !held {
			told = append(told, w)
			i.open[id] = true
			delete(i.held, id)
		}
	}
	if i.dress != nil {
		for k := range told {
			i.dress(&told[k])
		}
	}
	i.Prime(told)
}
