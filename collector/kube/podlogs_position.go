package kube

import (
	"time"

	"github.com/cespare/xxhash/v2"
)

// logPosition is how far a container's log was read. The API server has no offsets: it gives what was written since a time, in seconds, so
// the lines of the last moments come again and are known by their hashes. A program's two streams may be a little out of order, so
// more than the newest time is needed.
type logPosition struct {
	UID       string `json:"uid"`
	Container string `json:"container"`
	Restarts  int    `json:"restarts"`
	// Last is the newest time of a line, in Unix nanoseconds; Floor is the time up to which every line was given.
	Last  int64 `json:"last"`
	Floor int64 `json:"floor"`
	// Recent are the lines after Floor that were given, in the order in which they came.
	Recent []recentLine `json:"recent,omitempty"`
}

type recentLine struct {
	At   int64  `json:"at"`
	Hash uint64 `json:"hash,string"`
}

const (
	// logDisorder is how far the lines of one container may be out of order.
	logDisorder = 2 * time.Second
	// logRecent is how many lines of that time are remembered; before them every line counts as given.
	logRecent = 4096
)

func hashLine(line []byte) uint64 { return xxhash.Sum64(line) }

// given notes a line.
func (p *logPosition) given(at int64, hash uint64) {
	p.Last = max(p.Last, at)
	p.Recent = append(p.Recent, recentLine{at, hash})
	if len(p.Recent) >= 2*logRecent { // seldom, so that it costs little a line
		p.trim()
	}
}

// trim forgets lines that are old enough, or too many.
func (p *logPosition) trim() {
	p.Floor = max(p.Floor, p.Last-int64(logDisorder))
	if more := len(p.Recent) - logRecent; more > 0 {
		for _, r := range p.Recent[:more] {
			p.Floor = max(p.Floor, r.At)
		}
	}
	kept := p.Recent[:0]
	for _, r := range p.Recent {
		if r.At > p.Floor {
			kept = append(kept, r)
		}
	}
	p.Recent = kept
}

// clone returns a copy of its own, trimmed.
func (p *logPosition) clone() logPosition {
	c := *p
	c.Recent = append([]recentLine(nil), p.Recent...)
	c.trim()
	return c
}

// resume tells lines that were given from those that were not, while a log is read again.
type resume struct {
	floor int64
	seen  map[uint64]int
}

func (p *logPosition) resume() *resume {
	if p.Last == 0 {
		return &resume{}
	}
	p.trim()
	r := &resume{floor: p.Floor, seen: make(map[uint64]int, len(p.Recent))}
	for _, x := range p.Recent {
		r.seen[x.Hash]++
	}
	return r
}

// since is what to ask for.
func (p *logPosition) since(start time.Time) time.Time {
	if p.Last == 0 {
		return start
	}
	return time.Unix(0, p.Last-int64(logDisorder))
}

// knows reports whether a line was given before. Each line that was given is known once.
func (r *resume) knows(at int64, hash uint64) bool {
	if at <= r.floor {
		return true
	}
	if n := r.seen[hash]; n > 0 {
		r.seen[hash] = n - 1
		return true
	}
	return false
}
