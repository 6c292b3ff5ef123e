package console

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
)

var noon = time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC)

// seen is a view of a week; names are written kind:name, and a kind alone is one that a source gives.
func seen(names ...string) Given {
	v := Given{Now: noon, Processes: 1, Seen: pipeline.Seen{Since: noon.Add(-7 * 24 * time.Hour), Kinds: map[string]map[string]int64{}}}
	for _, n := range names {
		kind, name, named := strings.Cut(n, ":")
		k, err := record.ParseKind(kind)
		if err != nil {
			panic(err)
		}
		v.Kinds |= 1 << k
		if named {
			if v.Seen.Kinds[kind] == nil {
				v.Seen.Kinds[kind] = map[string]int64{}
			}
			v.Seen.Kinds[kind][name] = noon.Add(-time.Minute).Unix()
		}
	}
	return v
}

func spot(t *testing.T, yaml string, v Given) Spot {
	t.Helper()
	sigs, problems := signatures.Parse("s.yaml", []byte("id: a\ntitle: A\nseverity: high\nby: node\nclear: {quiet: 1h}\n"+yaml))
	require.Empty(t, signatures.Errors(problems))
	b := FindBlindSpots(sigs, v)
	_, err := json.Marshal(b)
	require.NoError(t, err)
	return b.Spots[0]
}

func TestASignatureIsBlindWhenWhatItNeedsNeverComes(t *testing.T) {
	const ladder = `stages: [{name: one, when: {log: {component: etcd, contains: slow disk}}}, {name: two, when: {sample: {metric: fsync, above: 1}}}]
incident: {when: {alert: {name: Down}}}
`
	for name, c := range map[string]struct {
		yaml    string
		view    Given
		verdict Verdict
		says    string
	}{
		"everything comes":               {ladder, seen("log:etcd", "sample:fsync", "alert:Down"), CanFire, ""},
		"an alert need not have fired":   {ladder, seen("log:etcd", "sample:fsync", "alert"), CanFire, ""},
		"the first stage is in the dark": {ladder, seen("log:kubelet", "sample:fsync", "alert"), CannotFire, "it cannot fire: one cannot be seen"},
		"the second is":                  {ladder, seen("log:etcd", "sample:up", "alert"), SeesPart, "it gets no further than one: two cannot be seen"},
		"people are told from there":     {"tell: two\n" + ladder, seen("log:etcd", "sample:up", "alert"), CannotFire, "it cannot fire: two cannot be seen"},
		"nobody sends alerts":            {ladder, seen("log:etcd", "sample:fsync"), SeesPart, "the incident itself would not be seen, so no lead time is measured"},
		"lines do not say who wrote":     {ladder, seen("log:", "sample:fsync", "alert"), NotTested, ""},
		"any, enough are left": {
			"order: any\nneed: 1\nwithin: 1h\n" + ladder, seen("log:etcd", "alert"), SeesPart, "two cannot be seen; the other stages are enough",
		},
		"any, too few are left": {
			"order: any\nwithin: 1h\n" + ladder, seen("log:etcd", "alert"), SeesPart, "it gets no further than 1 of 2 stages: two cannot be seen",
		},
		"any, none is left": {"order: any\nwithin: 1h\n" + ladder, seen("alert"), CannotFire, "it cannot fire: one, two cannot be seen"},
		"one of several alternatives is enough": {
			"stages: [{name: one, when: {any: [{log: {component: etcd, contains: slow disk}}, {event: {reason: SlowDisk}}]}}]\n", seen("event:BackOff"), CanFire, "",
		},
		"a share needs both metrics": {
			"stages: [{name: one, when: {sample: {metric: used, of: {metric: limit}, above: 0.9}}}]\n", seen("sample:used"), CannotFire, "it cannot fire: one cannot be seen",
		},
		"components by another match than equality": {
			"stages: [{name: one, when: {log: {component: {prefix: ingress-}, contains: slow disk}}}]\n", seen("log:ingress-nginx"), CanFire, "",
		},
		"all of one record": {
			"stages: [{name: one, when: {all: [{log: {contains: slow disk}}, {log: {component: etcd, contains: very slow disk}}]}}]\n", seen("log:kubelet"), CannotFire, "it cannot fire: one cannot be seen",
		},
		"what speaks against it has no source": {
			"stages: [{name: one, when: {event: {reason: X}}}]\nunless: [{when: {alert: {name: Maintenance}}, window: 5m}]\n", seen("event:X"), CannotFire,
			"one is never reached: nobody could say that what speaks against it is absent",
		},
		"changes of a kind that did not change": {"stages: [{name: one, when: {change: {kind: Node, path: spec.unschedulable, to: 'true'}}}]\n", seen("change:Pod"), CanFire, ""},
		"changes that nobody collects":          {"stages: [{name: one, when: {change: {kind: Node, path: spec.unschedulable, to: 'true'}}}]\n", seen("event:X"), CannotFire, "it cannot fire: one cannot be seen"},
	} {
		t.Run(name, func(t *testing.T) {
			s := spot(t, c.yaml, c.view)
			require.Equal(t, c.verdict, s.Verdict, "%+v", s)
			if c.says == "" {
				require.Empty(t, s.Says)
			} else {
				require.Contains(t, s.Says, c.says)
			}
		})
	}
}

func TestNothingIsClaimedBeforeItWasLookedForLongEnough(t *testing.T) {
	const one = "stages: [{name: one, when: {log: {component: etcd, contains: slow disk}}}]\n"
	v := seen("log:kubelet")
	v.Seen.Since = noon.Add(-Settle + time.Minute)
	require.Equal(t, NotTested, spot(t, one, v).Verdict)
	v.Seen.Since = noon.Add(-Settle)
	require.Equal(t, CannotFire, spot(t, one, v).Verdict)
	v.Seen.Full = []string{"log"}
	require.Equal(t, NotTested, spot(t, one, v).Verdict, "more names came than are kept")
	require.Equal(t, NotTested, spot(t, one, Given{Now: noon}).Verdict, "nobody says what he sees")
}

func TestGapsNameWhatHelpsMostFirst(t *testing.T) {
	set, problems := signatures.LoadFS(catalog.FS, signatures.Options{})
	require.Empty(t, signatures.Errors(problems))
	b := FindBlindSpots(set.All(), seen("event:BackOff", "change:Pod", "log:kubelet"))
	require.Len(t, b.Spots, set.Len())
	require.Equal(t, set.Len(), b.Counts["blind"]+b.Counts["partly"]+b.Counts["ready"]+b.Counts["unknown"])
	require.Positive(t, b.Counts["blind"])
	require.Positive(t, b.Counts["ready"])
	for i := 1; i < len(b.Gaps); i++ {
		require.GreaterOrEqual(t, len(b.Gaps[i-1].Signatures), len(b.Gaps[i].Signatures))
	}
	needs := map[string]Gap{}
	for _, g := range b.Gaps {
		needs[g.Need] = g
		require.NotEmpty(t, g.Mend)
	}
	require.Contains(t, needs["logs of etcd"].Signatures, "etcd-slow-disk")
	require.Equal(t, Missing, needs["metrics"].Sight)

	for _, x := range FindBlindSpots(set.All(), seen("event", "change", "alert", "log:")).Spots {
		if x.Signature == "etcd-slow-disk" {
			require.Equal(t, NotTested, x.Verdict, "etcd may be among those that do not say who they are")
			return
		}
	}
	require.Fail(t, "etcd-slow-disk is not judged")
}

func TestAViewIsOfAllProcessesThatRun(t *testing.T) {
	v := GivenOf(noon, []pipeline.Status{
		{Seen: &pipeline.Seen{Since: noon.Add(-time.Hour), Kinds: map[string]map[string]int64{"log": {"etcd": 1}}}, Inputs: []pipeline.Input{{Kinds: []string{"log", "event"}}}},
		{Seen: &pipeline.Seen{Since: noon.Add(-2 * time.Hour), Kinds: map[string]map[string]int64{"log": {"kubelet": 2}}}, Inputs: []pipeline.Input{{Kinds: []string{"sample"}, Ended: true}}},
		{Stopped: true, Seen: &pipeline.Seen{Kinds: map[string]map[string]int64{"alert": {"x": 1}}}},
		{}, // of a version that does not tell
	})
	require.Equal(t, 2, v.Processes)
	require.Equal(t, uint8(1<<record.Log|1<<record.Event), v.Kinds)
	require.Equal(t, map[string]map[string]int64{"log": {"etcd": 1, "kubelet": 2}}, v.Seen.Kinds)
	require.Equal(t, noon.Add(-time.Hour), v.Seen.Since)
}
