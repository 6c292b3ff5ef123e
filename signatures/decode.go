package signatures

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder turns the nodes of one document into signatures. It works by the yaml tags of the types, so that the language is
// written down once; where a type has a short form, scalar.go reads it.
type decoder struct {
	parser *parser
	chunk  *chunk
	index  int
	base   string // the path of the signature within the document

	// broken holds the paths, below base, at which there was an error. Checks that would only repeat it are left out.
	broken []string
}

// problem reports an error at a node. path is within the signature.
func (d *decoder) problem(n *yaml.Node, path, message, suggestion string) {
	d.problemAt(n.Line, n.Column, path, message, suggestion)
}

func (d *decoder) problemAt(line, column int, path, message, suggestion string) {
	d.broken = append(d.broken, path)
	d.parser.problems = append(d.parser.problems, Problem{
		File: d.parser.src.file, Line: line, Column: column, Path: path, Severity: LevelError, Message: message,
		Suggestion: suggestion, Snippet: d.parser.src.snippet(line, column),
	})
}

// bounds refuses documents that are too deep or too large, and what of YAML is no part of the language: anchors, aliases and tags.
func (d *decoder) bounds(root *yaml.Node) bool {
	count, ok := 0, true
	var walk func(n *yaml.Node, depth int)
	walk = func(n *yaml.Node, depth int) {
		count++
		if !ok || count > maxNodes {
			return
		}
		switch {
		case depth > maxDepth:
			ok = false
			d.problem(n, "", fmt.Sprintf("nested deeper than %d levels", maxDepth), "")
		case n.Kind == yaml.AliasNode:
			d.problem(n, "", fmt.Sprintf("the alias *%s: aliases are not part of the language", clip(n.Value)), "write the value out")
			return
		case n.Anchor != "":
			d.problem(n, "", fmt.Sprintf("the anchor &%s: anchors are not part of the language", clip(n.Anchor)), "remove it")
		case n.Style&yaml.TaggedStyle != 0:
			d.problem(n, "", fmt.Sprintf("the tag %s: tags are not part of the language", clip(n.Tag)), "remove it")
		}
		for _, x := range n.Content {
			walk(x, depth+1)
		}
	}
	walk(root, 0)
	if count > maxNodes {
		d.problem(root, "", fmt.Sprintf("the document has more than %d keys and values", maxNodes), "divide it with lines of ---")
		return false
	}
	return ok && len(d.broken) == 0
}

// document reads a signature, or the list under `signatures`.
func (d *decoder) document(root *yaml.Node) {
	if root.Kind == yaml.SequenceNode {
		d.problem(root, "", "a document is a mapping, not a list", "write `signatures:` above the list")
		return
	}
	if root.Kind != yaml.MappingNode {
		d.problem(root, "", "a document is a mapping with the keys of a signature", "begin with `id:`")
		return
	}
	if keyIndex(root, "signatures") < 0 {
		d.signature(root, "")
		return
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		switch {
		case key.Value != "signatures":
			d.problem(key, "", fmt.Sprintf("%q stands beside `signatures`", clip(key.Value)), "move it into a signature of the list")
		case value.Kind != yaml.SequenceNode:
			d.problem(key, "", "`signatures` is a list of signatures", "put a dash before each of them")
		default:
			for j, n := range value.Content {
				each := &decoder{parser: d.parser, chunk: d.chunk, index: d.index, base: element("signatures", j)}
				each.signature(n, each.base)
			}
		}
	}
}

func (d *decoder) signature(n *yaml.Node, base string) {
	s := &Signature{source: &document{chunk: d.chunk, index: d.index, base: base}}
	d.value(n, reflect.ValueOf(s).Elem(), "")
	if n.Kind != yaml.MappingNode {
		return
	}
	c := &checker{s: s, opts: d.parser.opts, src: d.parser.src, root: n, broken: d.broken}
	c.signature()
	d.parser.problems = append(d.parser.problems, c.problems...)
	if len(d.broken) == 0 && len(Errors(c.problems)) == 0 {
		d.parser.signatures = append(d.parser.signatures, s)
	}
}

// value reads a node into v, which is settable.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if short, ok := reflect.TypeAssert[shortForm](v.Addr()); ok {
		short.decode(d, n, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(n, p.Elem(), path)
		v.Set(p)
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Map:
		d.entries(n, v, path)
	case reflect.String:
		if s, ok := d.text(n, path); ok {
			v.SetString(s)
		}
	case reflect.Int:
		if i, ok := d.integer(n, path); ok {
			v.SetInt(i)
		}
	case reflect.Float64:
		if f, ok := d.number(n, path); ok {
			v.SetFloat(f)
		}
	case reflect.Bool:
		if b, ok := d.boolean(n, path); ok {
			v.SetBool(b)
		}
	default:
		d.problem(n, path, "a value of type "+v.Type().String()+" can't be written in YAML", "")
	}
}

// list reads a sequence. A single mapping or word is not taken for a list of one: where that is meant, the type has a short form.
func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		mend := "put a dash before each element"
		if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
			mend = "write [" + clip(n.Value) + "]"
		}
		d.problem(n, path, "want a list, not "+describe(n), mend)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, x := range n.Content {
		d.value(x, out.Index(i), element(path, i))
	}
	v.Set(out)
}

// entries reads a mapping with keys of the author's choice.
func (d *decoder) entries(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, path, "want a mapping of names to values, not "+describe(n), "")
		return
	}
	out := reflect.MakeMap(v.Type())
	for key, value := range d.keys(n, path) {
		x := reflect.New(v.Type().Elem()).Elem()
		d.value(value, x, child(path, key.Value))
		out.SetMapIndex(reflect.ValueOf(key.Value), x)
	}
	v.Set(out)
}

// keys yields the entries of a mapping whose keys are words, each once; it reports the others.
func (d *decoder) keys(n *yaml.Node, path string) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		seen := make(map[string]int, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if key.Kind != yaml.ScalarNode {
				d.problem(key, path, "a key is "+describe(key)+", not a word", "put quotes around text that begins with [ or {")
				continue
			}
			if first, ok := seen[key.Value]; ok {
				d.problem(key, child(path, key.Value), fmt.Sprintf("the key %q stands twice; the first is in line %d", clip(key.Value), first),
					"remove one of them")
				continue
			}
			seen[key.Value] = key.Line
			if !yield(key, value) {
				return
			}
		}
	}
}

// member is a struct field as YAML sees it.
type member struct {
	name     string
	index    int
	required bool
}

// members lists the fields of a struct type by their yaml tags. A field without omitempty is required.
func members(t reflect.Type) []member {
	var out []member
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		out = append(out, member{name: name, index: i, required: !strings.Contains(opts, "omitempty")})
	}
	return out
}

// mapping reads a mapping into a struct.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	fields := members(v.Type())
	what := placeName(path)
	if n.Kind != yaml.MappingNode {
		names := make([]string, 0, len(fields))
		for _, f := range fields {
			names = append(names, f.name)
		}
		d.problem(n, path, fmt.Sprintf("%s is a mapping, not %s", what, describe(n)), "known here: "+strings.Join(names, ", "))
		return
	}
	present := make(map[string]bool, len(fields))
	var unknown []*yaml.Node
	for key, value := range d.keys(n, path) {
		i := slices.IndexFunc(fields, func(f member) bool { return f.name == key.Value })
		if i < 0 {
			unknown = append(unknown, key)
			continue
		}
		present[key.Value] = true
		d.value(value, v.Field(fields[i].index), child(path, key.Value))
	}
	for _, key := range unknown {
		var free []string // a key that is there already was hardly meant
		for _, f := range fields {
			if !present[f.name] {
				free = append(free, f.name)
			}
		}
		meant := nearest(key.Value, free)
		if meant != "" {
			present[meant] = true // so that it is not reported as missing as well
		}
		d.problem(key, child(path, key.Value), fmt.Sprintf("unknown key %q in %s", clip(key.Value), what), misplaced(key.Value, v.Type(), meant, free))
	}
	for _, f := range fields {
		if f.required && !present[f.name] {
			line, column := n.Line, n.Column
			d.problemAt(line, column, child(path, f.name), fmt.Sprintf("%q is missing in %s", f.name, what), missingMend(v.Type(), f.name))
		}
	}
}

// placeName says in words where a path is: "the signature", "stages[0].when".
func placeName(path string) string {
	if path == "" {
		return "the signature"
	}
	return "`" + path + "`"
}

// describe says what a node is, for messages.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	default:
		return fmt.Sprintf("%q", clip(n.Value))
	}
}

// clip keeps an author's text in a message short.
func clip(s string) string {
	const most = 60
	if rs := []rune(s); len(rs) > most {
		return string(rs[:most]) + "..."
	}
	return s
}
