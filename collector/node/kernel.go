package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
)

// KernelOptions say which messages of the kernel are collected.
type KernelOptions struct {
	Path     string `yaml:"path,omitempty" json:"path,omitempty" doc:"The kernel's device; /dev/kmsg without it."`
	Programs bool   `yaml:"programs,omitempty" json:"programs,omitempty" doc:"Also what programs wrote to the kernel's log, such as systemd while the machine starts."`
}

// kernel collects the kernel's messages.
type kernel struct {
	o    KernelOptions
	c    collector.Common
	sets [8]record.Attrs
	// known says that place.Seq is a message that was read.
	known bool
	boot  string // the boot's id
	open  func() (io.ReadCloser, error)
	// uptime is how long ago the boot was, by the clock of the messages.
	uptime func() (time.Duration, error)

	mu    sync.Mutex
	place kernelPlace
	moved bool
}

// kernelPlace is the form of the checkpoint. Seq is the last message that was added, of that boot.
type kernelPlace struct {
	Boot string `json:"boot"`
	Seq  uint64 `json:"seq"`
}

// NewKernel makes the collector of the kernel's messages.
func NewKernel(o KernelOptions, c collector.Common) (collector.Collector, error) {
	if o.Path == "" {
		o.Path = "/dev/kmsg"
	}
	k := &kernel{o: o, c: c, sets: kernelSets(attrs(&c)), uptime: uptime}
	k.open = func() (io.ReadCloser, error) { return openDevice(o.Path) }
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("collect messages of the kernel: this needs Linux, with /proc: %w", err)
	}
	k.boot = strings.TrimSpace(string(boot))
	if f, err := k.open(); err != nil {
		return nil, fmt.Errorf("collect messages of the kernel: %w; run as root or with the capability SYSLOG, and in a container mount the device", err)
	} else if err := f.Close(); err != nil {
		return nil, fmt.Errorf("collect messages of the kernel: close %s: %w", o.Path, err)
	}
	return k, nil
}

// Run implements [collector.Collector]. It begins with the oldest message that the kernel still holds, or after the checkpoint.
func (k *kernel) Run(ctx context.Context, emit collector.Emit) error {
	if err := k.load(); err != nil {
		return err
	}
	return carry(ctx, &k.c, emit, k.read, k.saved)
}

func (k *kernel) load() error {
	k.place = kernelPlace{Boot: k.boot}
	if k.c.Checkpoints == nil {
		return nil
	}
	b, err := k.c.Checkpoints.Load(k.c.Name)
	if err != nil || b == nil {
		return err
	}
	var p kernelPlace
	if err := json.Unmarshal(b, &p); err != nil {
		return fmt.Errorf("load checkpoint %s: %w; delete it to begin anew", k.c.Name, err)
	}
	if p.Boot == k.boot {
		k.place, k.known = p, true
	}
	return nil
}

func (k *kernel) saved() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.moved {
		return nil
	}
	k.moved = false
	b, _ := json.Marshal(k.place) // a string and a number
	return b
}

// read reads the device until ctx is done, and opens it again when reading fails.
func (k *kernel) read(ctx context.Context, out *collector.Outlet) error {
	var pause collector.Backoff
	failing := false
	for {
		f, err := k.open()
		if err == nil {
			k.c.Meter.Connected(true)
			err = k.readDevice(ctx, f, out, &pause)
		}
		k.c.Meter.Connected(false)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if refused, ok := errors.AsType[emitError](err); ok {
			return refused.error
		}
		if !failing {
			k.c.Log().Warn("the kernel's messages cannot be read, trying again", "device", k.o.Path, "error", err)
		}
		failing = true
		if !pause.Wait(ctx) {
			return context.Cause(ctx)
		}
		k.c.Meter.Reconnect()
	}
}

// emitError is an error of the outlet, which ends the collector.
type emitError struct{ error }

// readDevice reads message by message. Reading waits for the next one, so the device is closed when ctx is done.
func (k *kernel) readDevice(ctx context.Context, f io.ReadCloser, out *collector.Outlet, pause *collector.Backoff) error {
	var once sync.Once
	end := func() { once.Do(func() { _ = f.Close() }) } // it was only read
	stop := context.AfterFunc(ctx, end)
	defer func() { stop(); end() }()
	idle := newIdle(ctx, out, k.c.Clock())
	defer idle.end()
	b, buf := make([]byte, 16<<10), make([]byte, 0, 16<<10)
	for {
		idle.waits()
		n, err := f.Read(b)
		idle.reads()
		switch {
		case errors.Is(err, syscall.EPIPE): // messages were overwritten before we read them: the next one's number tells how many
			continue
		case errors.Is(err, syscall.EINVAL): // a message longer than the buffer, which the kernel passes over
			k.c.Meter.Lost("large_messages", 1)
			continue
		case err != nil:
			return fmt.Errorf("read %s: %w", k.o.Path, err)
		}
		pause.Reset()
		m, ok := parseMessage(b[:n], buf)
		if !ok {
			k.c.Meter.Lost("bad_messages", 1)
			continue
		}
		if err := k.take(ctx, &m, out); err != nil {
			return emitError{err}
		}
	}
}

// take adds a message that was not added before.
func (k *kernel) take(ctx context.Context, m *message, out *collector.Outlet) error {
	if k.known && m.seq <= k.place.Seq {
		return nil
	}
	if k.known && m.seq > k.place.Seq+1 {
		k.c.Meter.Lost("overwritten_messages", int(min(m.seq-k.place.Seq-1, 1<<31-1)))
	}
	if len(m.text) > 0 && (k.o.Programs || facility(m.priority) == 0) {
		up, err := k.uptime()
		if err != nil {
			return err
		}
		now := k.c.Clock()()
		r := record.Record{
			Kind: record.Log, Time: now.Add(time.Duration(m.micros)*time.Microsecond - up).UnixNano(), Observed: now.UnixNano(), Seq: m.seq,
			ID: record.Identity("kmsg", k.boot, fmt.Sprint(m.seq)), Count: 1, Text: m.text[:min(len(m.text), record.MaxText)], Attrs: k.sets[m.priority&7],
		}
		if err := out.Add(ctx, &r); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.place.Seq, k.moved, k.known = m.seq, true, true
	return nil
}
