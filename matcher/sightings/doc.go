// Package sightings counts finished warnings: how far they got, how long each step took, what was done and whether it helped.
//
// A [Book] is the view in memory. It is fed with [Sighting]s, which stay in their cluster, with [Feedback] of people, and with [Tally]s, the counters
// that may leave it: see [Merge] for how those of several clusters come together. It makes the [matcher.Outlook] of an open warning and the
// [Scorecard] of a signature. A [Keeper] moves all of this between a Book and where it is stored. README.md beside this file is the manual.
package sightings
