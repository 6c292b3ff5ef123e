package matcher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/itchyny/gojq"
)

// Bounds of one jq evaluation: the length of the line, and the steps of the program. What [signatures.CompileJQ] lets through
// cannot make a step dear.
const (
	jqText  = 64 << 10
	jqSteps = 10_000
)

// evalJQ reports whether the last word of the program is neither null nor false for some output, and no output was an error. A text
// that is not one JSON value never is. err is set when a bound was reached; the condition is then not met.
func evalJQ(code *gojq.Code, text []byte) (ok bool, err error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || !jsonStart(text[0]) {
		return false, nil
	}
	if len(text) > jqText {
		return false, errors.New("the line is too long for jq")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil {
		return false, nil
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return false, nil
	}
	budget := &stepBudget{Context: context.Background(), left: jqSteps}
	out := code.RunWithContext(budget, numbers(value))
	for {
		v, more := out.Next()
		if !more {
			return ok, nil
		}
		if fault, is := v.(error); is {
			if budget.left < 0 {
				return false, fault
			}
			return false, nil
		}
		if v != nil && v != false {
			ok = true
		}
	}
}

// jsonStart reports whether a JSON value can begin with c.
func jsonStart(c byte) bool {
	return c == '{' || c == '[' || c == '"' || c == '-' || c >= '0' && c <= '9' || c == 't' || c == 'f' || c == 'n'
}

// numbers puts what gojq takes in place of the decoder's numbers.
func numbers(v any) any {
	switch x := v.(type) {
	case json.Number:
		if i, err := x.Int64(); err == nil && int64(int(i)) == i {
			return int(i)
		}
		f, _ := x.Float64() // out of range is an infinity, as jq has it
		return f
	case []any:
		for i := range x {
			x[i] = numbers(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = numbers(x[k])
		}
	}
	return v
}

// stepBudget is a context that ends after a number of questions whether it ended: gojq asks before each step. So the bound is on
// work, and the same everywhere, where a time would make a result depend on the machine.
type stepBudget struct {
	context.Context //nolint:containedctx // it is one
	left            int
}

// ended is closed from the start.
func ended() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// Done implements context.Context.
func (s *stepBudget) Done() <-chan struct{} {
	if s.left--; s.left < 0 {
		return ended()
	}
	return nil
}

// Err implements context.Context.
func (s *stepBudget) Err() error {
	if s.left < 0 {
		return errors.New("the jq program takes too many steps")
	}
	return nil
}
