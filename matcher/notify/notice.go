package notify

import (
	"cmp"
	"slices"

	"github.com/forewarn/forewarn/matcher"
)

// Notice is one message to one destination: a new revision of a warning, or several warnings that are told together.
type Notice struct {
	// ID is the same at every try and after a restart, so that a destination can drop repeats.
	ID string `json:"id"`
	// Thread is the same for all notices that replace or continue one another: the warning's id, or the group's.
	Thread string `json:"thread"`
	// Warnings are what it tells, the most urgent first; there is at least one.
	Warnings []matcher.Warning `json:"warnings"`
	// Also are warnings that the thread told before and that are open, the most urgent first, and More is how many there are besides: a message that takes the
	// place of the one before must not hide them. Only a [Replacer] gets such.
	Also []matcher.Warning `json:"also,omitempty"`
	More int               `json:"more,omitempty"`
	// Digest counts everything that is told here when that is more than Warnings shows; else nil.
	Digest *Digest `json:"digest,omitempty"`
	// Over says that everything that was told in this thread is closed.
	Over bool `json:"over,omitempty"`
	// Quiet says that there is nothing new in it for a person: it replaces what was told, without a sound. Only a [Replacer] gets such.
	Quiet bool `json:"quiet,omitempty"`
	// Loud says that the thread was silent for long, so that a Replacer must not hide in it what is new.
	Loud bool `json:"loud,omitempty"`
}

// Replacer is a Notifier that puts a later notice of a thread in the place of an earlier one, so that it disturbs nobody.
type Replacer interface {
	Notifier
	// Replaces reports whether it does so as it is configured.
	Replaces() bool
}

// Single is the notice of one warning alone.
func Single(w matcher.Warning) Notice {
	return Notice{
		ID: revisionID(&w), Thread: w.ID, Warnings: []matcher.Warning{w}, Over: w.State.Final(),
	}
}

// Digest says how many warnings a notice tells of, and of what they are, the most frequent first.
type Digest struct {
	Total      int     `json:"total"` // warnings, those that the notice shows among them
	Open       int     `json:"open"`
	States     []Count `json:"states"`
	Signatures []Count `json:"signatures"`
	Namespaces []Count `json:"namespaces,omitempty"`
	Nodes      []Count `json:"nodes,omitempty"`
	// Keys are some of those that the notice does not show, as "signature key (state)".
	Keys []string `json:"keys,omitempty"`
}

// Count is how many warnings have a value.
type Count struct {
	Of string `json:"of"`
	N  int    `json:"n"`
}

// tally counts values; its zero value is empty.
type tally map[string]int

// with returns it with one more of a value.
func (t tally) with(of string) tally {
	if of == "" {
		return t
	}
	if t == nil {
		t = tally{}
	}
	t[of]++
	return t
}

// maxCounts bounds the values of a digest; the rest is counted together.
const maxCounts = 20

func (t tally) counts() []Count {
	var all []Count
	for of, n := range t {
		all = append(all, Count{of, n})
	}
	slices.SortFunc(all, func(a, b Count) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Of, b.Of)) })
	if len(all) > maxCounts {
		others := 0
		for _, c := range all[maxCounts-1:] {
			others += c.N
		}
		all = append(all[:maxCounts-1], Count{"others", others})
	}
	return all
}
