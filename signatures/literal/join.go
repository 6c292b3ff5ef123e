package literal

import (
	"math/bits"
	"slices"
)

// joiner follows a sequence of parts from left to right. cur holds all texts that can stand between the last place where something
// unknown stood and here.
type joiner struct {
	cur   []Literal // nil: as at the start, only the empty text
	tail  Literal   // the end of cur that is the same in all of its texts, as far as it was added part by part
	open  bool      // something unknown was met, so that cur is not the whole
	found info      // any and all
}

// add appends a part.
func (j *joiner) add(i info) {
	j.note(i.any, i.all)
	for _, set := range i.sets {
		j.noteSet(set)
	}
	if i.exact == nil {
		j.flush()
		return
	}
	if len(i.exact) > 1 {
		j.note(j.cur, nil) // joined it is longer, but there are more of them; the better will be chosen
		j.endTail()
	} else if tail, ok := join([]Literal{j.tail}, i.exact); ok {
		j.tail = tail[0]
	} else {
		j.endTail()
		j.tail = i.exact[0]
	}
	if joined, ok := join(j.cur, i.exact); ok {
		j.cur = joined
		return
	}
	tail := j.tail
	j.flush()
	j.cur, j.tail = i.exact, tail
}

// copies appends a part a fixed number of times; after a while the rest is left unknown.
func (j *joiner) copies(i info, n int) {
	for k := range n {
		if k == maxLength || i.exact == nil && k == 2 {
			j.flush()
			return
		}
		j.add(i)
	}
}

// repeat appends a part that stands least times or more: its copies, something unknown, and the last copy again.
func (j *joiner) repeat(i info, least int) {
	j.copies(i, least)
	j.flush()
	if len(i.exact) == 1 {
		j.cur, j.tail = i.exact, i.exact[0]
	}
}

// flush ends the adjacent text.
func (j *joiner) flush() {
	j.settle()
	j.cur, j.open = nil, true
}

func (j *joiner) settle() {
	j.note(j.cur, nil)
	j.endTail()
}

// endTail notes the tail, which every match contains.
func (j *joiner) endTail() {
	if j.tail.Text != "" {
		tail := []Literal{j.tail}
		j.note(tail, tail)
	}
	j.tail = Literal{}
}

// note remembers what every match contains.
func (j *joiner) note(anyOf, all []Literal) {
	j.found.any = better(j.found.any, anyOf)
	j.noteSet(anyOf)
	for _, l := range all {
		if l.Text != "" && len(j.found.all) < 4*maxAll && !slices.Contains(j.found.all, l) {
			j.found.all = append(j.found.all, l)
		}
	}
}

// noteSet remembers a set that may be a better one than the best in the text that will be looked at.
func (j *joiner) noteSet(set []Literal) {
	if len(set) > 1 && len(j.found.sets) < maxSets && shortest(set) >= minOther &&
		!slices.ContainsFunc(j.found.sets, func(have []Literal) bool { return slices.Equal(have, set) }) {
		j.found.sets = append(j.found.sets, set)
	}
}

func (j *joiner) done() info {
	if !j.open {
		if j.cur == nil {
			j.cur = []Literal{{}}
		}
		if len(j.cur) > 1 {
			j.endTail()
		}
		j.found.exact = j.cur
		return j.found
	}
	j.settle()
	return j.found
}

// join appends each of b to each of a. ok is false when that would be too many or too long.
func join(a, b []Literal) (joined []Literal, ok bool) {
	if a == nil {
		return b, true
	}
	if len(a)*len(b) > maxSet {
		return nil, false
	}
	out := make([]Literal, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			if len(x.Text)+len(y.Text) > maxLength {
				return nil, false
			}
			l := Literal{Text: x.Text + y.Text, Fold: x.Fold || y.Fold}
			if l.Fold {
				l.Text = lower(l.Text)
			}
			out = append(out, l)
		}
	}
	return distinct(out), true
}

// better returns the set that selects better: longer literals, fewer of them. A set with an empty text selects nothing.
func better(a, b []Literal) []Literal {
	if score(b) > score(a) {
		return b
	}
	return a
}

// score weighs length against number: doubling the number of alternatives must win half a byte. Above 16 bytes length gives
// nothing more to a prefilter, above 512 alternatives it would do more harm than good.
func score(set []Literal) int {
	n := shortest(set)
	if n == 0 || len(set) > maxUnion {
		return 0
	}
	points := 1000 + 4*min(n, 16) + min(n, 64)/16 - 2*bits.Len(uint(len(set)-1))
	if n < 3 {
		points -= 100 // nothing selects by one or two bytes
	}
	return points
}

func shortest(set []Literal) int {
	if len(set) == 0 {
		return 0
	}
	n := len(set[0].Text)
	for _, l := range set[1:] {
		n = min(n, len(l.Text))
	}
	return n
}

// distinct removes repeats and keeps the order.
func distinct(set []Literal) []Literal {
	seen := make(map[Literal]bool, len(set))
	out := set[:0:0]
	for _, l := range set {
		if !seen[l] {
			seen[l] = true
			out = append(out, l)
		}
	}
	return out
}
