package pipeline

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// maxInputs bounds the sources that are remembered for the status; the one that spoke longest ago goes first.
const maxInputs = 4096

// Input is what is known of one source.
type Input struct {
	Source  string    `json:"source"`
	Kinds   []string  `json:"kinds"`            // which it can give
	Records uint64    `json:"records"`          // since this process began
	Heard   time.Time `json:"heard"`            // when it last sent anything, by this process's clock
	Mark    time.Time `json:"mark,omitzero"`    // up to when it gave everything
	Silent  bool      `json:"silent,omitempty"` // its mark is too far behind the others': absence of its kinds is unknown
	Ended   bool      `json:"ended,omitempty"`  // it gave everything it had
	AgeNS   int64     `json:"age_ns"`           // since it was heard, when the status was made
	Behind  int64     `json:"behind_ns"`        // of its mark behind the greatest
	seen    uint8     // kinds
	mark    int64
}

// inputs are the sources that this process heard of. It is safe for concurrent use.
type inputs struct {
	now         func() time.Time
	silentAfter time.Duration

	mu   sync.Mutex
	list map[string]*Input
}

func newInputs(now func() time.Time, silentAfter time.Duration) *inputs {
	return &inputs{now: now, silentAfter: silentAfter, list: map[string]*Input{}}
}

func (x *inputs) note(h *record.Header, records int) {
	now := x.now()
	x.mu.Lock()
	defer x.mu.Unlock()
	in := x.list[h.Source]
	if in == nil {
		if len(x.list) >= maxInputs {
			x.forgetOldest()
		}
		in = &Input{Source: string([]byte(h.Source))}
		x.list[in.Source] = in
	}
	in.Heard = now
	in.Records += uint64(records)
	in.seen = h.Kinds
	in.mark = max(in.mark, h.Mark)
	in.Ended = h.Ended
}

func (x *inputs) forgetOldest() {
	var oldest *Input
	for _, in := range x.list {
		if oldest == nil || in.Heard.Before(oldest.Heard) {
			oldest = in
		}
	}
	delete(x.list, oldest.Source)
}

// snapshot returns the sources by name. Whether one is silent follows the rule of the tracker: by marks, not by the clock.
func (x *inputs) snapshot() []Input {
	now := x.now()
	x.mu.Lock()
	defer x.mu.Unlock()
	var newest int64
	for _, in := range x.list {
		newest = max(newest, in.mark)
	}
	all := make([]Input, 0, len(x.list))
	for _, in := range x.list {
		c := *in
		for _, k := range record.Kinds() {
			if c.seen&(1<<k) != 0 {
				c.Kinds = append(c.Kinds, k.String())
			}
		}
		if c.mark != 0 {
			c.Mark = time.Unix(0, c.mark).UTC()
			c.Behind = newest - c.mark
			c.Silent = !c.Ended && c.Behind > int64(x.silentAfter)
		}
		c.AgeNS = int64(now.Sub(c.Heard))
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Input) int { return cmp.Compare(a.Source, b.Source) })
	return all
}
