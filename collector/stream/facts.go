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
	if err := s.watch(ctx, factsBucket, changed); err != nil {
		return fmt.Errorf("watch facts: %w", err)
	}
	return nil
}

// watch calls changed with everything in a bucket, first with what there is, and whenever something changes, until ctx is done.
func (s *Stream) watch(ctx context.Context, bucket string, changed func(all map[string][]byte)) error {
	kv, err := s.js.KeyValue(ctx, bucket)
	if err != nil {
		return err
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return err
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
	all, err := s.all(ctx, factsBucket)
	if err != nil {
		return nil, fmt.Errorf("get facts: %w", err)
	}
	return all, nil
}

// all returns everything in a bucket.
func (s *Stream) all(ctx context.Context, bucket string) (map[string][]byte, error) {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	var all map[string][]byte
	err := s.watch(watching, bucket, func(now map[string][]byte) {
		if all == nil {
			all = now
		}
		cancel()
	})
	if err == nil && all == nil {
		err = context.Cause(ctx)
	}
	return all, err
}
