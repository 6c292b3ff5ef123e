package matcher

import "time"

// Outlook is what sightings, the finished warnings of the same signature, say of a warning that is open.
type Outlook struct {
	Here      Past      `json:"here"`               // in this cluster
	Elsewhere Past      `json:"elsewhere"`          // in all other clusters that share their sightings
	Next      *Interval `json:"next,omitempty"`     // when the next rung is expected; nil: no forecast yet
	Incident  *Interval `json:"incident,omitempty"` // when the incident is expected; nil: no forecast yet
	Remedies  []Outcome `json:"remedies,omitempty"` // what was done, the most often helpful first
}

// Past counts the finished warnings that got at least as far as this one.
type Past struct {
	Reached  uint64 `json:"reached"`  // all of them
	Incident uint64 `json:"incident"` // of these, how many became an incident
	Averted  uint64 `json:"averted"`
	Expired  uint64 `json:"expired"`
}

// Interval is when something is expected, with the 80 % interval of what was seen before. A zero Latest is an open end.
type Interval struct {
	Earliest time.Time `json:"earliest"`
	Expected time.Time `json:"expected"`
	Latest   time.Time `json:"latest,omitzero"`
	Of       uint64    `json:"of"` // how many sightings it is made of
}

// Outcome is the record of one remedy: how often people said that they did it, and how often it helped.
type Outcome struct {
	Remedy string `json:"remedy"`
	Done   uint64 `json:"done"`
	Helped uint64 `json:"helped"`
}

// Link leads to more of a warning, such as its page in the console.
type Link struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}
