package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/signatures"
)

const playgroundPath = "/playground"

// playgroundPage shows what signatures make of an input that somebody pastes, while they are edited.
var playgroundPage = page{
	path: playgroundPath, label: "Playground", key: "y", template: "playground.html", style: "workshop.css", script: "playground.js",
	show: func(k *Console, r *http.Request) (content, error) {
		v, err := k.playground(r)
		return content{title: "Playground", data: v}, err
	},
	work: func(k *Console, r *http.Request) (any, error) { return k.tryOut(r) },
}

// playgroundView is what the page shows before anything was tried.
type playgroundView struct {
	Ready    bool // trials can be run
	YAML     string
	Input    string
	After    string
	Attrs    string
	Armed    string // one of armedChoices
	Examples []exampleChoice
	Chosen   string // the value of the example that is shown
	Bounds   Bounds
}

// exampleChoice is a test of an armed signature that can be chosen as an example.
type exampleChoice struct {
	Signature, Title, Test, Value string
	Chosen                        bool
}

// mostExamples is how many tests can be chosen from.
const mostExamples = 2000

// playground makes the page; its address may name a signature and one of its tests, so that it can be passed on.
func (k *Console) playground(r *http.Request) (*playgroundView, error) {
	q := r.URL.Query()
	v := &playgroundView{Ready: k.c.Runner != nil, Armed: "none", Bounds: Bounds{}.withDefaults(), After: "0s"}
	armed := k.c.Arms.Armed()
	id, test := q.Get("signature"), 0
	if n, err := strconv.Atoi(q.Get("test")); err == nil {
		test = n - 1
	}
	if id == "" { // something to begin with
		id = "etcd-slow-disk"
		if _, ok := armed.Set.Get(id); !ok {
			for _, s := range armed.Set.All() {
				if id = s.ID; len(s.Tests) > 0 {
					break
				}
			}
		}
	}
	if s, ok := armed.Set.Get(id); ok {
		var err error
		if v.YAML, err = yamlWithoutTests(s); err != nil {
			return nil, err
		}
		if len(s.Tests) > 0 {
			e, err := ExampleOf(s, test, exampleStart)
			if err != nil {
				return nil, problem{http.StatusNotFound, err.Error(), "Choose another example in the playground."}
			}
			v.Input, v.After, v.Chosen = e.Input, e.After.String(), fmt.Sprintf("%s/%d", id, test+1)
		}
	} else if q.Get("signature") != "" {
		return nil, problem{http.StatusNotFound, "No signature of this name is armed.", "Search for it in the list of signatures."}
	} else {
		v.YAML = string(signatures.Template("my-first-signature"))
	}
	for _, s := range armed.Set.All() {
		for i := range s.Tests {
			if len(v.Examples) < mostExamples {
				value := fmt.Sprintf("%s/%d", s.ID, i+1)
				v.Examples = append(v.Examples, exampleChoice{s.ID, s.Title, s.Tests[i].Name, value, value == v.Chosen})
			}
		}
	}
	return v, nil
}

// exampleStart is when examples begin, so that the same address shows the same page.
var exampleStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// yamlWithoutTests writes a signature to be edited; its tests are long, and stand as examples beside it.
func yamlWithoutTests(s *signatures.Signature) (string, error) {
	short := *s
	short.Tests = nil
	return yamlOf(&short)
}

// question is what the page asks.
type question struct {
	YAML    string `json:"yaml"`
	Input   string `json:"input"`
	Attrs   string `json:"attrs"` // name=value, by spaces or commas
	After   string `json:"after"`
	Armed   string `json:"armed"`   // none, all, or the id of an armed signature
	Explain int    `json:"explain"` // the number of a record
}

// reply of the playground: the outcome as the page shows it, and what is marked in the panes.
type trialAnswer struct {
	HTML  string     `json:"html"`
	Marks []paneMark `json:"marks"`
	Lines []lineMark `json:"lines"`
	Say   string     `json:"say"` // what is read aloud
}

// paneMark is something said of a line of the YAML.
type paneMark struct {
	Line  int    `json:"line"`
	Level string `json:"level"` // error, warning, met or lack
	Text  string `json:"text"`
}

// lineMark says that a line of the input met something, or could not be used.
type lineMark struct {
	Line  int    `json:"line"`
	Level string `json:"level"` // hit or error
	Text  string `json:"text"`
}

// trialOf makes a trial of a question.
func (k *Console) trialOf(q *question) (*Trial, error) {
	t := &Trial{YAML: q.YAML, Input: q.Input, Now: time.Now().UTC(), Explain: q.Explain, Attrs: map[string]string{}}
	if q.After != "" {
		after, err := signatures.ParseDuration(q.After)
		if err != nil {
			return nil, problem{http.StatusBadRequest, fmt.Sprintf("%.40q is no time to go on for.", q.After), "Write it as 90s, 30m, 2h or 1d."}
		}
		t.After = after
	}
	for part := range strings.FieldsFuncSeq(q.Attrs, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' }) {
		name, value, ok := strings.Cut(part, "=")
		if !ok || name == "" || value == "" {
			return nil, problem{http.StatusBadRequest, fmt.Sprintf("%.60q is no attribute.", part), "Write them as node=worker-1 namespace=shop."}
		}
		t.Attrs[name] = value
	}
	if len(t.Attrs) > 20 {
		return nil, problem{http.StatusBadRequest, "These are too many attributes.", "Give those that the signature correlates by."}
	}
	switch q.Armed {
	case "", "none":
	case "all":
		t.Armed = k.c.Arms.Armed().Set.All()
	default:
		s, ok := k.c.Arms.Armed().Set.Get(q.Armed)
		if !ok {
			return nil, problem{http.StatusBadRequest, fmt.Sprintf("No signature %.80q is armed.", q.Armed), "Use none, all, or the id of a signature."}
		}
		t.Armed = []*signatures.Signature{s}
	}
	return t, nil
}

// runTrial runs a trial and says what is wrong with it in words for people.
func (k *Console) runTrial(r *http.Request, q *question) (*Outcome, error) {
	if k.c.Runner == nil {
		return nil, problem{http.StatusNotFound, "This console has no playground.", "Use forewarn scan and forewarn signature test."}
	}
	t, err := k.trialOf(q)
	if err != nil {
		return nil, err
	}
	out, err := k.c.Runner.Run(r.Context(), t)
	switch {
	case errors.Is(err, ErrTrialTooLarge):
		return nil, problem{http.StatusRequestEntityTooLarge, err.Error(), ""}
	case errors.Is(err, ErrTrialTooDear):
		return nil, problem{http.StatusUnprocessableEntity, err.Error(), ""}
	case errors.Is(err, ErrNoRoom):
		return nil, problem{http.StatusServiceUnavailable, err.Error(), ""}
	case errors.Is(err, ErrTrialsBusy):
		return nil, problem{http.StatusTooManyRequests, err.Error(), ""}
	case err != nil:
		return nil, err
	}
	return out, nil
}

// tryOut answers the page.
func (k *Console) tryOut(r *http.Request) (any, error) {
	var q question
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return nil, problem{http.StatusRequestEntityTooLarge, "This is too much for the playground.", "Paste the part that matters, or use forewarn scan."}
		}
		return nil, problem{http.StatusBadRequest, "This is no trial: " + err.Error(), `Send {"yaml": "...", "input": "..."}.`}
	}
	out, err := k.runTrial(r, &q)
	if err != nil {
		return nil, err
	}
	html, err := k.part(playgroundPath, "outcome", outcomeOf(out, &q))
	if err != nil {
		return nil, err
	}
	a := &trialAnswer{HTML: html, Marks: marksOf(out), Lines: linesOf(out), Say: sayOf(out)}
	return a, nil
}

// shownOutcome is an outcome as the page shows it.
type shownOutcome struct {
	*Outcome

	Errors, Hints []signatures.Problem
	Steps         []shownStep
	Passed        int
	Failed        []TestOutcome
	Explained     int
	Quiet         bool // nothing would be told
	Many          bool // several signatures are tried
}

// shownStep is a role of a signature with what is needed of it.
type shownStep struct {
	Why

	Reached int      // keys for which it was
	Missing []string // by how much, for the others
}

func outcomeOf(out *Outcome, q *question) *shownOutcome {
	s := &shownOutcome{Outcome: out, Explained: q.Explain, Quiet: len(out.Revisions) == 0, Many: len(out.Signatures) > 1}
	for _, p := range out.Problems {
		if p.IsError() {
			s.Errors = append(s.Errors, p)
		} else {
			s.Hints = append(s.Hints, p)
		}
	}
	for _, t := range out.Tests {
		if len(t.Failures) == 0 {
			s.Passed++
		} else {
			s.Failed = append(s.Failed, t)
		}
	}
	for _, w := range out.Why {
		step := shownStep{Why: w}
		reached := map[string]bool{}
		for i := range out.Warnings {
			for _, r := range out.Warnings[i].Reached {
				if out.Warnings[i].Signature == w.Signature && r.Stage == w.Role && !out.Warnings[i].Retracted {
					reached[out.Warnings[i].KeyText] = true
				}
			}
		}
		for _, p := range out.Progress {
			for _, r := range p.Rungs {
				switch {
				case p.Signature != w.Signature || r.Name != w.Role:
				case !r.Reached.IsZero():
					reached[p.Key] = true
				case r.Missing != "" && !reached[p.Key] && !slices.Contains(step.Missing, r.Missing) && len(step.Missing) < 3:
					step.Missing = append(step.Missing, r.Missing)
				}
			}
		}
		step.Reached = len(reached)
		const most = 4
		step.Lacks = step.Lacks[:min(len(step.Lacks), most)]
		s.Steps = append(s.Steps, step)
	}
	return s
}

// marksOf says what is to be seen beside the lines of the YAML: problems, and of each role how many records met it, or what the nearest lacks.
func marksOf(out *Outcome) []paneMark {
	marks := []paneMark{}
	for _, p := range out.Problems {
		if p.Line > 0 {
			text := p.Message
			if p.Suggestion != "" {
				text += ": " + p.Suggestion
			}
			marks = append(marks, paneMark{p.Line, string(p.Severity), clip(text, 400)})
		}
	}
	for _, w := range out.Why {
		switch {
		case w.Line == 0:
		case w.Met > 0:
			marks = append(marks, paneMark{w.Line, "met", plural(w.Met, "record") + " met " + w.Role})
		case len(w.Lacks) > 0:
			l := w.Lacks[0]
			marks = append(marks, paneMark{cmp.Or(l.Line, w.Line), "lack", clip(fmt.Sprintf("%s: wanted %s, saw %s (record %d)", w.Role, l.Wanted, l.Seen, l.Example), 400)})
		}
	}
	return marks
}

// linesOf says which lines of the input met something.
func linesOf(out *Outcome) []lineMark {
	lines := []lineMark{}
	for _, r := range out.Shown {
		if r.Line == 0 || len(r.Hits) == 0 {
			continue
		}
		var met []string
		for _, h := range r.Hits {
			met = append(met, h.On...)
		}
		if len(met) > 0 {
			lines = append(lines, lineMark{r.Line, "hit", clip(strings.Join(met, ", "), 200)})
		}
	}
	for _, f := range out.Faults {
		if f.Line > 0 {
			lines = append(lines, lineMark{f.Line, "error", clip(f.Message, 300)})
		}
	}
	return lines
}

// sayOf sums a trial up in a sentence.
func sayOf(out *Outcome) string {
	if n := len(signatures.Errors(out.Problems)); n > 0 {
		return plural(n, "error") + " in the signature"
	}
	states := []string{}
	for _, w := range out.Warnings {
		states = append(states, string(w.State))
	}
	text := plural(out.Records, "record") + ", " + strconv.Itoa(out.Hits) + " met something"
	if len(states) == 0 {
		return text + ", no warning"
	}
	const most = 3
	more := ""
	if len(states) > most {
		more = fmt.Sprintf(" and %d more", len(states)-most)
		states = states[:most]
	}
	return text + ", " + plural(len(out.Warnings), "warning") + ": " + strings.Join(states, ", ") + more
}
