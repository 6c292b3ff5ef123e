package node

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// TestJournalctl stands for journalctl, in a process of its own: its journal is a file of messages, and a cursor is a line's number. It
// dies after a few entries, as often as there are marks to take.
func TestJournalctl(t *testing.T) {
	dir := os.Getenv("FOREWARN_TEST_JOURNAL")
	if dir == "" {
		return
	}
	after, since, export := 0, false, false
	for _, a := range os.Args {
		if n, ok := strings.CutPrefix(a, "--after-cursor=c"); ok {
			after, _ = strconv.Atoi(n)
		}
		export = export || a == "--output=export"
		since = since || strings.HasPrefix(a, "--since=@17")
	}
	if after == 0 && !since || !export && !slices.Contains(os.Args, "--output=json") || !slices.Contains(os.Args, "--all") || !slices.Contains(os.Args, "--no-tail") {
		fmt.Fprintln(os.Stderr, "wrong arguments:", os.Args)
		os.Exit(3)
	}
	given := 0
	for {
		b, err := os.ReadFile(filepath.Join(dir, "journal"))
		require.NoError(t, err)
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		for ; after < len(lines); after++ {
			name := strings.Fields(lines[after])[0]
			if export {
				fmt.Printf("__CURSOR=c%d\n__REALTIME_TIMESTAMP=1795643940000000\n_HOSTNAME=host\nSYSLOG_IDENTIFIER=%s\nPRIORITY=6\nMESSAGE\n%s%s\n\n",
					after+1, name, binary.LittleEndian.AppendUint64(nil, uint64(len(lines[after]))), lines[after])
			} else {
				fmt.Printf(`{"__CURSOR":"c%d","__REALTIME_TIMESTAMP":"1795643940000000","_HOSTNAME":"host","SYSLOG_IDENTIFIER":"%s","PRIORITY":"6","MESSAGE":%q}`+"\n",
					after+1, name, lines[after])
			}
			if given++; given == 3 && os.Remove(filepath.Join(dir, "die")) == nil {
				fmt.Fprintln(os.Stderr, "the journal was vacuumed")
				os.Exit(1)
			}
		}
		time.Sleep(5 * time.Millisecond) // it follows
	}
}

func TestTheJournalIsReadOnceOverEndsOfJournalctlAndRestarts(t *testing.T) {
	for _, output := range []string{"export", "json"} {
		t.Run(output, func(t *testing.T) { testJournal(t, output) })
	}
}

func testJournal(t *testing.T, output string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("FOREWARN_TEST_JOURNAL", dir)
	say := func(lines ...string) {
		f, err := os.OpenFile(filepath.Join(dir, "journal"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	o := JournalOptions{Output: output, Command: []string{os.Args[0], "-test.run=^TestJournalctl$", "--"}}
	r := newRig(t)
	say("kubelet one", "kernel not from here", "sshd two", "kubelet three")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "die"), nil, 0o600))
	c, err := NewJournal(o, r.common("journal"))
	stop := r.run(t, c, err)
	r.expect(t, "kubelet one", "sshd two", "kubelet three")
	require.Contains(t, r.logged(), "the journal was vacuumed")
	stop()
	require.Equal(t, "c4", string(r.kept["journal"]))

	say("kubelet four")
	c, err = NewJournal(o, r.common("journal"))
	r.run(t, c, err)
	r.expect(t, "kubelet one", "sshd two", "kubelet three", "kubelet four")
	x := r.records[0]
	require.Equal(t, "node-1", x.Attrs.Value(record.Node), "the node's own name, which its host's may differ from")
	require.Equal(t, "host", x.Attrs.Value(record.Host))
	require.Equal(t, "kubelet", x.Attrs.Value(record.Component))
	require.Equal(t, "info", x.Attrs.Value(record.SeverityText))
	require.Empty(t, r.lost("journal"))
}

func TestJournalOptionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	_, err := NewJournal(JournalOptions{Command: []string{"no-such-journalctl"}, Since: -1, Output: "cat"}, newRig(t).common("journal"))
	require.ErrorContains(t, err, "no-such-journalctl")
	require.ErrorContains(t, err, "cannot be negative")
	require.ErrorContains(t, err, `output: "cat"`)
	_, err = NewJournal(JournalOptions{Root: "/host"}, newRig(t).common("journal"))
	require.ErrorContains(t, err, "needs its whole path, such as /usr/bin/journalctl")
}

func TestJournalctlIsToldWhatToRead(t *testing.T) {
	t.Parallel()
	c, err := NewJournal(JournalOptions{
		Command: []string{os.Args[0]}, Directory: "/var/log/journal", Units: []string{"kubelet.service"}, Identifiers: []string{"kubelet"}, Priority: "warning",
	}, newRig(t).common("journal"))
	require.NoError(t, err)
	j, ok := c.(*journal)
	require.True(t, ok)
	a := strings.Join(j.arguments(present()), " ")
	require.Contains(t, a, "--directory=/var/log/journal --unit=kubelet.service --identifier=kubelet --priority=warning --since=@"+strconv.FormatInt(present().Add(-10*time.Minute).Unix(), 10))
}
