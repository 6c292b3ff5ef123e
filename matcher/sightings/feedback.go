// Package sightings counts finished warnings: how far they got, how long each step took, what was done and whether it helped.
package sightings

import "time"

// Verdict is what a person says of a warning.
type Verdict string

// The verdicts.
const (
	Acknowledged Verdict = "acknowledged" // somebody is at it
	FalseAlarm   Verdict = "false-alarm"  // nothing was about to happen
	AvertedBy    Verdict = "averted"      // something was done, and it helped
)

// Feedback is what a person said of one warning. The last one of a person counts; those of several persons all count.
type Feedback struct {
	Warning string    `json:"warning"` // the warning's id
	Verdict Verdict   `json:"verdict"`
	Remedy  string    `json:"remedy,omitempty"` // what was done: the risk class and the first words of a remedy, or the person's own words
	By      string    `json:"by,omitempty"`     // who says so; it never leaves the cluster
	Note    string    `json:"note,omitempty"`   // it never leaves the cluster either
	Time    time.Time `json:"time"`
}
