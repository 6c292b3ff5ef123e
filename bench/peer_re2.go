//go:build re2 && cgo

package bench

import (
	"context"
	"errors"

	"github.com/forewarn/forewarn/bench/re2"
)

// prepareRE2 asks a set of RE2 about each line, all of them in C++.
func prepareRE2(_ context.Context, j *job) (candidate, part, error) {
	p := j.part(0, every)
	expressions := make([]string, len(p.patterns))
	for i, x := range p.patterns {
		expressions[i] = x.expression()
	}
	s, err := re2.New(expressions)
	if err != nil {
		return candidate{}, p, err
	}
	batches := j.corpus.Batches
	return candidate{name: re2Name, want: p.hits, run: func() (found int, err error) {
		for _, b := range batches {
			n := s.Count(b.Text(), b.TextEnds())
			if n < 0 {
				return 0, errors.New("re2: it ran out of the memory that it may have")
			}
			found += n
		}
		return found, nil
	}}, p, nil
}
