package signatures

import (
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
)

// What a CEL expression may cost, in the library's units (about one a basic step), for a record of the sizes below.
const (
	maxCEL        = 4 << 10 // bytes of an expression
	maxCELCost    = 100_000
	celTextSize   = 4 << 10 // bytes of a long line
	celAttrsSize  = 64      // attributes of a record
	celStringSize = 256     // bytes of an attribute
)

// celEnv is made at the first expression: most sets have none, and making it takes milliseconds.
var celEnv = sync.OnceValues(CELEnv)

// CELEnv is the environment of CEL expressions, what they may look at: kind, text, value, count and attrs of the record. Checks and
// matcher use the same one, so that what was checked compiles.
func CELEnv() (*cel.Env, error) {
	env, err := cel.NewEnv(
		cel.Variable("kind", cel.StringType),
		cel.Variable("text", cel.StringType),
		cel.Variable("value", cel.DoubleType),
		cel.Variable("count", cel.IntType),
		cel.Variable("attrs", cel.MapType(cel.StringType, cel.StringType)),
		cel.ParserExpressionSizeLimit(maxCEL),
		cel.ExpressionNodeLimit(2000),
		cel.RegexProgramSizeLimit(1000),
		cel.ASTValidators(cel.ValidateRegexLiterals()),
	)
	if err != nil {
		return nil, fmt.Errorf("prepare CEL: %w", err)
	}
	return env, nil
}

// cel checks an expression: that it compiles, gives true or false, and can't take long.
func (c *checker) cel(path, text string) {
	env, err := celEnv()
	if err != nil {
		c.error(path, err.Error(), "")
		return
	}
	if len(text) > maxCEL {
		c.error(path, fmt.Sprintf("the expression has %d bytes; at most %d", len(text), maxCEL), "")
		return
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			message, _, _ := strings.Cut(e.Message, "\n")
			message, _, _ = strings.Cut(message, " expecting {")
			mend := ""
			if strings.Contains(message, "undeclared reference") {
				mend = `known here: kind, text, value, count and attrs["name"]`
			}
			c.add(LevelError, path, celOffset(text, e.Location.Line(), e.Location.Column()), "CEL: "+message, mend)
		}
		return
	}
	if t := ast.OutputType(); t.Kind() != cel.BoolKind {
		c.error(path, fmt.Sprintf("CEL: the expression gives %s, not true or false", t), "compare it with something")
		return
	}
	if estimate, err := env.EstimateCost(ast, celSizes{}); err == nil && estimate.Max > maxCELCost {
		c.error(path, fmt.Sprintf("CEL: the expression may take %d steps on one record; at most %d", estimate.Max, maxCELCost),
			"look at single attributes instead of going over all of them")
	}
}

// celOffset is the byte at a line (from 1) and column (from 0, in characters) of an expression.
func celOffset(text string, line, column int) int {
	offset := 0
	for range line - 1 {
		i := strings.IndexByte(text[offset:], '\n')
		if i < 0 {
			break
		}
		offset += i + 1
	}
	for i := range text[offset:] {
		if column == 0 {
			return offset + i
		}
		column--
	}
	return len(text)
}

// celSizes says how large the parts of a record are thought to be.
type celSizes struct{}

var _ cost.Estimator = celSizes{}

// EstimateSize implements cost.Estimator.
func (celSizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	size := uint64(celStringSize)
	if p := n.Path(); len(p) == 1 {
		switch p[0] {
		case "text":
			size = celTextSize
		case "attrs":
			size = celAttrsSize
		}
	}
	return &cost.SizeEstimate{Max: size}
}

// EstimateCallCost implements cost.Estimator; the library's own estimates are used.
func (celSizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
