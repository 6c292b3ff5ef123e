package console

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// overviewPage says what is about to break.
var overviewPage = page{
	path: "/", label: "Overview", key: "o", template: "overview.html",
	show: func(k *Console, r *http.Request) (content, error) {
		return content{title: "What is about to break?", data: k.overview(filterOf(r.URL.Query()), k.c.Now())}, nil
	},
	follow: func(k *Console, r *http.Request) (follower, error) {
		return k.followOverview(filterOf(r.URL.Query())), nil
	},
}

// onePage is how many cards are shown at once.
const onePage, lastFinished = 30, 8

// overview is what the page shows.
type overview struct {
	Filter   filter
	Answer   *answer
	Cards    []card
	More     int // that fit the filter and are on later pages
	Next     string
	Previous string
	Finished []card
	CaughtUp bool
	Dropped  uint64
	Pulse    pulse
	Inputs   []inputKind
	Storm    []many
}

// answer is the answer to the page's question, in numbers.
type answer struct {
	Incident, Imminent, Forming int // all that are open
	Shown                       int // of them, that fit the filter
	Filtered                    bool
	CaughtUp                    bool
}

// Open is how many are open.
func (a *answer) Open() int { return a.Incident + a.Imminent + a.Forming }

// many is a signature with several open warnings, for when there are more than fit on a page.
type many struct {
	Signature, Title string
	Count            int
	Link             string
}

// inputKind is a kind of records with the sources that can give it.
type inputKind struct {
	Kind            string
	Sources, Silent int
	Records         uint64
}

// filter is what the page's form asks for; it is kept in the address.
type filter struct {
	Severity, State, Namespace, Text string
	Page                             int
}

func filterOf(q url.Values) filter {
	f := filter{Severity: q.Get("severity"), State: q.Get("state"), Namespace: strings.TrimSpace(q.Get("namespace")), Text: strings.TrimSpace(q.Get("q"))}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 && n < 1000 {
		f.Page = n - 1
	}
	return f
}

// Any reports whether something is filtered.
func (f filter) Any() bool {
	return f.Severity != "" || f.State != "" || f.Namespace != "" || f.Text != ""
}

// Severities lists what can be chosen.
func (filter) Severities() []signatures.Severity {
	return []signatures.Severity{signatures.Critical, signatures.High, signatures.Medium, signatures.Low, signatures.Info}
}

// States lists what can be chosen.
func (filter) States() []matcher.State {
	return []matcher.State{matcher.InIncident, matcher.Imminent, matcher.Forming}
}

func (f filter) link(page int) string {
	q := url.Values{}
	for k, v := range map[string]string{"severity": f.Severity, "state": f.State, "namespace": f.Namespace, "q": f.Text} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if page > 0 {
		q.Set("page", strconv.Itoa(page+1))
	}
	if len(q) == 0 {
		return "/"
	}
	return "/?" + q.Encode()
}

// fits reports whether a warning is what the filter asks for. A severity stands for itself and everything worse.
func (f filter) fits(w *matcher.Warning) bool {
	if f.Severity != "" && severityRank(w.Severity) < severityRank(signatures.Severity(f.Severity)) {
		return false
	}
	if f.State != "" && !w.State.Final() && string(w.State) != f.State {
		return false
	}
	if f.Namespace != "" && !slices.Contains(namespaces(w), f.Namespace) {
		return false
	}
	for word := range strings.FieldsSeq(strings.ToLower(f.Text)) {
		if !mentions(w, word) {
			return false
		}
	}
	return true
}

// namespaces are those that a warning is of: of its key, or else of its evidence.
func namespaces(w *matcher.Warning) (all []string) {
	for _, a := range w.Key {
		if a.Key == "namespace" || a.Key == record.Namespace {
			return []string{a.Value}
		}
	}
	for _, e := range w.Evidence {
		if n := e.Attrs[record.Namespace]; n != "" {
			all = append(all, n)
		}
	}
	return all
}

func mentions(w *matcher.Warning, word string) bool {
	for _, s := range []string{w.Title, w.Signature, w.KeyText, w.ID, w.Impact} {
		if strings.Contains(strings.ToLower(s), word) {
			return true
		}
	}
	for _, e := range w.Evidence {
		if strings.Contains(strings.ToLower(e.Text), word) {
			return true
		}
	}
	return false
}

func (k *Console) overview(f filter, now time.Time) overview {
	moment, _ := k.c.View.now()
	o := overview{Filter: f, Answer: &answer{}, CaughtUp: moment.caughtUp, Dropped: moment.dropped, Pulse: k.pulse()}
	o.Answer.CaughtUp = moment.caughtUp
	all := k.ranking()
	var open, final []*ranked
	for _, x := range all.open {
		o.Answer.add(&x.warning)
		if f.fits(&x.warning) {
			open = append(open, x)
		}
	}
	for _, x := range all.final {
		if len(final) == lastFinished || f.State != "" {
			break
		}
		if f.fits(&x.warning) {
			final = append(final, x)
		}
	}
	o.Answer.Shown, o.Answer.Filtered = len(open), f.Any()
	from := min(f.Page*onePage, len(open))
	until := min(from+onePage, len(open))
	for i := range open[from:until] {
		o.Cards = append(o.Cards, k.cardOf(&open[from+i].entry, now))
	}
	if o.More = len(open) - until; o.More > 0 {
		o.Next = f.link(f.Page + 1)
	}
	if f.Page > 0 {
		o.Previous = f.link(f.Page - 1)
	}
	if len(open) > onePage {
		o.Storm = storm(open)
	}
	for i := range final {
		c := k.cardOf(&final[i].entry, now)
		c.ID, c.Rank = "f-"+c.Warning.ID, finishedRank(c.Warning)
		o.Finished = append(o.Finished, c)
	}
	if len(open) == 0 {
		h, _, _ := k.health.get()
		o.Inputs = inputKinds(&h, time.Now())
	}
	return o
}

func (a *answer) add(w *matcher.Warning) {
	switch w.State {
	case matcher.InIncident:
		a.Incident++
	case matcher.Imminent:
		a.Imminent++
	case matcher.Forming:
		a.Forming++
	case matcher.Averted, matcher.Resolved, matcher.Expired:
	}
}

func closed(w *matcher.Warning) time.Time {
	if w.Closed != nil {
		return *w.Closed
	}
	return w.Time
}

// storm counts what is open by signature, the most first.
func storm(open []*ranked) []many {
	by := map[string]*many{}
	var all []*many
	for i := range open {
		w := &open[i].warning
		m := by[w.Signature]
		if m == nil {
			m = &many{Signature: w.Signature, Title: w.Title, Link: "/?" + url.Values{"q": {w.Signature}}.Encode()}
			by[w.Signature] = m
			all = append(all, m)
		}
		m.Count++
	}
	slices.SortStableFunc(all, func(a, b *many) int { return cmp.Compare(b.Count, a.Count) })
	top := make([]many, 0, 6)
	for _, m := range all[:min(len(all), 6)] {
		top = append(top, *m)
	}
	return top
}

// inputKinds counts sources by what they can give.
func inputKinds(h *Health, now time.Time) (all []inputKind) {
	by := map[string]*inputKind{}
	for i := range h.Processes {
		if now.Sub(h.Processes[i].Time) > goneAfter {
			continue
		}
		for _, in := range h.Processes[i].Inputs {
			for _, kind := range in.Kinds {
				x := by[kind]
				if x == nil {
					x = &inputKind{Kind: kind}
					by[kind] = x
				}
				x.Sources++
				x.Records += in.Records
				if in.Silent {
					x.Silent++
				}
			}
		}
	}
	for _, kind := range record.Kinds() {
		if x := by[kind.String()]; x != nil {
			all = append(all, *x)
		} else {
			all = append(all, inputKind{Kind: kind.String()})
		}
	}
	return all
}

// followOverview tells an open overview which cards came, changed and went.
func (k *Console) followOverview(f filter) follower {
	var told map[string]bool // the cards that the page has for certain; nil: not known yet
	return func(since uint64) ([]message, error) {
		changed := map[string]*entry{}
		all := k.c.View.since(since)
		if len(all) == 0 {
			if told == nil { // the page is of this moment
				o := k.overview(f, k.c.Now())
				told = map[string]bool{}
				for _, c := range o.Cards {
					told["open"+c.Warning.ID] = true
				}
				for _, c := range o.Finished {
					told["finished"+c.Warning.ID] = true
				}
			}
			return nil, nil
		}
		for i := range all {
			changed[all[i].warning.ID] = &all[i]
		}
		o := k.overview(f, k.c.Now())
		var messages []message
		var err error
		put := func(m message, name string, data any) {
			html, failed := k.part("/", name, data)
			m.HTML = html
			messages, err = append(messages, m), errors.Join(err, failed)
		}
		put(message{ID: "answer"}, "answer", o.Answer)
		has := map[string]bool{}
		cards := func(list, name string, cards []card) {
			keep := message{ID: list, Keep: []string{}}
			for i := range cards {
				c := &cards[i]
				id, e := c.Warning.ID, changed[c.Warning.ID]
				keep.Keep, has[list+id] = append(keep.Keep, c.ID), true
				if e == nil && told[list+id] {
					continue
				}
				m := message{ID: c.ID, Into: list, Rank: c.Rank}
				if e != nil && e.stated > since {
					m.Say = clean(string(c.Warning.State) + ": " + c.Warning.Title + ", " + c.Warning.KeyText)
				}
				put(m, name, c)
			}
			messages = append(messages, keep)
		}
		cards("open", "card", o.Cards)
		cards("finished", "finished-card", o.Finished)
		put(message{ID: "rest"}, "rest", &o)
		told = has
		return messages, err
	}
}

// finishedRank puts what closed last first.
func finishedRank(w *matcher.Warning) string {
	const never = int64(1) << 60
	return strconv.FormatInt(never-closed(w).Unix(), 10)
}
