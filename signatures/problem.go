package signatures

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Level says how bad a [Problem] is.
type Level string

// The levels. A signature with a problem of [LevelError] is refused; one of [LevelWarning] is told and the signature is used.
const (
	LevelError   Level = "error"
	LevelWarning Level = "warning"
)

// Problem is one thing that is wrong with a signature, with its place and, where one is known, its mend.
type Problem struct { //nolint:errname // it is a problem first: most of its readers list them, and few return one
	File       string `json:"file"`
	Line       int    `json:"line,omitempty"`   // from 1; 0 when the signature was not read from text
	Column     int    `json:"column,omitempty"` // from 1, in characters
	Path       string `json:"path,omitempty"`   // the field: stages[0].when.log.regex
	Severity   Level  `json:"severity"`
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"`
	Snippet    string `json:"snippet,omitempty"` // the source line and, below it, a caret under the place
}

// Error renders the problem for people: place and message, the source line with a caret, and the suggestion.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Severity == LevelWarning {
		b.WriteString("warning: ")
	}
	if p.Line == 0 && p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Snippet != "" {
		for line := range strings.SplitSeq(p.Snippet, "\n") {
			b.WriteString("\n    " + line)
		}
	}
	if p.Suggestion != "" {
		b.WriteString("\n  " + p.Suggestion)
	}
	return b.String()
}

// IsError reports whether the problem makes its signature unusable.
func (p Problem) IsError() bool { return p.Severity != LevelWarning }

// Errors returns those problems that are errors, in their order.
func Errors(problems []Problem) []Problem {
	var out []Problem
	for _, p := range problems {
		if p.IsError() {
			out = append(out, p)
		}
	}
	return out
}

// sortProblems orders problems by file and place, and drops repeats, so that the same text gives the same report.
func sortProblems(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(problems)
}

// maxSnippet is how many characters of a long line a snippet shows.
const maxSnippet = 110

// snippet returns the line with a caret under the column (from 1, in characters). Of a long line it shows the part around it.
func snippet(line string, column int) string {
	if strings.TrimSpace(line) == "" {
		return ""
	}
	rs := []rune(line)
	at := min(max(column-1, 0), len(rs))
	from, to := 0, len(rs)
	cut := ""
	if len(rs) > maxSnippet {
		from = max(0, at-maxSnippet/2)
		to = min(len(rs), from+maxSnippet)
		if from > 0 {
			cut = "..."
		}
	}
	var pad strings.Builder
	pad.WriteString(strings.Repeat(" ", utf8.RuneCountInString(cut)))
	for _, r := range rs[from:at] {
		if r == '\t' {
			pad.WriteByte('\t')
		} else {
			pad.WriteByte(' ')
		}
	}
	shown := cut + string(rs[from:to])
	if to < len(rs) {
		shown += "..."
	}
	return shown + "\n" + pad.String() + "^"
}
