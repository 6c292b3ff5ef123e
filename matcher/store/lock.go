package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// freeEvery is how often the free space is asked for.
const freeEvery = 250 * time.Millisecond

// dirLock holds the data directory. The operating system lets go of it when the process dies, however it dies.
type dirLock struct{ f *os.File }

// lockDir takes the directory, or says who has it.
func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, "forewarn.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file %s: %w: choose a directory that can be written with --data-dir", path, err)
	}
	taken, err := tryLock(f)
	if err != nil || !taken {
		pid := readPID(f)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w: choose a directory on a file system with locks with --data-dir", path, err)
		}
		return nil, &InUseError{Dir: dir, PID: pid}
	}
	// The number is for people only: the lock decides.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
	return &dirLock{f}, nil
}

func readPID(f *os.File) int {
	b := make([]byte, 32)
	n, _ := f.ReadAt(b, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// release lets go of the directory. The file stays: removing it would let two processes lock two files of one name.
func (l *dirLock) release() {
	if l == nil {
		return
	}
	_ = l.f.Truncate(0)
	_ = l.f.Close()
}
