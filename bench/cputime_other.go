//go:build !linux

package bench

import "time"

// threadTime is the time since the program started, where no clock of a thread is known.
func threadTime() time.Duration { return time.Since(processStart) }

var processStart = time.Now()

// threadTimeIsCPU says whether threadTime leaves out what other processes took.
const threadTimeIsCPU = false
