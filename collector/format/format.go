// Package format turns the bytes of one input into records, whatever they are.
//
//	bytes ──► Detect ──► a Parser of one family ──► Sink
//
// A [Parser] is pushed bytes as they come and adds records to its [Sink] in the order of the input. It does no I/O and has
// no goroutine and no clock: what the time is comes in with [Input]. Nothing that it reads makes it fail; what it cannot
// use it counts in [Counts] by name, so that every loss can be told.
//
// The families are lines.go (plain text, JSON lines and logfmt), container.go (CRI and Docker), syslog.go, journald.go,
// kubernetes.go (lists, objects, events and watch streams in JSON or YAML), table.go (plain `kubectl get events`) and
// exposition.go (Prometheus scrapes). README.md says how to add one.
package format

import (
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// Sink takes records. A record and everything that it points to is valid only during the call.
type Sink interface {
	Add(r *record.Record)
}

// Parser turns the bytes of one input into records. It is not safe for concurrent use.
type Parser interface {
	// Write takes the next bytes, split anywhere. It keeps no reference to p.
	Write(p []byte)
	// Flush says that no more bytes are at hand for now: what is held back to see whether it goes on is given out, unless it
	// is not even a whole line.
	Flush()
	// Close says that the input is over: everything that is held back is given out.
	Close()
	// Kinds says which kinds of record it can give, as bits 1<<Kind.
	Kinds() uint8
}

// Resumer is a [Parser] that need not begin at the beginning of its input.
type Resumer interface {
	Parser
	// Settled returns the offset up to which everything was given to the sink, and the time of the last entry. A parser that is opened
	// with these as Input.Offset and Input.Last, and is written what follows, gives the rest: records that were given before have the
	// ids that they had.
	Settled() (offset uint64, last int64)
}

// Cursored is a [Parser] of entries that have cursors, by which whoever sends them goes on.
type Cursored interface {
	// Cursor returns the cursor of the last entry that was given, nil before the first. It is valid until the next write.
	Cursor() []byte
}

// Heir is a [Resumer] that can go on with what the parser of the file before holds back, when a program goes on in another file in the
// middle of a line or of a trace.
type Heir interface {
	Resumer
	// Inherit takes over what from holds back, which must be of the same family and is used no more. Nothing must be written before.
	Inherit(from Parser)
	// Inherited reports whether something of it is held back still.
	Inherited() bool
}

// Input describes what is read. The zero value of each field but Sink is usable.
type Input struct {
	// Sink takes the records. Required.
	Sink Sink
	// Counts is where losses and repairs are counted; nil counts nowhere.
	Counts *Counts
	// Attrs is what all records of the input have in common, such as log.file.path.
	Attrs record.Attrs
	// Identity tells this input from all others; with an offset it makes the records' ids. See [record.Identity].
	Identity uint64
	// Offset is where in the input the first byte that will be written stands.
	Offset uint64
	// Last is the time of the last entry before Offset, for what follows it without a stamp of its own; 0 when it is not known.
	Last int64
	// Location is where time stamps without a zone were written; nil is UTC.
	Location *time.Location
	// Now is the present, for records' observed times and against stamps of the future. The zero time trusts every stamp.
	Now time.Time
	// Written is when the input was last written, such as the file's modification time. It dates what has no date: years and
	// days that stamps leave out, ages in tables, scrapes. Zero is Now.
	Written time.Time
	// Live says that the input grows while it is read: nothing may wait for its end, and what has no time happens now. Clock
	// gives the present then; nil stays at Now.
	Live  bool
	Clock func() time.Time
	// Gap is how long after the line before a line may have been written that is joined to it, by the stamps of a container's runtime; 0
	// is any time. With a gap, what is read again is joined as it was when it was read live, if nothing waited longer than that for more.
	Gap time.Duration
	// Limits bound what is held in memory; zero fields have defaults.
	Limits Limits
}

// Limits bound the memory of one parser. Whatever exceeds them is cut, counted and gone on with.
type Limits struct {
	LineBytes    int // longest line: record.MaxText, which is also the most. The rest of a longer one is skipped.
	EntryBytes   int // longest joined entry: 256 KiB. What follows begins another one.
	EntryLines   int // most lines of a joined entry: 1000.
	ItemBytes    int // largest Kubernetes object: 8 MiB. A larger one is skipped.
	Objects      int // objects and events whose last state is remembered: 50,000. The oldest are forgotten.
	SortedBytes  int // how much of a list is put in order of time: 64 MiB. What exceeds it is in order within such pieces.
	PendingParts int // partial lines of containers that wait for their end: 64.
}

func (l Limits) withDefaults() Limits {
	set := func(p *int, d int) {
		if *p <= 0 {
			*p = d
		}
	}
	set(&l.LineBytes, record.MaxText)
	l.LineBytes = min(l.LineBytes, record.MaxText)
	set(&l.EntryBytes, 256<<10)
	set(&l.EntryLines, 1000)
	set(&l.ItemBytes, 8<<20)
	set(&l.Objects, 50_000)
	set(&l.SortedBytes, 64<<20)
	set(&l.PendingParts, 64)
	return l
}

func (in *Input) withDefaults() {
	in.Limits = in.Limits.withDefaults()
	if in.Location == nil {
		in.Location = time.UTC
	}
	if in.Counts == nil {
		in.Counts = &Counts{}
	}
	if in.Written.IsZero() {
		in.Written = in.Now
	}
}

// now returns the present in Unix nanoseconds, 0 when it is unknown.
func (in *Input) now() int64 {
	if in.Live && in.Clock != nil {
		return in.Clock().UnixNano()
	}
	if in.Now.IsZero() {
		return 0
	}
	return in.Now.UnixNano()
}

// written returns the best guess at when something without a time happened.
func (in *Input) written() int64 {
	if in.Live || in.Written.IsZero() {
		return in.now()
	}
	return in.Written.UnixNano()
}

// id makes the identity of the record at a place of the input. It is one to one for one input, so that records of one
// input never share an id, and it costs a few cycles, which hashing a path for every line does not.
func (in *Input) id(place uint64) uint64 {
	x := in.Identity + place*0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

const (
	logKinds    = 1 << record.Log
	eventKinds  = 1 << record.Event
	sampleKinds = 1 << record.Sample
	// objectKinds are both, for a list may hold events and objects.
	objectKinds = 1<<record.Event | 1<<record.Change | 1<<record.Log
)
