package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// change is one revision of a warning.
func change(id, signature string, was, is matcher.State, stages ...string) *matcher.Change {
	w := matcher.Warning{ID: id, Signature: signature, Severity: signatures.High, State: is}
	for _, s := range stages {
		w.Reached = append(w.Reached, matcher.Reached{Stage: s})
	}
	return &matcher.Change{Warning: w, Was: was}
}

func TestAWarningIsCountedOnceInEachStateAndStage(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	m, err := newMetrics(r)
	require.NoError(t, err)
	var open openWarnings
	m.tracker.read = func() (map[string]uint64, map[openKind]int) { return nil, open.counts() }
	told := func(c *matcher.Change) { m.tell(c, open.take(&c.Warning)) }
	told(change("1", "disk", "", matcher.Forming, "slow"))
	told(change("1", "disk", matcher.Forming, matcher.Forming, "slow")) // a forecast moved
	told(change("1", "disk", matcher.Forming, matcher.Imminent, "slow", "full"))
	told(change("2", "disk", "", matcher.Imminent, "slow", "full"))
	told(change("3", "net", "", matcher.Forming, "drops"))
	end := change("1", "disk", matcher.Imminent, matcher.InIncident, "slow", "full", "incident")
	end.Warning.Lead = 10 * time.Minute
	told(end)
	never := change("3", "net", matcher.Forming, matcher.Expired, "drops")
	never.Warning.Retracted = true
	told(never)

	require.NoError(t, testutil.GatherAndCompare(r, strings.NewReader(`
# HELP forewarn_pipeline_open_warnings Warnings that are open, by state.
# TYPE forewarn_pipeline_open_warnings gauge
forewarn_pipeline_open_warnings{state="forming"} 0
forewarn_pipeline_open_warnings{state="imminent"} 1
forewarn_pipeline_open_warnings{state="incident"} 1
# HELP forewarn_pipeline_signature_open_warnings Warnings that are open, by signature, severity and state; signatures beyond the bound are called other.
# TYPE forewarn_pipeline_signature_open_warnings gauge
forewarn_pipeline_signature_open_warnings{severity="high",signature="disk",state="imminent"} 1
forewarn_pipeline_signature_open_warnings{severity="high",signature="disk",state="incident"} 1
# HELP forewarn_pipeline_stages_reached_total Stages that warnings reached, the incident among them, by signature; signatures and stages beyond the bound are called other.
# TYPE forewarn_pipeline_stages_reached_total counter
forewarn_pipeline_stages_reached_total{signature="disk",stage="full"} 2
forewarn_pipeline_stages_reached_total{signature="disk",stage="incident"} 1
forewarn_pipeline_stages_reached_total{signature="disk",stage="slow"} 2
forewarn_pipeline_stages_reached_total{signature="net",stage="drops"} 1
# HELP forewarn_pipeline_warnings_total Warnings that came to be in a state, by signature and severity; signatures beyond the bound are called other.
# TYPE forewarn_pipeline_warnings_total counter
forewarn_pipeline_warnings_total{severity="high",signature="disk",state="forming"} 1
forewarn_pipeline_warnings_total{severity="high",signature="disk",state="imminent"} 2
forewarn_pipeline_warnings_total{severity="high",signature="disk",state="incident"} 1
forewarn_pipeline_warnings_total{severity="high",signature="net",state="forming"} 1
`), "forewarn_pipeline_open_warnings", "forewarn_pipeline_signature_open_warnings", "forewarn_pipeline_stages_reached_total", "forewarn_pipeline_warnings_total"))

	families, err := r.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "forewarn_pipeline_lead_time_seconds" {
			h := f.GetMetric()[0].GetHistogram()
			require.EqualValues(t, 1, h.GetSampleCount())
			require.InDelta(t, 600, h.GetSampleSum(), 0)
			require.NotEmpty(t, h.GetPositiveSpan(), "it is a native histogram")
			require.NotEmpty(t, h.GetBucket(), "and a classic one, for those who cannot read them")
		}
	}
}

func TestLabelsAreBounded(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	m, err := newMetrics(r)
	require.NoError(t, err)
	var open openWarnings
	m.tracker.read = func() (map[string]uint64, map[openKind]int) { return nil, open.counts() }
	const signatures = 4 * maxSignatureNames
	for i := range signatures {
		c := change(fmt.Sprint(i), fmt.Sprintf("signature-%d", i), "", matcher.Forming)
		for stage := range 40 {
			c.Warning.Reached = append(c.Warning.Reached, matcher.Reached{Stage: fmt.Sprint(stage)})
		}
		m.tell(c, open.take(&c.Warning))
	}
	for metric, want := range map[string]int{
		"forewarn_pipeline_warnings_total":          maxSignatureNames + 1,
		"forewarn_pipeline_signature_open_warnings": maxSignatureNames + 1,
		"forewarn_pipeline_stages_reached_total":    maxStageNames + maxSignatureNames - maxStageNames/40 + 1, // each has its own others
	} {
		n, err := testutil.GatherAndCount(r, metric)
		require.NoError(t, err)
		require.Equal(t, want, n, metric)
	}
	require.InDelta(t, signatures-maxSignatureNames, testutil.ToFloat64(m.warnings.WithLabelValues(otherName, "high", "forming")), 0, "nothing is left out")
}
