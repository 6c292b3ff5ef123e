package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// JournalOptions say what of the journal is collected, and how it is read.
type JournalOptions struct {
	Command     []string            `yaml:"command,omitempty" json:"command,omitempty" doc:"How journalctl is run; [journalctl] without it."`
	Root        string              `yaml:"root,omitempty" json:"root,omitempty" doc:"A directory that is the root for journalctl, such as /host where an agent's container has the node's own mounted; it needs the capability SYS_CHROOT and a command with its whole path."`
	Directory   string              `yaml:"directory,omitempty" json:"directory,omitempty" doc:"Where the journal lies, if it is not where journalctl looks."`
	Output      string              `yaml:"output,omitempty" json:"output,omitempty" doc:"The format that journalctl is asked for: export, which it writes and we read with the least trouble, or json; export without it."`
	Units       []string            `yaml:"units,omitempty" json:"units,omitempty" doc:"Units, such as kubelet.service or *.service; all without it."`
	Identifiers []string            `yaml:"identifiers,omitempty" json:"identifiers,omitempty" doc:"Syslog identifiers, such as kubelet; all without it."`
	Priority    string              `yaml:"priority,omitempty" json:"priority,omitempty" doc:"The least priority, such as warning; all without it. What services print has always the same, so it hides little of theirs or all."`
	Since       signatures.Duration `yaml:"since,omitempty" json:"since,omitempty" doc:"How far back the first start goes; 10m without it."`
	Kernel      bool                `yaml:"kernel,omitempty" json:"kernel,omitempty" doc:"Also what the kernel said. Leave it out where its messages are collected by themselves, or each would count twice."`
}

// journal collects what journalctl tells.
type journal struct {
	o JournalOptions
	c collector.Common

	mu     sync.Mutex
	cursor string // of the last entry that was added
	moved  bool
}

// NewJournal makes the collector of the journal.
func NewJournal(o JournalOptions, c collector.Common) (collector.Collector, error) {
	if len(o.Command) == 0 {
		o.Command = []string{"journalctl"}
	}
	if o.Since == 0 {
		o.Since = signatures.Duration(10 * time.Minute)
	}
	var problems []error
	switch o.Output {
	case "":
		o.Output = "export"
	case "export", "json":
	default:
		problems = append(problems, fmt.Errorf("output: %q: use export or json", o.Output))
	}
	if o.Since < 0 {
		problems = append(problems, fmt.Errorf("since %s: how far back cannot be negative", time.Duration(o.Since)))
	}
	if o.Root != "" {
		switch {
		case !filepath.IsAbs(o.Command[0]):
			problems = append(problems, fmt.Errorf("command %s: under another root it needs its whole path, such as /usr/bin/journalctl", o.Command[0]))
		case !canChroot:
			problems = append(problems, errors.New("root: this system cannot run a command under another root"))
		}
	} else if _, err := exec.LookPath(o.Command[0]); err != nil {
		problems = append(problems, fmt.Errorf("command: %w; name the program in `command`, and the node's root in `root` where it is mounted", err))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("collect the journal: %w", errors.Join(problems...))
	}
	return &journal{o: o, c: c}, nil
}

// Run implements [collector.Collector].
func (j *journal) Run(ctx context.Context, emit collector.Emit) error {
	if j.c.Checkpoints != nil {
		b, err := j.c.Checkpoints.Load(j.c.Name)
		if err != nil {
			return err
		}
		j.cursor = string(b)
	}
	return carry(ctx, &j.c, emit, j.read, j.saved)
}

func (j *journal) saved() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.moved {
		return nil
	}
	j.moved = false
	return []byte(j.cursor)
}

// arguments are what journalctl is told, behind the cursor if there is one.
func (j *journal) arguments(now time.Time) []string {
	// Without --all long values come as null; without --no-tail a follower begins ten lines before the end.
	a := append(slices.Clone(j.o.Command[1:]), "--output="+j.o.Output, "--follow", "--no-tail", "--no-pager", "--all")
	if j.o.Directory != "" {
		a = append(a, "--directory="+j.o.Directory)
	}
	for _, u := range j.o.Units {
		a = append(a, "--unit="+u)
	}
	for _, i := range j.o.Identifiers {
		a = append(a, "--identifier="+i)
	}
	if j.o.Priority != "" {
		a = append(a, "--priority="+j.o.Priority)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cursor != "" {
		return append(a, "--after-cursor="+j.cursor)
	}
	return append(a, fmt.Sprintf("--since=@%d", now.Add(-time.Duration(j.o.Since)).Unix()))
}

// read runs journalctl until ctx is done, and runs it again when it ends.
func (j *journal) read(ctx context.Context, out *collector.Outlet) error {
	var pause collector.Backoff
	told := ""
	for {
		err := j.run(ctx, out, &pause)
		j.c.Meter.Connected(false)
		var refused emitError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &refused):
			return refused.error
		}
		if err.Error() != told {
			told = err.Error()
			j.c.Log().Warn("journalctl ended, running it again", "error", err)
		}
		if !pause.Wait(ctx) {
			return context.Cause(ctx)
		}
		j.c.Meter.Reconnect()
	}
}

// run runs journalctl once. It never returns nil: a follower does not end by itself.
func (j *journal) run(ctx context.Context, out *collector.Outlet, pause *collector.Backoff) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(running, j.o.Command[0], j.arguments(j.c.Clock()())...)
	if j.o.Root != "" {
		chroot(cmd, j.o.Root)
	}
	complaint := &lastWords{}
	cmd.Stderr, cmd.WaitDelay = complaint, 5*time.Second
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run %s: %w", j.o.Command[0], err)
	}
	j.c.Meter.Connected(true)
	closing := context.AfterFunc(ctx, func() { _ = pipe.Close() }) // or what it has started could keep us waiting
	err = j.copy(ctx, pipe, out, pause)
	closing()
	stop() // nobody reads it any more
	ended := cmd.Wait()
	if _, ok := errors.AsType[emitError](err); ok {
		return err
	}
	if words := complaint.String(); words != "" {
		return fmt.Errorf("%s: %s", j.o.Command[0], words)
	}
	return fmt.Errorf("%s ended: %w", j.o.Command[0], errors.Join(err, ended))
}

// copy parses what journalctl writes.
func (j *journal) copy(ctx context.Context, pipe io.Reader, out *collector.Outlet, pause *collector.Backoff) error {
	var failed error
	var counts, told format.Counts
	now := j.c.Clock()
	family := "journald"
	if j.o.Output == "export" {
		family = "journald export"
	}
	p := format.Named(family).Open(format.Input{
		Sink: sink(func(r *record.Record) {
			if failed != nil || !j.o.Kernel && r.Attrs.Value(record.Component) == "kernel" {
				return
			}
			failed = out.Add(ctx, r)
		}),
		Counts: &counts, Attrs: attrs(&j.c), Now: now(), Clock: now, Live: true,
	}, nil)
	cursors, _ := p.(format.Cursored)
	i := newIdle(ctx, out, now)
	defer i.end()
	chunk := make([]byte, 64<<10)
	for {
		i.waits()
		n, err := pipe.Read(chunk)
		i.reads()
		p.Write(chunk[:n])
		p.Flush()
		if failed != nil {
			return emitError{failed}
		}
		counts.Each(func(what format.Count, n uint64) {
			if what.Loss() {
				j.c.Meter.Lost(what.String(), int(n-told.Get(what)))
			}
		})
		told = counts
		if at := cursors.Cursor(); len(at) > 0 {
			j.mu.Lock()
			if j.moved = j.moved || j.cursor != string(at); j.cursor != string(at) {
				j.cursor = string(at)
				pause.Reset()
			}
			j.mu.Unlock()
		}
		if err != nil {
			return err
		}
	}
}

// sink makes a [format.Sink] of a function.
type sink func(r *record.Record)

// Add implements [format.Sink].
func (s sink) Add(r *record.Record) { s(r) }

// lastWords keeps the end of what a program complained about.
type lastWords struct {
	mu sync.Mutex
	b  []byte
}

// Write implements io.Writer.
func (l *lastWords) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const most = 500
	l.b = append(l.b, p...)
	l.b = l.b[max(0, len(l.b)-most):]
	return len(p), nil
}

func (l *lastWords) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(bytes.ToValidUTF8(l.b, nil)))
}
