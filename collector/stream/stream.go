// Package stream carries records, hits and warnings between the parts of forewarn. It is the only importer of NATS.
//
// [Open] either runs a NATS server inside the process, with its files under a data directory, or connects to one that
// exists; everything after that is the same. [Stream.EnsureStreams] makes the streams:
//
//	RECORDS   forewarn.records.<partition>  batches of records, by source
//	HITS      forewarn.hits.<partition>     hits, by hash of signature and key
//	WARNINGS  forewarn.warnings             revisions of warnings
//	INTAKE    forewarn.intake               single JSON records of other tools
//
// A [Publisher] keeps the order of what it is given, blocks when too much is unacknowledged, and tries again until it is
// told to stop. A [Consumer] gives messages in order; one of several pinned consumers of the same name is active at a
// time, and the server moves to another one when it goes. [Stream.Read] reads a range again. README.md says what can be
// lost, and how it is counted.
package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Names of the streams.
const (
	Records  = "RECORDS"
	Hits     = "HITS"
	Warnings = "WARNINGS"
	Intake   = "INTAKE"
)

// Subjects without a partition, and the prefixes and wildcards of those with one.
const (
	WarningsSubject = "forewarn.warnings"
	IntakeSubject   = "forewarn.intake"
	AllRecords      = recordsPrefix + "*"
	AllHits         = hitsPrefix + "*"

	recordsPrefix = "forewarn.records."
	hitsPrefix    = "forewarn.hits."
	statusBucket  = "FOREWARN_STATUS"
)

// RecordsSubject is the subject of a partition of RECORDS.
func RecordsSubject(partition int) string { return recordsPrefix + strconv.Itoa(partition) }

// HitsSubject is the subject of a partition of HITS.
func HitsSubject(partition int) string { return hitsPrefix + strconv.Itoa(partition) }

// Stream is a connection to a NATS server, embedded or not. It is safe for concurrent use.
type Stream struct {
	opts   Options
	server *server.Server // nil when it is somebody else's
	unlock func() error
	// endMending ends what keeps the embedded server's storage on, and waits for it.
	endMending func()
	conn       *nats.Conn
	js         jetstream.JetStream

	// dials counts attempts to connect. What was sent before the last one may never have arrived.
	dials atomic.Uint64

	mu     sync.Mutex
	users  map[any]func() // publishers and consumers that are open, and what ends them
	closed bool
}

// Open connects to o.URL, or starts a server under o.DataDir when it is empty. The context bounds the start only. An
// error says what to do, and leaves nothing running.
func Open(ctx context.Context, o Options) (*Stream, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Stream{opts: o, users: map[any]func(){}, unlock: func() error { return nil }}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stream) open(ctx context.Context) error {
	if s.opts.URL == "" {
		if err := s.startServer(ctx); err != nil {
			return fmt.Errorf("start the embedded NATS server under %s: %w", s.opts.DataDir, err)
		}
	}
	return s.connect(ctx)
}

// Partitions returns how many partitions RECORDS and HITS have.
func (s *Stream) Partitions() (records, hits int) {
	return s.opts.RecordPartitions, s.opts.HitPartitions
}

// MaxPayload returns the most bytes of a message that the server takes.
func (s *Stream) MaxPayload() int { return int(s.conn.MaxPayload()) }

// Embedded reports whether the server runs in this process.
func (s *Stream) Embedded() bool { return s.server != nil }

// Close closes the connection, stops the embedded server and waits for it; its files are complete on disk after that.
// Close publishers and consumers first: those that are open are ended as if the process had died. It may be called again.
func (s *Stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for _, end := range s.users {
		end()
	}
	if s.conn != nil {
		s.conn.Close()
	}
	return errors.Join(s.stopServer(), s.unlock())
}

// use notes what must be ended with s, and unuse that it is.
func (s *Stream) use(user any, end func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the stream is closed")
	}
	s.users[user] = end
	return nil
}

func (s *Stream) unuse(user any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, user)
}

// flush waits until the server has got everything that was sent.
func (s *Stream) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // NATS wants a deadline
	defer cancel()
	return s.conn.FlushWithContext(ctx)
}
