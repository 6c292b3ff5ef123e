package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
	"github.com/forewarn/forewarn/signatures"
)

// Arms knows the signatures that are armed.
type Arms interface {
	// Armed returns them. It is asked for each page, so that it must cost little while nothing changed, and may be called by several goroutines.
	Armed() Armed
}

// Armed are the signatures that are armed, and what became of the others. It is not written to.
type Armed struct {
	Set      *signatures.Set
	Digests  map[string]string // of their contents, by id
	From     map[string]string // where they come from, by id; those of the shipped catalogue say so
	Disarmed []string          // ids of those that do not apply here
	Refused  []string          // what is wrong with those that cannot be used
	Problem  string            // why this may not be all; empty when it is
}

// noArms is for a console that knows no signatures.
type noArms struct{}

func (noArms) Armed() Armed {
	return Armed{Problem: "this console was given no signatures"}
}

// Score is how a signature has done here, as the sightings count it.
type Score struct{ sightings.Scorecard }

// Percent is the precision for people, "" when it is not known.
func (s *Score) Percent() string {
	if s.Precision == nil {
		return ""
	}
	return strconv.Itoa(int(*s.Precision*100+.5)) + " %"
}

// LeadTime is the median lead, 0 when it is not known.
func (s *Score) LeadTime() time.Duration {
	if s.Lead == nil {
		return 0
	}
	return time.Duration(*s.Lead * float64(time.Second))
}

// Entry is a signature as the catalogue lists it.
type Entry struct {
	ID         string              `json:"id"`
	Title      string              `json:"title"`
	Severity   signatures.Severity `json:"severity"`
	Components []string            `json:"components,omitempty"`
	By         string              `json:"by"`
	Stages     int                 `json:"stages"`
	Open       int                 `json:"open"` // warnings
	From       string              `json:"from,omitempty"`
	Here       Verdict             `json:"here,omitempty"` // whether it can fire; empty when nobody knows
	Says       []string            `json:"says,omitempty"`
	Score      *Score              `json:"score,omitempty"`
}

// search is what the catalogue is asked for; it is kept in the address.
type search struct {
	Text, Severity, Component, Here, Advice string
	Sort                                    string // a column of sorts; with a minus, the other way round
	Page                                    int
}

// perPage is how many signatures are listed at once.
const perPage = 100

func searchOf(q url.Values) search {
	s := search{
		Text: strings.TrimSpace(q.Get("q")), Severity: q.Get("severity"), Component: q.Get("component"), Here: q.Get("here"), Advice: q.Get("advice"), Sort: q.Get("sort"),
	}
	if _, ok := sorts()[strings.TrimPrefix(s.Sort, "-")]; !ok {
		s.Sort = ""
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 && n < 10_000 {
		s.Page = n - 1
	}
	return s
}

// Any reports whether something is left out.
func (s search) Any() bool { return s.Text+s.Severity+s.Component+s.Here+s.Advice != "" }

// Severities lists what can be chosen.
func (search) Severities() []signatures.Severity { return signatures.Severities() }

// Verdicts lists what can be chosen.
func (search) Verdicts() []Verdict { return Verdicts() }

// link is the address of a search.
func (s search) link(sort string, page int) string {
	q := url.Values{}
	for k, v := range map[string]string{"q": s.Text, "severity": s.Severity, "component": s.Component, "here": s.Here, "advice": s.Advice, "sort": sort} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if page > 0 {
		q.Set("page", strconv.Itoa(page+1))
	}
	if len(q) == 0 {
		return signaturesPath
	}
	return signaturesPath + "?" + q.Encode()
}

// sorts are the columns that can be sorted by, each with what comes first when it is chosen.
func sorts() map[string]func(a, b *Entry) int {
	number := func(get func(*Score) float64) func(a, b *Entry) int {
		of := func(e *Entry) float64 {
			if e.Score == nil {
				return -1
			}
			return get(e.Score)
		}
		return func(a, b *Entry) int { return cmp.Compare(of(b), of(a)) }
	}
	return map[string]func(a, b *Entry) int{
		"title":    func(a, b *Entry) int { return strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)) },
		"severity": func(a, b *Entry) int { return cmp.Compare(a.Severity.Rank(), b.Severity.Rank()) },
		"stages":   func(a, b *Entry) int { return cmp.Compare(b.Stages, a.Stages) },
		"open":     func(a, b *Entry) int { return cmp.Compare(b.Open, a.Open) },
		"here": func(a, b *Entry) int {
			return cmp.Compare(slices.Index(Verdicts(), a.Here), slices.Index(Verdicts(), b.Here))
		},
		"finished": number(func(s *Score) float64 { return float64(s.Finished) }),
		"noise":    number(func(s *Score) float64 { return s.Noise }),
		"lead":     number(func(s *Score) float64 { return s.LeadTime().Seconds() }),
		"precision": number(func(s *Score) float64 {
			if s.Precision == nil {
				return -1
			}
			return *s.Precision
		}),
	}
}

// order sorts entries as a search asks for; else the worst severity comes first.
func (s search) order(all []Entry) {
	by, back := sorts()[strings.TrimPrefix(s.Sort, "-")], strings.HasPrefix(s.Sort, "-")
	slices.SortStableFunc(all, func(a, b Entry) int {
		n := 0
		switch {
		case by == nil:
			n = cmp.Compare(a.Severity.Rank(), b.Severity.Rank())
		case back:
			n = -by(&a, &b)
		default:
			n = by(&a, &b)
		}
		return cmp.Or(n, strings.Compare(a.ID, b.ID))
	})
}

// fits reports whether an entry is what is asked for. Words are looked for in everything that people read of a signature.
func (s search) fits(e *Entry, of *signatures.Signature) bool {
	switch {
	case s.Severity != "" && string(e.Severity) != s.Severity,
		s.Component != "" && !slices.Contains(e.Components, s.Component),
		s.Here != "" && string(e.Here) != s.Here,
		s.Advice != "" && (e.Score == nil || string(e.Score.Advice) != s.Advice):
		return false
	}
	if s.Text == "" {
		return true
	}
	text := strings.ToLower(searchable(of))
	for word := range strings.FieldsSeq(strings.ToLower(s.Text)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// searchable is all of a signature that people read.
func searchable(s *signatures.Signature) string {
	parts := append([]string{s.ID, s.Title, s.Impact, s.Cause, strings.Join(s.By, " ")}, s.Components...)
	for i := range s.Stages {
		parts = append(parts, s.Stages[i].Name, s.Stages[i].Title, whenWords(&s.Stages[i].When))
	}
	if s.Incident != nil {
		parts = append(parts, s.Incident.Title, whenWords(&s.Incident.When))
	}
	for i := range s.Remedies {
		parts = append(parts, s.Remedies[i].Do)
	}
	return strings.Join(parts, "\n")
}

// given is what the matching processes are given to see; known is false when nobody could be asked.
func (k *Console) given() (Given, bool) {
	h, known, err := k.health.get()
	if !known || err != nil {
		return Given{Now: time.Now()}, false
	}
	running := slices.Clone(h.Processes)
	now := time.Now()
	running = slices.DeleteFunc(running, func(s pipeline.Status) bool { return now.Sub(s.Time) > goneAfter })
	return GivenOf(now, running), true
}

// entries lists the armed signatures with everything that is known of them.
func (k *Console) entries(armed *Armed) []Entry {
	open := map[string]int{}
	for _, e := range k.c.View.since(0) {
		if !e.warning.State.Final() {
			open[e.warning.Signature]++
		}
	}
	scores := k.scores()
	spots := map[string]Spot{}
	if given, known := k.given(); known && given.Processes > 0 {
		for _, s := range FindBlindSpots(armed.Set.All(), given).Spots {
			spots[s.Signature] = s
		}
	}
	all := make([]Entry, 0, armed.Set.Len())
	for _, s := range armed.Set.All() {
		e := Entry{
			ID: s.ID, Title: s.Title, Severity: s.Severity, Components: s.Components, By: strings.Join(s.By, ", "), Stages: len(s.Stages), Open: open[s.ID],
			From: armed.From[s.ID], Here: spots[s.ID].Verdict, Says: spots[s.ID].Says,
		}
		if score, ok := scores[s.ID]; ok {
			e.Score = &score
		}
		all = append(all, e)
	}
	return all
}

func (k *Console) scores() map[string]Score {
	scores := map[string]Score{}
	if k.c.Scores != nil {
		for _, s := range k.c.Scores() {
			scores[s.Signature] = Score{s}
		}
	}
	return scores
}

const (
	signaturesPath = "/signatures"
	signaturePath  = "/signatures/{id}"
)

// signaturesPage lists what is armed.
var signaturesPage = page{
	path: signaturesPath, label: "Signatures", key: "s", template: "signatures.html", style: "workshop.css",
	show: func(k *Console, r *http.Request) (content, error) {
		return content{title: "Signatures", data: k.catalogue(searchOf(r.URL.Query()))}, nil
	},
}

// catalogue is what the page shows.
type catalogue struct {
	Search         search
	Armed          int
	Fitting        int
	Entries        []Entry
	Columns        []column
	Components     []string
	Scored         bool
	Previous, Next string
	Disarmed       []string
	Refused        []string
	Problem        string
}

// column is a column that can be sorted by.
type column struct {
	Name, Link, Sorted string // ascending or descending, as aria-sort has it
	Number             bool
}

func (k *Console) catalogue(s search) catalogue {
	armed := k.c.Arms.Armed()
	c := catalogue{Search: s, Armed: armed.Set.Len(), Disarmed: armed.Disarmed, Refused: armed.Refused, Problem: armed.Problem}
	for _, e := range k.entries(&armed) {
		for _, name := range e.Components {
			if !slices.Contains(c.Components, name) {
				c.Components = append(c.Components, name)
			}
		}
		c.Scored = c.Scored || e.Score != nil
		if of, ok := armed.Set.Get(e.ID); ok && s.fits(&e, of) {
			c.Entries = append(c.Entries, e)
		}
	}
	slices.Sort(c.Components)
	s.order(c.Entries)
	c.Fitting = len(c.Entries)
	from := min(s.Page*perPage, len(c.Entries))
	to := min(from+perPage, len(c.Entries))
	if s.Page > 0 {
		c.Previous = s.link(s.Sort, s.Page-1)
	}
	if to < len(c.Entries) {
		c.Next = s.link(s.Sort, s.Page+1)
	}
	c.Entries = c.Entries[from:to]
	columns := []column{
		{Name: "title"},
		{Name: "severity"},
		{Name: "here"},
		{Name: "open", Number: true},
		{Name: "finished", Number: true},
		{Name: "precision", Number: true},
		{Name: "lead", Number: true},
		{Name: "noise", Number: true},
	}
	if !c.Scored {
		columns = columns[:4]
	}
	for _, x := range columns {
		switch s.Sort {
		case x.Name:
			x.Sorted, x.Link = "ascending", s.link("-"+x.Name, 0)
			if x.Number {
				x.Sorted = "descending"
			}
		case "-" + x.Name:
			x.Sorted, x.Link = "descending", s.link(x.Name, 0)
			if x.Number {
				x.Sorted = "ascending"
			}
		default:
			x.Link = s.link(x.Name, 0)
		}
		c.Columns = append(c.Columns, x)
	}
	return c
}

// digestOf is the digest of a signature's content.
func digestOf(a *Armed, s *signatures.Signature) string {
	if d := a.Digests[s.ID]; d != "" {
		return d
	}
	return matcher.NewCompiled(s).DigestText
}
