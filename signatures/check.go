package signatures

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of one signature. The tracker gives every stage, guard and limit series a bit of one word.
const (
	maxStages = 40
	maxUnless = 8
	maxLimits = 14
	maxName   = 63
)

// Check reports everything that is wrong with a signature. [Options.Parse] does it for what it reads; it is for signatures that
// were made in another way, such as from a custom resource or another rule format.
func (o Options) Check(s *Signature) []Problem {
	c := &checker{s: s, opts: o}
	if s.source != nil {
		if root := s.source.root(); root != nil {
			c.src, c.root = s.source.chunk.src, root
		}
	}
	c.signature()
	return sortProblems(c.problems)
}

// checker finds what is wrong with a signature that could be read.
type checker struct {
	s        *Signature
	opts     Options
	src      *source    // nil without text
	root     *yaml.Node // nil without text
	broken   []string   // paths where reading found errors
	problems []Problem

	limits int // how many samples have `of`
}

func (c *checker) error(path, message, mend string) { c.add(LevelError, path, -1, message, mend) }
func (c *checker) warn(path, message, mend string)  { c.add(LevelWarning, path, -1, message, mend) }

// demand is an error for the catalogue and a warning for everyone else.
func (c *checker) demand(path, message, mend string) {
	if c.opts.Catalogue {
		c.error(path, message, mend)
	} else {
		c.warn(path, message, mend)
	}
}

// add places a problem; offset is a byte inside the scalar at path, or -1.
func (c *checker) add(level Level, path string, offset int, message, mend string) {
	for _, b := range c.broken {
		// What could not be read is not also missing, wrong or impossible.
		if b != "" && (within(b, path) || within(path, b)) {
			return
		}
	}
	p := Problem{File: "signature " + c.s.ID, Path: path, Severity: level, Message: message, Suggestion: mend}
	if c.root != nil {
		p.File = c.src.file
		at, whole := locate(c.root, path)
		if whole && offset >= 0 && at.value.Kind == yaml.ScalarNode {
			p.Line, p.Column = c.src.inside(at.value, offset)
		} else {
			p.Line, p.Column = at.place()
		}
		p.Snippet = c.src.snippet(p.Line, p.Column)
	}
	c.problems = append(c.problems, p)
}

// within reports whether path is outer or lies under it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func (c *checker) signature() {
	s := c.s
	c.filled(reflect.ValueOf(s).Elem(), "")
	c.name("id", s.ID)
	c.enum("severity", string(s.Severity), texts(Severities()))
	c.enum("order", string(s.Order), []string{string(Sequence), string(Any)})
	if strings.ContainsAny(s.Title, "\r\n") {
		c.error("title", "a title is one line", "")
	}
	c.key("by", s.By)
	c.stages()
	c.frame()
	c.incident()
	c.unless()
	c.clear()
	if s.Expire < 0 {
		c.error("expire", "a time to expire can't be negative", "")
	}
	c.applies()
	c.remedies()
	c.references()
	c.tests()
	if c.limits > maxLimits {
		c.error("stages", fmt.Sprintf("%d samples look at the share `of` another; at most %d can", c.limits, maxLimits), "divide the signature")
	}
}

// filled reports required texts, lists and matches that are there but empty, wherever they are.
func (c *checker) filled(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			c.filled(v.Elem(), path)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				c.filled(v.Index(i), element(path, i))
			}
		}
	case reflect.Struct:
		for _, m := range members(v.Type()) {
			f, at := v.Field(m.index), child(path, m.name)
			if m.required && isEmpty(f) {
				c.error(at, fmt.Sprintf("%q is empty in %s", m.name, placeName(path)), missingMend(v.Type(), m.name))
				continue
			}
			c.filled(f, at)
		}
	default:
	}
}

// isEmpty reports whether a required field says nothing. Numbers and durations may be 0, and a test may expect nothing.
func isEmpty(v reflect.Value) bool {
	switch x := v.Interface().(type) {
	case Match:
		return x.IsZero()
	case Condition, Clear, []Expect:
		return false // those who read them say it better
	}
	switch v.Kind() {
	case reflect.String:
		return strings.TrimSpace(v.String()) == ""
	case reflect.Slice:
		return v.Len() == 0
	default:
		return false
	}
}

// name checks an identifier.
func (c *checker) name(path, name string) {
	if name == "" {
		return // reported as empty
	}
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		if !letter && (r != '-' || i == 0 || i == len(name)-1) {
			c.error(path, fmt.Sprintf("%q is not a name: lower case letters, digits and dashes between them", clip(name)), nameMend(name))
			return
		}
	}
	if len(name) > maxName {
		c.error(path, fmt.Sprintf("a name of %d characters; at most %d", len(name), maxName), "")
	}
}

// nameMend writes a name as it may be written.
func nameMend(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == maxName {
			break
		}
	}
	if s := strings.Trim(b.String(), "-"); s != "" {
		return "write " + s
	}
	return ""
}

// enum checks one of a few words; an empty one is left to others.
func (c *checker) enum(path, got string, words []string) {
	if got != "" && !oneOf(got, words) {
		mend := "one of " + strings.Join(words, ", ")
		if w := nearest(got, words); w != "" {
			mend = fmt.Sprintf("did you mean %q?", w)
		}
		c.error(path, fmt.Sprintf("unknown value %q", clip(got)), mend)
	}
}

// enumMatch checks the exact values of a match of which only a few words can ever match.
func (c *checker) enumMatch(path string, m Match, words []string) {
	for i, w := range m.Equals {
		c.enum(element(child(path, "equals"), i), w, words)
	}
	for i, w := range m.Not {
		c.enum(element(child(path, "not"), i), w, words)
	}
}

// topology are the words of `by` and `of` that stand for one or more attributes.
func topology() []string {
	return []string{"container", "pod", "workload", "node", "volume", "namespace", "cluster", "stream"}
}

// key checks the words of a correlation key: topology words, or names of attributes, which hold a dot.
func (c *checker) key(path string, k Key) {
	seen := make(map[string]bool, len(k))
	for i, w := range k {
		at := element(path, i)
		switch {
		case w == "":
			c.error(at, "an empty word", "")
		case seen[w]:
			c.error(at, fmt.Sprintf("%q stands twice", clip(w)), "remove one of them")
		case !strings.Contains(w, ".") && !oneOf(w, topology()) && w != "severity_text":
			mend := "one of " + strings.Join(topology(), ", ") + ", or the name of an attribute, such as label.app"
			if n := nearest(w, topology()); n != "" {
				mend = fmt.Sprintf("did you mean %q?", n)
			}
			c.error(at, fmt.Sprintf("unknown word %q", clip(w)), mend)
		}
		seen[w] = true
	}
	if len(k) > 8 {
		c.error(path, fmt.Sprintf("%d words in a key; at most 8", len(k)), "")
	}
}
