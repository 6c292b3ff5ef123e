package console

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// limitProcess bounds the memory and the processor time of this process, and makes it the first to wait and the first to go. Files that it
// writes and core dumps are of no use to it.
func limitProcess(memory uint64, processor time.Duration) error {
	for what, most := range map[int]uint64{
		syscall.RLIMIT_DATA: memory, syscall.RLIMIT_CPU: uint64(processor / time.Second), syscall.RLIMIT_FSIZE: 0, syscall.RLIMIT_CORE: 0,
	} {
		if err := syscall.Setrlimit(what, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("set limit %d to %d: %w", what, most, err)
		}
	}
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19)                // without it, it is only less polite
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o600) // where there is no /proc nothing can be said
	return nil
}
