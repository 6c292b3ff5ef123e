package matcher

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Progress explains where one signature stands for one key: what was seen, what is missing and by how much, and what is being
// waited for.
type Progress struct {
	Signature string         `json:"signature"`
	Key       string         `json:"key"`
	State     State          `json:"state,omitempty"` // "" when no episode is open
	Opened    time.Time      `json:"opened,omitzero"`
	Warning   string         `json:"warning,omitempty"` // the id, when people were told
	Rungs     []RungProgress `json:"rungs"`
	Waiting   []string       `json:"waiting,omitempty"`  // what time will decide
	Verdicts  []string       `json:"verdicts,omitempty"` // how the last claims of absence were decided
	Silent    []string       `json:"silent,omitempty"`   // sources that are silent now
	Pending   int            `json:"pending,omitempty"`  // hits that a late record could still come before
	Flaws     []string       `json:"incomplete,omitempty"`
}

// RungProgress is one rung of a Progress.
type RungProgress struct {
	Name    string    `json:"name"`
	Title   string    `json:"title,omitempty"`
	Reached time.Time `json:"reached,omitzero"`
	Count   uint64    `json:"count,omitempty"`   // of records, when it was reached
	Missing string    `json:"missing,omitempty"` // "2 of 3 records within 5m", when it was not
	Last    time.Time `json:"last,omitzero"`     // the last record that counted
}

// Explain says for each key that a signature has hits of why there is a warning or why there is none. An empty key means all
// keys; another one is matched as [Warning.KeyText] shows it. A signature without an entry had no hits that still matter.
func (t *Tracker) Explain(signatureID, key string) []Progress {
	t.ready()
	var list []Progress
	for n := range t.table.each {
		h := t.head(n)
		if t.numbers[h.plan].Signature.ID != signatureID {
			continue
		}
		if text := keyText(t.keyOf(h).text()).values(); key == "" || text == key {
			list = append(list, t.explain(t.peek(n), text))
		}
	}
	slices.SortFunc(list, func(a, b Progress) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

func (t *Tracker) explain(p *progress, key string) Progress {
	f := p.current()
	x := Progress{Signature: p.plan.Signature.ID, Key: key, Silent: t.water.Silent(), Pending: len(p.pending), Flaws: f.flaws.texts()}
	if e := f.open; e != nil {
		x.State, x.Opened, x.Flaws = e.state().state(), when(e.opened), e.flaws.texts()
		for i := range p.told {
			if p.told[i].episode.number == e.number {
				x.Warning = p.told[i].text(p)
			}
		}
	}
	for i := range p.plan.Stages {
		x.Rungs = append(x.Rungs, f.explainRung(p.plan, uint8(i)))
	}
	if p.plan.Incident != nil {
		x.Rungs = append(x.Rungs, f.explainRung(p.plan, RoleIncident))
	}
	x.Waiting = f.explainTimers(p.plan)
	for _, v := range f.verdicts {
		x.Verdicts = append(x.Verdicts, v.text(p.plan))
	}
	return x
}

func (f *fold) explainRung(p *plan, role uint8) RungProgress {
	r := p.rung(role)
	x := RungProgress{Name: r.Name, Title: r.Title}
	if f.windows != nil {
		if w := &f.windows[p.slotOf(role)]; len(w.items) > 0 {
			x.Last = when(w.items[len(w.items)-1].time)
		}
	}
	if f.open != nil {
		for _, t := range f.open.path {
			if t.role == role {
				x.Reached, x.Count = when(t.time), f.open.count(role)
				return x
			}
		}
	}
	x.Missing = f.missing(p, role)
	if p.Frame != nil {
		if r := f.frame; r != nil && len(r.slots[role]) > 0 {
			x.Last = when(r.slots[role][len(r.slots[role])-1].time)
		}
		return x
	}
	if i := int(role); p.InOrder && i > 0 && i < len(p.Stages) && (f.windows == nil || !f.windows[i-1].satisfied) {
		x.Missing += ", after " + p.Stages[i-1].Name
	} else if i < len(p.Stages) && p.InOrder && i > 0 && r.FollowsWithin > 0 {
		x.Missing += ", no later than " + when(after(f.windows[i-1].last, r.FollowsWithin)).Format(time.RFC3339)
	}
	return x
}

// explainTimers says what time will decide.
func (f *fold) explainTimers(p *plan) (list []string) {
	at := func(t int64) string { return when(t).Format(time.RFC3339) }
	lit := 0
	for i := range f.holds {
		h := &f.holds[i]
		if h.lit {
			lit++
		} else if len(list) < 8 {
			list = append(list, fmt.Sprintf("%s counts at %s if it stays so until then", p.rung(h.role).Name, at(h.due)))
		}
	}
	if lit > 0 {
		list = append(list, fmt.Sprintf("%d objects are still as a stage describes, so quiet does not run", lit))
	}
	if c := f.waiting; c != nil {
		list = append(list, fmt.Sprintf("%s has its records; at %s it is known whether what speaks against it is absent", p.Stages[c.stage].Name, at(c.due)))
	}
	if r := f.frame; r != nil && r.due != never {
		list = append(list, fmt.Sprintf("a frame is complete; at %s it is known whether what speaks against it is absent", at(r.due)))
	}
	if n := len(f.deferred); n > 0 {
		list = append(list, fmt.Sprintf("%d records for later rungs wait for that", n))
	}
	if f.clearDue != never {
		list = append(list, "it clears at "+at(f.clearDue)+" if nothing is seen until then")
	}
	if e := f.open; e != nil {
		if p.Quiet > 0 && lit == 0 {
			list = append(list, "it is over at "+at(after(e.quiet, p.Quiet))+" if nothing is seen until then")
		}
		list = append(list, "it is given up at "+at(after(e.seen, p.Expire)))
	}
	return list
}

// text says how a claim was decided.
func (v *verdict) text(p *plan) string {
	what := map[timerKind]string{timerClear: "clear", timerQuiet: "quiet"}[v.claim]
	switch v.claim {
	case timerHold:
		what = p.rung(v.role).Name + " lasted"
	case timerUnless:
		what = "nothing speaks against " + p.rung(v.role).Name
	case timerFrame:
		what = "nothing speaks against the frame"
	case noTimer, timerClear, timerQuiet, timerExpire:
	}
	answer := "true"
	switch {
	case !v.known && len(v.silent) == 0:
		answer = "unknown: no source gives such records"
	case !v.known:
		answer = "unknown: not heard from " + strings.Join(v.silent[:min(len(v.silent), 8)], ", ")
	case !v.holds:
		answer = "false"
	}
	return when(v.time).Format(time.RFC3339) + " " + what + ": " + answer
}

// String is the explanation for a terminal.
func (x *Progress) String() string {
	var b strings.Builder
	state := string(x.State)
	if state == "" {
		state = "no warning"
	}
	fmt.Fprintf(&b, "%s %s: %s\n", x.Signature, x.Key, state)
	for _, r := range x.Rungs {
		if r.Reached.IsZero() {
			fmt.Fprintf(&b, "  missing  %s: %s\n", r.Name, r.Missing)
		} else {
			fmt.Fprintf(&b, "  reached  %s at %s, %d records\n", r.Name, r.Reached.Format(time.RFC3339), r.Count)
		}
	}
	for _, part := range []struct {
		name string
		list []string
	}{{"waiting", x.Waiting}, {"verdict", x.Verdicts}, {"silent", x.Silent}, {"flaw", x.Flaws}} {
		for _, text := range part.list {
			fmt.Fprintf(&b, "  %-8s %s\n", part.name, text)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
