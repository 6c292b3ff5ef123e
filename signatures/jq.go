package signatures

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/itchyny/gojq"
)

// Bounds of a jq program. A step of it takes some tens of nanoseconds but for those that make a value larger, of which there may be only a
// few: so one line can cost neither much time nor much memory.
const (
	maxJQ       = 4096 // bytes
	maxJQGrowth = 8    // operators and constructors that can double a value
)

// jqFunctions are those that look at a value, or make one that is not much larger.
var jqFunctions = []string{
	"abs", "all", "any", "arrays", "ascii_downcase", "ascii_upcase", "booleans", "ceil", "contains", "empty", "endswith", "error", "false", "first",
	"finites", "floor", "fromdateiso8601", "has", "in", "index", "inside", "isnan", "isvalid", "iterables", "keys", "last", "length", "ltrimstr", "map", "match",
	"max", "min", "normals", "not", "null", "nulls", "numbers", "objects", "rindex", "round", "rtrimstr", "scalars", "scan", "select", "split", "startswith",
	"strings", "test", "tonumber", "trim", "true", "type", "values", "capture", "fromjson", "sort", "unique", "fromdate",
}

// CompileJQ compiles a jq program that looks at one line of JSON. Programs that could run, or grow, without bound are refused:
// loops, recursion and functions that build large values.
func CompileJQ(text string) (*gojq.Code, error) {
	if len(text) > maxJQ {
		return nil, fmt.Errorf("the jq program has %d bytes; at most %d", len(text), maxJQ)
	}
	query, err := gojq.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read jq: %w", err)
	}
	w := jqWalk{}
	w.visit(reflect.ValueOf(query))
	if w.growth > maxJQGrowth {
		w.err = errors.Join(w.err, fmt.Errorf("jq: there are %d places at which a value can double; at most %d", w.growth, maxJQGrowth))
	}
	if w.err != nil {
		return nil, w.err
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return nil, fmt.Errorf("compile jq: %w", err)
	}
	return code, nil
}

// jqWalk looks at every node of a program.
type jqWalk struct {
	growth int
	err    error
}

func (w *jqWalk) refuse(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("jq: "+format, args...)
	}
}

func (w *jqWalk) visit(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			w.node(v.Interface())
			w.visit(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			w.visit(v.Index(i))
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			w.visit(field)
		}
	default:
	}
}

func (w *jqWalk) node(n any) {
	switch x := n.(type) {
	case *gojq.Query:
		switch {
		case len(x.Imports) > 0 || x.Meta != nil:
			w.refuse("modules can't be used")
		case len(x.FuncDefs) > 0:
			w.refuse("functions can't be defined, because they may never end")
		case x.Op == gojq.OpAdd, x.Op == gojq.OpMul, x.Op == gojq.OpComma:
			w.growth++
		case x.Op >= gojq.OpAssign:
			w.refuse("a value can't be changed: compare it")
		}
	case *gojq.Reduce, *gojq.Foreach, *gojq.Label:
		w.refuse("reduce, foreach and label can't be used, because they may never end")
	case *gojq.Object, *gojq.Array:
		w.growth++
	case *gojq.String:
		if len(x.Queries) > 0 {
			w.growth++
		}
	case *gojq.Term:
		if x.Type == gojq.TermTypeRecurse {
			w.refuse("`..` can't be used: name the path")
		}
		if x.Format != "" {
			w.growth++
		}
	case *gojq.Func:
		if !slices.Contains(jqFunctions, x.Name) {
			w.refuse("%q can't be used: it may run or grow without bound, or is not known", x.Name)
		}
	}
}

// jq checks a jq program, which may be empty.
func (c *checker) jq(path, text string) {
	if text == "" {
		return
	}
	if _, err := CompileJQ(text); err != nil {
		c.error(path, err.Error(), "")
	}
}
