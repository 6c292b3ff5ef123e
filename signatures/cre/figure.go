package cre

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/signatures"
)

// What a rule may hold. The reference engine counts different terms, the tracker gives each slot and each negate a bit of one word.
const (
	maxTerms   = 64
	maxSlots   = 40
	maxNegates = 22
)

// quiet is when a warning of a rule is over: rules do not say, and the reference engine never ends one.
const quiet = 15 * time.Minute

// group is a set or a sequence.
type group struct {
	node     *yaml.Node
	path     string
	sequence bool
	window   time.Duration
	source   string
	origin   bool
	slots    []slot
	negates  []negate
}

// slot is a term that is needed count times, from one source.
type slot struct {
	term
	source string
}

type negate struct {
	term
	source string
}

// figure reads what must be seen, and makes stages of it.
func (r *rule) figure() {
	n := get(r.node, "rule")
	set, sequence := get(n, "set"), get(n, "sequence")
	var g *group
	switch {
	case set == nil && sequence == nil:
		r.error(r.node, ".rule", "not supported", "a rule has `rule: {set: ...}` or `rule: {sequence: ...}`")
		return
	case sequence != nil:
		if set != nil {
			r.warn(keyOf(n, "set"), ".rule.set", "the set is dead: the sequence beside it is used", "remove one of them")
		}
		g = r.group(sequence, ".rule.sequence", true, true)
	default:
		g = r.group(set, ".rule.set", false, true)
	}
	if g == nil || r.bad {
		return
	}
	r.stages(g)
	r.doubts(g)
}

// group reads a set or a sequence; nil when it has a mistake.
func (r *rule) group(n *yaml.Node, path string, sequence, top bool) *group {
	g := &group{node: n, path: path, sequence: sequence}
	key, kind := "match", "set"
	if sequence {
		key, kind = "order", "sequence"
	}
	if n.Kind != yaml.MappingNode {
		r.error(n, path, fmt.Sprintf("'%s' missing '%s'", kind, key), "")
		return nil
	}
	r.unknown(n, path, "window", "event", key, "negate", "correlations", "origin")
	if c := get(n, "correlations"); c != nil {
		r.warn(keyOf(n, "correlations"), path+".correlations", "`correlations` are ignored", "records of one stream belong together")
	}
	w := get(n, "window")
	var ok bool
	if g.window, ok = duration(w); !ok {
		r.error(w, path+".window", "invalid 'window'", "a Go duration such as 300ms, 30s, 5m or 1h30m")
	} else if g.window < 0 {
		r.error(w, path+".window", "invalid window: it is negative, so the rule could never match", "")
	}
	list := get(n, key)
	if list == nil || list.Kind != yaml.SequenceNode {
		r.error(n, path, fmt.Sprintf("'%s' missing '%s'", kind, key), "a list of terms")
		return nil
	}
	if len(list.Content) == 0 {
		r.error(list, path+"."+key, "invalid event on inner node", "there must be at least one term")
		return nil
	}
	nested := slices.ContainsFunc(list.Content, isNested)
	r.event(g, top && nested)
	if nested {
		r.children(g, list, path+"."+key, top)
	} else {
		for i, x := range list.Content {
			at := fmt.Sprintf("%s.%s[%d]", path, key, i)
			if t, ok := r.term(resolve(x), at, false); ok {
				g.add(slot{t, g.source})
			}
		}
	}
	if neg := get(n, "negate"); neg != nil {
		for i, x := range neg.Content {
			if t, ok := r.term(resolve(x), fmt.Sprintf("%s.negate[%d]", path, i), true); ok {
				g.negates = append(g.negates, negate{t, g.source})
			}
		}
	}
	if r.bad || !r.bounds(g, w) {
		return nil
	}
	return g
}

func isNested(n *yaml.Node) bool { return get(n, "set") != nil || get(n, "sequence") != nil }

// event reads which source a group looks at.
func (r *rule) event(g *group, optional bool) {
	e := get(g.node, "event")
	if e == nil {
		if !optional {
			r.error(g.node, g.path+".event", "root node has no event source", "such as `event: {source: cre.log.redis}`")
		}
		return
	}
	g.source = scalar(get(e, "source"))
	if g.source == "" {
		message := "invalid event type"
		if get(e, "promql") != nil {
			message = "invalid event on inner node: promql"
		}
		r.error(e, g.path+".event.source", message, "the name of a source, such as cre.log.redis")
	}
	g.origin = boolean(get(e, "origin")) || boolean(get(g.node, "origin"))
}

// children reads groups in a group: each is one term from a source of its own.
func (r *rule) children(g *group, list *yaml.Node, path string, top bool) {
	if !top || slices.ContainsFunc(list.Content, func(n *yaml.Node) bool { return !isNested(n) }) {
		r.error(list, path, "invalid event on inner node", "a list holds terms, or sets and sequences of terms, and not both; and those hold terms only")
		return
	}
	r.nested = true
	origins := 0
	for i, x := range list.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		n, sequence := get(x, "set"), false
		if n == nil {
			n, sequence, at = get(x, "sequence"), true, at+".sequence"
		} else {
			at += ".set"
		}
		child := r.group(n, at, sequence, false)
		if child == nil {
			continue
		}
		if child.origin {
			origins++
		}
		if len(child.slots) > 1 || child.slots[0].count > 1 || len(child.negates) > 0 {
			r.error(n, at, "a set or sequence in another may hold one term, once, without negate", "make it a rule of its own")
			continue
		}
		g.add(slot{child.slots[0].term, child.source})
	}
	if r.bad {
		return
	}
	switch {
	case origins == 0:
		r.error(list, path, "missing origin event", "one of the events says `origin: true`")
	case origins > 1:
		r.error(list, path, "multiple origin events", "one of the events says `origin: true`")
	}
	if g.source == "" && get(g.node, "negate") != nil {
		r.error(get(g.node, "negate"), g.path+".negate", "root node has no event source", "the negates need an `event` beside them")
	}
}

// add puts a term into the group. Equal ones become one slot that needs more records: in a set wherever they stand, in a sequence
// where they are neighbours.
func (g *group) add(s slot) {
	from := 0
	if g.sequence {
		from = max(len(g.slots)-1, 0)
	}
	for i := from; i < len(g.slots); i++ {
		if o := &g.slots[i]; o.kind == s.kind && o.text == s.text && o.source == s.source {
			o.count += s.count
			return
		}
	}
	g.slots = append(g.slots, s)
}

// records is how many records a match has.
func (g *group) records() (n int) {
	for i := range g.slots {
		n += g.slots[i].count
	}
	return n
}

// bounds checks a group as a whole.
func (r *rule) bounds(g *group, window *yaml.Node) bool {
	different := map[string]bool{}
	for _, s := range g.slots {
		different[fmt.Sprint(s.kind, s.text, s.source)] = true
	}
	for _, n := range g.negates {
		different[fmt.Sprint(n.kind, n.text, n.source)] = true
	}
	n := g.records()
	at := g.node
	if window != nil {
		at = window
	}
	switch {
	case len(different) > maxTerms:
		r.error(g.node, g.path, fmt.Sprintf("too many terms: %d, at most %d", len(different), maxTerms), "divide the rule")
	case len(g.slots) > maxSlots:
		r.error(g.node, g.path, fmt.Sprintf("too many terms: %d that follow each other or differ, at most %d", len(g.slots), maxSlots), "divide the rule")
	case len(g.negates) > maxNegates:
		r.error(g.node, g.path, fmt.Sprintf("too many negates: %d, at most %d", len(g.negates), maxNegates), "join some of them in a regex")
	case g.sequence && n < 2:
		r.error(g.node, g.path, "sequences require two or more positive conditions", "write a set")
	case n < 2 && g.window != 0:
		r.error(at, g.path+".window", "invalid window", "a set of one term has none")
	case n > 1 && g.window == 0:
		r.error(at, g.path+".window", "invalid window", "it is needed where a match has more than one record")
	}
	for i := range g.slots {
		if s := &g.slots[i]; s.count > signatures.MaxCount {
			r.error(s.node, s.path, fmt.Sprintf("a count of %d: every record of it would have to be kept; at most %d", s.count, signatures.MaxCount), "")
		}
	}
	for i := range g.negates {
		if x := &g.negates[i]; x.anchor >= n {
			r.error(x.node, x.path+".anchor", "anchor out of range", fmt.Sprintf("a match has the records 0 to %d", n-1))
		}
	}
	return !r.bad
}

// stages fills in the signature.
func (r *rule) stages(g *group) {
	s := r.sig
	s.By = signatures.Key{"stream"}
	if r.nested { // different sources are different streams
		s.By = signatures.Key{"cluster"}
	}
	if !g.sequence {
		s.Order = signatures.Any
	}
	used := map[string]bool{}
	for i := range g.slots {
		x := &g.slots[i]
		st := signatures.Stage{Name: stageName(x.text, i, used), Title: x.title(), When: r.condition(x.term, x.source)}
		if x.count > 1 {
			st.Count = x.count
		}
		s.Stages = append(s.Stages, st)
	}
	over := quiet
	if g.records() > 1 || len(g.negates) > 0 {
		s.Frame = &signatures.Frame{Window: signatures.Duration(g.window)}
		for i := range g.negates {
			x := &g.negates[i]
			s.Frame.Negates = append(s.Frame.Negates, signatures.Negate{
				When: r.condition(x.term, x.source), Window: signatures.Duration(x.window), Slide: signatures.Duration(x.slide), Anchor: x.anchor, Absolute: x.absolute,
			})
		}
		over = max(over, 2*g.window)
	} else {
		s.Order = ""
	}
	s.Clear.Quiet = signatures.Duration(over)
	s.Expire = signatures.Duration(max(signatures.DefaultExpire, 2*over))
}
