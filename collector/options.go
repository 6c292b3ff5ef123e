package collector

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// Options say what [Open] reads and how.
type Options struct {
	// Paths are files, directories (their files, and those of the directories in them), glob patterns, and "-" for standard
	// input. Required.
	Paths []string
	// Follow goes on reading what is appended to the files, through rotation and truncation, and takes up files that appear
	// later. Without it files are read once to their end.
	Follow bool
	// FromEnd, with Follow, begins at the end of the files that are there already.
	FromEnd bool
	// Location is where time stamps without a zone were written; nil is UTC.
	Location *time.Location
	// Attrs are attributes of all records, such as k8s.cluster.name.
	Attrs record.Attrs
	// BatchBytes is the size from which on a batch is finished: 256 KiB.
	BatchBytes int
	// Idle is how long what is live may have nothing to say before what came so far is given out: 50 ms.
	Idle time.Duration
	// Gap, with Follow, is how long after the line before a line may have been written that continues it, by the stamps of a container's
	// runtime. Well below Idle, it makes an entry the same when it is read again. 0 is any time.
	Gap time.Duration
	// Heartbeat is how often a followed file that is idle says that nothing happened: 10 s. Negative: never.
	Heartbeat time.Duration
	// Poll is how often followed paths are looked at when no notification of the system came: 1 s.
	Poll time.Duration
	// Interleave is how far apart in time the records of files that are read together may be delivered in the wrong order: 1 s.
	Interleave time.Duration
	// KeepSecrets leaves passwords, tokens and keys in texts; without it they are replaced.
	KeepSecrets bool
	// Secrets say what is replaced; nil is everything that is known to be secret.
	Secrets *Secrets
	// Compress makes smaller frames; for networks.
	Compress bool
	// Meter counts what is followed; nil counts nothing.
	Meter *Meter
	// Source, with Follow, makes everything that is followed one source of this name, which speaks for Scope and gives log records. It is for
	// thousands of files; without it each file is a source of its own. Its mark is when all files had been read to their ends.
	Source string
	Scope  record.Attrs
	// Admit, with Follow, decides about each file by the attributes that its path has, which it may add to; nil takes every file.
	Admit func(path string, a record.Attrs) (record.Attrs, Verdict)
	// Filter, with Follow, returns what decides about each record of a file with such attributes. What it refuses is not given out; it counts that
	// itself. nil, and a nil result, refuse nothing.
	Filter func(a record.Attrs) func(r *record.Record) bool
	// Checkpoints, with Follow, keep under the name Checkpoint how far each file was read, every CheckpointEvery (1 s). Without them, files are
	// read from their beginning after a restart, and repeats have the ids that they had.
	Checkpoints     Checkpoints
	Checkpoint      string
	CheckpointEvery time.Duration
	// Stored waits until everything that was emitted is stored; nil takes it for stored when the emit has returned.
	Stored func(ctx context.Context) error
	// MaxOpen is how many followed files are held open, 4096; others are opened when something was written. MaxWatches is how many directories
	// the system is asked to tell of, 8192; others are looked at every Poll.
	MaxOpen, MaxWatches int
	// Logger is told of what a person should know; nil tells nobody.
	Logger *slog.Logger
	// Limits bound the memory of each parser.
	Limits format.Limits
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Stdin is what "-" reads; nil is os.Stdin.
	Stdin io.Reader

	chunkBytes int
}

// Verdict is what is decided about a file.
type Verdict int

const (
	// Take reads the file.
	Take Verdict = iota
	// Leave never reads it.
	Leave
	// Later asks again at the next look.
	Later
)

func (o Options) withDefaults() Options {
	if o.BatchBytes <= 0 {
		o.BatchBytes = 256 << 10
	}
	o.BatchBytes = min(o.BatchBytes, record.MaxFrame/2)
	if o.Idle <= 0 {
		o.Idle = 50 * time.Millisecond
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 10 * time.Second
	}
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	if o.Interleave <= 0 {
		o.Interleave = time.Second
	}
	o.MaxOpen, o.MaxWatches = cmp.Or(o.MaxOpen, 4096), cmp.Or(o.MaxWatches, 8192)
	o.CheckpointEvery = cmp.Or(o.CheckpointEvery, time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	o.chunkBytes = 256 << 10
	return o
}
