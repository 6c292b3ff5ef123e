package notify

import "github.com/forewarn/forewarn/matcher"

// Notice is one message to one destination: a new revision of a warning, or several warnings that are told together.
type Notice struct {
	// ID is the same at every try and after a restart, so that a destination can drop repeats.
	ID string
	// Thread is the same for all notices that replace or continue one another: the warning's id, or the group's.
	Thread string
	// Warnings are what it tells, the most urgent first; there is at least one.
	Warnings []matcher.Warning
}

// Single is the notice of one warning alone.
func Single(w matcher.Warning) Notice {
	return Notice{ID: revisionID(&w), Thread: w.ID, Warnings: []matcher.Warning{w}}
}
