//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
)

// oncall is told what the shipped catalogue warns of. It is used by one goroutine at a time.
type oncall struct {
	engine *matcher.Engine
	told   map[string]matcher.Warning // the newest revision of each, by id
}

func newOncall(t *testing.T) *oncall {
	t.Helper()
	set, problems := signatures.LoadFS(catalog.FS, signatures.Options{Catalogue: true})
	require.Empty(t, problems)
	program, refused := matcher.Compile(set.All(), matcher.CompileOptions{})
	require.Empty(t, refused)
	engine, err := matcher.NewEngine(program, matcher.TrackerOptions{})
	require.NoError(t, err)
	return &oncall{engine: engine, told: map[string]matcher.Warning{}}
}

func (o *oncall) feed(b *record.Batch) {
	for _, c := range o.engine.Feed(b) {
		o.told[c.Warning.ID] = c.Warning
	}
}

// summary is the warnings, one a line, in the order of signature and key.
func (o *oncall) summary() []string {
	var lines []string
	for _, w := range o.told {
		if w.Retracted {
			continue
		}
		rungs := make([]string, len(w.Reached))
		for i, r := range w.Reached {
			rungs[i] = r.Stage + "@" + r.Time.UTC().Format(time.TimeOnly)
		}
		lines = append(lines, fmt.Sprintf("%-28s %-40s %-9s %s", w.Signature, cmp.Or(w.KeyText, "-"), w.State, strings.Join(rungs, " ")))
	}
	slices.Sort(lines)
	return lines
}

// expectWarning waits until a warning of a signature for a key has reached a rung: a stage's name, or "incident". The key is without the
// cluster's name, and may end in a star, for names that the cluster makes up.
func (w *witness) expectWarning(t *testing.T, signature, key, rung string) {
	t.Helper()
	whole := strings.TrimSuffix(clusterName+"/"+key, "/")
	beginning, open := strings.CutSuffix(whole, "*")
	w.mu.Lock()
	deadline := time.After(time.Until(w.until))
	w.mu.Unlock()
	for {
		w.mu.Lock()
		more := w.more
		reached := slices.ContainsFunc(slices.Collect(maps.Values(w.oncall.told)), func(x matcher.Warning) bool {
			return x.Signature == signature && !x.Retracted && (x.KeyText == whole || open && strings.HasPrefix(x.KeyText, beginning)) &&
				slices.ContainsFunc(x.Reached, func(r matcher.Reached) bool { return r.Stage == rung })
		})
		w.mu.Unlock()
		if reached {
			return
		}
		select {
		case <-more:
		case <-deadline:
			w.mu.Lock()
			defer w.mu.Unlock()
			require.Failf(t, "no such warning", "%s of %q at %s; what was told is\n%s", signature, key, rung, strings.Join(w.oncall.summary(), "\n"))
		}
	}
}

// warned is what the catalogue has to tell of the scenarios: the failures above, foreseen or met.
func warned() []struct {
	signature, key, rung string
	real                 bool
} {
	return []struct {
		signature, key, rung string
		real                 bool
	}{
		{signature: "config-missing", key: "containers/no-secret", rung: "still-missing", real: true},
		{signature: "crash-loop", key: "containers/crash-loop-*", rung: "again", real: true},
		{signature: "hpa-blind", key: "autoscaling/HorizontalPodAutoscaler/web", rung: "goes-on"},
		{signature: "hpa-blind", key: "autoscaling/HorizontalPodAutoscaler/no-target", rung: "goes-on"},
		{signature: "image-not-found", key: "images/missing", rung: "again", real: true},
		{signature: "image-not-found", key: "images/never", rung: "again", real: true},
		{signature: "job-gives-up", key: "jobs/Job/backoff", rung: "gave-up", real: true},
		{signature: "job-gives-up", key: "deadline/Job/slow", rung: "gave-up"},
		{signature: "node-not-ready", key: "lost", rung: "not-ready"},
		{signature: "oom-kill-loop", key: "containers/out-of-memory", rung: "killed-again", real: true},
		{signature: "pod-creation-refused", key: "limits/Deployment/big", rung: "goes-on"},
		{signature: "pod-security-refuses-pods", key: "restricted", rung: "goes-on"},
		{signature: "probe-restart-loop", key: "containers/liveness", rung: "incident", real: true},
		{signature: "pvc-lost", key: "volumes/lost", rung: "claim-lost"},
		{signature: "pvc-provisioning-failed", key: "volumes/no-class", rung: "persists"},
		{signature: "quota-blocks-rollout", key: "quota", rung: "incident"},
		{signature: "readiness-failing", key: "containers/readiness", rung: "goes-on", real: true},
		{signature: "registry-credentials-refused", key: "images", rung: "again", real: true},
		{signature: "webhook-certificate-expired", key: "", rung: "incident"},
		{signature: "webhook-unavailable", key: "", rung: "goes-on"},
	}
}
