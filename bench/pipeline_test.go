package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
)

func TestPipelineCarriesEveryPlantedRecordToItsWarning(t *testing.T) {
	o := PipelineOptions{Signatures: 100, Rate: 20_000, For: 2 * time.Second, PlantEvery: 50, Dir: t.TempDir()}
	rows, err := RunPipelineRows(t.Context(), o, 1, true, t.Logf)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.InDelta(t, 40_000, rows[0].Records, 4000)
	require.NotEmpty(t, rows[0].Latency)
	require.Positive(t, rows[0].Metric(LatencyP99).Median())
	require.Positive(t, rows[0].Metric("of-jetstream").Median())
}

func TestPipelineOnAServerOfOthersDisturbsNothingAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	others, err := stream.Open(t.Context(), stream.Options{DataDir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, others.Close()) })
	o := PipelineOptions{Signatures: 100, Rate: 20_000, For: time.Second, PlantEvery: 50, Dir: t.TempDir()}
	o.NATS.URL, err = stream.FindURL(dir)
	require.NoError(t, err)
	_, err = RunPipelineRows(t.Context(), o, 1, true, t.Logf)
	require.NoError(t, err)
	left, err := others.Existing(t.Context())
	require.NoError(t, err)
	require.Empty(t, left)

	require.NoError(t, others.EnsureStreams(t.Context()))
	_, err = RunPipeline(t.Context(), o)
	require.ErrorContains(t, err, "has RECORDS, HITS, WARNINGS, INTAKE, KV_FOREWARN_STATUS, KV_FOREWARN_CHECKPOINTS, KV_FOREWARN_FACTS")
	left, err = others.Existing(t.Context())
	require.NoError(t, err)
	require.Greater(t, len(left), 6, "what others made stays")
}

func TestAPipelineThatOverlooksSomethingFails(t *testing.T) {
	o := PipelineOptions{Signatures: 100, For: time.Second, PlantEvery: 100, Dir: t.TempDir(), patience: time.Second, deaf: 50}
	_, err := RunPipeline(t.Context(), o)
	require.ErrorIs(t, err, ErrLost)
	require.ErrorContains(t, err, "did not come")
	require.ErrorIs(t, (&PipelineResult{Losses: map[string]uint64{"late": 1, settledEarly: 2}}).lost(), ErrLost)
	require.NoError(t, (&PipelineResult{Losses: map[string]uint64{settledEarly: 2}}).lost())
}

func TestNoQuantileIsToldOfTooFewLatencies(t *testing.T) {
	row := pipelineRow("pipeline", engineName)
	row.take(PipelineResult{Latency: latencyOf(make([]time.Duration, 500))}, true)
	require.NotNil(t, row.Metric(LatencyP99))
	require.Nil(t, row.Metric(LatencyP999))
	row = pipelineRow("pipeline", engineName)
	row.take(PipelineResult{Latency: latencyOf(make([]time.Duration, 5000))}, false)
	require.Nil(t, row.Metric(LatencyP50), "at full speed it is the age of a backlog")
}

func TestAWarningThatDoesNotComeIsALoss(t *testing.T) {
	l := &load{sources: []*source{{name: "bench/a", planted: 2}}}
	w := newWatch(l)
	told := func(key string) *matcher.Warning {
		return &matcher.Warning{State: matcher.Forming, Revision: 1, KeyText: "bench/" + key, Opened: time.Now()}
	}
	w.take(told("planted-0-0"), time.Now())
	require.ErrorIs(t, w.check(), ErrLost)
	require.ErrorContains(t, w.check(), "1 warnings of 2 did not come")
	w.take(told("planted-0-1"), time.Now())
	require.NoError(t, w.check())
	w.take(told("planted-0-1"), time.Now())
	require.ErrorContains(t, w.check(), "1 warnings came twice")
	w.take(told("nobody"), time.Now())
	require.ErrorContains(t, w.check(), "nothing was planted for")
}
