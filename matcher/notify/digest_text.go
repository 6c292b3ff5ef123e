package notify

import (
	"fmt"
	"strings"
)

// Text says in a few lines what a notice tells of besides the warnings that it shows, and where to see them all. It ends in a new line.
func (d *Digest) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %d warnings in all, %d of them open: %s\n", d.Total, d.Open, countList(d.States, 6))
	fmt.Fprintf(&b, "  signatures: %s\n", countList(d.Signatures, 5))
	if len(d.Namespaces) > 0 {
		fmt.Fprintf(&b, "  namespaces: %s\n", countList(d.Namespaces, 5))
	}
	if len(d.Nodes) > 0 {
		fmt.Fprintf(&b, "  nodes: %s\n", countList(d.Nodes, 5))
	}
	if len(d.Keys) > 0 {
		fmt.Fprintf(&b, "  among them: %s\n", oneLine(strings.Join(d.Keys[:min(3, len(d.Keys))], "; ")))
	}
	b.WriteString("  see them all in the console, or with: forewarn status\n")
	return b.String()
}

// countList writes "pod-oom 9990, node-pressure 10, 3 others".
func countList(counts []Count, most int) string {
	var parts []string
	for i, c := range counts {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(counts)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", oneLine(c.Of), c.N))
	}
	return strings.Join(parts, ", ")
}
