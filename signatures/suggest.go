package signatures

import (
	"fmt"
	"slices"
	"strings"
)

// nearest returns the word that was probably meant by got, or "".
func nearest(got string, words []string) string {
	got = strings.ToLower(strings.NewReplacer("-", "_", " ", "_").Replace(got))
	if got == "" || len(got) > 64 {
		return ""
	}
	best, least := "", max(1, len(got)/3)+1
	for _, w := range words {
		if w == "" {
			continue // a stage whose name could not be read
		}
		w1 := strings.ToLower(strings.ReplaceAll(w, "-", "_"))
		d := editDistance(got, w1)
		if d < least || d == least && best != "" && w1[0] == got[0] && best[0] != got[0] { // the first letter is seldom wrong
			best, least = w, d
		}
	}
	if best == "" && len(got) >= 4 {
		for _, w := range words {
			if strings.HasPrefix(w, got) || len(w) >= 4 && strings.HasPrefix(got, w) {
				return w
			}
		}
	}
	return best
}

// suggestWord says which of the words may have been meant, or, when none is near and they are few, what they all are.
func suggestWord(got string, words []string) string {
	if w := nearest(got, words); w != "" {
		return fmt.Sprintf("did you mean %q?", w)
	}
	if len(words) == 0 {
		return ""
	}
	return "known here: " + strings.Join(words, ", ")
}

// editDistance is the number of letters to insert, delete, change or swap with their neighbour to turn a into b
// (optimal string alignment).
func editDistance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}

// oneOf reports whether got is one of the words.
func oneOf[T ~string](got T, words []T) bool { return slices.Contains(words, got) }

// texts turns a list of named strings into plain ones.
func texts[T ~string](words []T) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return out
}
