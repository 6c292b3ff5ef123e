package kube

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/forewarn/forewarn/collector"
)

// What is saved of a kind is one checkpoint, changes/<cluster>/<resource>: a line with its format, what was selected, the version up to which everything
// was told, and what is remembered, compressed. A checkpoint covers only what was emitted and stored, so that a crash makes the same records again.
const savedFormat = "forewarn changes 1"

// keep saves what is known now and then, and looks at what changes with time alone, until ctx is done.
func (x *Changes) keep(ctx context.Context, kinds []*kindChanges, outlet *collector.Outlet) error {
	for took := time.Duration(0); ; {
		if !sleep(ctx, x.pause(kinds, took)) {
			return context.Cause(ctx)
		}
		for _, k := range kinds {
			if err := k.pass(); err != nil {
				return err
			}
		}
		began := time.Now()
		if err := x.save(ctx, kinds, outlet); err != nil && ctx.Err() == nil {
			x.c.Log().Error("cannot save what is known: after a restart changes are told again, or those of meanwhile are not", "cause", err)
		}
		took = time.Since(began)
	}
}

// pause returns how long to wait before saving again. A kind of which nothing was saved yet is saved soon: whoever begins anew does not know what
// was told.
func (x *Changes) pause(kinds []*kindChanges, took time.Duration) time.Duration {
	pause := time.Duration(x.o.Save)
	for _, k := range kinds {
		if _, _, counts := k.reflector.known.at(time.Time{}); counts && k.saved == "" && x.c.Checkpoints != nil {
			pause = min(pause, time.Second)
		}
	}
	return max(pause, 20*took)
}

// pass tells what came with time.
func (k *kindChanges) pass() error {
	k.reflector.mu.Lock()
	defer k.reflector.mu.Unlock()
	if k.reflector.version != "" {
		k.objects.Pass(k.resource.kind)
	}
	return k.failed
}

// save saves every kind of which something was told since it was saved last.
func (x *Changes) save(ctx context.Context, kinds []*kindChanges, outlet *collector.Outlet) error {
	if x.c.Checkpoints == nil {
		return nil
	}
	var problems []error
	for _, k := range kinds {
		version, state, err := k.snapshot()
		if err == nil && state != nil {
			if err = outlet.Flush(ctx); err == nil {
				err = x.c.Checkpoints.Save(x.checkpoint(k), state)
			}
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		k.saved = version
	}
	return errors.Join(problems...)
}

// checkpoint names what is saved of a kind: several clusters may share a store.
func (x *Changes) checkpoint(k *kindChanges) string {
	return path.Join(x.c.Name, x.c.Cluster, k.resource.String())
}

// snapshot returns what is known of a kind, nil when it was saved already or was never known as a whole. While it is listed anew it has no version:
// whoever goes on from there lists too, and compares with what was told.
func (k *kindChanges) snapshot() (version string, state []byte, err error) {
	k.reflector.mu.Lock()
	defer k.reflector.mu.Unlock()
	version = k.reflector.version
	if !k.whole || version != "" && version == k.saved || k.failed != nil {
		return k.saved, nil, k.failed
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s %s\n%s\n", savedFormat, k.resource.path(), k.resource.fields, version)
	w := s2.NewWriter(&b, s2.WriterConcurrency(1), s2.WriterBlockSize(256<<10))
	if err := errors.Join(k.objects.Store(w), w.Close()); err != nil {
		return version, nil, fmt.Errorf("save %s: %w", k.resource, err)
	}
	return version, b.Bytes(), nil
}

// restore takes up what was saved of a kind, and returns its version, which may be empty; ok is false when there is nothing to go on from.
func (x *Changes) restore(k *kindChanges) (version string, ok bool) {
	if x.c.Checkpoints == nil {
		return "", false
	}
	b, err := x.c.Checkpoints.Load(x.checkpoint(k))
	if err == nil && b != nil {
		version, err = k.read(b)
	}
	if err != nil {
		x.c.Meter.Lost("bad_checkpoints", 1)
		x.c.Log().Warn("cannot go on where it was: begins anew, and changes of meanwhile are not told", "kind", k.resource.String(), "cause", err)
		return "", false
	}
	return version, b != nil
}

func (k *kindChanges) read(b []byte) (version string, err error) {
	r := bufio.NewReader(bytes.NewReader(b))
	var head [3]string
	for i := range head {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("read checkpoint: %w", err)
		}
		head[i] = strings.TrimSuffix(line, "\n")
	}
	switch {
	case head[0] != savedFormat:
		return "", fmt.Errorf("checkpoint has the format %.40q, not %q", head[0], savedFormat)
	case head[1] != k.resource.path()+" "+k.resource.fields:
		return "", fmt.Errorf("checkpoint is of %q", head[1])
	}
	return head[2], k.objects.Restore(s2.NewReader(r))
}
