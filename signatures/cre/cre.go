// Package cre reads CRE rule files (Common Reliability Enumerations) into signatures, as they are: the public collection of
// reliability rules then runs through the same engine as everything else.
//
// A file is one if its top level has `rules:`. [Options.Read] is given to [signatures.Options.Foreign], so that CRE files may lie in the
// same directories as signatures. README.md says how data passes and what differs from the reference engine.
//
// The package is pure. Reading never stops at the first mistake: every problem comes with its file, line, column and the rule's id, and one
// bad rule does not stop the others.
package cre

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/signatures"
)

// Bounds of one file. All rules that are public take half a megabyte.
const (
	maxFile     = 32 << 20 // bytes, unpacked
	maxNodes    = 1 << 20  // keys and values, aliases followed
	maxDepth    = 64
	maxProblems = 500
)

// Options say how rules are read. The zero Options are right for most.
type Options struct {
	// Sources are, for an `event.source`, the components (service.name) whose logs it means, beside the source's own name and those
	// of the rule's applications.
	Sources map[string][]string
}

// Read is [Options.Read] with the zero Options.
func Read(file string, src []byte) ([]*signatures.Signature, []signatures.Problem, bool) {
	return Options{}.Read(file, src)
}

// Read reads the rules of a file, which may be gzip. mine is false for a file that is none of rules. The signatures
// are those of the rules that have no error, in their order. It is a [signatures.Foreign].
func (o Options) Read(file string, src []byte) (sigs []*signatures.Signature, problems []signatures.Problem, mine bool) {
	f := &reader{name: file, opts: o, named: map[string]*named{}}
	text, err := unpack(src)
	if err != nil {
		f.problem(signatures.LevelError, place{line: 1, column: 1}, "", "", err.Error(), "")
		return nil, f.problems, true
	}
	if !detect(text) {
		return nil, nil, false
	}
	f.lines = strings.Split(text, "\n")
	f.read(text)
	return f.signatures, f.sorted(), true
}

// unpack returns the text of a file. Files of rules are packed whatever their name.
func unpack(src []byte) (string, error) {
	if len(src) < 2 || src[0] != 0x1f || src[1] != 0x8b {
		return string(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))), nil
	}
	z, err := gzip.NewReader(bytes.NewReader(src))
	if err != nil {
		return "", fmt.Errorf("unpack: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("unpack: %w", err)
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("unpacked, the file has more than %d bytes", maxFile)
	}
	return string(text), nil
}

// rulesKey finds the key at the top level that makes a file one of rules, in the block style and as JSON.
var (
	rulesKey = regexp.MustCompile(`(?m)^(?:rules|terms|"rules"|'rules'|"terms"|'terms')[ \t]*:|\A\s*\{\s*"?(?:rules|terms)"?\s*:`)
	ownKey   = regexp.MustCompile(`(?m)^(?:stages|signatures|id)[ \t]*:`)
)

// detect looks at the text alone, so that a file that is no YAML any more is still known for what it should be.
func detect(text string) bool {
	return rulesKey.MatchString(text) && !ownKey.MatchString(text)
}

// read reads all documents. Each is parsed by itself, so that one that is broken does not hide the others; their terms are shared.
func (f *reader) read(text string) {
	var docs []*yaml.Node
	first, start, at := 0, 0, 0
	for i, line := range append(f.lines, "---") {
		if line == "---" || strings.HasPrefix(line, "--- ") || strings.HasPrefix(line, "---\r") {
			at = min(at, len(text))
			docs = append(docs, f.documents(text[start:at], first)...)
			first, start = i, at
		}
		at += len(line) + 1
	}
	found := false
	for _, d := range docs {
		f.terms(d)
	}
	for i, d := range docs {
		switch rules := get(d, "rules"); {
		case rules != nil && rules.Kind == yaml.SequenceNode:
			found = true
			base := "rules"
			if len(docs) > 1 {
				base = fmt.Sprintf("documents[%d].rules", i)
			}
			for j, n := range rules.Content {
				f.rule(resolve(n), fmt.Sprintf("%s[%d]", base, j))
			}
		case rules != nil:
			found = true
			f.problem(signatures.LevelError, at0(rules), "rules", "", "'rules' must be a list", "put a dash before each rule")
		}
	}
	if !found && len(f.problems) == 0 {
		f.problem(signatures.LevelError, place{line: 1, column: 1}, "", "", "rules not found", "a file of rules is a mapping with `rules:`, a list")
	}
}

// documents parses a part of the file, and leaves out what is no rule.
func (f *reader) documents(text string, firstLine int) (docs []*yaml.Node) {
	dec := yaml.NewDecoder(strings.NewReader(text))
	for {
		var n yaml.Node
		err := dec.Decode(&n)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			line, message := syntaxError(err)
			f.problem(signatures.LevelError, place{line: firstLine + line, column: 1}, "", "", "not readable as YAML: "+message,
				"the rules of this document are not read until it is mended")
			return docs
		}
		if n.Kind != yaml.DocumentNode || len(n.Content) == 0 {
			continue
		}
		root := n.Content[0]
		budget := maxNodes
		if !f.fits(root, firstLine, 0, &budget) {
			f.problem(signatures.LevelError, place{line: root.Line, column: root.Column}, "", "",
				fmt.Sprintf("the document has more than %d keys and values, or is nested deeper than %d", maxNodes, maxDepth), "")
			continue
		}
		if root.Kind != yaml.MappingNode || scalar(get(root, "section")) == "version" {
			continue
		}
		docs = append(docs, root)
	}
}

// fits gives the nodes the lines of the whole file and reports whether they are few enough, with every alias followed.
func (f *reader) fits(n *yaml.Node, lines, depth int, budget *int) bool {
	if *budget--; *budget < 0 || depth > maxDepth {
		return false
	}
	if n.Kind == yaml.AliasNode {
		return f.fits(n.Alias, 0, depth+1, budget) // it has its line already
	}
	n.Line += lines
	for _, x := range n.Content {
		if !f.fits(x, lines, depth+1, budget) {
			return false
		}
	}
	return true
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)

// syntaxError takes the line out of what the YAML reader says.
func syntaxError(err error) (line int, message string) {
	message = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		_, _ = fmt.Sscan(m[1], &line)
		return line, m[2]
	}
	return 1, message
}
