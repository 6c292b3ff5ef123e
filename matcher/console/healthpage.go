package console

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

const healthPath = "/health"

// healthPage says how forewarn itself is: what it sees, how far behind it is, and everything that was lost.
var healthPage = page{
	path: healthPath, label: "Pipeline", key: "p", template: "health.html",
	show: func(k *Console, _ *http.Request) (content, error) {
		return content{title: "Pipeline health", data: k.healthView(time.Now())}, nil
	},
	follow: func(k *Console, _ *http.Request) (follower, error) {
		var last string
		return func(uint64) ([]message, error) {
			html, err := k.part(healthPath, "health", k.healthView(time.Now()))
			if err != nil || html == last {
				return nil, err
			}
			last = html
			return []message{{ID: "health", HTML: html}}, nil
		}, nil
	},
}

// healthView is what the page shows.
type healthView struct {
	Known bool
	Error string
	Pulse pulse

	Processes    []process
	Sources      []pipeline.Input
	MoreSources  int
	Collectors   []collecting
	Destinations []Destination
	Streams      []Stream
	Silences     []Silence
	Lag          []counted
	Losses       []counted
	Unowned      []string
	Refused      []string
	Dead         []pipeline.DeadLetter
}

type process struct {
	pipeline.Status

	Gone bool // it has told nothing for long
}

// StoreBytes is the size of the process's state on its disk.
func (p process) StoreBytes() int64 { return p.Store.TreeBytes + p.Store.ValueLogBytes }

type collecting struct {
	collector.State

	Process string
	Gone    bool
	Losses  []counted
}

type counted struct {
	Name  string
	Count uint64
}

// mostSources is how many sources are listed; those that are silent come first.
const mostSources = 200

func (k *Console) healthView(now time.Time) healthView {
	h, known, err := k.health.get()
	v := healthView{Known: known, Pulse: pulseOf(&h, known && err == nil, now), Destinations: h.Destinations, Streams: h.Streams, Silences: h.Silences}
	if err != nil {
		v.Error = err.Error()
	}
	lag, losses := map[string]uint64{}, map[string]uint64{}
	sources := map[string]pipeline.Input{}
	for _, s := range h.Processes {
		p := process{s, now.Sub(s.Time) > goneAfter}
		v.Processes = append(v.Processes, p)
		for what, n := range s.Losses {
			losses[what] += n
		}
		if p.Gone {
			continue
		}
		for consumer, n := range s.Lag {
			lag[consumer] = max(lag[consumer], n)
		}
		v.Unowned, v.Dead = s.Unowned, append(v.Dead, s.Dead...)
		for _, r := range s.Refused {
			if !slices.Contains(v.Refused, r) {
				v.Refused = append(v.Refused, r)
			}
		}
		for _, in := range s.Inputs {
			// Of several processes that read partitions of it the one that heard it last knows best.
			if old, ok := sources[in.Source]; ok {
				records := old.Records + in.Records
				if old.Heard.After(in.Heard) {
					in = old
				}
				in.Records = records
			}
			sources[in.Source] = in
		}
	}
	for _, in := range sources {
		v.Sources = append(v.Sources, in)
	}
	slices.SortFunc(v.Sources, func(a, b pipeline.Input) int {
		if a.Silent != b.Silent {
			return map[bool]int{true: -1, false: 1}[a.Silent]
		}
		return cmp.Compare(a.Source, b.Source)
	})
	if v.MoreSources = len(v.Sources) - mostSources; v.MoreSources > 0 {
		v.Sources = v.Sources[:mostSources]
	}
	for _, s := range h.Collectors {
		for _, c := range s.Collectors {
			v.Collectors = append(v.Collectors, collecting{c, s.Instance, now.Sub(s.Time) > goneAfter, sorted(c.Lost)})
		}
	}
	v.Lag, v.Losses = sorted(lag), sorted(losses)
	return v
}

// sorted lists what was counted, the most first, without what is nothing.
func sorted(counts map[string]uint64) (all []counted) {
	for name, n := range counts {
		if n > 0 {
			all = append(all, counted{name, n})
		}
	}
	slices.SortFunc(all, func(a, b counted) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return all
}
