package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal opens a pseudo terminal: what a program writes to tty is read from pty.
func terminal(t *testing.T) (pty, tty *os.File) {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = pty.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(pty.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(pty.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tty.Close() })
	return pty, tty
}

// onTerminal runs forewarn with stdout and stderr on a terminal and returns what the terminal got.
func onTerminal(t *testing.T, environment []string, args ...string) string {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	pty, tty := terminal(t)
	var seen buffer
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := pty.Read(b)
			_, _ = seen.Write(b[:n])
			if err != nil {
				return // the test closes it
			}
		}
	}()
	c := exec.CommandContext(t.Context(), exe, args...)
	c.Env = append(append(os.Environ(), beMain+"=1", "NO_COLOR="), environment...)
	c.Stdout, c.Stderr = tty, tty
	require.NoError(t, c.Run(), seen.String())
	eventually(t, "the end of the output", func() bool { return strings.Contains(seen.String(), "looked at") })
	return seen.String()
}

func TestColoursAndTheProgressBarAreForTerminals(t *testing.T) {
	t.Parallel()
	const red = "\x1b[3"
	require.Contains(t, onTerminal(t, nil, "scan", "-s", cartSignature, "testdata/cart.log"), "\x1b[")
	require.NotContains(t, onTerminal(t, []string{"NO_COLOR=1"}, "scan", "-s", cartSignature, "testdata/cart.log"), red)
	require.NotContains(t, onTerminal(t, nil, "scan", "--color", "never", "-s", cartSignature, "testdata/cart.log"), red)
}

func TestTheProgressBarShowsHowFarALongScanIs(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	pty, tty := terminal(t)
	in, feed, err := os.Pipe()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), exe, "scan", "-s", quotaSignature, "-")
	c.Env = append(os.Environ(), beMain+"=1")
	c.Stdin, c.Stderr = in, tty
	require.NoError(t, c.Start())
	require.NoError(t, in.Close())
	var seen buffer
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := pty.Read(b)
			_, _ = seen.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(seen.String(), "B/s"); <-tick.C {
		require.True(t, time.Now().Before(deadline), "no progress is shown: %q", seen.String())
		_, err := feed.WriteString("2026-03-01T12:00:00Z nothing\n")
		require.NoError(t, err)
	}
	require.NoError(t, feed.Close())
	require.NoError(t, c.Wait())
	eventually(t, "the bar makes room for the summary", func() bool {
		return strings.Contains(seen.String(), "\r\x1b[K1 signature looked at")
	})
}
