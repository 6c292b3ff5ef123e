package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// PutStatus stores what a process says of itself under its key, until Options.StatusTTL has passed. Keys are made of
// letters, digits and "-/_=.".
func (s *Stream) PutStatus(ctx context.Context, key string, value []byte) error {
	kv, err := s.js.KeyValue(ctx, statusBucket)
	if err == nil {
		_, err = kv.Put(ctx, key, value)
	}
	if err != nil {
		return fmt.Errorf("put status %q: %w", key, err)
	}
	return nil
}

// StatusKey makes the key of a process's status from its role and its name; StatusesOf finds it by the role.
func StatusKey(role, instance string) string {
	return role + "." + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, instance)
}

// StatusesOf returns those of all, as [Stream.Statuses] gives them, whose processes have a role, in the order of their keys.
func StatusesOf(role string, all map[string][]byte) (of [][]byte) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(key, role+".") {
			of = append(of, all[key])
		}
	}
	return of
}

// Statuses returns what the processes said of themselves lately, by key.
func (s *Stream) Statuses(ctx context.Context) (map[string][]byte, error) {
	all, err := s.statuses(ctx)
	if err != nil {
		return nil, fmt.Errorf("get statuses: %w", err)
	}
	return all, nil
}

func (s *Stream) statuses(ctx context.Context) (map[string][]byte, error) {
	kv, err := s.js.KeyValue(ctx, statusBucket)
	if err != nil {
		return nil, err
	}
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for {
		select {
		case e, ok := <-w.Updates():
			if !ok {
				return nil, errors.Join(errors.New("the server ended the list early"), w.Stop())
			}
			if e == nil { // that was the last one
				return all, w.Stop()
			}
			all[e.Key()] = e.Value()
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), w.Stop())
		}
	}
}

// Ready returns nil when the server answers and, as far as that can be told, stores.
func (s *Stream) Ready(ctx context.Context) error {
	if s.server != nil {
		if err := s.storageError(); err != nil {
			return fmt.Errorf("the embedded server cannot store: %w", err)
		}
	}
	_, err := s.Info(ctx)
	return err
}

// Info is what a stream holds, and who reads it.
type Info struct {
	Stream            string
	Messages, Bytes   uint64
	FirstSeq, LastSeq uint64
	First, Last       time.Time // when the first and last message were stored
	Consumers         []ConsumerInfo
}

// ConsumerInfo is how far a consumer is.
type ConsumerInfo struct {
	Name, Subject string
	Pending       uint64 // messages that it did not get yet
	Unacked       int    // messages that it got and did not acknowledge
	Redelivered   int    // of these, messages that it got more than once
	AckedSeq      uint64 // everything of its subject up to this sequence is acknowledged
	Owned         bool   // pinned consumers: there is an owner
	Waiting       int    // requests for messages that wait
}

// Info returns the state of all streams of forewarn, for lag and disk use.
func (s *Stream) Info(ctx context.Context) ([]Info, error) {
	var all []Info
	for _, l := range s.opts.layouts() {
		st, err := s.js.Stream(ctx, l.name)
		if err != nil {
			return nil, fmt.Errorf("state of stream %s: %w", l.name, err)
		}
		v := st.CachedInfo().State
		info := Info{
			Stream: l.name, Messages: v.Msgs, Bytes: v.Bytes, FirstSeq: v.FirstSeq, LastSeq: v.LastSeq, First: v.FirstTime, Last: v.LastTime,
		}
		list := st.ListConsumers(ctx)
		for c := range list.Info() {
			if c.Config.Durable == "" {
				continue // somebody reads a range
			}
			k := ConsumerInfo{
				Name: c.Name, Subject: c.Config.FilterSubject, Pending: c.NumPending, Unacked: c.NumAckPending,
				Redelivered: c.NumRedelivered, AckedSeq: c.AckFloor.Stream, Waiting: c.NumWaiting,
			}
			for _, g := range c.PriorityGroups {
				k.Owned = k.Owned || g.PinnedClientID != ""
			}
			info.Consumers = append(info.Consumers, k)
		}
		if err := list.Err(); err != nil {
			return nil, fmt.Errorf("consumers of stream %s: %w", l.name, err)
		}
		all = append(all, info)
	}
	return all, nil
}
