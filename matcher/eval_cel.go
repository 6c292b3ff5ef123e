package matcher

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/forewarn/forewarn/collector/record"
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
