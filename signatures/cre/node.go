package cre

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/signatures"
)

// resolve follows an alias.
func resolve(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// get returns the value under a key of a mapping; nil when there is none, or it is null.
func get(n *yaml.Node, key string) *yaml.Node {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			if v := resolve(n.Content[i+1]); v.Tag != "!!null" {
				return v
			}
			return nil
		}
	}
	return nil
}

// scalar is the text of a scalar as it is written: 502 is the text 502. It is "" for everything else.
func scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// words are the scalars of a list, or the one scalar that stands in its place.
func words(n *yaml.Node) (list []string) {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		return []string{scalar(n)}
	}
	for _, x := range n.Content {
		if s := strings.TrimSpace(scalar(resolve(x))); s != "" && n.Kind == yaml.SequenceNode {
			list = append(list, s)
		}
	}
	return list
}

// keyOf returns the node of a key, for its place.
func keyOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i]
		}
	}
	return n
}

// place is where something stands.
type place struct{ line, column int }

func at0(n *yaml.Node) place { return place{n.Line, n.Column} }

// reader reads one file.
type reader struct {
	name       string
	opts       Options
	lines      []string
	named      map[string]*named
	ids        [3]map[string]int // cre ids, metadata ids and hashes, with the lines of their rules
	signatures []*signatures.Signature
	problems   []signatures.Problem
}

func (f *reader) problem(level signatures.Level, at place, path, id, message, mend string) {
	if id != "" {
		message = id + ": " + message
	}
	f.problems = append(f.problems, signatures.Problem{
		File: f.name, Line: at.line, Column: at.column, Path: path, Severity: level, Message: message, Suggestion: mend, Snippet: f.snippet(at),
	})
}

// snippet is the line with a caret below the place.
func (f *reader) snippet(at place) string {
	if at.line < 1 || at.line > len(f.lines) {
		return ""
	}
	line := strings.TrimRight(f.lines[at.line-1], "\r")
	if strings.TrimSpace(line) == "" || !utf8.ValidString(line) {
		return ""
	}
	const most = 110
	rs := []rune(line)
	column := min(max(at.column-1, 0), len(rs))
	from := 0
	if column > most-20 {
		from = column - most/2
	}
	cut := rs[from:min(len(rs), from+most)]
	var pad strings.Builder
	for _, r := range rs[from:column] {
		if r == '\t' {
			pad.WriteByte('\t')
		} else {
			pad.WriteByte(' ')
		}
	}
	return string(cut) + "\n" + pad.String() + "^"
}

// sorted returns the problems by place, errors first where they are very many.
func (f *reader) sorted() []signatures.Problem {
	byPlace := func(a, b signatures.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	}
	list := f.problems
	slices.SortStableFunc(list, byPlace)
	list = slices.Compact(list)
	if len(list) <= maxProblems {
		return list
	}
	slices.SortStableFunc(list, func(a, b signatures.Problem) int { return cmp.Compare(rank(a), rank(b)) })
	more := list[maxProblems:]
	last := signatures.Problem{
		File: f.name, Line: len(f.lines), Column: 1, Severity: more[0].Severity, Message: fmt.Sprintf("and %d more problems", len(more)),
		Suggestion: "mend the ones above first",
	}
	list = list[:maxProblems:maxProblems]
	slices.SortStableFunc(list, byPlace)
	return append(list, last)
}

func rank(p signatures.Problem) int {
	if p.IsError() {
		return 0
	}
	return 1
}

// unsigned reads a number that can't be negative.
func unsigned(n *yaml.Node) (uint64, bool) {
	v, err := strconv.ParseUint(strings.TrimSpace(scalar(n)), 10, 32)
	return v, err == nil
}

// clip keeps a text short in messages and titles.
func clip(s string, most int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if rs := []rune(s); len(rs) > most {
		return string(rs[:most-1]) + "…"
	}
	return s
}
