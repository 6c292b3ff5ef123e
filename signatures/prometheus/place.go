package prometheus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/signatures"
)

// place is where something was read, from 1; the zero place is nowhere.
type place struct{ line, column int }

func at(n *yaml.Node) place { return place{n.Line, n.Column} }

// maxLine is how much of a line a problem shows.
const maxLine = 110

// problem tells what is wrong at a place of the file.
func (r *reader) problem(level signatures.Level, p place, message, mend string) {
	if len(r.problems) >= maxProblems {
		return
	}
	x := signatures.Problem{File: r.file, Line: p.line, Column: p.column, Severity: level, Message: message, Suggestion: mend}
	if p.line > 0 && p.line <= len(r.lines) {
		line := strings.TrimRight(r.lines[p.line-1], "\r")
		if utf8.RuneCountInString(line) <= maxLine && strings.TrimSpace(line) != "" {
			x.Snippet = line + "\n" + strings.Repeat(" ", max(p.column-1, 0)) + "^"
		}
	}
	r.problems = append(r.problems, x)
}

// fail tells of text that is no YAML. first is the line of the file that the text begins after.
func (r *reader) fail(err error, first int) {
	line := 0
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if _, scanErr := fmt.Sscanf(message, "line %d:", &line); scanErr == nil {
		_, message, _ = strings.Cut(message, ": ")
	}
	mend := ""
	if slices.ContainsFunc(r.lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "{{") }) {
		mend = "if it is a template of a chart, render it first, with helm template"
	}
	if _, ok := errors.AsType[*yaml.TypeError](err); ok {
		line = 0
	}
	r.problem(signatures.LevelError, place{max(line, 1) + first, 1}, "this is not YAML: "+message, mend)
}
