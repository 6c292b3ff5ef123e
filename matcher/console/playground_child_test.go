package console

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be the child that it tests.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve-trial" {
		if err := ServeTrial(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 {
		misbehave(os.Args[1])
	}
	os.Exit(m.Run())
}

// misbehave is a child that does what it should not.
func misbehave(how string) {
	switch how {
	case "eat-memory":
		if err := limitProcess(childMemory, childLife); err != nil {
			panic(err)
		}
		for kept := [][]byte{}; ; {
			b := make([]byte, 16<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			kept = append(kept, b)
		}
	case "talk":
		for {
			if _, err := os.Stdout.WriteString(strings.Repeat("x", 1<<16)); err != nil {
				os.Exit(1)
			}
		}
	case "hang":
		time.Sleep(time.Minute)
	case "environment":
		fmt.Fprintln(os.Stderr, os.Environ())
		os.Exit(3)
	}
}

func child(most int, b Bounds) *Child { return NewChild([]string{os.Args[0], "serve-trial"}, most, b) }

func TestATrialInAProcessOfItsOwnComesToTheSame(t *testing.T) {
	x := &Trial{YAML: diskYAML, Input: diskLog, Attrs: map[string]string{"node": "cp1"}}
	want, err := Try(t.Context(), x, Bounds{})
	require.NoError(t, err)
	got, err := child(1, Bounds{}).Run(t.Context(), x)
	require.NoError(t, err)
	want.Took, got.Took = 0, 0
	require.Equal(t, want, got)
}

func TestARefusedTrialSaysWhyThroughTheChild(t *testing.T) {
	_, err := child(1, Bounds{Input: 10}).Run(t.Context(), &Trial{Input: diskLog})
	require.ErrorIs(t, err, ErrTrialTooLarge)
}

// An expression of the greatest size that compiles takes hours over a long line.
func TestADearExpressionIsEndedAndTheParentGoesOn(t *testing.T) {
	dear := strings.Replace(diskYAML, `'late by \d+ms'`, `'(?i)(?:`+strings.Repeat(`(?:[a-z]{1,900}|[a-y]{1,900})`, 5)+`)#$'`, 1)
	x := &Trial{YAML: dear, Input: "2026-03-01T10:00:00Z heartbeat " + strings.Repeat("abcdefgh", 60_000)}
	began := time.Now()
	_, err := child(1, Bounds{Time: 4 * time.Second}).Run(t.Context(), x) // in less, a slow machine ends it before it comes to the expression
	require.Less(t, time.Since(began), 20*time.Second)
	require.ErrorIs(t, err, ErrTrialTooDear)
}

func TestAChildThatEatsMemoryIsEndedByTheSystem(t *testing.T) {
	began := time.Now()
	_, err := NewChild([]string{os.Args[0], "eat-memory"}, 1, Bounds{Time: time.Minute}).Run(t.Context(), &Trial{})
	require.ErrorIs(t, err, ErrTrialTooDear)
	require.Less(t, time.Since(began), 30*time.Second)
}

func TestAChildThatSaysTooMuchOrNothingIsEnded(t *testing.T) {
	began := time.Now()
	_, err := NewChild([]string{os.Args[0], "talk"}, 1, Bounds{Time: time.Minute}).Run(t.Context(), &Trial{})
	require.ErrorIs(t, err, ErrTrialTooDear)
	require.Less(t, time.Since(began), 20*time.Second, "it is ended by what it says and not by its time")
	_, err = NewChild([]string{os.Args[0], "hang"}, 1, Bounds{Time: time.Millisecond}).Run(t.Context(), &Trial{})
	require.ErrorIs(t, err, ErrTrialTooDear)
}

func TestAChildInheritsNoEnvironment(t *testing.T) {
	t.Setenv("FOREWARN_TOKEN", "secret")
	_, err := NewChild([]string{os.Args[0], "environment"}, 1, Bounds{}).Run(t.Context(), &Trial{})
	require.ErrorContains(t, err, "[GOMAXPROCS=1 FOREWARN_TRIAL_BYTES=")
}

func TestATrialLeavesTheContainerHalfOfItsRoom(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		max, current, stat string
		want               uint64
		err                error
	}{
		"no limit":                       {"max\n", "1000\n", "", 512 * mib, nil},
		"not in a container":             {"", "", "", 512 * mib, nil},
		"plenty":                         {"8589934592\n", "1073741824\n", "", 512 * mib, nil},
		"a quarter each of what is left": {"1073741824\n", "268435456\n", "anon 1\n", 192 * mib, nil},
		"files are no use of memory":     {"1073741824\n", "1073741824\n", "anon 1\ninactive_file 805306368\n", 192 * mib, nil},
		"too little":                     {"268435456\n", "134217728\n", "", 0, ErrNoRoom},
		"above the limit":                {"1000\n", "2000\n", "inactive_file x\n", 0, ErrNoRoom},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{"memory.max": c.max, "memory.current": c.current, "memory.stat": c.stat} {
				if text != "" {
					require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
				}
			}
			got, err := memoryFor(dir, 2, 512*mib)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestTooManyTrialsAtOnceAreAskedToWait(t *testing.T) {
	c := child(1, Bounds{})
	c.slots <- struct{}{}
	_, err := c.Run(t.Context(), &Trial{})
	require.ErrorIs(t, err, ErrTrialsBusy)
	<-c.slots
	_, err = c.Run(t.Context(), &Trial{})
	require.NoError(t, err)
}

func TestAProgramThatIsNotThereIsToldAsSuch(t *testing.T) {
	_, err := NewChild([]string{"/nowhere/forewarn"}, 1, Bounds{}).Run(t.Context(), &Trial{})
	require.ErrorContains(t, err, "start a process for the trial")
}

func TestAHangUpEndsTheChild(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := child(1, Bounds{}).Run(ctx, &Trial{YAML: diskYAML})
	require.ErrorIs(t, err, context.Canceled)
}
