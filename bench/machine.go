package bench

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/forewarn/forewarn/matcher"
)

// Machine describes what a result was measured on.
type Machine struct {
	CPU      string  `json:"cpu"`
	Cores    int     `json:"cores"` // that Go programs may use
	MemoryMB int     `json:"memory_mb,omitempty"`
	OS       string  `json:"os"`
	Arch     string  `json:"arch"`
	Scan     string  `json:"scan,omitempty"` // how the engine looks for literals here: [matcher.Kernel]
	Kernel   string  `json:"kernel,omitempty"`
	Go       string  `json:"go"`
	Load     float64 `json:"load"` // the load average of the last minute when the run began: other work on the machine
}

// ThisMachine describes the machine that it runs on. What the system does not tell is left out.
func ThisMachine() Machine {
	m := Machine{CPU: "unknown", Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(), Scan: matcher.Kernel()}
	for line := range strings.Lines(fileText("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	for line := range strings.Lines(fileText("/proc/meminfo")) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "MemTotal:" {
			kb, _ := strconv.Atoi(f[1]) // 0, which means unknown, when it is no number
			m.MemoryMB = kb >> 10
			break
		}
	}
	m.Kernel = strings.TrimSpace(fileText("/proc/sys/kernel/osrelease"))
	if f := strings.Fields(fileText("/proc/loadavg")); len(f) > 0 {
		m.Load, _ = strconv.ParseFloat(f[0], 64) // 0 when it is no number
	}
	return m
}

// fileText is the content of a file, or "" where there is none.
func fileText(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// peakMemory is the most memory that a running process had so far, in bytes; 0 where the system does not tell. The usage that is told of
// a process that ended is of no use here: on Linux it counts what its parent had.
func peakMemory(pid int) int64 {
	for line := range strings.Lines(fileText("/proc/" + strconv.Itoa(pid) + "/status")) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64) // 0, which means unknown, when it is no number
			return kb << 10
		}
	}
	return 0
}
