package bench

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/signatures"
)

// Logs reads real logs as a corpus, for the signatures of one of ours. What they hold is not known, so that peers are compared with what
// the engine finds. Most is the most bytes of text that are read, 0 for all: everything is kept in memory.
func Logs(ctx context.Context, paths []string, most int) (*Corpus, error) {
	files, err := collector.Open(collector.Options{Paths: paths})
	if err != nil {
		return nil, fmt.Errorf("read logs: %w", err)
	}
	c := &Corpus{Name: "logs"}
	for most == 0 || c.Bytes < most {
		frame, err := files.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read logs: %w", err), files.Close())
		}
		if err := c.add(append([]byte(nil), frame...)); err != nil {
			return nil, errors.Join(err, files.Close())
		}
		b := c.Batches[len(c.Batches)-1]
		c.Records += b.Len()
		c.Bytes += len(b.Text())
	}
	if err := files.Close(); err != nil {
		return nil, fmt.Errorf("read logs: %w", err)
	}
	if c.Records == 0 {
		return nil, errors.New("the logs hold no records")
	}
	return c, nil
}

// With is the corpus with other signatures: patterns of a workload's set, or the user's own when patterns is nil.
func (c *Corpus) With(set string, patterns []Pattern, sigs []*signatures.Signature) *Corpus {
	other := *c
	other.Set, other.Patterns, other.Signatures, other.Expect = set, patterns, sigs, nil
	return &other
}
