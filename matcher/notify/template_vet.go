package notify

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"text/template/parse"
)

// vet finds fields that the values of a template do not have, also where the examples do not lead. What it cannot know the type of, it believes.
func (m *maker) vet(name string, tree *parse.Tree) {
	if tree == nil || tree.Root == nil {
		return
	}
	v := vetter{tree: tree, vars: map[string]reflect.Type{"$": reflect.TypeFor[View]()}}
	v.list(tree.Root, reflect.TypeFor[View]())
	for _, p := range v.problems {
		m.wrong("templates."+name, p[0], p[1])
	}
}

type vetter struct {
	tree     *parse.Tree
	vars     map[string]reflect.Type // nil for one whose type is not known
	problems [][2]string
}

func (v *vetter) list(l *parse.ListNode, dot reflect.Type) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		v.node(n, dot)
	}
}

func (v *vetter) node(n parse.Node, dot reflect.Type) {
	switch n := n.(type) {
	case *parse.ActionNode:
		v.pipe(n.Pipe, dot)
	case *parse.IfNode:
		v.pipe(n.Pipe, dot)
		v.list(n.List, dot)
		v.list(n.ElseList, dot)
	case *parse.WithNode:
		v.list(n.List, v.pipe(n.Pipe, dot))
		v.list(n.ElseList, dot)
	case *parse.RangeNode:
		t := v.pipe(n.Pipe, dot)
		var item reflect.Type
		if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
			item = t.Elem()
		}
		if d := n.Pipe.Decl; len(d) > 0 {
			v.vars[d[len(d)-1].Ident[0]] = item
		}
		v.list(n.List, item)
		v.list(n.ElseList, dot)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			v.pipe(n.Pipe, dot)
		}
	}
}

// pipe returns the type of a pipeline's value, or nil.
func (v *vetter) pipe(p *parse.PipeNode, dot reflect.Type) reflect.Type {
	var t reflect.Type
	for _, c := range p.Cmds {
		t = nil
		for i, a := range c.Args {
			if at := v.arg(a, dot); i == 0 && len(c.Args) == 1 && len(p.Cmds) == 1 {
				t = at
			}
		}
	}
	for _, d := range p.Decl {
		v.vars[d.Ident[0]] = t
	}
	return t
}

func (v *vetter) arg(n parse.Node, dot reflect.Type) reflect.Type {
	switch n := n.(type) {
	case *parse.DotNode:
		return dot
	case *parse.FieldNode:
		return v.fields(n, dot, n.Ident)
	case *parse.VariableNode:
		return v.fields(n, v.vars[n.Ident[0]], n.Ident[1:])
	case *parse.ChainNode:
		return v.fields(n, v.arg(n.Node, dot), n.Field)
	case *parse.PipeNode:
		return v.pipe(n, dot)
	}
	return nil
}

func (v *vetter) fields(n parse.Node, t reflect.Type, names []string) reflect.Type {
	for _, name := range names {
		if t == nil {
			return nil
		}
		if m, ok := t.MethodByName(name); ok {
			t = m.Type.Out(0)
			continue
		}
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() == reflect.Map {
			t = t.Elem()
			continue
		}
		var f reflect.StructField
		ok := false
		if t.Kind() == reflect.Struct {
			f, ok = t.FieldByName(name)
		}
		if m, is := reflect.PointerTo(t).MethodByName(name); !ok && is {
			t = m.Type.Out(0)
			continue
		}
		if !ok || !f.IsExported() {
			at, _ := v.tree.ErrorContext(n)
			_, at, _ = strings.Cut(at, ":")
			v.problems = append(v.problems, [2]string{fmt.Sprintf("%s: there is no field %s", place(at), name), "it has " + fieldNames(t)})
			return nil
		}
		t = f.Type
	}
	return t
}

func place(at string) string {
	line, column, _ := strings.Cut(at, ":")
	n, _ := strconv.Atoi(column) // counted from 0
	return "line " + line + ", column " + strconv.Itoa(n+1)
}

func fieldNames(t reflect.Type) string {
	if t.Kind() != reflect.Struct {
		return "no fields, it is a " + t.String()
	}
	var names []string
	for f := range t.Fields() {
		if f.IsExported() {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, ", ")
}
