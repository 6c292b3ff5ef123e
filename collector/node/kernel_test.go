package node

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// device is a kernel's ring of messages, each of which is one read.
type device struct {
	mu    sync.Mutex
	ring  []string
	lost  bool // the reader fell behind
	fail  error
	opens int
	more  chan struct{}
}

// reader is one opening of the device.
type reader struct {
	d      *device
	at     int
	closed chan struct{}
}

func (d *device) open() (io.ReadCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opens++
	return &reader{d: d, closed: make(chan struct{})}, nil
}

func (d *device) say(messages ...string) {
	d.mu.Lock()
	d.ring = append(d.ring, messages...)
	close(d.more)
	d.more = make(chan struct{})
	d.mu.Unlock()
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		r.d.mu.Lock()
		more := r.d.more
		switch {
		case r.d.fail != nil:
			err := r.d.fail
			r.d.fail = nil
			r.d.mu.Unlock()
			return 0, &os.PathError{Op: "read", Path: "kmsg", Err: err}
		case r.d.lost:
			r.d.lost = false
			r.d.mu.Unlock()
			return 0, &os.PathError{Op: "read", Path: "kmsg", Err: syscall.EPIPE}
		case r.at < len(r.d.ring):
			n := copy(p, r.d.ring[r.at])
			r.at++
			r.d.mu.Unlock()
			return n, nil
		}
		r.d.mu.Unlock()
		select {
		case <-more:
		case <-r.closed:
			return 0, os.ErrClosed
		}
	}
}

func (r *reader) Close() error { close(r.closed); return nil }

func testKernel(t *testing.T, r *rig, d *device, boot string) *kernel {
	t.Helper()
	c := r.common("kernel")
	return &kernel{o: KernelOptions{Path: "kmsg"}, c: c, sets: kernelSets(attrs(&c)), boot: boot, open: d.open, uptime: func() (time.Duration, error) { return time.Hour, nil }}
}

func TestKernelMessagesAreReadOnceAndGapsAreCounted(t *testing.T) {
	t.Parallel()
	r, d := newRig(t), &device{more: make(chan struct{})}
	d.say("6,10,3540000000,-;NET: one\n SUBSYSTEM=net\n", `3,11,3541000000,-,caller=T1;bad \x5cslash\x09tab`+"\n", "30,12,3541000000,-;systemd[1]: not the kernel\n", "nonsense")
	stop := r.run(t, testKernel(t, r, d, "boot-1"), nil)
	r.expect(t, "NET: one", "bad \\slash\ttab")
	require.Equal(t, map[string]uint64{"bad_messages": 1}, r.lost("kernel"))
	x := r.records[1]
	require.Equal(t, present().Add(-59*time.Second).UnixNano(), x.Time)
	require.Equal(t, "error", x.Attrs.Value(record.SeverityText))
	require.Equal(t, "kernel", x.Attrs.Value(record.Component))
	require.Equal(t, "node-1", x.Attrs.Value(record.Node))
	require.Equal(t, uint64(11), x.Seq)

	// The reader falls behind: the kernel says so, and the numbers say by how much.
	d.mu.Lock()
	d.lost = true
	d.mu.Unlock()
	d.say("4,20,3542000000,-;after the gap\n")
	r.expect(t, "NET: one", "bad \\slash\ttab", "after the gap")
	require.Equal(t, uint64(7), r.lost("kernel")["overwritten_messages"])
	stop()

	// The next process goes on behind it, and knows what was overwritten meanwhile.
	d.mu.Lock()
	d.ring = d.ring[1:]
	d.mu.Unlock()
	d.say("4,21,3543000000,-;one more\n")
	stop = r.run(t, testKernel(t, r, d, "boot-1"), nil)
	r.expect(t, "NET: one", "bad \\slash\ttab", "after the gap", "one more")
	stop()

	// After a boot the numbers begin anew.
	after := &device{more: make(chan struct{})}
	after.say("5,0,0,-;Linux version 7\n", "5,1,0,-;Command line:\n")
	r.run(t, testKernel(t, r, after, "boot-2"), nil)
	r.expect(t, "NET: one", "bad \\slash\ttab", "after the gap", "one more", "Linux version 7", "Command line:")
	ids := map[uint64]bool{}
	for i := range r.records {
		ids[r.records[i].ID] = true
	}
	require.Len(t, ids, 6)
	require.Equal(t, uint64(7), r.lost("kernel")["overwritten_messages"])
}

func TestADeviceThatFailsIsOpenedAgain(t *testing.T) {
	t.Parallel()
	r, d := newRig(t), &device{more: make(chan struct{})}
	d.say("6,1,1,-;one\n")
	r.run(t, testKernel(t, r, d, "boot-1"), nil)
	r.expect(t, "one")
	d.mu.Lock()
	d.fail = syscall.EIO
	d.mu.Unlock()
	d.say("6,2,1,-;two\n")
	r.expect(t, "one", "two")
	require.Contains(t, r.logged(), "the kernel's messages cannot be read")
	d.mu.Lock()
	defer d.mu.Unlock()
	require.GreaterOrEqual(t, d.opens, 2)
}

func TestAQuietKernelIsAlive(t *testing.T) {
	t.Parallel()
	r, d := newRig(t), &device{more: make(chan struct{})}
	r.run(t, testKernel(t, r, d, "boot-1"), nil)
	require.Eventually(t, func() bool {
		for _, s := range r.meters.States() {
			if s.Collector == "kernel" && s.UpTo.Equal(present().Add(-promiseAfter)) && s.Connected {
				return true
			}
		}
		return false
	}, patience, time.Millisecond)
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		"6,339,5140900,-;NET: Registered protocol family 10\n", "12,340,5690716,c;a\\x0ab\\x", ";", ",,;", "6,1,2;", "6,18446744073709551615,1,-;x", "6,1,9999999999999999999,-;x", "\\x5c",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := parseMessage(b, nil)
		if !ok {
			return
		}
		require.GreaterOrEqual(t, m.micros, int64(0))
		require.NotContains(t, string(m.text), "\n\n")
		_, text, _ := strings.Cut(string(b), ";")
		require.LessOrEqual(t, len(m.text), len(text))
		if !strings.Contains(text, `\`) {
			again, ok := parseMessage(fmt.Appendf(nil, "%d,%d,%d,-;%s\n", m.priority, m.seq, m.micros, m.text), nil)
			require.True(t, ok)
			require.Equal(t, m, again)
		}
	})
}
