package matcher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/itchyny/gojq"

	"github.com/forewarn/forewarn/signatures"
)

// Bounds of one jq evaluation: the length of the line, and the steps of the program. What [signatures.CompileJQ] lets through
// cannot make a step dear.
const (
	jqText  = 64 << 10
	jqSteps = 10_000
)

// maxJQs is how many compiled programs are kept.
const maxJQs = 1024

// jqTable holds jq programs by number; like CEL expressions they are compiled when they are first needed.
type jqTable struct {
	texts []string
	made  lazy[jqProgram]
}

// jqProgram is a compiled program, or why it could not be compiled.
type jqProgram struct {
	code *gojq.Code
	err  error
}

// add adds a program, which must be known to be sound, and returns its number.
func (t *jqTable) add(text string) uint32 {
	t.texts = append(t.texts, text)
	t.made.grow(len(t.texts))
	return uint32(len(t.texts) - 1)
}

// eval runs program n on a text. An error means that it is not met.
func (t *jqTable) eval(n uint32, text []byte) (bool, error) {
	p := t.made.get(n)
	if p == nil {
		p = &jqProgram{}
		p.code, p.err = signatures.CompileJQ(t.texts[n])
		t.made.put(n, p, maxJQs)
	}
	if p.err != nil {
		return false, p.err
	}
	return evalJQ(p.code, text)
}

func (t *jqTable) fork() jqTable {
	c := jqTable{texts: slices.Clone(t.texts)}
	c.made.grow(len(c.texts))
	return c
}

func (t *jqTable) appendTo(w *flatWriter) { putTexts(w, t.texts) }

func (t *jqTable) read(r *flatReader) {
	t.texts = getTexts(r)
	t.made.grow(len(t.texts))
}

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
	value, whole := decodeJSON(text)
	if !whole {
		return false, nil
	}
	budget := &stepBudget{Context: context.Background(), left: jqSteps}
	out := code.RunWithContext(budget, jsonNumbers(value))
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

// decodeJSON reads a text that is one JSON value and nothing else.
func decodeJSON(text []byte) (value any, whole bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&value) != nil {
		return nil, false
	}
	_, err := d.Token()
	return value, errors.Is(err, io.EOF)
}

// jsonStart reports whether a JSON value can begin with c.
func jsonStart(c byte) bool {
	return c == '{' || c == '[' || c == '"' || c == '-' || c >= '0' && c <= '9' || c == 't' || c == 'f' || c == 'n'
}

// jsonNumbers puts what gojq takes in place of the decoder's numbers.
func jsonNumbers(v any) any {
	switch x := v.(type) {
	case json.Number:
		if i, err := x.Int64(); err == nil && int64(int(i)) == i {
			return int(i)
		}
		f, _ := x.Float64() // out of range is an infinity, as jq has it
		return f
	case []any:
		for i := range x {
			x[i] = jsonNumbers(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = jsonNumbers(x[k])
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
