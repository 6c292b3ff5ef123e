//go:build !linux

package matcher_test

import "time"

// threadTime is the time of the clock, where that of a thread is not to be had.
func threadTime() time.Duration { return time.Duration(time.Now().UnixNano()) }
