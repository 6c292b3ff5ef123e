package matcher

import (
	"regexp"
	"strings"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures/literal"
)

// anchor is something that a record must have to meet a condition: the value of an attribute, or a literal in its text. A
// condition has a set of anchors, and every record that meets it has at least one of them. An anchor may promise too much: what
// it finds is always looked at in full.
type anchor struct {
	key    string // the attribute, or "" for a literal
	value  string // the value in lower case, or the literal (in lower case when fold is set)
	absent bool   // the attribute is not there
	fold   bool   // the literal is compared without case
}

// minLiteral is the shortest literal that can anchor a condition: a single byte is in nearly every line.
const minLiteral = 2

// anchors returns the cheapest set of anchors of e, and a guess of how large a part of the records has one of them. The sketch says how
// common literals are. An empty set says that nothing anchors e.
func (e *expr) anchors(rare *sketch) (set []anchor, weight float64) {
	switch e.op {
	case opAttr:
		return e.attrAnchors()
	case opPath:
		return e.pathAnchors()
	case opText:
		return literalAnchors(e.literals, rare)
	case opRegex:
		set, weight = literalAnchors(e.literals, rare)
		for _, other := range e.others {
			if s, w := literalAnchors(other, rare); w < weight {
				set, weight = s, w
			}
		}
		return set, weight
	case opField:
		return e.fieldAnchors(rare)
	case opAll:
		for i := range e.kids {
			s, w := e.kids[i].anchors(rare)
			if len(s) > 0 && (len(set) == 0 || w < weight) {
				set, weight = s, w
			}
		}
		return set, weight
	case opAny:
		for i := range e.kids {
			s, w := e.kids[i].anchors(rare)
			if len(s) == 0 {
				return nil, 0
			}
			set, weight = append(set, s...), weight+w
		}
		return set, weight
	case opKind, opValue, opNot, opLine, opJQ, opCEL: // nothing that they ask for can be looked up
	}
	return nil, 0
}

func (e *expr) pathAnchors() (set []anchor, weight float64) {
	return []anchor{{key: record.ChangePath, value: wildPath(e.key)}}, attrWeight(record.ChangePath)
}

func (e *expr) attrAnchors() (set []anchor, weight float64) {
	if len(e.match.equals) == 0 {
		return nil, 0
	}
	for _, v := range e.match.equals {
		set = append(set, anchor{key: e.key, value: lowerASCII(v), absent: v == ""})
		weight += attrWeight(e.key)
	}
	if e.absentOK {
		set = append(set, anchor{key: e.key, absent: true})
		weight += attrWeight(e.key)
	}
	return set, weight
}

// attrWeight guesses which part of the records has one certain value of an attribute. Reasons, alerts, metrics and paths are so
// telling that they beat every literal; who spoke is hardly telling at all.
func attrWeight(key string) float64 {
	switch key {
	case record.EventReason, record.AlertName, record.MetricName, record.ChangePath:
		return 1e-9
	case record.ChangeTo, record.ChangeVerb, record.ObjectKind, record.ObjectName:
		return 0.02
	case record.Component, record.Container:
		return 0.05
	}
	return 0.2
}

// wildPath is a path with [*] in place of each element, so that a pattern and the paths that it means are the same.
func wildPath(path string) string {
	if strings.IndexByte(path, '[') < 0 {
		return path
	}
	var b []byte
	return string(appendWildPath(b, path))
}

// appendWildPath appends the wild form of path to dst.
func appendWildPath(dst []byte, path string) []byte {
	for {
		i := strings.IndexByte(path, '[')
		if i < 0 {
			return append(dst, path...)
		}
		end := strings.IndexByte(path[i:], ']')
		if end < 0 {
			return append(dst, path...)
		}
		dst = append(append(dst, path[:i]...), "[*]"...)
		path = path[i+end+1:]
	}
}

func literalAnchors(literals []literal.Literal, rare *sketch) (set []anchor, weight float64) {
	for _, l := range literals {
		if len(l.Text) < minLiteral {
			return nil, 0
		}
		set = append(set, anchor{value: l.Text, fold: l.Fold})
		if l.Text != escapeU && l.Text != escapeSlash && !l.Rare() { // they are short but seldom seen
			weight += literalWeight(len(l.Text)) + lineBytes*rare.least(l.Text)
		}
	}
	return set, weight
}

// lineBytes is how long a text is, about.
const lineBytes = 150

// literalWeight is what looking for a literal of n bytes costs, as a part of the records that would have to be looked at for that: short ones
// are common, and a pass over the text for them is dear.
func literalWeight(n int) float64 {
	switch {
	case n >= 11:
		return 1e-5
	case n >= 7:
		return 1e-4
	case n >= 5:
		return 1e-3
	case n == 4:
		return 4e-3
	case n == 3:
		return 2e-2
	}
	return 0.15
}

// fieldAnchors gives the literal that a line with the field must contain: the field's value, or its name. In JSON a plain
// character may be written as \u0061 as well, so a line with such an escape is looked at too.
func (e *expr) fieldAnchors(rare *sketch) (set []anchor, weight float64) {
	if e.above == nil && e.below == nil && e.match != nil && e.match.acceptsNothing() {
		return nil, 0 // a line without the field may match
	}
	var name string // a part of the name, which may also be one key with dots in it
	for part := range strings.SplitSeq(e.key, ".") {
		if len(part) > len(name) {
			name = part
		}
	}
	best := literal.Literal{Text: name}
	if e.match != nil && len(e.match.equals) == 1 {
		if v := e.match.equals[0]; isPlainWord(v) && len(v) > len(name) {
			best = literal.Literal{Text: v, Fold: e.match.fold}
		}
	}
	if !isPlainWord(best.Text) {
		return nil, 0
	}
	list := []literal.Literal{best, {Text: escapeU}}
	if strings.Contains(best.Text, "/") {
		list = append(list, literal.Literal{Text: escapeSlash})
	}
	return literalAnchors(list, rare)
}

// A line may spell any ASCII character, and the slash, with an escape.
const (
	escapeU     = `\u00`
	escapeSlash = `\/`
)

// isPlainWord reports whether w can be in a JSON line only as it is, or with an escape that begins with \u or \/.
func isPlainWord(w string) bool {
	for i := range len(w) {
		if c := w[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// fieldsOnly returns the cheapest set of anchors that are attributes. With it, what looks for the other anchors of e can be left
// out where no record has one of these.
func (e *expr) fieldsOnly() (set []anchor, weight float64) {
	switch e.op {
	case opAttr:
		return e.attrAnchors()
	case opPath:
		return e.pathAnchors()
	case opAll:
		for i := range e.kids {
			if s, w := e.kids[i].fieldsOnly(); len(s) > 0 && (len(set) == 0 || w < weight) {
				set, weight = s, w
			}
		}
	case opAny:
		for i := range e.kids {
			s, w := e.kids[i].fieldsOnly()
			if len(s) == 0 {
				return nil, 0
			}
			set, weight = append(set, s...), weight+w
		}
	case opKind, opValue, opText, opNot, opField, opRegex, opLine, opJQ, opCEL: // they are not about attributes
	}
	return set, weight
}

// kinds are those that a record may have to meet e, as bits 1<<Kind.
func (e *expr) kinds() uint8 {
	switch e.op {
	case opKind:
		return 1 << e.kind
	case opAll:
		k := uint8(1<<8 - 1)
		for i := range e.kids {
			k &= e.kids[i].kinds()
		}
		return k
	case opAny:
		k := uint8(0)
		for i := range e.kids {
			k |= e.kids[i].kinds()
		}
		return k
	case opLine:
		return 1 << record.Event
	case opAttr, opPath, opValue, opText, opNot, opField, opRegex, opJQ, opCEL:
	}
	return 1<<8 - 1
}

// patterns returns regular expressions of which one matches every text that meets e; nil when nothing is known.
func (e *expr) patterns() []string {
	switch e.op {
	case opRegex:
		return []string{e.key}
	case opText:
		var out []string
		for _, l := range e.literals {
			if l.Text == "" {
				return nil
			}
			out = append(out, literalPattern(l.Text, l.Fold))
		}
		return out
	case opAll:
		var best []string
		for i := range e.kids { // the last are the dearest, and so those that it pays to leave out
			if p := e.kids[i].patterns(); len(p) > 0 && (len(best) == 0 || len(p) <= len(best)) {
				best = p
			}
		}
		return best
	case opAny:
		var out []string
		for i := range e.kids {
			p := e.kids[i].patterns()
			if len(p) == 0 {
				return nil
			}
			out = append(out, p...)
		}
		return out
	case opKind, opAttr, opPath, opValue, opNot, opField, opLine, opJQ, opCEL: // they are not about the text, or not as it is written
	}
	return nil
}

// literalPattern returns an expression that matches wherever the literal is.
func literalPattern(text string, fold bool) string {
	p := regexp.QuoteMeta(text)
	if fold {
		p = "(?i)" + p
	}
	return p
}
