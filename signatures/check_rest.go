package signatures

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

func (c *checker) applies() {
	a := c.s.Applies
	if a == nil {
		return
	}
	c.versions("applies.kubernetes", a.Kubernetes)
	for _, name := range sortedKeys(a.Components) {
		c.versions(child("applies.components", name), a.Components[name])
	}
	for _, name := range sortedKeys(a.Facts) {
		if a.Facts[name] == "" {
			c.error(child("applies.facts", name), "a fact has no value", "")
		}
	}
	if a.Kubernetes == "" && len(a.Components) == 0 && len(a.Facts) == 0 {
		c.warn("applies", "it limits nothing", "remove it")
	}
}

func (c *checker) versions(path, text string) {
	if text == "" {
		return
	}
	r, err := ParseVersionRange(text)
	if err != nil {
		message, mend, _ := strings.Cut(err.Error(), ": ")
		c.error(path, message, mend)
		return
	}
	if r.impossible() {
		c.error(path, fmt.Sprintf("no version is in %q", clip(text)), "")
	}
}

func (c *checker) remedies() {
	s := c.s
	if len(s.Remedies) == 0 {
		c.demand("remedies", "there are no remedies", "say what to do, the safest first")
	}
	safest := 0
	for i := range s.Remedies {
		r, path := &s.Remedies[i], element("remedies", i)
		c.enum(child(path, "risk"), string(r.Risk), texts(Risks()))
		if rank := slices.Index(Risks(), r.Risk); rank >= 0 {
			if rank < safest {
				c.warn(child(path, "risk"), fmt.Sprintf("%q is safer than the remedy before it", r.Risk), "put the safest first")
			}
			safest = max(safest, rank)
		}
		c.command(child(path, "command"), r.Command)
	}
}

// commandFields are the names that a command may use: those of the words of `by`.
func commandFields(by Key) (known, filled []string) {
	known = []string{"namespace", "pod", "container", "kind", "workload", "node", "volume", "cluster"}
	return known, append(keyNames(by), "cluster")
}

// command checks a template. Only plain names are allowed, so that filling one in can neither fail nor surprise.
func (c *checker) command(path, text string) {
	if !strings.Contains(text, "{{") {
		return
	}
	t, err := template.New("command").Parse(text)
	if err != nil {
		message := strings.TrimPrefix(err.Error(), "template: command:")
		if _, after, ok := strings.Cut(message, ": "); ok {
			message = after
		}
		c.error(path, "the command can't be read: "+message, "such as kubectl describe node {{ .node }}")
		return
	}
	known, filled := commandFields(c.s.By)
	for _, n := range t.Root.Nodes {
		if n.Type() == parse.NodeText {
			continue
		}
		name, ok := fieldName(n)
		at := max(0, int(n.Position())-len("{{"))
		switch {
		case !ok:
			c.add(LevelError, path, at, "only names such as {{ .node }} can stand in a command", "known here: "+strings.Join(known, ", "))
		case !slices.Contains(known, name):
			c.add(LevelError, path, at, fmt.Sprintf("unknown name %q in the command", clip(name)), suggestWord(name, known))
		case !slices.Contains(filled, name):
			c.add(LevelWarning, path, at, fmt.Sprintf("%q is no part of the key, so it is not filled in", name),
				"known with this key: "+strings.Join(filled, ", "))
		}
	}
}

// fieldName returns NAME of {{ .NAME }}.
func fieldName(n parse.Node) (string, bool) {
	action, ok := n.(*parse.ActionNode)
	if !ok || len(action.Pipe.Decl) > 0 || len(action.Pipe.Cmds) != 1 || len(action.Pipe.Cmds[0].Args) != 1 {
		return "", false
	}
	field, ok := action.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(field.Ident) != 1 {
		return "", false
	}
	return field.Ident[0], true
}

func (c *checker) references() {
	if len(c.s.References) == 0 {
		c.demand("references", "there are no references", "say who says so: links to issues, post-mortems, documentation")
	}
	for i, r := range c.s.References {
		u, err := url.Parse(r)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			c.warn(element("references", i), fmt.Sprintf("%q is not a link", clip(r)), "begin with https://")
		}
	}
}
