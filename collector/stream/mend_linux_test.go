package stream

import (
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A limit on the size of files makes writes fail as a full disk does. It holds for the whole process, which go test writes files from too, so
// the test runs in one of its own.
func TestEmbeddedServerGoesOnWhenItCanWriteAgain(t *testing.T) {
	const alone = "FOREWARN_TEST_ALONE"
	if os.Getenv(alone) == "" {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		c.Env = append(os.Environ(), alone+"=1")
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: "+t.Name())
		return
	}
	s := open(t, Options{})
	p := publisher(t, s, PublisherConfig{AckTimeout: 2 * time.Second})
	publish(t, p, 0, 0, 10)

	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var free syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &free))
	full := free
	full.Cur = 1024
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full))
	restore := func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &free)) }
	defer restore()
	for i := 10; i < 200; i++ { // fewer than may be outstanding
		require.NoError(t, p.PublishRecords(t.Context(), 0, "", []byte(numbers(i, i+1)[0])))
	}
	require.Eventually(t, func() bool {
		err := s.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "cannot store")
	}, patience, time.Millisecond)
	restore()

	require.NoError(t, p.Flush(t.Context()))
	require.Eventually(t, func() bool { return s.Ready(t.Context()) == nil }, patience, time.Millisecond)
	require.Equal(t, numbers(0, 200), contents(t, s, RecordsSubject(0)))
}
