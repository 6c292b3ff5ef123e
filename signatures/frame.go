package signatures

import (
	"fmt"
)

// Frame makes the stages a figure in time, as CRE rules describe it. Each record that meets a stage is kept; as soon as there are enough
// for every stage within Window, the oldest of them complete a frame, are used up, and the signature fires. With order sequence
// the stages follow each other, with order any they come in whatever order. It fires again with each further frame.
type Frame struct {
	Window  Duration `yaml:"window,omitempty" json:"window,omitempty" doc:"How far apart the first and the last record of a frame may lie, inclusive; needed when a frame has more than one record."`
	Negates []Negate `yaml:"negates,omitempty" json:"negates,omitempty" doc:"What, if it is seen about a frame, shows that it is not the failure."`
}

// Negate kills a frame if a record that meets When came in [t+Slide, t+Slide+Window+length], both ends inclusive: t is the time of the
// frame's record number Anchor, and length the time from the frame's first record to its last, or 0 with Absolute.
type Negate struct {
	When     Condition `yaml:"when" json:"when" doc:"The condition that must not be met."`
	Window   Duration  `yaml:"window,omitempty" json:"window,omitempty" doc:"How long beyond the frame's own length it must not be met."`
	Slide    Duration  `yaml:"slide,omitempty" json:"slide,omitempty" doc:"Moves the time in question; -30s begins half a minute before the anchor, and ends half a minute sooner."`
	Anchor   int       `yaml:"anchor,omitempty" json:"anchor,omitempty" doc:"The record of the frame from which the time is counted; 0, the default, is the first."`
	Absolute bool      `yaml:"absolute,omitempty" json:"absolute,omitempty" doc:"The time is as long as window says, without the frame's own length."`
}

// Bounds of a frame. The negates share the roles of the unless list and of the limit series, which a frame does not have.
const (
	maxNegates = 22
	// MaxCount is the greatest count of a stage of a frame. Every record of it is kept.
	MaxCount = 10_000
)

// frame checks a signature whose stages are a frame.
func (c *checker) frame() {
	s := c.s
	if s.Frame == nil {
		return
	}
	records := 0
	for i := range s.Stages {
		st, path := &s.Stages[i], element("stages", i)
		records += max(st.Count, 1)
		if st.Count > MaxCount {
			c.error(child(path, "count"), fmt.Sprintf("a count of %d; at most %d in a frame", st.Count, MaxCount), "")
		}
		for _, x := range []struct {
			set  bool
			name string
		}{{st.Within != 0, "within"}, {st.FollowsWithin != 0, "follows_within"}, {st.Distinct != nil, "distinct"}} {
			if x.set {
				c.error(child(path, x.name), "`"+x.name+"` has no meaning in a frame", "the frame has one `window` for all its stages")
			}
		}
	}
	for _, x := range []struct {
		set  bool
		name string
	}{{s.Need != 0, "need"}, {s.Within != 0, "within"}, {s.Tell != "", "tell"}, {s.Incident != nil, "incident"}, {len(s.Unless) > 0, "unless"}} {
		if x.set {
			c.error(x.name, "`"+x.name+"` can't stand beside `frame`", "a frame needs all of its stages, and has `negates`")
		}
	}
	w := s.Frame.Window
	switch {
	case w < 0:
		c.error("frame.window", "a window can't be negative", "")
	case w == 0 && records > 1:
		c.error("frame", "more than one record is needed, but not within what time", "add `window`, such as `window: 10m`")
	case w != 0 && records == 1:
		c.error("frame.window", "a window for one record has no effect", "remove it, or add `count` or a stage")
	case s.Order != Any && records == 1:
		c.error("frame", "a sequence of one record is none", "write `order: any`, or add a stage")
	}
	if len(s.Frame.Negates) > maxNegates {
		c.error("frame.negates", fmt.Sprintf("%d negates; at most %d", len(s.Frame.Negates), maxNegates), "join some of them with `any`")
	}
	for i := range s.Frame.Negates {
		c.negate(element("frame.negates", i), &s.Frame.Negates[i], records)
	}
}

func (c *checker) negate(path string, n *Negate, records int) {
	c.condition(child(path, "when"), &n.When, place{whole: true})
	if !c.anchored(&n.When) {
		c.noAnchor(child(path, "when"), &n.When)
	}
	if n.Anchor < 0 || n.Anchor >= records {
		c.error(child(path, "anchor"), fmt.Sprintf("a frame has no record number %d", n.Anchor), fmt.Sprintf("from 0 to %d", records-1))
	}
}
