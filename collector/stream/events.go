package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Events is the stream of what is told to other tools, on subjects that the configuration names.
const Events = "FOREWARN_EVENTS"

// EventBus publishes single messages for other tools, and returns when a stream has them. It is a notify.Bus, safe for concurrent use.
type EventBus struct{ s *Stream }

// EventBus returns a bus for the subjects, which may have wildcards. Those that no stream of an operator's own keeps are kept in [Events], as long as
// warnings are.
func (s *Stream) EventBus(ctx context.Context, subjects []string) (*EventBus, error) {
	have, err := s.js.Stream(ctx, Events)
	var kept []string
	switch {
	case err == nil:
		kept = have.CachedInfo().Config.Subjects
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("prepare stream %s: %w", Events, err)
	}
	all := append([]string(nil), kept...)
	for _, subject := range subjects {
		_, err := s.js.StreamNameBySubject(ctx, subject)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			all = append(all, subject)
		case err != nil:
			return nil, fmt.Errorf("look for the stream of %s: %w", subject, err)
		}
	}
	if len(all) == len(kept) {
		return &EventBus{s}, nil
	}
	c := jetstream.StreamConfig{Name: Events, Description: "forewarn: warnings as CloudEvents, for other tools", Subjects: all}
	c.Storage, c.Retention, c.Discard = jetstream.FileStorage, jetstream.LimitsPolicy, jetstream.DiscardOld
	c.MaxBytes, c.MaxAge = s.opts.Warnings.MaxBytes, s.opts.Warnings.MaxAge
	c.Duplicates, c.Replicas = s.opts.DedupWindow, s.opts.Replicas
	if _, err := s.js.CreateOrUpdateStream(ctx, c); err != nil {
		return nil, fmt.Errorf("prepare stream %s: %w", Events, err)
	}
	return &EventBus{s}, nil
}

// PublishEvent publishes one message and waits until a stream has it. A stream drops one whose id it knows from its window of duplicates.
func (b *EventBus) PublishEvent(ctx context.Context, subject, id string, header map[string]string, body []byte) error {
	m := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}
	for k, v := range header {
		m.Header[k] = []string{v}
	}
	if _, err := b.s.js.PublishMsg(ctx, m, jetstream.WithMsgID(id)); err != nil {
		if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
			err = fmt.Errorf("%w: no stream keeps the subject: a start of forewarn makes one", err)
		}
		return fmt.Errorf("publish on %s: %w", subject, err)
	}
	return nil
}
