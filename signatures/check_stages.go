package signatures

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

func (c *checker) stages() {
	s := c.s
	if len(s.Stages) > maxStages {
		c.error("stages", fmt.Sprintf("%d stages; at most %d", len(s.Stages), maxStages), "divide the signature")
	}
	names := make([]string, 0, len(s.Stages))
	for i := range s.Stages {
		st, path := &s.Stages[i], element("stages", i)
		c.name(child(path, "name"), st.Name)
		switch {
		case st.Name == "incident":
			c.error(child(path, "name"), `"incident" names the incident itself`, "choose another name")
		case st.Name != "" && slices.Contains(names, st.Name):
			c.error(child(path, "name"), fmt.Sprintf("%q names two stages", clip(st.Name)), "each stage has a name of its own")
		}
		names = append(names, st.Name)
		c.rung(path, &st.When, st.Count, st.Distinct, st.Within)
		c.follows(child(path, "follows_within"), i, st.FollowsWithin)
	}
	c.stageName("tell", s.Tell, names)
	switch {
	case s.Need != 0 && s.Order != Any:
		c.error("need", "`need` has a meaning with `order: any` only", "a sequence needs all of its stages; remove it, or write `order: any`")
	case s.Need < 0 || s.Need > len(s.Stages):
		c.error("need", fmt.Sprintf("%d of %d stages can't be needed", s.Need, len(s.Stages)), fmt.Sprintf("from 1 to %d", len(s.Stages)))
	}
	switch {
	case s.Within != 0 && s.Order != Any:
		c.error("within", "`within` has a meaning with `order: any` only", "in a sequence write `follows_within` at the stages")
	case s.Within < 0:
		c.error("within", "a window can't be negative", "")
	}
}

func (c *checker) follows(path string, i int, d Duration) {
	switch {
	case d == 0:
	case d < 0:
		c.error(path, "a window can't be negative", "")
	case c.s.Order == Any:
		c.error(path, "`follows_within` has a meaning in a sequence only", "with `order: any` write `within` at the signature")
	case i == 0:
		c.error(path, "the first stage follows no other", "remove it")
	}
}

// stageName checks a reference to a stage.
func (c *checker) stageName(path, name string, names []string) {
	if name != "" && !slices.Contains(names, name) {
		c.error(path, fmt.Sprintf("there is no stage %q", clip(name)), suggestWord(name, names))
	}
}

// rung checks what a stage and the incident have in common.
func (c *checker) rung(path string, when *Condition, count int, distinct *Distinct, within Duration) {
	c.condition(child(path, "when"), when, place{rung: c.s.Frame == nil, whole: true})
	if !c.anchored(when) {
		c.noAnchor(child(path, "when"), when)
	}
	if when.Sample != nil && when.Sample.Of != nil {
		c.limits++
	}
	if count < 0 {
		c.error(child(path, "count"), "a count can't be negative", "")
	}
	if distinct != nil {
		c.key(child(child(path, "distinct"), "of"), distinct.Of)
		if distinct.Count < 2 {
			c.error(child(child(path, "distinct"), "count"), fmt.Sprintf("%d different values say nothing", distinct.Count), "at least 2")
		}
		if len(distinct.Of) > 0 && coveredBy(distinct.Of, c.s.By) {
			c.error(child(child(path, "distinct"), "of"), fmt.Sprintf("all records of one %s have the same %s, so they are never different",
				strings.Join(c.s.By, "/"), strings.Join(distinct.Of, "/")), "correlate `by` something wider, or count something narrower")
		}
	}
	many := count > 1 || distinct != nil
	switch {
	case c.s.Frame != nil: // it has one window for all
	case within < 0:
		c.error(child(path, "within"), "a window can't be negative", "")
	case many && within == 0:
		at := "count"
		if count <= 1 {
			at = "distinct"
		}
		c.error(child(path, at), "more than one record is needed, but not within what time", "add `within`, such as `within: 10m`")
	case !many && within > 0:
		c.warn(child(path, "within"), "a window for one record has no effect", "add `count`, or remove it")
	case many:
		c.window(path, when, count, within)
	}
}

// window refuses a window that is too small for its own count.
//
// A `for` of a change begins anew with each hold, so one object can contribute once every `for` at most; that bounds the count when
// the key is the object itself, and only then, because otherwise other objects contribute too. Samples are not taken more often
// than once a second.
func (c *checker) window(path string, when *Condition, count int, within Duration) {
	if count < 2 {
		return
	}
	if ch := when.Change; ch != nil && ch.For > 0 && oneObject(ch.Kind, c.s.By) {
		if need := ch.For * Duration(count-1); within < need {
			c.error(child(path, "within"), fmt.Sprintf("the window is smaller than its own count allows: %d times for %s on one object take %s at least",
				count, ch.For, need), "write "+need.String()+" or more, or a smaller count")
		}
	}
	if when.Sample != nil && time.Duration(within) < time.Duration(count-1)*time.Second {
		c.warn(child(path, "within"), fmt.Sprintf("%d samples within %s is more than one a second", count, within),
			"widen the window, or write `for` instead of `count`")
	}
}

// oneObject reports whether a key stands for a single object of the kind.
func oneObject(kind Match, by Key) bool {
	if len(kind.Equals) != 1 || len(by) != 1 {
		return false
	}
	return kind.Equals[0] == "Node" && by[0] == "node" || kind.Equals[0] == "Pod" && (by[0] == "pod" || by[0] == "container")
}

// coveredBy reports whether every part of a key is part of another.
func coveredBy(of, by Key) bool {
	have := keyNames(by)
	for _, n := range keyNames(of) {
		if !slices.Contains(have, n) {
			return false
		}
	}
	return true
}

// keyNames are the names of a key's parts, as warnings and command templates call them.
func keyNames(k Key) []string {
	var out []string
	for _, w := range k {
		switch w {
		case "container":
			out = append(out, "namespace", "pod", "container")
		case "pod":
			out = append(out, "namespace", "pod")
		case "workload":
			out = append(out, "namespace", "kind", "workload")
		case "volume":
			out = append(out, "namespace", "volume")
		default:
			out = append(out, w)
		}
	}
	return out
}

func (c *checker) incident() {
	in := c.s.Incident
	if in == nil {
		c.demand("incident", "there is no incident, so lead time can't be measured", "add `incident: {when: ...}`: what shows that it happened")
		return
	}
	c.rung("incident", &in.When, in.Count, in.Distinct, in.Within)
}

func (c *checker) unless() {
	s := c.s
	if len(s.Unless) > maxUnless {
		c.error("unless", fmt.Sprintf("%d elements of unless; at most %d", len(s.Unless), maxUnless), "join some of them with `any`")
	}
	names := make([]string, len(s.Stages))
	for i := range s.Stages {
		names[i] = s.Stages[i].Name
	}
	for i := range s.Unless {
		u, path := &s.Unless[i], element("unless", i)
		c.condition(child(path, "when"), &u.When, place{whole: true})
		if !c.anchored(&u.When) {
			c.noAnchor(child(path, "when"), &u.When)
		}
		c.stageName(child(path, "anchor"), u.Anchor, names)
		if u.Window < 0 {
			c.error(child(path, "window"), "a window can't be negative", "to look back, write `slide` with a minus and a positive window")
			continue
		}
		at := slices.Index(names, u.Anchor)
		if u.Anchor == "" {
			at = len(names) - 1
		}
		if at >= 0 && u.Slide <= 0 && u.Slide+u.Window >= 0 && reflect.DeepEqual(u.When, s.Stages[at].When) {
			c.error(child(path, "when"), fmt.Sprintf("the stage %q can never be reached: what it needs is what must be absent", names[at]), "")
		}
	}
}

func (c *checker) clear() {
	s, cl := c.s, &c.s.Clear
	if cl.When == nil && cl.Quiet == 0 {
		c.error("clear", "nothing says when it is over", "add `when`, or a quiet time such as `clear: {quiet: 30m}`")
	}
	if cl.Quiet < 0 {
		c.error("clear.quiet", "a quiet time can't be negative", "")
	}
	expire := s.Expire
	if expire == 0 {
		expire = Duration(DefaultExpire)
	}
	if cl.Quiet > expire && expire > 0 {
		c.error("clear.quiet", fmt.Sprintf("it can never be quiet for %s: the warning expires %s after its last record", cl.Quiet, expire),
			"write a longer `expire`, or a shorter quiet time")
	}
	switch {
	case cl.For < 0:
		c.error("clear.for", "a time can't be negative", "")
	case cl.For > 0 && cl.When == nil:
		c.error("clear.for", "`for` belongs to `when`, which is missing", "add `when`, or write `quiet` instead")
	case cl.For >= expire && cl.For > 0 && expire > 0:
		c.error("clear.for", fmt.Sprintf("it can never clear after %s: the warning expires after %s", cl.For, expire), "write a longer `expire`")
	}
	if cl.When == nil {
		return
	}
	c.condition("clear.when", cl.When, place{whole: true})
	if !c.anchored(cl.When) {
		c.noAnchor("clear.when", cl.When)
	}
	same := func(path string, when *Condition) {
		if reflect.DeepEqual(cl.When, when) {
			c.error("clear.when", "it can never clear: the same records are seen as "+path, "say what is different when it is over")
		}
	}
	for i := range s.Stages {
		same(fmt.Sprintf("the stage %q", s.Stages[i].Name), &s.Stages[i].When)
	}
	if s.Incident != nil {
		same("the incident", &s.Incident.When)
	}
}
