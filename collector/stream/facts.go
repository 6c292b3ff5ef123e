package stream

import (
	"context"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go/jetstream"
)

// PutFacts stores what a process found out of a cluster, such as its version, under the name of the source. It is kept until it is replaced.
func (s *Stream) PutFacts(ctx context.Context, source string, facts []byte) error {
	kv, err := s.js.KeyValue(ctx, factsBucket)
	if err == nil {
		_, err = kv.Put(ctx, checkpointKey(source), facts)
	}
	if err != nil {
		return fmt.Errorf("put facts of %s: %w", source, err)
	}
	return nil
}

// WatchFacts calls changed with the facts of all sources, first with those that there are, and whenever some change, until ctx is done. The
// keys are the sources' own, written with the characters that keys may have; the map is the callee's.
func (s *Stream) WatchFacts(ctx context.Context, changed func(facts map[string][]byte)) error {
	kv, err := s.js.KeyValue(ctx, factsBucket)
	if err != nil {
		return fmt.Errorf("watch facts: %w", err)
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch facts: %w", err)
	}
	all, told := map[string][]byte{}, false
	for {
		select {
		case <-ctx.Done():
			_ = w.Stop() // the context has stopped it, too
			return nil
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				<-ctx.Done() // the connection is closed, which happens at the end
				return nil
			case e == nil: // those that there were are complete
				told = true
			case e.Operation() == jetstream.KeyValuePut:
				all[e.Key()] = e.Value()
			default:
				delete(all, e.Key())
			}
			if told {
				changed(maps.Clone(all))
			}
		}
	}
}

// Facts returns the facts of all sources now, by the sources' keys: see [Stream.WatchFacts].
func (s *Stream) Facts(ctx context.Context) (map[string][]byte, error) {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	var all map[string][]byte
	err := s.WatchFacts(watching, func(facts map[string][]byte) {
		if all == nil {
			all = facts
		}
		cancel()
	})
	if err == nil && all == nil {
		err = fmt.Errorf("get facts: %w", context.Cause(ctx))
	}
	return all, err
}
