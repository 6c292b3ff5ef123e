package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// full is a result with something for every chart.
func full() *Result {
	hits := 42
	row := func(candidate string, signatures int, rounds ...float64) Row {
		return Row{
			Workload: "mixed", Digest: "d", Candidate: candidate, Set: "mixed", Signatures: signatures, Hits: &hits, Expected: &hits,
			Metrics: []Metric{{Name: Throughput, Unit: "MB/CPU-s", Rounds: rounds}},
		}
	}
	tuned := func(batch, note string, speed, latency float64) Row {
		return Row{Workload: "tune", Candidate: engineName, Settings: map[string]string{"batch": batch}, Note: note, Metrics: []Metric{
			{Name: RecordsRate, Unit: "records/s", Rounds: []float64{speed, speed * 1.1}}, {Name: LatencyP99, Unit: "s", Less: true, Rounds: []float64{latency, latency}},
		}}
	}
	return &Result{
		Format: ResultFormat, Command: "scan", Time: time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC), Version: "v1 <b>",
		Machine: Machine{CPU: "A & B <processor>", Cores: 2, MemoryMB: 4096, OS: "linux", Arch: "amd64", Go: "go1", Load: 1.5},
		Rows: []Row{
			row(engineName, 100, 3000, 3100, 3200), row("hyperscan", 100, 1200, 1250, 1300),
			row(engineName, 1000, 2500, 2600, 2700), row("hyperscan", 1000, 600, 650, 700),
			{
				Workload: "pipeline", Candidate: engineName, Metrics: []Metric{{Name: LatencyP99, Unit: "s", Less: true, Rounds: []float64{0.01}}},
				Latency: []Quantile{{0.5, 0.002}, {0.9, 0.005}, {0.99, 0.01}, {0.999, 0.05}, {1, 0.2}},
			},
			tuned("64k", "", 900_000, 0.004), tuned("256k", recommended, 1_200_000, 0.006), tuned("1M", "", 1_250_000, 0.03),
		},
	}
}

func TestPageHoldsTheDataAndNeedsNothingElse(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, full().WriteHTML(&b))
	text := b.String()
	for _, want := range []string{
		"A &amp; B &lt;processor&gt;", "v1 &lt;b&gt;", "mixed: speed by number of signatures", "pipeline: latency distribution",
		"tune: throughput against latency", "hyperscan", "2600 MB/CPU-s", "4.00 times", "recommended", "99.9 %", "prefers-color-scheme: dark",
		`name="viewport"`, "forewarn: 1000 signatures, 2600 MB/CPU-s",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "<processor>")
	require.NotRegexp(t, `(src|href)=|@import|url\(|<script`, text)
	require.Equal(t, 3, strings.Count(text, "<svg "))
	// Each drawing is well-formed.
	for _, svg := range regexp.MustCompile(`(?s)<svg .*?</svg>`).FindAllString(text, -1) {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
		require.NotContains(t, svg, "NaN")
		require.NotContains(t, svg, "Inf")
	}
}

func TestTableTellsMediansSpansAndPeers(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, full().WriteText(&b))
	require.Regexp(t, `forewarn +1000 +2600 MB/CPU-s +2500\.\.2700 +42`, b.String())
	require.Regexp(t, `hyperscan +1000 +650 MB/CPU-s +600\.\.700 +4\.00 times +42`, b.String())
	require.Contains(t, b.String(), "A & B <processor>, 2 cores, 4 GB")
}

func TestPlotsOfOddResultsAreDrawn(t *testing.T) {
	for _, r := range []*Result{
		{}, resultOf(), resultOf(0, 0, 0), {Rows: []Row{{Workload: "w", Candidate: "x", Latency: []Quantile{{0.5, 0}}}}},
	} {
		var b bytes.Buffer
		require.NoError(t, r.WriteHTML(&b))
		require.NotContains(t, b.String(), "NaN")
		require.NoError(t, r.WriteText(&b))
	}
}
