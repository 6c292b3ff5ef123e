package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/matcher"
)

func TestEveryLossIsToldInWords(t *testing.T) {
	var all format.Counts
	for c := range format.Count(32) {
		if !c.Loss() && c != format.FutureStamp {
			require.Empty(t, readLoss(c, 1), c.String())
			continue
		}
		require.NotContains(t, readLoss(c, 2), "_")
		require.NotEqual(t, readLoss(c, 1), readLoss(c, 2), c.String())
		all.Add(c, 2)
	}
	require.Equal(t, `  2 lines too long, and cut
  2 B behind such cuts, not looked at
  2 partial container lines whose end never came, taken as far as they go
  2 time stamps not believed: more than a day ahead of now, or before 1990
  2 items not readable (objects, rows, samples), left out
  2 objects too large, left out
  2 records too large, left out
  2 compressed inputs damaged or incomplete, used as far as readable
  2 B of followed files that went away or were cut before they were read
  2 followed files that went away while nothing read them: what was written last is not known
  in matching: 3 late
`, lossText(&all, &matcher.Stats{Late: 3}))
	require.Empty(t, lossText(&format.Counts{}, &matcher.Stats{}))
}

func TestScanSaysThatNoTimeStampWasRecognised(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want bool
	}{
		"none":     {"one\ntwo\n", true},
		"the last": {"one\n2026-11-20T10:00:00Z two\n", false},
		"empty":    {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			var out, err strings.Builder
			code := execute(context.Background(), []string{"scan", "-"}, stdio{strings.NewReader(c.in), &out, &err})
			require.Zero(t, code, err.String())
			require.Equal(t, c.want, strings.Contains(err.String(), "no time stamp was recognised"), err.String())
		})
	}
}

func TestAnInterruptedCommandSaysSoAndNoMore(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, err strings.Builder
	require.Equal(t, exitFailure, execute(ctx, []string{"demo", "--for", "0"}, stdio{strings.NewReader(""), &out, &err}))
	require.Contains(t, err.String(), "forewarn: interrupted before it was done\n")
	require.NotContains(t, err.String(), "context canceled")
}
