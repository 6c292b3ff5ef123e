package matcher

import (
	"strings"

	"github.com/forewarn/forewarn/collector/record"
)

// lineLayouts is how many ways there are to write an event as a line of text.
const lineLayouts = 2

// appendLine writes an event as rules that were made for text expect it, without its time:
//
//	0  TYPE REASON kind/name MESSAGE
//	1  NAMESPACE   LAST SEEN   TYPE   REASON   kind/name   MESSAGE   (as kubectl get events -A has it)
func appendLine(dst []byte, r *record.Record, layout int) []byte {
	gap := " "
	if layout == 1 {
		gap = "   "
		dst = append(dst, r.Attrs.Value(record.Namespace)...)
		dst = append(append(dst, gap...), "0s"...)
		dst = append(dst, gap...)
	}
	dst = append(append(dst, r.Attrs.Value(record.EventType)...), gap...)
	dst = append(append(dst, r.Attrs.Value(record.EventReason)...), gap...)
	dst = append(dst, strings.ToLower(r.Attrs.Value(record.ObjectKind))...)
	dst = append(append(dst, '/'), r.Attrs.Value(record.ObjectName)...)
	return append(append(dst, gap...), r.Text...)
}

// lineHolds reports whether one layout of the event meets all tests below a node.
func (t *tests) lineHolds(at uint32, r *record.Record, s *Scratch) bool {
	if r.Kind != record.Event {
		return false
	}
	line := *r
	for layout := range lineLayouts {
		s.line = appendLine(s.line[:0], r, layout)
		line.Text = s.line
		met := true
		for kid := at + 1; met && kid < t.nodes[at].end; kid = t.nodes[kid].end {
			met = t.holds(kid, &line, s)
		}
		if met {
			return true
		}
	}
	return false
}
