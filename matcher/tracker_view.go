package matcher

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// keyText is a correlation key as hits carry it.
type keyText string

// parts yields the names and values of the key.
func (k keyText) parts() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for rest := string(k); rest != ""; {
			var part string
			part, rest, _ = strings.Cut(rest, string(rune(keyEnd)))
			name, value, _ := strings.Cut(part, "=")
			if !yield(name, value) {
				return
			}
		}
	}
}

// attrs and values are the key for programs and for people.
func (k keyText) attrs() (attrs []record.Attr) {
	for name, value := range k.parts() {
		attrs = append(attrs, record.Attr{Key: name, Value: value})
	}
	return attrs
}

func (k keyText) values() string {
	var list []string
	for _, value := range k.parts() {
		list = append(list, value)
	}
	return strings.ToValidUTF8(strings.Join(list, "/"), "?")
}

// warning writes out what people are told.
func (t *Tracker) warning(p *progress, x *told) Warning {
	e, s := x.episode, p.plan.Signature
	key := keyText(p.key.text())
	w := Warning{
		ID: x.text(p), Revision: x.revision, Signature: s.ID, Digest: p.plan.DigestText, Title: s.Title, Severity: s.Severity, Impact: s.Impact,
		Key: key.attrs(), KeyText: key.values(),
		State: x.state(), Firings: p.plan.firings(e), Total: p.plan.Need, Opened: when(e.opened), Reason: e.reason, Incomplete: e.flaws.texts(), Silent: slices.Clone(e.silent),
	}
	told, known := int64(never), int64(longAgo)
	for i, turn := range e.path {
		w.Time = when(turn.time)
		if p.plan.hangs(turn) { // what came before it has to be known too
			known = max(known, after(turn.time, p.plan.settles))
		}
		if told == never && p.plan.tells(e.path[:i+1]) {
			told = max(known, turn.time)
		}
		switch {
		case turn.role != noRole:
			r := p.plan.rung(turn.role)
			w.Stage = r.Name
			w.Reached = append(w.Reached, Reached{Stage: r.Name, Title: r.Title, Time: when(turn.time), Count: e.count(turn.role)})
		case turn.state.final():
			at := when(turn.time)
			w.Closed = &at
		}
		if turn.role == RoleIncident {
			at := when(turn.time)
			w.Incident = &at
			w.Lead = max(time.Duration(turn.time-told), 0)
		}
	}
	var whole bool
	if w.Evidence, whole = t.shown(p, e); !whole {
		w.Incomplete = append(w.Incomplete, "some of its evidence is not kept any more")
	}
	if !w.State.Final() { // what came after what this revision tells is for the next one
		w.Evidence = slices.DeleteFunc(w.Evidence, func(x Evidence) bool { return x.Time.After(w.Time) })
	}
	if f := e.forecast; f != nil {
		w.Forecast = f.public()
	}
	if x.retracted {
		closed := w.Time
		w.Closed, w.Retracted, w.Reason = &closed, true, "a record that came late shows that it never was"
	}
	if !w.State.Final() {
		w.Next = p.expected(e)
	}
	return w
}

func (e *episode) count(role uint8) uint64 {
	for i := range e.met {
		if e.met[i].role == role {
			return e.met[i].count
		}
	}
	return 0
}

// shown opens what is kept of each rung, oldest first; whole when nothing of it was shed.
func (t *Tracker) shown(p *progress, e *episode) (list []Evidence, whole bool) {
	whole = true
	for i := range e.met {
		m := &e.met[i]
		for _, n := range []evidence{m.first, m.second, m.latest} {
			if n == 0 {
				continue
			}
			if text := t.evidenceText(n); text != nil {
				list = append(list, openEvidence(text, p.plan.rung(m.role).Name))
			} else {
				whole = false
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Evidence) int { return a.Time.Compare(b.Time) })
	return list, whole
}

// evidenceText finds evidence in memory or where what was stored is; nil when it was shed.
func (t *Tracker) evidenceText(n evidence) []byte {
	if text := t.evidence.get(n); text != nil || t.options.Details == nil {
		return text
	}
	text, err := t.options.Details.Detail(n.storageKey())
	if err != nil || len(text) < 1 || text[0] != snapshotVersion {
		t.stats.ShedEvidence++
		return nil
	}
	return text[1:]
}

// texts says in words what is wrong.
func (x flaw) texts() (list []string) {
	for _, f := range []struct {
		flaw flaw
		text string
	}{
		{flawLate, "a record came later than the allowed lateness and was taken as of then"},
		{flawLateSample, "a sample came later than the allowed lateness and was dropped"},
		{flawSettledEarly, "more records waited than are allowed, so the oldest were settled before late ones could be sorted in"},
		{flawDetail, "more details came than are kept, so the oldest were dropped"},
		{flawEvicted, "it was forgotten to stay within the allowed memory"},
	} {
		if x&f.flaw != 0 {
			list = append(list, f.text)
		}
	}
	return list
}

// public is the forecast as people get it.
func (e *estimate) public() *Forecast {
	return &Forecast{Metric: e.metric, Limit: e.limit, Value: e.value, Expected: when(e.expected), Earliest: when(e.earliest), Latest: when(e.latest)}
}

// expected is the rung after the highest one that was reached.
func (p *progress) expected(e *episode) *Next {
	state := e.state()
	if state < codeImminent {
		for i := range p.plan.Stages {
			if !e.reached(uint8(i)) {
				return p.nextRung(uint8(i))
			}
		}
	}
	if p.plan.Incident != nil && !e.reached(RoleIncident) {
		return p.nextRung(RoleIncident)
	}
	return nil
}

func (p *progress) nextRung(role uint8) *Next {
	r := p.plan.rung(role)
	return &Next{Stage: r.Name, Title: r.Title, Missing: p.current().missing(p.plan, role)}
}

// current is the fold with everything in it.
func (p *progress) current() *fold {
	if p.prompt != nil {
		return p.prompt
	}
	return &p.settled
}

// missing says how far the window of a rung is.
func (f *fold) missing(p *plan, role uint8) string {
	r := p.rung(role)
	if p.Frame != nil {
		return f.frame.missing(p, int(role))
	}
	var have uint64
	var values int
	if f.windows != nil {
		w := &f.windows[p.slotOf(role)]
		from := after(f.at, -r.Within)
		live := window{}
		for _, c := range w.items {
			if c.time >= from {
				live.items = append(live.items, c)
				have += uint64(c.weight)
			}
		}
		values = live.distinct(math.MaxInt)
	}
	if have >= r.Count && values >= r.DistinctCount { // the record that would have completed it climbed another rung
		return "the next such record completes it"
	}
	var parts []string
	if r.Count > 1 || r.DistinctCount == 0 {
		parts = append(parts, amount(have, r.Count, "record"))
	}
	if r.DistinctCount > 0 {
		parts = append(parts, amount(uint64(values), uint64(r.DistinctCount), "different "+names(r.Distinct)))
	}
	text := strings.Join(parts, " and ")
	if r.Within > 0 {
		text += " within " + signatures.Duration(r.Within).String()
	}
	if r.Hold > 0 {
		text += ", each lasting " + signatures.Duration(r.Hold).String()
	}
	return text
}

func amount(have, need uint64, what string) string {
	if need != 1 && !strings.HasPrefix(what, "different") {
		what += "s"
	}
	return strconv.FormatUint(min(have, need), 10) + " of " + fmt.Sprint(need) + " " + what
}

// names lists what must differ.
func names(parts []KeyPart) string {
	var list []string
	for _, p := range parts {
		list = append(list, p.Name)
	}
	return strings.Join(list, "/")
}
