package console

import (
	"net/http"
	"slices"
)

const blindSpotsPath = "/blind-spots"

// blindSpotsPage says which signatures cannot fire here, and for want of what.
var blindSpotsPage = page{
	path: blindSpotsPath, label: "Blind spots", key: "b", template: "blind-spots.html", style: "workshop.css",
	show: func(k *Console, _ *http.Request) (content, error) {
		return content{title: "Blind spots", data: k.blindSpots()}, nil
	},
	follow: func(k *Console, _ *http.Request) (follower, error) {
		var last string
		return func(uint64) ([]message, error) {
			html, err := k.part(blindSpotsPath, "blind-spots", k.blindSpots())
			if err != nil || html == last {
				return nil, err
			}
			last = html
			return []message{{ID: "blind-spots", HTML: html}}, nil
		}, nil
	},
}

// blindView is what the page shows.
type blindView struct {
	Known   bool // a matching process says what it sees
	Found   *BlindSpots
	Groups  []spotGroup
	Problem string
}

// spotGroup are the signatures of one verdict.
type spotGroup struct {
	Verdict Verdict
	Title   string
	Spots   []shownSpot
	More    int
}

// shownSpot is a signature with what it lacks, each need once.
type shownSpot struct {
	Spot

	Lacks []lackingNeed
}

// lackingNeed is an input that is not seen, and the roles that need it.
type lackingNeed struct {
	NeedSight

	Roles []string
}

func lackingOf(s Spot) shownSpot {
	shown := shownSpot{Spot: s}
	for _, r := range s.Roles {
		for _, n := range r.Needs {
			if n.Sight == Sighted || n.Sight == Quiet {
				continue
			}
			i := slices.IndexFunc(shown.Lacks, func(l lackingNeed) bool { return l.Need == n.Need })
			if i < 0 {
				i = len(shown.Lacks)
				shown.Lacks = append(shown.Lacks, lackingNeed{NeedSight: n})
			}
			shown.Lacks[i].Roles = append(shown.Lacks[i].Roles, r.Role)
		}
	}
	return shown
}

// mostSpots is how many signatures of a verdict are listed.
const mostSpots = 200

func (k *Console) blindSpots() blindView {
	armed := k.c.Arms.Armed()
	given, known := k.given()
	v := blindView{Known: known && given.Processes > 0, Found: FindBlindSpots(armed.Set.All(), given), Problem: armed.Problem}
	if len(v.Found.Gaps) > mostSpots {
		v.Found.Gaps = v.Found.Gaps[:mostSpots]
	}
	if !v.Known {
		return v
	}
	titles := map[Verdict]string{
		CannotFire: "They cannot fire here", SeesPart: "They see only a part", NotTested: "Too little is known of these", CanFire: "They can fire",
	}
	for _, verdict := range Verdicts() {
		g := spotGroup{Verdict: verdict, Title: titles[verdict]}
		for _, s := range v.Found.Spots {
			switch {
			case s.Verdict != verdict:
			case len(g.Spots) < mostSpots:
				g.Spots = append(g.Spots, lackingOf(s))
			default:
				g.More++
			}
		}
		if len(g.Spots) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
	return v
}
