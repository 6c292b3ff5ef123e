package console

import (
	"cmp"
	"slices"

	"github.com/forewarn/forewarn/matcher"
)

// told collects what people would be told.
type told struct {
	*trial
	last map[string]matcher.Warning
	ids  []string // in the order in which they came
	more int      // revisions beyond what is shown
}

func newTold(x *trial) *told { return &told{trial: x, last: map[string]matcher.Warning{}} }

func (t *told) take(changes []matcher.Change) {
	for i := range changes {
		w := changes[i].Warning
		if _, known := t.last[w.ID]; !known {
			t.ids = append(t.ids, w.ID)
		}
		t.last[w.ID] = w
		if len(t.out.Revisions) >= maxRevisions {
			t.more++
			continue
		}
		r := Revision{
			Signature: w.Signature, Key: clip(w.KeyText, 200), State: string(w.State), Stage: w.Stage, Time: w.Time,
			Text: clip(cmp.Or(w.Reason, w.Title), 300), Retracted: w.Retracted,
		}
		if n := len(w.Reached); n > 0 && !w.State.Final() && w.Reached[n-1].Title != "" {
			r.Text = clip(w.Reached[n-1].Title, 300)
		}
		t.out.Revisions = append(t.out.Revisions, r)
	}
}

// finish gives the warnings as they stand.
func (t *told) finish() {
	if t.more > 0 {
		t.note("people would be told %d times more", t.more)
	}
	shown := min(len(t.ids), maxProgress)
	if n := len(t.ids) - shown; n > 0 {
		t.note("%d more warnings would be open", n)
	}
	for _, id := range t.ids {
		w := t.last[id]
		for i := range t.out.Signatures {
			if s := &t.out.Signatures[i]; s.ID == w.Signature && (s.State == "" || stateRank(w.State) < stateRank(matcher.State(s.State))) {
				s.State = string(w.State)
			}
		}
	}
	for _, id := range t.ids[:shown] {
		w := t.last[id]
		if err := t.program.Dress(&w); err != nil {
			t.note("the remedies of %s cannot be read: %v", w.Signature, err)
		}
		t.out.Warnings = append(t.out.Warnings, w)
	}
}

// stateRank orders states by how much they concern a person.
func stateRank(s matcher.State) int {
	return slices.Index([]matcher.State{matcher.InIncident, matcher.Imminent, matcher.Forming, matcher.Resolved, matcher.Averted, matcher.Expired}, s)
}
