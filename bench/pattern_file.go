package bench

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
)

// creFile is the set of patterns in the manner of real-world rules.
//
//go:embed sets/cre.txt
var creFile string

// parsePatterns reads a file of patterns, one a line: a literal; or "/", an expression, a tab and a text that it matches. Lines that begin
// with # are comments.
func parsePatterns(name, text string) ([]Pattern, error) {
	var list []Pattern
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		expr, ok := strings.CutPrefix(line, "/")
		if !ok {
			list = append(list, Pattern{Text: line, Needs: []string{line}, Example: line})
			continue
		}
		expr, example, ok := strings.Cut(expr, "\t")
		if !ok {
			return nil, fmt.Errorf("%s, line %d: after the expression a tab and a text that it matches are missing", name, n)
		}
		r, err := regexp.Compile(expr)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, n, err)
		}
		if !r.MatchString(example) {
			return nil, fmt.Errorf("%s, line %d: %s does not match %q", name, n, expr, example)
		}
		p := Pattern{Text: expr, Regex: true, Frame: expr, Example: example, Whole: strings.HasPrefix(expr, "^") || strings.HasSuffix(expr, "$")}
		list = append(list, p)
	}
	return list, nil
}
