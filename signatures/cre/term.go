package cre

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/signatures"
)

// termKind is how a term looks at a line.
type termKind uint8

const (
	literalTerm termKind = iota + 1
	regexTerm
	jqTerm
)

// term is one thing to look for.
type term struct {
	kind  termKind
	text  string
	count int
	node  *yaml.Node // where the text stands
	path  string

	window, slide time.Duration // of a negate
	anchor        int
	absolute      bool
}

// named is a term of `terms:`.
type named struct {
	term term
	bad  bool
	line int
}

// Keys of a term.
var (
	termKeys   = []string{"value", "regex", "jq", "count", "field", "extract", "set", "sequence", "promql", "window", "slide", "anchor", "absolute"}
	negateKeys = []string{"window", "slide", "anchor", "absolute"}
	name       = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
)

// terms reads the terms of a document. They may be used by the rules of all.
func (f *reader) terms(doc *yaml.Node) {
	n := get(doc, "terms")
	if n == nil {
		return
	}
	if n.Kind != yaml.MappingNode {
		f.problem(signatures.LevelError, at0(n), "terms", "", "'terms' must be a mapping", "of names to terms")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		if first := f.named[key.Value]; first != nil {
			f.problem(signatures.LevelError, at0(key), "terms", "", fmt.Sprintf("duplicate term name %q", clip(key.Value, 40)), fmt.Sprintf("the first is in line %d", first.line))
			continue
		}
		r := &rule{reader: f, path: "terms." + key.Value}
		t, ok := r.oneTerm(value, "", false)
		f.named[key.Value] = &named{term: t, bad: !ok, line: key.Line}
	}
}

// term reads a positive term or a negate, and puts a term of `terms:` in its place where it is one's name. ok is false when it cannot
// be used.
func (r *rule) term(n *yaml.Node, path string, negate bool) (t term, ok bool) {
	if t, ok = r.oneTerm(n, path, negate); !ok {
		return t, false
	}
	if t.kind != literalTerm {
		return t, r.counted(t, path, negate)
	}
	known := r.named[t.text]
	if known == nil {
		return t, r.counted(t, path, negate)
	}
	if known.bad { // which is told where it stands
		r.bad = true
		return t, false
	}
	if get(n, "count") != nil {
		r.warn(keyOf(n, "count"), path+".count", fmt.Sprintf("the count is lost: the term %q has its own", clip(t.text, 40)), "write the count in `terms`")
	}
	use := known.term
	use.node, use.path = t.node, t.path
	use.window, use.slide, use.anchor, use.absolute = t.window, t.slide, t.anchor, t.absolute
	if again := r.named[use.text]; again != nil && use.kind == literalTerm && use.text != t.text {
		r.warn(t.node, path, fmt.Sprintf("the term %q is the name of another term, and is taken literally", clip(use.text, 40)), "name the other term here")
	}
	return use, r.counted(use, path, negate)
}

// counted refuses counts that are impossible.
func (r *rule) counted(t term, path string, negate bool) bool {
	if negate && t.count > 1 {
		r.error(t.node, path, "negate fields cannot have count > 1", "one record is enough to speak against it")
		return false
	}
	return true
}

// oneTerm reads a term as it stands.
func (r *rule) oneTerm(n *yaml.Node, path string, negate bool) (t term, ok bool) {
	t = term{count: 1, node: n, path: path}
	if n.Kind == yaml.ScalarNode {
		t.kind, t.text = literalTerm, scalar(n)
		if t.text == "" {
			r.error(n, path, "term not found", "an empty text is part of every line")
			return t, false
		}
		return t, true
	}
	if n.Kind != yaml.MappingNode {
		r.error(n, path, "term not found", "write a text, or a mapping with value, regex or jq")
		return t, false
	}
	r.unknown(n, path, termKeys...)
	found := 0
	for _, x := range []struct {
		key  string
		kind termKind
	}{{"value", literalTerm}, {"regex", regexTerm}, {"jq", jqTerm}} {
		if v := get(n, x.key); scalar(v) != "" {
			t.kind, t.text, t.node = x.kind, scalar(v), v
			found++
		}
	}
	switch {
	case found > 1:
		r.error(n, path, "invalid node type", "a term has one of value, regex and jq")
		return t, false
	case found == 0 && get(n, "promql") != nil:
		r.error(keyOf(n, "promql"), path, "invalid event on inner node: promql never fires in the reference engine, and is not read here", "write a signature with `sample:`")
		return t, false
	case found == 0:
		r.error(n, path, "term not found", "a term has one of value, regex and jq")
		return t, false
	}
	ok = r.options(n, path, &t, negate)
	return t, r.compiles(&t, path) && ok
}

// options reads what stands beside a term's text.
func (r *rule) options(n *yaml.Node, path string, t *term, negate bool) (ok bool) {
	ok = true
	fail := func(key, message, mend string) {
		r.error(get(n, key), path+"."+key, message, mend)
		ok = false
	}
	if c := get(n, "count"); c != nil {
		v, err := strconv.ParseInt(strings.TrimSpace(scalar(c)), 10, 64)
		switch {
		case err != nil:
			fail("count", fmt.Sprintf("invalid count %q", clip(scalar(c), 20)), "a whole number")
		case v > signatures.MaxCount:
			fail("count", fmt.Sprintf("a count of %d: every record of it would have to be kept; at most %d", v, signatures.MaxCount), "")
		default:
			t.count = max(int(v), 1)
		}
	}
	if get(n, "field") != nil {
		r.warn(keyOf(n, "field"), path+".field", "`field` is ignored: the whole line is looked at", "remove it, or use jq")
	}
	ok = r.extracts(n, path) && ok
	if !negate {
		for _, key := range negateKeys {
			if get(n, key) != nil {
				r.warn(keyOf(n, key), path+"."+key, "`"+key+"` is ignored: it has a meaning in `negate` only", "remove it")
			}
		}
		return ok
	}
	var good bool
	if t.window, good = duration(get(n, "window")); !good {
		fail("window", "invalid 'window'", "a Go duration such as 300ms, 30s, 5m or 1h30m")
	}
	if t.slide, good = duration(get(n, "slide")); !good {
		fail("slide", "invalid 'slide'", "a Go duration such as -30s")
	}
	if a := get(n, "anchor"); a != nil {
		v, good := unsigned(a)
		if !good || v > signatures.MaxCount {
			fail("anchor", "invalid negate anchor", "the number of a record of the match, from 0")
		}
		t.anchor = int(min(v, signatures.MaxCount))
	}
	t.absolute = boolean(get(n, "absolute"))
	return ok
}

// extracts checks what nothing reads afterwards.
func (r *rule) extracts(n *yaml.Node, path string) (ok bool) {
	x := get(n, "extract")
	if x == nil {
		return true
	}
	ok = true
	for i, e := range x.Content {
		at := fmt.Sprintf("%s.extract[%d]", path, i)
		e = resolve(e)
		regex, jq := scalar(get(e, "regex")), scalar(get(e, "jq"))
		switch called := scalar(get(e, "name")); {
		case (regex == "") == (jq == ""):
			r.error(e, at, "invalid extract (must have name and one of jq or regex)", "")
			ok = false
		case !name.MatchString(called):
			r.error(e, at, fmt.Sprintf("invalid extract name %q", clip(called, 40)), "a letter, then letters, digits and _")
			ok = false
		}
	}
	r.warn(keyOf(n, "extract"), path+".extract", "`extract` is ignored", "remove it")
	return ok
}

// compiles refuses expressions that can't be read.
func (r *rule) compiles(t *term, path string) bool {
	var err error
	what, mend := "regex", "the syntax is RE2's, which has no look-around and no back-references"
	switch t.kind {
	case literalTerm:
	case regexTerm:
		_, err = regexp.Compile(t.text)
	case jqTerm:
		what, mend = "jq", ""
		_, err = signatures.CompileJQ(t.text)
	}
	if err != nil {
		r.error(t.node, path, fmt.Sprintf("term compile error type:'%s' value:'%s': %v", what, clip(t.text, 60), err), mend)
		return false
	}
	return true
}
