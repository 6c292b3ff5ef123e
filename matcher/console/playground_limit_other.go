//go:build !linux

package console

import "time"

// limitProcess does nothing here: the memory limit of the Go runtime and the parent's deadline remain.
func limitProcess(uint64, time.Duration) error { return nil }
