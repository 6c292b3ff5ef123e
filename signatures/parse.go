package signatures

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// What one file may hold. The bounds keep a hostile file from taking the process down; real signatures are a few kilobytes.
const (
	maxFile     = 32 << 20 // bytes of a file
	maxDocument = 1 << 20  // bytes of a YAML document
	maxNodes    = 100_000  // keys and values of a document
	maxDepth    = 64       // of nesting
	maxProblems = 500      // told of one file
)

// Options say how strict reading is. The zero Options are right for a user's own signatures.
type Options struct {
	// Catalogue asks what is asked of a signature that is shipped to others: an incident, remedies, references, a test that
	// fires and a near miss are then required; without it their absence is a warning.
	Catalogue bool
	// Foreign, if set, is asked first for every file that [Load] reads, so that rules of other languages can lie
	// beside signatures. Parse does not ask it.
	Foreign Foreign
}

// Parse reads the signatures of one file. It is [Options.Parse] with the zero Options.
func Parse(file string, src []byte) ([]*Signature, []Problem) { return Options{}.Parse(file, src) }

// Parse reads and checks the signatures of one file: YAML documents, each of them one signature or `signatures: [...]`. JSON is
// YAML, and what encoding/json makes of a [Signature] can be read too.
//
// It returns the signatures that have no error, in their order, and everything that is wrong with any of them, sorted by place.
// file is used in problems only. src is not kept, but its text is.
func (o Options) Parse(file string, src []byte) ([]*Signature, []Problem) {
	p := &parser{opts: o, src: &source{file: file}}
	p.file(src)
	p.cap()
	return p.signatures, sortProblems(p.problems)
}

// cap keeps the first of very many problems, errors before warnings, and says how many more there are.
func (p *parser) cap() {
	more := len(p.problems) - maxProblems
	if more <= 0 {
		return
	}
	sorted := sortProblems(p.problems)
	slices.SortStableFunc(sorted, func(a, b Problem) int {
		switch {
		case a.IsError() == b.IsError():
			return 0
		case a.IsError():
			return -1
		default:
			return 1
		}
	})
	level := LevelWarning
	if sorted[maxProblems].IsError() {
		level = LevelError
	}
	p.problems = append(sorted[:maxProblems:maxProblems], Problem{
		File: p.src.file, Line: len(p.src.lines), Column: 1, Severity: level,
		Message: fmt.Sprintf("and %d more problems", more), Suggestion: "mend the ones above first",
	})
}

type parser struct {
	opts       Options
	src        *source
	signatures []*Signature
	problems   []Problem
}

// add reports a problem of the whole file or document.
func (p *parser) add(line, column int, message, suggestion string) {
	p.problems = append(p.problems, Problem{
		File: p.src.file, Line: line, Column: column, Severity: LevelError, Message: message, Suggestion: suggestion,
		Snippet: p.src.snippet(line, column),
	})
}

// read takes the file's text, and reports whether it is one that YAML can be read from.
func (p *parser) read(src []byte) bool {
	if len(src) > maxFile {
		p.add(1, 1, fmt.Sprintf("the file has %d bytes; at most %d are read", len(src), maxFile), "split it")
		return false
	}
	if len(src) >= 2 && (src[0] == 0xff && src[1] == 0xfe || src[0] == 0xfe && src[1] == 0xff) {
		p.add(1, 1, "the file is UTF-16", "save it as UTF-8")
		return false
	}
	text := strings.TrimPrefix(string(src), "\ufeff")
	p.src.text = strings.ReplaceAll(text, "\r\n", "\n")
	p.src.lines = strings.Split(p.src.text, "\n")
	return p.characters()
}

func (p *parser) file(src []byte) {
	if !p.read(src) {
		return
	}
	found := false
	for _, c := range p.src.chunks() {
		found = p.chunk(c) || found
	}
	if !found {
		p.add(1, 1, "there is no signature in the file", "begin with `forewarn signature new`")
	}
}

// characters refuses what YAML does not allow in a text, and the exotic line ends that would make its line numbers disagree with
// everyone's editor.
func (p *parser) characters() bool {
	before := len(p.problems)
	for i, line := range p.src.lines {
		column := 0
		for at, r := range line {
			column++
			switch {
			case r == utf8.RuneError && !strings.HasPrefix(line[at:], "\ufffd"):
				p.add(i+1, column, fmt.Sprintf("byte 0x%02x is not valid UTF-8", line[at]), "save the file as UTF-8")
			case r == '\r':
				p.add(i+1, column, "a carriage return stands without a line feed", "save the file with line feeds as line ends")
			case r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfffe || r == 0xffff:
				p.add(i+1, column, fmt.Sprintf("the character %U can't stand in YAML", r), fmt.Sprintf(`write it as "\u%04x"`, r))
			case r == '\ufeff':
				p.add(i+1, column, "a byte order mark stands inside the file", "remove it")
			default:
				continue
			}
			break // one a line tells enough
		}
		if len(p.problems)-before >= 20 {
			break
		}
	}
	return len(p.problems) == before
}

// chunks splits the text at its document marks. A mark at the start of a line can't be part of a value, even of a quoted
// one, so that a document that is broken does not hide those after it.
func (s *source) chunks() []*chunk {
	var out []*chunk
	first, start, at := 0, 0, 0
	for i := 0; i <= len(s.lines); i++ {
		if i == len(s.lines) || isMark(s.lines[i]) {
			at = min(at, len(s.text)) // the last line has no end
			if !blank(s.lines[first:i]) {
				out = append(out, &chunk{src: s, first: first, text: s.text[start:at]})
			}
			first, start = i, at
		}
		if i < len(s.lines) {
			at += len(s.lines[i]) + 1
		}
	}
	return out
}

func isMark(line string) bool {
	rest, ok := strings.CutPrefix(line, "---")
	return ok && (rest == "" || rest[0] == ' ' || rest[0] == '\t')
}

// blank reports whether lines hold nothing but comments, marks and directives.
func blank(lines []string) bool {
	for _, l := range lines {
		l = strings.TrimSpace(l)
		if l != "" && l != "---" && l != "..." && l[0] != '#' && l[0] != '%' {
			return false
		}
	}
	return true
}

// parse returns the documents of the chunk (more than one only when `...` divides them), with the lines of the whole file.
func (c *chunk) parse() ([]*yaml.Node, error) {
	var out []*yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(c.text))
	for {
		var n yaml.Node
		if err := dec.Decode(&n); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return out, fmt.Errorf("read YAML: %w", err)
		}
		if n.Kind != yaml.DocumentNode || len(n.Content) == 0 {
			continue
		}
		shift(n.Content[0], c.first, 0)
		out = append(out, n.Content[0])
	}
}

func shift(n *yaml.Node, lines, depth int) {
	n.Line += lines
	if depth > 2*maxDepth {
		return // it will be refused
	}
	for _, x := range n.Content {
		shift(x, lines, depth+1)
	}
}

// chunk reads one YAML document. It reports whether there was anything in it.
func (p *parser) chunk(c *chunk) bool {
	if len(c.text) > maxDocument {
		p.add(c.first+1, 1, fmt.Sprintf("the document has %d bytes; at most %d are read", len(c.text), maxDocument),
			"divide it into several documents with lines of ---")
		return true
	}
	nodes, err := c.parse()
	if err != nil {
		p.syntax(c, err)
	}
	for i, n := range nodes {
		if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
			continue
		}
		d := &decoder{parser: p, chunk: c, index: i}
		if d.bounds(n) {
			d.document(n)
		}
	}
	return err != nil || len(nodes) > 0
}

// syntax reports what the YAML reader could not read. Its own line numbers mean the start of the construct or the line before, so
// the place is found by reading beginnings of the document: the shortest that fails in the same way ends at the fault.
func (p *parser) syntax(c *chunk, err error) {
	message := syntaxMessage(err)
	lines := strings.SplitAfter(strings.TrimSuffix(c.text, "\n"), "\n")
	low, high := 1, len(lines)
	for low < high {
		mid := (low + high) / 2
		part := chunk{src: c.src, text: strings.Join(lines[:mid], "")}
		if _, err := part.parse(); err != nil && syntaxMessage(err) == message {
			high = mid
		} else {
			low = mid + 1
		}
	}
	line := c.first + low
	text := p.src.lines[line-1]
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	column, suggestion := c.faultColumn(strings.Join(lines[:low-1], ""), text, message), ""
	if column == 0 {
		column = utf8.RuneCountInString(indent) + 1
	}
	switch {
	case strings.Contains(indent, "\t"):
		column = strings.IndexByte(indent, '\t') + 1
		message, suggestion = "a tab indents the line, which YAML does not allow", "indent with spaces"
	case strings.Contains(message, "mapping values are not allowed"):
		suggestion = "put quotes around a value that holds a colon and a space; or the indentation is wrong"
	case strings.Contains(message, "did not find expected key"), strings.Contains(message, "did not find expected '-' indicator"):
		suggestion = "the indentation differs from the lines before, or a quote or a bracket is left open above"
	case strings.Contains(message, "did not find expected ','"):
		suggestion = "a bracket is left open, here or above, or a comma is missing"
	case strings.Contains(message, "unexpected end of stream"):
		suggestion = "a quote or a bracket is left open"
	case strings.Contains(message, "cannot start any token"):
		suggestion = "put quotes around a value that begins with @, ` or %"
	case strings.Contains(message, "unknown escape"):
		suggestion = "inside double quotes a backslash is an escape: use single quotes for regular expressions"
	}
	p.add(line, column, "not readable as YAML: "+message, suggestion)
}

// faultColumn finds the first character of a line with which the text before it and the line fail as they do as a whole; 0 when
// no part of the line does.
func (c *chunk) faultColumn(before, line, message string) int {
	rs := []rune(line)
	if len(rs) > 1000 {
		return 0
	}
	fails := func(n int) bool {
		_, err := (&chunk{src: c.src, text: before + string(rs[:n])}).parse()
		return err != nil && syntaxMessage(err) == message
	}
	low, high := 0, len(rs)
	if !fails(high) {
		return 0
	}
	for low < high {
		if mid := (low + high) / 2; fails(mid) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

func syntaxMessage(err error) string {
	message := strings.TrimPrefix(errors.Unwrap(err).Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		if _, after, ok := strings.Cut(rest, ": "); ok {
			return after
		}
	}
	return message
}
