package matcher

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// DigestWarnings is the same for the same warnings, however the records that raised them arrived: a SHA-256, in hex, over what
// each warning came to: signature, key, the rungs with their times, and how it stands. ws holds the last revision of each warning, in any
// order; ids, revisions and evidence, which depend on the order of arrival, and retracted warnings do not count.
func DigestWarnings(ws []Warning) string {
	var lines []string
	for i := range ws {
		w := &ws[i]
		if w.Retracted {
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%q %q %s %d", w.Signature, w.KeyText, w.State, w.Opened.UnixNano())
		for _, r := range w.Reached {
			fmt.Fprintf(&b, " %q@%d", r.Stage, r.Time.UnixNano())
		}
		if w.Closed != nil {
			fmt.Fprintf(&b, " closed@%d", w.Closed.UnixNano())
		}
		lines = append(lines, b.String())
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}
