package notify

import (
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// Example is a made-up warning that has everything a warning can have. It says of itself that it is an example.
func Example(now time.Time) matcher.Warning {
	now = now.UTC().Truncate(time.Second)
	at := func(ago time.Duration) time.Time { return now.Add(-ago) }
	attrs := map[string]string{
		record.Namespace: "shop", record.Pod: "cart-7d9f-x2x1k", record.PodUID: "00000000-0000-4000-8000-000000000000", record.WorkloadKind: "Deployment",
		record.WorkloadName: "cart", record.Container: "cart", record.EventReason: "BackOff",
	}
	return matcher.Warning{
		ID: "0e8a3f0c9a11b2c4", Revision: 2, Signature: "example-memory-leak", Digest: "0e8a3f0c", Title: "EXAMPLE: Container is about to be killed for its memory",
		Severity: signatures.High, Impact: "This is an example of forewarn: nothing is wrong. Requests of the shop's cart would fail while it restarts.",
		Key:     []record.Attr{{Key: "namespace", Value: "shop"}, {Key: "pod", Value: "cart-7d9f-x2x1k"}},
		KeyText: "shop/cart-7d9f-x2x1k", State: matcher.Imminent, Stage: "near-limit", Total: 3,
		Reached: []matcher.Reached{{Stage: "growing", Title: "memory grows", Time: at(40 * time.Minute), Count: 12}, {Stage: "near-limit", Title: "it is near its limit", Time: at(time.Minute), Count: 1}},
		Next:    &matcher.Next{Stage: "stalls", Title: "it stalls under memory pressure", Missing: "0 of 2 records within 10m"},
		Opened:  at(40 * time.Minute), Time: at(time.Minute),
		Forecast: &matcher.Forecast{Metric: "container_memory_working_set_bytes", Limit: 536870912, Value: 498073600, Expected: at(-25 * time.Minute), Earliest: at(-15 * time.Minute), Latest: at(-50 * time.Minute)},
		Remedies: []signatures.Remedy{
			{Do: "See what uses the memory.", Risk: signatures.Look, Command: "kubectl top pod -n {{ .namespace }} {{ .pod }} --containers"},
			{Do: "Restart the pods one after another, before it happens at once.", Risk: signatures.Restart, Command: "kubectl rollout restart -n {{ .namespace }} deployment/{{ .workload }}"},
		},
		References: []string{"https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/"},
		Evidence: []matcher.Evidence{
			{Time: at(40 * time.Minute), Stage: "growing", Kind: "sample", Text: "container_memory_working_set_bytes 402653184", Record: 1, Attrs: attrs},
			{Time: at(time.Minute), Stage: "near-limit", Kind: "event", Text: "Back-off restarting failed container <cart> & others", Record: 2, Attrs: attrs},
		},
		Incomplete: []string{"evidence of one stage is not kept"}, Silent: []string{"node logs of worker-2"},
		Outlook: &matcher.Outlook{
			Here: matcher.Past{Reached: 4, Incident: 3, Averted: 1}, Elsewhere: matcher.Past{Reached: 31, Incident: 22, Averted: 8, Expired: 1},
			Next:     &matcher.Interval{Earliest: at(-5 * time.Minute), Expected: at(-12 * time.Minute), Latest: at(-30 * time.Minute), Of: 35},
			Incident: &matcher.Interval{Earliest: at(-15 * time.Minute), Expected: at(-25 * time.Minute), Latest: at(-50 * time.Minute), Of: 25},
			Remedies: []matcher.Outcome{{Remedy: "restart: Restart the pods", Done: 9, Helped: 8}},
		},
		Links: []matcher.Link{{Title: "Console", URL: "https://forewarn.example.org/warnings/0e8a3f0c9a11b2c4"}},
	}
}

// examples are notices of every state, with and without what may be missing, and one of several warnings.
func examples() []Notice {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	full := Example(now)
	bare := matcher.Warning{ID: "1", Revision: 1, Signature: "bare", Title: "Bare", Severity: signatures.Info, State: matcher.Forming, Opened: now, Time: now}
	closed := full
	closed.State, closed.Closed, closed.Incident, closed.Lead, closed.Reason = matcher.Resolved, &now, &now, time.Minute, "it is quiet"
	all := []Notice{Single(full), Single(bare), Single(closed)}
	for _, s := range worstFirst() {
		w := full
		w.State = s
		all = append(all, Single(w))
	}
	return append(all, Notice{ID: "g-1", Thread: "g", Warnings: []matcher.Warning{full, bare, closed}})
}
