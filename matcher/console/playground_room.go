package console

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Kubernetes ends a whole container when one of its processes takes the last of its memory, so a trial must be given less than what is left.

// cgroupDir is where a process in a container finds its own limits.
const cgroupDir = "/sys/fs/cgroup"

// leastMemory is what a trial needs to start at all.
const leastMemory = 96 << 20

// ErrNoRoom is returned when so little memory is left beside the process that watches that no trial is begun.
var ErrNoRoom = errors.New("there is too little memory left beside the matcher for a trial: raise the container's limit, or use `forewarn signature test`")

// memoryFor returns how much memory each of several trials may take: at most most, and together half of what the container has left.
func memoryFor(dir string, trials int, most uint64) (uint64, error) {
	limit, ok := cgroupNumber(filepath.Join(dir, "memory.max"))
	used, known := cgroupNumber(filepath.Join(dir, "memory.current"))
	if !ok || !known {
		return most, nil // no limit, or none that can be read
	}
	used -= min(cgroupStat(filepath.Join(dir, "memory.stat"), "inactive_file"), used) // files that were read go when room is needed
	room := (limit - min(used, limit)) / 2 / uint64(trials)
	if room < leastMemory {
		return 0, ErrNoRoom
	}
	return min(room, most), nil
}

// cgroupNumber reads a file that holds one number; "max" is none.
func cgroupNumber(path string) (uint64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// cgroupStat reads one line of a file of names and numbers, 0 when it is not there.
func cgroupStat(path, name string) uint64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }() // it is only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), " "); ok && key == name {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
