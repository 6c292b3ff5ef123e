package matcher

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// celCost bounds the work of one CEL evaluation, in the library's own units (about one for each basic step). An expression
// over a few attributes takes some tens; one that walks a text of half a megabyte is refused at run time, counted, and not met.
const celCost = 100_000

// compileCEL compiles one expression, which must give true or false.
func compileCEL(env *cel.Env, text string) (cel.Program, error) {
	ast, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("compile CEL expression: %w", err)
	}
	if t := ast.OutputType(); t != cel.BoolType {
		return nil, fmt.Errorf("compile CEL expression: it gives %s, not true or false", t)
	}
	p, err := env.Program(ast, cel.CostLimit(celCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("compile CEL expression: %w", err)
	}
	return p, nil
}

// celTable holds CEL expressions by number; like regular expressions they are compiled when they are first needed.
type celTable struct {
	texts []string
	made  lazy[celProgram]
}

// celProgram is a compiled expression, or why it could not be compiled.
type celProgram struct {
	program cel.Program
	err     error
}

// maxCELs is how many compiled expressions are kept.
const maxCELs = 1024

// add adds an expression, which must be known to be sound, and returns its number.
func (t *celTable) add(text string) uint32 {
	t.texts = append(t.texts, text)
	t.made.grow(len(t.texts))
	return uint32(len(t.texts) - 1)
}

// eval evaluates expression n for a record. An error means that it is not met.
func (t *celTable) eval(n uint32, r *record.Record) (bool, error) {
	p := t.made.get(n)
	if p == nil {
		p = &celProgram{}
		var env *cel.Env
		if env, p.err = signatures.CELEnv(); p.err == nil {
			p.program, p.err = compileCEL(env, t.texts[n])
		}
		t.made.put(n, p, maxCELs)
	}
	if p.err != nil {
		return false, p.err
	}
	return evalCEL(p.program, r)
}

func (t *celTable) fork() celTable {
	c := celTable{texts: slices.Clone(t.texts)}
	c.made.grow(len(c.texts))
	return c
}

func (t *celTable) appendTo(w *flatWriter) {
	w.putNumber(uint64(len(t.texts)))
	for _, x := range t.texts {
		w.putText(x)
	}
}

func (t *celTable) read(r *flatReader) {
	for n := r.number(); n > 0 && r.err == nil; n-- {
		t.texts = append(t.texts, r.text())
	}
	t.made.grow(len(t.texts))
}

// celRecord lets an expression look at a record; what it does not ask for is not converted.
type celRecord struct{ r *record.Record }

var _ cel.Activation = celRecord{}

// ResolveName implements cel.Activation.
func (c celRecord) ResolveName(name string) (any, bool) {
	switch name {
	case "kind":
		return c.r.Kind.String(), true
	case "text":
		return string(c.r.Text), true
	case "value":
		return c.r.Value, true
	case "count":
		return int64(c.r.Count), true
	case "attrs":
		m := make(map[string]string, len(c.r.Attrs))
		for _, a := range c.r.Attrs {
			m[a.Key] = a.Value
		}
		return types.NewStringStringMap(types.DefaultTypeAdapter, m), true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (celRecord) Parent() cel.Activation { return nil }

// evalCEL evaluates p for r. An error means that the expression is not met.
func evalCEL(p cel.Program, r *record.Record) (bool, error) {
	v, _, err := p.Eval(celRecord{r})
	if err != nil {
		return false, fmt.Errorf("evaluate CEL expression: %w", err)
	}
	b, ok := v.(types.Bool)
	return ok && bool(b), nil
}
