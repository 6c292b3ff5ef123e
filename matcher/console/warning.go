package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/sightings"
	"github.com/forewarn/forewarn/signatures"
)

const warningPath = "/warnings/{id}"

// warningPage tells everything of one warning.
var warningPage = page{
	path: warningPath, template: "warning.html",
	show: func(k *Console, r *http.Request) (content, error) {
		w, err := k.warning(r.Context(), r.PathValue("id"), k.c.Now())
		if err != nil {
			return content{}, err
		}
		w.Asked = sightings.Verdict(r.URL.Query().Get("verdict"))
		return content{title: w.Warning.Title + ", " + w.Warning.KeyText, data: w}, nil
	},
	follow: func(k *Console, r *http.Request) (follower, error) { return k.followWarning(r.PathValue("id")), nil },
	act:    (*Console).takeFeedback,
}

// whole is what the page shows.
type whole struct {
	card

	Now      time.Time
	Settled  bool
	Evidence []rungEvidence
	Remedies []remedy
	Outlook  *matcher.Outlook
	Expected []expectation
	History  []revision
	Links    []matcher.Link
	Writable bool
	Asked    sightings.Verdict // what a link in a message leads to say
}

// expectation is when sightings say that something comes.
type expectation struct {
	What, When string
	Of         uint64
}

// rungEvidence is the evidence of one rung.
type rungEvidence struct {
	Name, Title string
	Seen        bool
	Time        time.Time
	Count       uint64
	Records     []evidence
	Missing     string // of the next rung
	Next        bool
}

type evidence struct {
	matcher.Evidence

	Reason string
	Object []keyPart
}

// remedy is what can be done, with what became of it when others did.
type remedy struct {
	signatures.Remedy

	Line         string // the command, filled in
	Value        string // what feedback calls it
	Done, Helped uint64
}

var errUnknownWarning = problem{
	http.StatusNotFound, "No warning of this name is known here.",
	"It finished so long ago that it is not kept, or it is one of another cluster.",
}

func (k *Console) warning(ctx context.Context, id string, now time.Time) (*whole, error) {
	e, err := k.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return k.wholeOf(&e, now), nil
}

func (k *Console) wholeOf(e *entry, now time.Time) *whole {
	w := &e.warning
	x := &whole{
		card: k.cardOf(e, now), Now: now, Settled: e.settled,
		Outlook: k.outlook(w), History: slices.Clone(e.history), Links: w.Links, Writable: k.c.Options.Writable,
	}
	slices.Reverse(x.History)
	x.Climb.Pixels, x.Climb.Letters = x.Climb.Pixels*3/2, 80
	x.Evidence = evidenceOf(w)
	if x.Outlook != nil {
		for what, i := range map[string]*matcher.Interval{"Next stage": x.Outlook.Next, "The incident": x.Outlook.Incident} {
			if i != nil && !w.State.Final() {
				f := forecast{Earliest: i.Earliest, Expected: i.Expected, Latest: i.Latest}
				x.Expected = append(x.Expected, expectation{what, f.text(now) + ", " + f.interval(now), i.Of})
			}
		}
		slices.SortFunc(x.Expected, func(a, b expectation) int { return cmp.Compare(a.What, b.What) })
	}
	for i := range w.Remedies {
		r := remedy{Remedy: w.Remedies[i], Line: notify.Command(w, &w.Remedies[i]), Value: w.Remedies[i].Name()}
		if x.Outlook != nil {
			for _, o := range x.Outlook.Remedies {
				if o.Remedy == r.Value {
					r.Done, r.Helped = o.Done, o.Helped
				}
			}
		}
		x.Remedies = append(x.Remedies, r)
	}
	return x
}

// evidenceOf puts the records to their rungs, in the order of the ladder, with the next rung at the end.
func evidenceOf(w *matcher.Warning) (all []rungEvidence) {
	for _, r := range w.Reached {
		x := rungEvidence{Name: r.Stage, Title: named(r.Title, r.Stage), Seen: true, Time: r.Time, Count: r.Count}
		for _, e := range w.Evidence {
			if e.Stage == r.Stage {
				x.Records = append(x.Records, evidence{e, e.Attrs[record.EventReason], objectOfEvidence(&e)})
			}
		}
		all = append(all, x)
	}
	if w.Next != nil && !w.State.Final() {
		all = append(all, rungEvidence{Name: w.Next.Stage, Title: named(w.Next.Title, w.Next.Stage), Missing: w.Next.Missing, Next: true})
	}
	return all
}

// objectOfEvidence names what a record is of.
func objectOfEvidence(e *matcher.Evidence) (parts []keyPart) {
	for _, a := range []struct{ name, key string }{
		{"node", record.Node}, {"namespace", record.Namespace}, {"pod", record.Pod}, {"container", record.Container},
	} {
		if v := e.Attrs[a.key]; v != "" {
			parts = append(parts, keyPart{a.name, v})
		}
	}
	return parts
}

// followWarning tells an open page of its warning.
func (k *Console) followWarning(id string) follower {
	return func(since uint64) ([]message, error) {
		e, ok := k.c.View.find(id)
		if !ok || e.version <= since {
			return nil, nil
		}
		x := k.wholeOf(&e, k.c.Now())
		var messages []message
		for _, name := range []string{"warning-head", "warning-evidence", "warning-outlook", "warning-remedies", "warning-said", "warning-history"} {
			html, err := k.part(warningPath, name, x)
			if err != nil {
				return nil, err
			}
			messages = append(messages, message{ID: name, HTML: html})
		}
		if e.stated > since {
			messages[0].Say = clean(string(x.Warning.State) + ": " + x.Warning.Title)
		}
		return messages, nil
	}
}

// takeFeedback takes what a person says of a warning.
func (k *Console) takeFeedback(r *http.Request) (string, error) {
	f := sightings.Feedback{
		Warning: r.PathValue("id"), Verdict: sightings.Verdict(r.PostFormValue("verdict")), Remedy: r.PostFormValue("remedy"),
		By: r.PostFormValue("by"), Note: r.PostFormValue("note"), Time: time.Now().UTC(),
	}
	if f.Remedy == "other" {
		f.Remedy = r.PostFormValue("other")
	} else if f.Remedy != "" { // the form names a remedy by its place
		e, err := k.find(r.Context(), f.Warning)
		if err != nil {
			return "", err
		}
		n, err := strconv.Atoi(f.Remedy)
		if err != nil || n < 0 || n >= len(e.warning.Remedies) {
			return "", problem{http.StatusUnprocessableEntity, "The warning has no such remedy.", "Load the page again."}
		}
		f.Remedy = e.warning.Remedies[n].Name()
	}
	return "/warnings/" + f.Warning + "#feedback", k.give(r, &f)
}

// give checks feedback and passes it on. A person whom a proxy named cannot speak for another.
func (k *Console) give(r *http.Request, f *sightings.Feedback) error {
	if !k.c.Options.Writable {
		return errReadOnly
	}
	if _, err := k.find(r.Context(), f.Warning); err != nil {
		return err
	}
	f.By, f.Note, f.Remedy = cmp.Or(personOf(r).name, trimmed(f.By, 80)), trimmed(f.Note, 1000), trimmed(f.Remedy, 200)
	switch f.Verdict {
	case sightings.Acknowledged, sightings.FalseAlarm:
		f.Remedy = ""
	case sightings.AvertedBy:
		if f.Remedy == "" {
			return problem{http.StatusUnprocessableEntity, "What averted it?", "Choose a remedy, or say in your own words what you did."}
		}
	default:
		return problem{http.StatusUnprocessableEntity, "This is no verdict.", "Use acknowledged, false-alarm or averted."}
	}
	if err := k.c.Book.Give(r.Context(), *f); errors.Is(err, sightings.ErrBadFeedback) {
		return problem{http.StatusUnprocessableEntity, "This cannot be kept: " + err.Error(), "Say it in other words."}
	} else if err != nil {
		return err
	}
	k.awaitFeedback(r.Context(), f)
	k.c.Log.Info("feedback was given", "warning", f.Warning, "verdict", f.Verdict, "by", f.By)
	k.c.View.Touch(f.Warning)
	return nil
}

// trimmed cuts what a person wrote.
func trimmed(s string, most int) string {
	r := []rune(strings.TrimSpace(s))
	return string(r[:min(len(r), most)])
}
