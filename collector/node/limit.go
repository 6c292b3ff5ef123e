package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
)

// Limit bounds what one container, or one pod, may write. It counts by the times of the records, so that what a container wrote while nothing
// read is not shed afterwards for coming all at once.
type Limit struct {
	Lines  int    `yaml:"lines_per_second,omitempty" json:"lines_per_second,omitempty" doc:"Entries a second; without it they are not limited."`
	Bytes  int    `yaml:"bytes_per_second,omitempty" json:"bytes_per_second,omitempty" doc:"Bytes of text a second; without it they are not limited."`
	Burst  int    `yaml:"burst_seconds,omitempty" json:"burst_seconds,omitempty" doc:"For how many seconds' worth may come at once; 10 without it."`
	Apiece string `yaml:"apiece,omitempty" json:"apiece,omitempty" doc:"What has the limit for itself: container or pod; container without it."`
}

func (l *Limit) check() error {
	var problems []error
	for name, n := range map[string]int{"lines_per_second": l.Lines, "bytes_per_second": l.Bytes, "burst_seconds": l.Burst} {
		if n < 0 {
			problems = append(problems, fmt.Errorf("limit.%s: %d is negative; leave it out", name, n))
		}
	}
	switch l.Apiece {
	case "", "container", "pod":
	default:
		problems = append(problems, fmt.Errorf("limit.apiece: %q: use container or pod", l.Apiece))
	}
	if (l.Burst > 0 || l.Apiece != "") && l.Lines == 0 && l.Bytes == 0 {
		problems = append(problems, errors.New("limit: nothing is limited: set lines_per_second, bytes_per_second or both"))
	}
	return errors.Join(problems...)
}

// limits are the limits of all containers.
type limits struct {
	l Limit
	c *collector.Common

	mu  sync.Mutex
	all map[string]*bucket
}

// newLimits returns nil when nothing is limited.
func newLimits(l Limit, c *collector.Common) *limits {
	if l.Lines == 0 && l.Bytes == 0 {
		return nil
	}
	l.Burst = cmp.Or(l.Burst, 10)
	return &limits{l: l, c: c, all: map[string]*bucket{}}
}

// bucket holds what one container may write still. All but what was shed belongs to the goroutine that reads.
type bucket struct {
	l            *Limit
	lines, bytes float64
	at           int64 // the newest time of a record

	shedLines, shedBytes atomic.Uint64 // since they were told
}

// filter returns what decides about the records of a file with such attributes. It implements collector.Options.Filter.
func (x *limits) filter(a record.Attrs) func(r *record.Record) bool {
	of := []string{a.Value(record.Namespace), a.Value(record.Pod)}
	if x.l.Apiece != "pod" {
		of = append(of, a.Value(record.Container))
	}
	key := strings.Join(of, "/")
	if a.Value(record.Pod) == "" {
		key = a.Value(record.FilePath)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	b := x.all[key]
	if b == nil {
		b = &bucket{l: &x.l, lines: float64(x.l.Lines * x.l.Burst), bytes: float64(x.l.Bytes * x.l.Burst)}
		x.all[key] = b
	}
	return b.keep
}

// keep reports whether a record is within the limit, and takes its share.
func (b *bucket) keep(r *record.Record) bool {
	if b.at == 0 {
		b.at = r.Time
	}
	if passed := float64(r.Time-b.at) / 1e9; passed > 0 {
		b.at = r.Time
		b.lines = min(b.lines+passed*float64(b.l.Lines), float64(b.l.Lines*b.l.Burst))
		b.bytes = min(b.bytes+passed*float64(b.l.Bytes), float64(b.l.Bytes*b.l.Burst))
	}
	// An entry larger than all that may come at once takes all of it, or it could never pass.
	size := min(float64(len(r.Text)), float64(b.l.Bytes*b.l.Burst))
	if b.l.Lines > 0 && b.lines < 1 || b.l.Bytes > 0 && b.bytes < size {
		b.shedLines.Add(1)
		b.shedBytes.Add(uint64(len(r.Text)))
		return false
	}
	b.lines--
	b.bytes -= size
	return true
}

// tellEvery is how often it is told who was cut down.
const tellEvery = time.Minute

// run counts what is shed, and tells every minute whose it was.
func (x *limits) run(ctx context.Context) {
	count := time.NewTicker(time.Second)
	defer count.Stop()
	shed := map[string]*tally{}
	var told time.Time
	for {
		select {
		case <-ctx.Done():
			x.count(shed)
			x.tell(shed)
			return
		case <-count.C:
		}
		x.count(shed)
		if len(shed) > 0 && time.Since(told) >= tellEvery {
			x.tell(shed)
			told = time.Now()
		}
	}
}

type tally struct{ lines, bytes uint64 }

// count adds what was shed since it was called last.
func (x *limits) count(shed map[string]*tally) {
	x.mu.Lock()
	defer x.mu.Unlock()
	const most = 4096 // containers come and go; who is forgotten has a full bucket when it comes again
	tidy := len(x.all) > most
	for key, b := range x.all {
		n, size := b.shedLines.Swap(0), b.shedBytes.Swap(0)
		if n == 0 {
			if tidy {
				delete(x.all, key)
			}
			continue
		}
		x.c.Meter.Lost("rate_limited", int(n))
		x.c.Meter.Lost("rate_limited_bytes", int(size))
		t := shed[key]
		if t == nil {
			t = &tally{}
			shed[key] = t
		}
		t.lines += n
		t.bytes += size
	}
}

// tell tells whose entries were shed, the first time at once and then every minute.
func (x *limits) tell(shed map[string]*tally) {
	for key, t := range shed {
		x.c.Log().Warn("a log was cut down to its limit", "of", key, "entries", t.lines, "bytes", t.bytes,
			"limit_lines_per_second", x.l.Lines, "limit_bytes_per_second", x.l.Bytes)
	}
	clear(shed)
}
