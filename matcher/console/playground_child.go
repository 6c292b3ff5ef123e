package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// Runner runs trials. It is safe for concurrent use.
type Runner interface {
	Run(ctx context.Context, t *Trial) (*Outcome, error)
}

// ErrTrialTooDear is returned for a trial that was ended from outside because it took more time or memory than it may.
var ErrTrialTooDear = errors.New("the trial took more time or memory than the playground gives it: try a shorter input, or an expression with fewer repeats")

// ErrTrialsBusy is returned when as many trials run as may.
var ErrTrialsBusy = errors.New("the playground is busy with other trials: try again in a moment")

// Child runs each trial in a process of its own, so that nothing that was pasted can take memory or time from the one that watches: its
// memory and processor time are bounded by the system, it is killed when its time is over, it has one core at the lowest priority, is the first
// that a system short of memory ends, and inherits neither environment nor files.
type Child struct {
	command []string
	bounds  Bounds
	slots   chan struct{}
}

var _ Runner = (*Child)(nil)

const (
	childMemory = 512 << 20        // bytes of data
	childOutput = 16 << 20         // bytes of an outcome that are read
	childGrace  = 2 * time.Second  // for the start, the reading and the writing
	childWait   = 1 * time.Second  // for a free place
	childLife   = 10 * time.Second // a child ends itself then, whatever became of its parent
)

// NewChild returns a runner of at most so many children at once, at least one. command is a program and its arguments that call [ServeTrial].
func NewChild(command []string, most int, bounds Bounds) *Child {
	return &Child{command: command, bounds: bounds.withDefaults(), slots: make(chan struct{}, max(most, 1))}
}

// memoryVariable tells a child how much memory it may have: it is limited before it reads anything.
const memoryVariable = "FOREWARN_TRIAL_BYTES"

// job is what a child is told.
type job struct {
	Trial  *Trial `json:"trial"`
	Bounds Bounds `json:"bounds"`
}

// reply is what a child answers.
type reply struct {
	Outcome *Outcome `json:"outcome,omitempty"`
	Refused string   `json:"refused,omitempty"`
}

// Run implements [Runner].
func (c *Child) Run(ctx context.Context, t *Trial) (*Outcome, error) {
	if err := c.bounds.check(t); err != nil {
		return nil, err
	}
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer func() { <-c.slots }()
	memory, err := memoryFor(cgroupDir, cap(c.slots), childMemory)
	if err != nil {
		return nil, err
	}
	in, err := json.Marshal(job{t, c.bounds})
	if err != nil {
		return nil, fmt.Errorf("encode the trial: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, c.bounds.Time+childGrace)
	defer cancel()
	cmd := exec.CommandContext(limited, c.command[0], c.command[1:]...) //nolint:gosec // it is this very program
	cmd.Env = []string{"GOMAXPROCS=1", memoryVariable + "=" + strconv.FormatUint(memory, 10)}
	cmd.Stdin = bytes.NewReader(in)
	var out, diagnostics capped
	out.room, diagnostics.room = childOutput, 4<<10
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	var r reply
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && cmd.ProcessState == nil:
		return nil, fmt.Errorf("start a process for the trial: %w", err)
	case out.over || diagnostics.over || err != nil && (limited.Err() != nil || killed(diagnostics.kept.String())):
		return nil, ErrTrialTooDear
	case err != nil && cmd.ProcessState.ExitCode() < 0: // by a signal: the system's limits
		return nil, ErrTrialTooDear
	case err != nil:
		return nil, fmt.Errorf("run the trial: %w: %s", err, clip(diagnostics.kept.String(), 300))
	}
	if err := json.Unmarshal(out.kept.Bytes(), &r); err != nil {
		return nil, fmt.Errorf("read the trial's outcome: %w", err)
	}
	if r.Outcome == nil {
		return nil, fmt.Errorf("%w: %s", ErrTrialTooLarge, strings.TrimPrefix(r.Refused, ErrTrialTooLarge.Error()+": "))
	}
	return r.Outcome, nil
}

// killed reports whether a Go program, or its race detector, says that it has no memory left.
func killed(diagnostics string) bool {
	return strings.Contains(diagnostics, "out of memory") || strings.Contains(diagnostics, "cannot allocate memory") || strings.Contains(diagnostics, "failed to allocate") || strings.Contains(diagnostics, "stack exceeds")
}

// enter waits a moment for a free place.
func (c *Child) enter(ctx context.Context) error {
	wait := time.NewTimer(childWait)
	defer wait.Stop()
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-wait.C:
		return ErrTrialsBusy
	}
}

// ServeTrial is the child: it limits this process, reads a trial from r, runs it and writes the outcome to w. The process is to end afterwards.
func ServeTrial(ctx context.Context, r io.Reader, w io.Writer) error {
	memory, err := strconv.ParseUint(os.Getenv(memoryVariable), 10, 64)
	if err != nil { // it was not started by a console
		memory = childMemory
	}
	debug.SetMemoryLimit(int64(min(memory, childMemory) / 2))
	if err := limitProcess(min(memory, childMemory), childLife); err != nil {
		return fmt.Errorf("limit the process: %w", err)
	}
	timer := time.AfterFunc(childLife, func() { os.Exit(1) })
	defer timer.Stop()
	var j job
	if err := json.NewDecoder(r).Decode(&j); err != nil {
		return fmt.Errorf("read the trial: %w", err)
	}
	if j.Trial == nil {
		return errors.New("read the trial: there is none")
	}
	out, err := Try(ctx, j.Trial, j.Bounds)
	answer := reply{Outcome: out}
	if err != nil {
		answer = reply{Refused: err.Error()}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		return fmt.Errorf("write the outcome: %w", err)
	}
	return nil
}

// errOver ends who writes more than may be kept.
var errOver = errors.New("too much was written")

// capped keeps what is written and refuses more than it has room for. The buffer is not embedded: io.Copy would read into it past the bound.
type capped struct {
	kept bytes.Buffer
	room int
	over bool
}

// Write implements [io.Writer].
func (c *capped) Write(p []byte) (int, error) {
	if len(p) > c.room {
		c.over = true
		return 0, errOver
	}
	c.room -= len(p)
	return c.kept.Write(p)
}
