package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// peer does the work of a job in another way. Nothing of forewarn depends on one.
type peer struct {
	name string
	// prepare makes the candidate of a job, and says what part of the job it does. It wraps errAbsent when the peer is not there.
	prepare func(ctx context.Context, j *job) (candidate, part, error)
	most    int // signatures that it can be asked to look for without waiting for minutes; 0 for any number
}

// errAbsent says that a peer is not on this machine or not in this binary. The run goes on without it and says so.
var errAbsent = errors.New("absent")

// peers are all that a run can have beside the engine, the limits first.
func peers() []peer {
	return []peer{
		{newlinesName, prepareNewlines, 0},
		{naiveName, prepareNaive, 10_000},
		{hyperscanName, prepareHyperscan, 10_000},
		{re2Name, prepareRE2, 10_000},
		{grepFName, prepareGrepF, 10_000},
		{grepEName, prepareGrepE, 100},
		{ripgrepName, prepareRipgrep, 1000},
		{preqName, preparePreq, 1000},
	}
}

// PeerNames lists them.
func PeerNames() []string {
	var names []string
	for _, p := range peers() {
		names = append(names, p.name)
	}
	return names
}

// prepareNewlines finds the ends of all lines: what nothing can be faster than that looks at lines.
func prepareNewlines(_ context.Context, j *job) (candidate, part, error) {
	p := j.part(0, every)
	batches, lines := j.corpus.Batches, 0
	for _, b := range batches {
		lines += bytes.Count(b.Text(), []byte{'\n'})
	}
	return candidate{name: newlinesName, want: lines, run: func() (lines int, err error) {
		for _, b := range batches {
			text := b.Text()
			for {
				i := bytes.IndexByte(text, '\n')
				if i < 0 {
					break
				}
				text = text[i+1:]
				lines++
			}
		}
		return lines, nil
	}}, p, nil
}

// naiveTests is how many pairs of a record and a pattern the naive loop looks at in a round: about half a second.
const naiveTests = 500_000

// prepareNaive looks at each line with each pattern, by bytes.Contains and the standard regexp.
func prepareNaive(_ context.Context, j *job) (candidate, part, error) {
	p := j.part(max(200, naiveTests/max(1, j.n)), every)
	loop, err := newNaive(p.patterns)
	if err != nil {
		return candidate{}, p, err
	}
	return candidate{name: naiveName, want: p.hits, run: func() (hits int, err error) {
		for _, line := range p.texts {
			hits += loop.hits(line)
		}
		return hits, nil
	}}, p, nil
}

// naive is the loop over all patterns.
type naive struct {
	literals, folded [][]byte
	regexes          []*regexp.Regexp
}

func newNaive(patterns []*Pattern) (*naive, error) {
	n := &naive{}
	for _, x := range patterns {
		switch {
		case x.Regex:
			r, err := regexp.Compile(x.Text)
			if err != nil {
				return nil, fmt.Errorf("naive: %w", err)
			}
			n.regexes = append(n.regexes, r)
		case x.Fold:
			n.folded = append(n.folded, []byte(strings.ToLower(x.Text)))
		default:
			n.literals = append(n.literals, []byte(x.Text))
		}
	}
	return n, nil
}

func (n *naive) hits(line []byte) (hits int) {
	for _, l := range n.literals {
		if bytes.Contains(line, l) {
			hits++
		}
	}
	if len(n.folded) > 0 {
		lower := bytes.ToLower(line)
		for _, l := range n.folded {
			if bytes.Contains(lower, l) {
				hits++
			}
		}
	}
	for _, r := range n.regexes {
		if r.Match(line) {
			hits++
		}
	}
	return hits
}

// expression is the pattern as one regular expression of RE2's syntax.
func (p *Pattern) expression() string {
	switch {
	case p.Regex:
		return p.Text
	case p.Fold:
		return "(?i)" + regexp.QuoteMeta(p.Text)
	}
	return regexp.QuoteMeta(p.Text)
}

// Peer says whether something can run beside the engine here.
type Peer struct {
	Name string `json:"name"`
	Here bool   `json:"here"`
	Why  string `json:"why,omitempty"` // it is not
}

// Peers looks for all of them, by preparing a little work for each.
func Peers(ctx context.Context) ([]Peer, error) {
	dir, err := os.MkdirTemp("", "forewarn-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the peers' work: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left in a directory for temporary files harms nobody
	w := &Workload{Name: "peers", SizeMB: 1, Keys: 16, Signatures: SignatureSet{Set: "mixed", Counts: []int{20}}}
	w.fillDefaults()
	c, err := w.Corpus()
	if err != nil {
		return nil, err
	}
	j, err := newJob(c, 20, dir)
	if err != nil {
		return nil, err
	}
	var out []Peer
	for _, p := range peers() {
		_, _, err := p.prepare(ctx, j)
		switch {
		case errors.Is(err, errAbsent):
			out = append(out, Peer{Name: p.name, Why: strings.TrimSuffix(err.Error(), ": "+errAbsent.Error())})
		case err != nil:
			return nil, fmt.Errorf("%s: %w", p.name, err)
		default:
			out = append(out, Peer{Name: p.name, Here: true})
		}
	}
	return out, nil
}
