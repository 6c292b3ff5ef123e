package format

import (
	"bytes"
	"encoding/json"
	"strings"

	"go.yaml.in/yaml/v3"
)

// kubernetesYAML reads `kubectl get -o yaml`: one object, or several behind each other, or a list whose items are taken one by one. Each becomes
// JSON and goes the way of JSON.
type kubernetesYAML struct {
	*kubernetes
	lines  splitter
	doc    []byte
	list   bool // inside the items of a list
	indent int  // of the list's items, -1 before the first
	huge   bool // the document is too large, or of no use: it is not kept
}

func newKubernetesYAML(in Input, sample []byte) Parser {
	y := &kubernetesYAML{kubernetes: newKubernetes(in, sample).(*kubernetes)}
	y.lines = splitter{counts: in.Counts, max: in.Limits.LineBytes, offset: in.Offset, line: y.line}
	return y
}

func (y *kubernetesYAML) Write(p []byte) { y.lines.write(p) }

func (y *kubernetesYAML) Close() {
	y.lines.close()
	y.end()
	y.release()
}

func (y *kubernetesYAML) line(line []byte, _ uint64) {
	switch {
	case len(line) > 0 && line[0] == '#', bytes.HasPrefix(line, []byte("---")):
		y.end()
		y.list = false
	case bytes.HasPrefix(line, []byte("items:")):
		y.doc, y.list, y.indent = y.doc[:0], true, -1 // what stands before the items is of no use
	case y.list && y.element(line):
		y.end()
		item := append([]byte(nil), line...)
		item[y.indent] = ' '
		y.keep(item)
	case y.list && len(line) > 0 && line[0] != ' ': // the list's own kind and metadata
		y.end()
		y.list = false
		y.huge = true // until the next document: this is the tail of the list
	default:
		y.keep(line)
	}
}

// element reports whether a line begins an item of the list. The first one says how far items are indented.
func (y *kubernetesYAML) element(line []byte) bool {
	n := len(line) - len(bytes.TrimLeft(line, " "))
	if !bytes.HasPrefix(line[n:], []byte("- ")) || y.indent >= 0 && n != y.indent {
		return false
	}
	y.indent = n
	return true
}

func (y *kubernetesYAML) keep(line []byte) {
	if y.huge {
		return
	}
	if len(y.doc)+len(line) > y.in.Limits.ItemBytes {
		y.in.Counts.Add(LargeItem, 1)
		y.doc, y.huge = y.doc[:0], true
		return
	}
	y.doc = append(append(y.doc, line...), '\n')
}

// end takes the document or item that was collected.
func (y *kubernetesYAML) end() {
	doc := y.doc
	y.doc, y.huge = y.doc[:0], false
	if len(bytes.TrimSpace(doc)) == 0 {
		return
	}
	var v map[string]any
	if err := yaml.Unmarshal(doc, &v); err != nil {
		y.in.Counts.Add(BadItem, 1)
		return
	}
	b, err := json.Marshal(v)
	if err != nil { // a key that is not a string
		y.in.Counts.Add(BadItem, 1)
		return
	}
	y.item(b, "", "")
	if !y.list {
		y.over()
	}
}

// detectYAML reports whether the first lines are of an object of Kubernetes in YAML.
func detectYAML(sample []byte) bool {
	n, found := 0, false
	each(sample, func(line []byte) bool {
		s := string(line)
		if s == "---" || s[0] == '#' {
			return true
		}
		key, _, ok := strings.Cut(s, ":")
		found = ok && (key == "apiVersion" || key == "kind" || key == "items")
		n++
		return found && n < 2
	})
	return found
}
