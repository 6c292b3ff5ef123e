// Package collector turns sources into records: files and standard input here, recordings in collector/recording.
//
//	files ──► format.Detect ──► a parser ──► record.Builder ──► wire frames ──► Emit or Next
//
// [Open] reads files, directories, glob patterns and standard input, compressed or not, of any format that package format
// knows. Files that end are interleaved by their records' times; what grows ([Options.Follow], standard input) is delivered as it comes.
// What could not be read, cut or believed is counted by name in [Stats]; nothing is lost silently.
//
// README.md says how to add a collector.
package collector

import (
	"context"

	"github.com/forewarn/forewarn/collector/record"
)

// Collector turns one source, or several of one kind, into batches of records.
type Collector interface {
	// Run collects until the source ends or ctx is done, and gives every batch to emit. It returns nil when the source ended
	// and the cause when ctx is done. It gives the batches of one source one after the other; those of several sources may be given
	// at the same time.
	Run(ctx context.Context, emit Emit) error
}

// Emit takes one wire frame, which [record.Batch.Decode] reads. It may block, which is how backpressure reaches the source.
// The frame is the collector's again when Emit returns. An error of Emit ends the collector.
type Emit func(ctx context.Context, frame []byte) error

// Feed is what batches are pulled from.
type Feed interface {
	// Next returns the next wire frame, valid until Next is called again. It returns io.EOF after the last one, and the cause
	// when ctx is done.
	Next(ctx context.Context) ([]byte, error)
}

// Enricher completes records with what is known of what they are about, such as the node and workload of a pod.
type Enricher interface {
	// Enrich returns a with what is known and a does not say. It does not write to a, may return it as it is, and is safe for concurrent use.
	Enrich(a record.Attrs) record.Attrs
}
