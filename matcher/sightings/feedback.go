package sightings

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/forewarn/forewarn/signatures"
)

// Verdict is what a person says of a warning.
type Verdict string

// The verdicts.
const (
	Acknowledged Verdict = "acknowledged" // somebody is at it
	FalseAlarm   Verdict = "false-alarm"  // nothing was about to happen
	AvertedBy    Verdict = "averted"      // something was done, and it helped
)

// Feedback is what a person said of one warning. The last one of a person counts; those of several persons all count. An
// acknowledgement is no judgement: it neither replaces one nor is replaced by one.
type Feedback struct {
	Warning string    `json:"warning"` // the warning's id
	Verdict Verdict   `json:"verdict"`
	Remedy  string    `json:"remedy,omitempty"` // what was done: the risk class and the first words of a remedy, or the person's own words
	By      string    `json:"by,omitempty"`     // who says so; it never leaves the cluster
	Note    string    `json:"note,omitempty"`   // it never leaves the cluster either
	Time    time.Time `json:"time"`
}

// Bounds of what a person may say, so that no page or terminal has to show a book.
const (
	maxWords = 400
	maxNote  = 4000
)

// ErrBadFeedback says that feedback is not what it should be; its text says what, and the mend.
var ErrBadFeedback = errors.New("feedback")

// Check finds what is wrong with feedback: [ErrBadFeedback], or nil.
func (f *Feedback) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrBadFeedback}, args...)...)
	}
	switch {
	case !isHex(f.Warning, 16):
		return bad("%q is no id of a warning: it has 16 digits of 0-9a-f, as `forewarn status -o json` shows it", f.Warning)
	case f.Verdict != Acknowledged && f.Verdict != FalseAlarm && f.Verdict != AvertedBy:
		return bad("verdict %q: use %s, %s or %s", f.Verdict, Acknowledged, FalseAlarm, AvertedBy)
	case f.Verdict == AvertedBy && strings.TrimSpace(f.Remedy) == "":
		return bad("averted by what? name the remedy, or say in your own words what was done")
	case f.Verdict == FalseAlarm && f.Remedy != "":
		return bad("a false alarm needs no remedy: leave it out, or say averted")
	case f.Time.IsZero():
		return bad("it has no time")
	}
	for _, x := range []struct {
		name, text string
		most       int
	}{{"remedy", f.Remedy, maxWords}, {"by", f.By, maxWords}, {"note", f.Note, maxNote}} {
		if len(x.text) > x.most || !utf8.ValidString(x.text) || strings.ContainsFunc(x.text, unicode.IsControl) {
			return bad("%s: use at most %d bytes of UTF-8 on one line", x.name, x.most)
		}
	}
	return nil
}

// FindRemedy returns the name of the remedy that words mean, of those that a warning lists: by its name, its number from 1 on, its risk class
// where no other has the same, or how its text begins. Other words stay as they are, for what people do is not always in a list.
func FindRemedy(remedies []signatures.Remedy, words string) string {
	words = strings.Join(strings.Fields(words), " ")
	if n, err := strconv.Atoi(words); err == nil && n >= 1 && n <= len(remedies) {
		return remedies[n-1].Name()
	}
	var found []string
	for i := range remedies {
		r := &remedies[i]
		name, do := r.Name(), strings.Join(strings.Fields(r.Do), " ")
		if words == name {
			return name
		}
		if words != "" && (strings.EqualFold(words, string(r.Risk)) || hasPrefixFold(do, words)) {
			found = append(found, name)
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	return words
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func isHex(s string, digits int) bool {
	return len(s) == digits && !slices.ContainsFunc([]byte(s), func(c byte) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') })
}
