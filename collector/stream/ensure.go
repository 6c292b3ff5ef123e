package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// partitionsKey is where a stream says how many partitions it was made with.
const partitionsKey = "forewarn.partitions"

type layout struct {
	name, subject, describe string
	partitions              int
	keep                    Retention
}

func (o Options) layouts() []layout {
	return []layout{
		{Records, AllRecords, "forewarn: batches of records by partition", o.RecordPartitions, o.Records},
		{Hits, AllHits, "forewarn: hits by partition", o.HitPartitions, o.Hits},
		{Warnings, WarningsSubject, "forewarn: revisions of warnings", 1, o.Warnings},
		{Intake, IntakeSubject, "forewarn: JSON records of other tools", 1, o.Intake},
	}
}

// EnsureStreams makes the streams and the bucket, or brings those that exist up to the options. It changes nothing when
// nothing differs, and any number of processes may do it at once. Another number of partitions than a stream was made
// with is an error: what belongs together would be torn apart.
func (s *Stream) EnsureStreams(ctx context.Context) error {
	for _, l := range s.opts.layouts() {
		if err := s.ensure(ctx, l); err != nil {
			return fmt.Errorf("prepare stream %s: %w", l.name, err)
		}
	}
	_, err := s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: statusBucket, Description: "forewarn: what the processes say of themselves",
		TTL: s.opts.StatusTTL, MaxBytes: 64 * mebibyte, Replicas: s.opts.Replicas,
	})
	if err != nil {
		return fmt.Errorf("prepare bucket %s: %w", statusBucket, err)
	}
	for _, b := range buckets() {
		c := jetstream.KeyValueConfig{Bucket: b.name, Description: b.describe, MaxBytes: b.bytes, Replicas: s.opts.Replicas}
		if _, err := s.js.CreateOrUpdateKeyValue(ctx, c); err != nil {
			return fmt.Errorf("prepare bucket %s: %w", b.name, err)
		}
	}
	return nil
}

// bucket keeps what is replaced and has no age.
type bucket struct {
	name, describe string
	bytes          int64
}

func buckets() []bucket {
	return []bucket{
		{checkpointsBucket, "forewarn: how far collectors are", 256 * mebibyte},
		{factsBucket, "forewarn: what is known of clusters", 256 * mebibyte},
		{sightingsBucket, "forewarn: finished warnings, counted", 256 * mebibyte},
		{feedbackBucket, "forewarn: what people said of warnings", 256 * mebibyte},
		{deliveryBucket, "forewarn: what destinations were told, and what waits for them", 256 * mebibyte},
		{silencesBucket, "forewarn: silences", 16 * mebibyte},
	}
}

func (s *Stream) ensure(ctx context.Context, l layout) error {
	st, err := s.js.Stream(ctx, l.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		c := l.apply(jetstream.StreamConfig{Name: l.name, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy}, s.opts)
		st, err = s.js.CreateStream(ctx, c)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
			st, err = s.js.Stream(ctx, l.name)
		}
	}
	if err != nil {
		return err
	}
	have := st.CachedInfo().Config
	if n, ok := have.Metadata[partitionsKey]; !ok {
		return fmt.Errorf("a stream of this name exists, and forewarn did not make it: use another NATS account, or rename that stream")
	} else if n != strconv.Itoa(l.partitions) {
		return fmt.Errorf("it was made with %s partitions, but %d are configured: configure %s, or stop every forewarn process and "+
			"delete the stream with what is unread in it", n, l.partitions, n)
	}
	want := l.apply(have, s.opts)
	if reflect.DeepEqual(have, want) {
		return nil
	}
	_, err = s.js.UpdateStream(ctx, want)
	return err
}

// apply sets what is ours in c and leaves the rest, such as the placement, as an operator set it.
func (l layout) apply(c jetstream.StreamConfig, o Options) jetstream.StreamConfig {
	c.Description, c.Subjects = l.describe, []string{l.subject}
	c.Discard, c.MaxBytes, c.MaxAge = jetstream.DiscardOld, l.keep.MaxBytes, l.keep.MaxAge
	c.Duplicates, c.Replicas = o.DedupWindow, o.Replicas
	c.Metadata = maps.Clone(c.Metadata)
	if c.Metadata == nil {
		c.Metadata = map[string]string{}
	}
	c.Metadata[partitionsKey] = strconv.Itoa(l.partitions)
	return c
}

// Existing returns which of forewarn's streams and buckets the server has.
func (s *Stream) Existing(ctx context.Context) ([]string, error) {
	var names []string
	for _, name := range s.names() {
		_, err := s.js.Stream(ctx, name)
		switch {
		case err == nil:
			names = append(names, name)
		case !errors.Is(err, jetstream.ErrStreamNotFound):
			return nil, fmt.Errorf("look for stream %s: %w", name, err)
		}
	}
	return names, nil
}

// RemoveStreams deletes the streams and the bucket with everything in them. It is for those who made them for themselves.
func (s *Stream) RemoveStreams(ctx context.Context) error {
	var all []error
	for _, name := range s.names() {
		if err := s.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			all = append(all, fmt.Errorf("remove stream %s: %w", name, err))
		}
	}
	return errors.Join(all...)
}

// names are those of everything that EnsureStreams makes. A bucket is a stream too.
func (s *Stream) names() []string {
	var names []string
	for _, l := range s.opts.layouts() {
		names = append(names, l.name)
	}
	names = append(names, "KV_"+statusBucket)
	for _, b := range buckets() {
		names = append(names, "KV_"+b.name)
	}
	return names
}
