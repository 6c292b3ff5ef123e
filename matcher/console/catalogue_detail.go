package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/signatures"
)

// signatureDetailPage tells everything of one signature.
var signatureDetailPage = page{
	path: signaturePath, template: "signature.html", style: "workshop.css",
	show: func(k *Console, r *http.Request) (content, error) {
		d, err := k.detail(r.PathValue("id"))
		if err != nil {
			return content{}, err
		}
		return content{title: d.Signature.Title, data: d}, nil
	},
}

// detail is what the page shows, and what programs are given.
type detail struct {
	Signature *signatures.Signature `json:"signature"`
	Digest    string                `json:"digest"`
	From      string                `json:"from,omitempty"`
	Followed  string                `json:"followed"` // by what, and in which order
	Rungs     []spokenRung          `json:"rungs"`
	Over      []string              `json:"over"` // when it is over
	Score     *Score                `json:"score,omitempty"`
	Here      *Spot                 `json:"here,omitempty"`
	YAML      string                `json:"-"`
	Tests     []spokenTest          `json:"-"`
	Open      []card                `json:"-"`
	More      int                   `json:"-"` // open warnings that are not shown
	TryIt     string                `json:"-"`
}

// spokenRung is a stage, or the incident, said aloud.
type spokenRung struct {
	Name   string   `json:"name"`
	Title  string   `json:"title,omitempty"`
	When   string   `json:"when"`
	Often  string   `json:"often,omitempty"`
	Notes  []string `json:"notes,omitempty"`
	Needs  []string `json:"-"` // what is missing here for it
	Sight  Sight    `json:"sight,omitempty"`
	Told   bool     `json:"told,omitempty"` // people are told from here on
	Blind  bool     `json:"-"`
	Number int      `json:"-"`
}

// spokenTest is a test, and where it is tried.
type spokenTest struct {
	Name, Link string
	Records    int
	Expects    []string
}

// mostOpen is how many open warnings of a signature its page shows.
const mostOpen = 5

func (k *Console) detail(id string) (*detail, error) {
	armed := k.c.Arms.Armed()
	s, ok := armed.Set.Get(id)
	if !ok {
		if slices.Contains(armed.Disarmed, id) {
			return nil, problem{http.StatusNotFound, "Signature " + id + " does not apply to this cluster, so it is not armed.", "What is known of the cluster decides that: see applies in the configuration."}
		}
		return nil, problem{http.StatusNotFound, "No signature of this name is armed.", "Search for it in the list of signatures, or see forewarn signature show."}
	}
	d := &detail{Signature: s, Digest: digestOf(&armed, s), From: armed.From[id], Followed: followedWords(s), TryIt: playgroundPath + "?signature=" + url.QueryEscape(id)}
	sights := map[string]RoleSight{}
	if given, known := k.given(); known && given.Processes > 0 {
		spot := FindBlindSpots([]*signatures.Signature{s}, given).Spots[0]
		d.Here = &spot
		for _, r := range spot.Roles {
			sights[r.Role] = r
		}
	}
	d.speak(sights)
	if score, ok := k.scores()[id]; ok {
		d.Score = &score
	}
	for i := range s.Tests {
		t := &s.Tests[i]
		x := spokenTest{Name: t.Name, Link: fmt.Sprintf("%s&test=%d", d.TryIt, i+1)}
		for j := range t.Records {
			x.Records += max(t.Records[j].Repeat, 1)
		}
		for j := range t.Expect {
			x.Expects = append(x.Expects, t.Expect[j].State)
		}
		d.Tests = append(d.Tests, x)
	}
	now := k.c.Now()
	for _, e := range k.c.View.since(0) {
		switch {
		case e.warning.Signature != id || e.warning.State.Final():
		case len(d.Open) < mostOpen:
			d.Open = append(d.Open, k.cardOf(&e, now))
		default:
			d.More++
		}
	}
	text, err := yamlOf(s)
	if err != nil {
		return nil, err
	}
	d.YAML = text
	return d, nil
}

// speak says the ladder aloud.
func (d *detail) speak(sights map[string]RoleSight) {
	s := d.Signature
	add := func(r spokenRung) {
		r.Sight = sights[r.Name].Sight
		r.Blind = r.Sight.Blind()
		for _, n := range sights[r.Name].Needs {
			if n.Sight.Blind() {
				r.Needs = append(r.Needs, n.Need+": "+n.Says)
			}
		}
		d.Rungs = append(d.Rungs, r)
	}
	for i := range s.Stages {
		st := &s.Stages[i]
		r := spokenRung{Name: st.Name, Title: st.Title, When: whenWords(&st.When), Often: oftenWords(st.Count, st.Distinct, st.Within), Number: i + 1}
		if st.FollowsWithin != 0 {
			r.Notes = append(r.Notes, "within "+st.FollowsWithin.String()+" of the stage before")
		}
		for j := range s.Unless {
			if u := &s.Unless[j]; u.Anchor == st.Name || u.Anchor == "" && i == len(s.Stages)-1 {
				from := "from then on"
				if u.Slide != 0 {
					from = "from " + u.Slide.String() + " after it"
				}
				r.Notes = append(r.Notes, fmt.Sprintf("unless, %s and for %s, %s", from, u.Window, thereIs(&u.When)))
			}
		}
		r.Told = s.Frame == nil && (st.Name == s.Tell || s.Tell == "" && i == 0 && s.Order != signatures.Any)
		add(r)
	}
	if f := s.Frame; f != nil {
		last := &d.Rungs[len(d.Rungs)-1]
		for i := range f.Negates {
			last.Notes = append(last.Notes, "unless "+thereIs(&f.Negates[i].When))
		}
	}
	if in := s.Incident; in != nil {
		add(spokenRung{Name: "incident", Title: in.Title, When: whenWords(&in.When), Often: oftenWords(in.Count, in.Distinct, in.Within)})
	}
	if s.Clear.When != nil {
		text := thereIs(s.Clear.When)
		if s.Clear.For != 0 {
			text += ", and no stage for " + s.Clear.For.String() + " after it"
		}
		d.Over = append(d.Over, text)
	}
	if s.Clear.Quiet != 0 {
		d.Over = append(d.Over, "no stage was seen for "+s.Clear.Quiet.String())
	}
}

// followedWords says by what a signature is followed, and in which order its stages come.
func followedWords(s *signatures.Signature) string {
	by := "each " + strings.Join(s.By, ", ")
	within := ""
	if s.Within != 0 {
		within = " within " + s.Within.String()
	}
	switch {
	case s.Frame != nil:
		if s.Frame.Window != 0 {
			within = " within " + s.Frame.Window.String()
		}
		return by + "; all stages make one figure in time" + within
	case len(s.Stages) == 1:
		return by
	case s.Order != signatures.Any:
		return by + "; the stages come in order"
	case s.Need > 0 && s.Need < len(s.Stages):
		return by + "; any " + strconv.Itoa(s.Need) + " of the stages" + within
	}
	return by + "; all stages, in any order" + within
}

// yamlOf writes a signature as a person would: what can be one word is one, and short lists stand on a line.
func yamlOf(s *signatures.Signature) (string, error) {
	var n yaml.Node
	if err := n.Encode(s); err != nil {
		return "", fmt.Errorf("write signature %s: %w", s.ID, err)
	}
	tidy(&n, "")
	var b strings.Builder
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&n); err != nil {
		return "", fmt.Errorf("write signature %s: %w", s.ID, err)
	}
	return b.String(), nil
}

// tidy puts short forms in place of long ones below a key.
func tidy(n *yaml.Node, key string) {
	for i, c := range n.Content {
		switch {
		case n.Kind == yaml.MappingNode && i%2 == 0:
		case n.Kind == yaml.MappingNode:
			tidy(c, n.Content[i-1].Value)
		default:
			tidy(c, key)
		}
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && (n.Content[0].Value == "equals" || n.Content[0].Value == "any") && words(n.Content[1]) {
		*n = *n.Content[1] // a match that is nothing but equal, a text that is nothing but contained
	}
	if !words(n) {
		return
	}
	switch {
	case len(n.Content) == 1 && key != "components" && key != "references" && !slices.Contains(matchKeys(), key):
		*n = *n.Content[0]
	case key != "references":
		n.Style |= yaml.FlowStyle
	}
}

// matchKeys are the keys below which a list is always a list.
func matchKeys() []string {
	return []string{"equals", "not", "contains", "prefix", "suffix", "any", "all", "none"}
}

// words reports whether a node is a list of single values.
func words(n *yaml.Node) bool {
	return n.Kind == yaml.SequenceNode && len(n.Content) > 0 && !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Kind != yaml.ScalarNode })
}
