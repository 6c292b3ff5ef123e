// Package demo holds a genuine recording that shows three failures as they came.
//
// It is a part of what a real cluster said (Kubernetes 1.37, one real node under containerd): lines of its watch streams for events,
// pods, nodes, deployments and replica sets, verbatim, chosen by object, in the order in which the API server wrote them (their
// resourceVersion). In three minutes a node comes under memory pressure and evicts its pods, a container crashes at each start, and a
// quota stops a rollout. The collector for files reads it as it reads any watch stream.
//
// The times in it are real, and so are the lead times that a replay wins.
package demo

import (
	_ "embed" // for the recording
	"io"
	"strings"
)

//go:embed recording.ndjson.gz
var recording string

// Name is a file name for the recording, by which its format can be told.
const Name = "recording.ndjson.gz"

// Recording returns the recording: watch events as JSON lines, in gzip. Each call returns a reader of its own.
func Recording() io.Reader { return strings.NewReader(recording) }
