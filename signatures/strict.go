package signatures

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode reads a YAML file that is not a signature, such as the configuration, into the struct that into points to, as strictly as signatures are read:
// by its yaml tags, with every mistake and its place at once. name is what the whole is called in messages. A file of comments alone leaves into
// as it is. Checks that need more than the types are the caller's; the returned function places what they find.
func Decode(name, file string, src []byte, into any) ([]Problem, func(path, message, suggestion string) Problem) {
	p := &parser{src: &source{file: file}}
	place := func(path, message, suggestion string) Problem {
		return Problem{File: file, Path: path, Severity: LevelError, Message: message, Suggestion: suggestion}
	}
	if !p.read(src) {
		return sortProblems(p.problems), place
	}
	chunks := p.src.chunks()
	if len(chunks) > 1 {
		p.add(chunks[1].first+1, 1, "a second document begins here", name+" is one document")
	}
	for _, c := range chunks[:min(1, len(chunks))] {
		nodes, err := c.parse()
		if err != nil {
			p.syntax(c, err)
		}
		for _, n := range nodes[:min(1, len(nodes))] {
			place = func(path, message, suggestion string) Problem { return p.place(n, path, message, suggestion) }
			d := &decoder{parser: p, chunk: c}
			if n.Kind == yaml.ScalarNode && n.Tag == "!!null" || !d.bounds(n) {
				continue
			}
			d.value(n, reflect.ValueOf(into).Elem(), "")
		}
	}
	for i := range p.problems {
		p.problems[i].Message = strings.Replace(p.problems[i].Message, placeName(""), name, 1)
	}
	return sortProblems(p.problems), place
}

// place finds where in a document a field stands.
func (p *parser) place(root *yaml.Node, path, message, suggestion string) Problem {
	at, _ := locate(root, path)
	line, column := at.place()
	return Problem{
		File: p.src.file, Line: line, Column: column, Path: path, Severity: LevelError, Message: message, Suggestion: suggestion,
		Snippet: p.src.snippet(line, column),
	}
}
