package signatures

import (
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// source is one file's text. All signatures that were read from it share it.
type source struct {
	file  string
	text  string   // with line feeds as line ends
	lines []string // of text, without their ends
}

// chunk is one YAML document of a source.
type chunk struct {
	src   *source
	first int // the index of its first line
	text  string

	once  sync.Once
	nodes []*yaml.Node // filled at the first question for a position, because hardly any signature is ever asked
}

// document is the YAML source of a signature: it maps field paths to lines and columns.
type document struct {
	chunk *chunk
	index int    // which document of the chunk
	base  string // the path of the signature within it: "" or signatures[3]
}

func (d *document) root() *yaml.Node {
	d.chunk.once.Do(func() { d.chunk.nodes, _ = d.chunk.parse() })
	if d.index >= len(d.chunk.nodes) {
		return nil
	}
	n, _ := locate(d.chunk.nodes[d.index], d.base)
	return n.value
}

// Position tells where in its file a field of the signature stands: path is written as in [Problem]. A field that is absent or was
// written in a short form gives the place of the nearest thing around it. ok is false when the signature was not read from text.
func (s *Signature) Position(path string) (file string, line, column int, ok bool) {
	if s.source == nil && s.origin != nil {
		return s.origin.File, s.origin.Line, s.origin.Column, true
	}
	if s.source == nil {
		return "", 0, 0, false
	}
	root := s.source.root()
	if root == nil {
		return s.source.chunk.src.file, 0, 0, false
	}
	at, _ := locate(root, path)
	line, column = at.place()
	return s.source.chunk.src.file, line, column, true
}

// Problem makes an error about a field of the signature, with its place in the text if there is one. It is how those who
// come after [Parse], such as the compiler, report.
func (s *Signature) Problem(path, message, suggestion string) Problem {
	p := Problem{File: "signature " + s.ID, Path: path, Severity: LevelError, Message: message, Suggestion: suggestion}
	if file, line, column, ok := s.Position(path); ok {
		p.File, p.Line, p.Column = file, line, column
		if s.source == nil {
			p.Snippet = s.origin.Snippet
		} else {
			p.Snippet = s.source.chunk.src.snippet(line, column)
		}
	}
	return p
}

// Place says where a signature that has no text of its own stands, such as one of another language or a custom resource: of at, the file, place
// and snippet count. [Signature.Position] gives it for every path, and the text that the signature was read from is forgotten. It is for those who
// read signatures, before anyone else has them.
func (s *Signature) Place(at Problem) { s.source, s.origin = nil, &at }

func (s *source) snippet(line, column int) string {
	if line < 1 || line > len(s.lines) {
		return ""
	}
	return snippet(s.lines[line-1], column)
}

// field is a node of a document and the key that it stands under.
type field struct{ key, value *yaml.Node }

// place is where a problem with the field is shown: at a scalar's value, else at its key.
func (f field) place() (line, column int) {
	n := f.value
	if f.key != nil && (n.Kind != yaml.ScalarNode || n.Tag == "!!null") {
		n = f.key
	}
	return n.Line, n.Column
}

// locate walks from root along path as far as there are nodes. whole is false when the path goes on from there.
//
// Names are passed over where a short form stands: component.equals[1] is the second element of `component: [a, b]`.
func locate(root *yaml.Node, path string) (at field, whole bool) {
	at = field{value: root}
	for path != "" {
		var name string
		var index int
		name, index, path = nextStep(path)
		switch {
		case index >= 0:
			if at.value.Kind != yaml.SequenceNode {
				continue
			}
			if index >= len(at.value.Content) {
				return at, false
			}
			at = field{value: at.value.Content[index]}
		case at.value.Kind == yaml.MappingNode:
			k := keyIndex(at.value, name)
			if k < 0 {
				return at, false
			}
			at = field{key: at.value.Content[k], value: at.value.Content[k+1]}
		}
	}
	return at, true
}

func keyIndex(m *yaml.Node, name string) int {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return i
		}
	}
	return -1
}

// nextStep splits the first step off a path: a name, or an index that is at least 0.
func nextStep(path string) (name string, index int, rest string) {
	if strings.HasPrefix(path, `["`) {
		if quoted, err := strconv.QuotedPrefix(path[1:]); err == nil {
			name, _ = strconv.Unquote(quoted)
			rest = strings.TrimPrefix(path[1+len(quoted):], "]")
			return name, -1, strings.TrimPrefix(rest, ".")
		}
	}
	if strings.HasPrefix(path, "[") {
		number, rest, _ := strings.Cut(path[1:], "]")
		if n, err := strconv.Atoi(number); err == nil && n >= 0 {
			return "", n, strings.TrimPrefix(rest, ".")
		}
	}
	end := strings.IndexAny(path[1:], ".[")
	if end < 0 {
		return path, -1, ""
	}
	return path[:end+1], -1, strings.TrimPrefix(path[end+1:], ".")
}

// child is the path of a mapping's entry.
func child(path, name string) string {
	for i := range len(name) {
		if c := name[i]; c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return path + "[" + strconv.Quote(name) + "]"
		}
	}
	if path == "" || name == "" {
		return path + name
	}
	return path + "." + name
}

// element is the path of a list's element.
func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// inside returns the place of the byte at offset of a scalar's value, as well as its style allows; of folded text only the start
// is known.
func (s *source) inside(n *yaml.Node, offset int) (line, column int) {
	if n.Line < 1 || n.Line > len(s.lines) || offset > len(n.Value) {
		return n.Line, n.Column
	}
	before := n.Value[:offset]
	switch {
	case n.Style&yaml.LiteralStyle != 0:
		down := strings.Count(before, "\n")
		line = n.Line + 1 + down
		if line > len(s.lines) || n.Line >= len(s.lines) {
			return n.Line, n.Column
		}
		first := s.lines[n.Line]
		indent := len(first) - len(strings.TrimLeft(first, " "))
		return line, indent + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	case n.Style&yaml.FoldedStyle != 0:
		return n.Line, n.Column
	}
	raw := []rune(s.lines[n.Line-1])
	at := n.Column - 1
	quote := rune(0)
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 && at < len(raw) {
		quote = raw[at]
		at++
	}
	for range utf8.RuneCountInString(before) {
		if at >= len(raw) {
			return n.Line, n.Column // it goes over several lines
		}
		switch {
		case quote == '"' && raw[at] == '\\' && at+1 < len(raw):
			at += 2 + map[rune]int{'x': 2, 'u': 4, 'U': 8}[raw[at+1]]
		case quote == '\'' && raw[at] == '\'':
			at += 2
		default:
			at++
		}
	}
	return n.Line, at + 1
}
