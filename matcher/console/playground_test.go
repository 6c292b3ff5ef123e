package console

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
)

const diskYAML = `id: disk-full
title: The disk fills up
severity: high
by: node
stages:
  - name: slow
    title: Writes are slow
    when: {log: {component: etcd, contains: apply request took too long}}
    count: 2
    within: 2m
  - name: late
    when: {log: {component: etcd, contains: heartbeat, regex: 'late by \d+ms'}}
    follows_within: 15m
incident: {when: {log: {component: etcd, contains: lost leader}}}
clear: {quiet: 30m}
`

const diskLog = `2026-03-01T10:00:00Z apply request took too long 1
2026-03-01T10:00:30Z apply request took too long 2
2026-03-01T10:01:00Z heartbeat late
2026-03-01T10:02:00Z something else
`

func try(t *testing.T, x Trial) *Outcome {
	t.Helper()
	out, err := Try(t.Context(), &x, Bounds{})
	require.NoError(t, err)
	_, err = json.Marshal(out)
	require.NoError(t, err)
	return out
}

func TestATrialTellsWhatWasMetAndWhatTheNearestLineLacks(t *testing.T) {
	out := try(t, Trial{YAML: diskYAML, Input: diskLog, Attrs: map[string]string{"node": "cp1"}})
	require.Empty(t, signatures.Errors(out.Problems))
	require.Equal(t, []string{"lines"}, out.Formats)
	require.Equal(t, 4, out.Records)
	require.Equal(t, 2, out.Hits)
	require.Equal(t, []int{1, 2, 3, 4}, []int{out.Shown[0].Line, out.Shown[1].Line, out.Shown[2].Line, out.Shown[3].Line})
	require.Equal(t, []RecordHit{{Signature: "disk-full", Key: "cp1", On: []string{"slow"}}}, out.Shown[0].Hits)

	require.Len(t, out.Revisions, 1)
	require.Equal(t, "forming", out.Revisions[0].State)
	require.Equal(t, "Writes are slow", out.Revisions[0].Text)
	require.Equal(t, "cp1", out.Warnings[0].KeyText)

	require.Len(t, out.Why, 3)
	require.Equal(t, "2 of 2 within 2m", out.Why[0].Best)
	late := out.Why[1]
	require.Equal(t, "late", late.Role)
	require.Zero(t, late.Met)
	require.Equal(t, "log.regex", late.Lacks[0].Path, "the line that lacks the expression alone comes nearest")
	require.Equal(t, 3, late.Lacks[0].Example)
	require.Equal(t, 1, late.Lacks[0].Records)
	require.Equal(t, []int{12, 63}, []int{late.Lacks[0].Line, late.Lacks[0].Column})

	require.Equal(t, "missing", missing(out.Progress))
}

func missing(all []matcher.Progress) string {
	for _, p := range all {
		for _, r := range p.Rungs {
			if r.Name == "late" && r.Missing != "" {
				return "missing"
			}
		}
	}
	return ""
}

func TestTimeGoesOnAfterTheLastRecord(t *testing.T) {
	out := try(t, Trial{YAML: diskYAML, Input: diskLog, After: signatures.Duration(time.Hour)})
	require.Equal(t, []string{"forming", "averted"}, []string{out.Revisions[0].State, out.Revisions[1].State})
	require.Equal(t, "averted", out.Signatures[0].State)
}

func TestProblemsOfTheYAMLHaveTheirPlace(t *testing.T) {
	out := try(t, Trial{YAML: strings.Replace(diskYAML, "contains: lost leader", "contain: lost leader", 1), Input: diskLog})
	require.NotEmpty(t, signatures.Errors(out.Problems))
	p := signatures.Errors(out.Problems)[0]
	require.Equal(t, 14, p.Line)
	require.Positive(t, p.Column)
	require.Contains(t, p.Snippet, "^")
	require.Empty(t, out.Signatures)
	require.Equal(t, 4, out.Records, "the input is read all the same")
}

func TestInputsOfAllSorts(t *testing.T) {
	event := `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Event","metadata":{"name":"a.1","namespace":"shop","uid":"u1"},
"involvedObject":{"kind":"Pod","name":"web-0","namespace":"shop"},"reason":"BackOff","message":"back-off","type":"Warning","count":1,
"firstTimestamp":"2026-03-01T10:00:00Z","lastTimestamp":"2026-03-01T10:00:00Z","source":{"component":"kubelet"}}]}`
	for name, c := range map[string]struct {
		input  string
		format string
		kinds  []string
		lines  []int
		faults []int
	}{
		"a list of events":  {event, "kubernetes json", []string{"event"}, []int{0}, nil},
		"records":           {`{"kind":"log","time":"2026-03-01T10:00:00Z","text":"x"}` + "\n" + `{"kind":"sample","time":"2026-03-01T10:00:01Z","value":2,"attrs":{"metric.name":"m"}}`, "forewarn records", []string{"log", "sample"}, []int{1, 2}, nil},
		"a list of records": {"[\n" + `{"kind":"log","time":"2026-03-01T10:00:00Z","text":"x"},` + "\n" + `{"time":"2026-03-01T10:00:01Z","kind":"log","text":"y"}]`, "forewarn records", []string{"log", "log"}, []int{2, 3}, nil},
		"records and faults": {
			`{"kind":"log","time":"2026-03-01T10:00:00Z","text":"x"}` + "\n" + `{"kind":"log","time":"yesterday"}` + "\n" + `{"kind":"log",` + "\n\n" + `{"kind":"log","time":"2026-03-01T10:00:01Z","text":"y"}`,
			"forewarn records",
			[]string{"log", "log"},
			[]int{1, 5},
			[]int{2, 3},
		},
		"several files": {
			"==> /var/log/pods/shop_web-0_u1/web/0.log <==\n2026-03-01T10:00:01Z b\n\n==> etcd.log <==\n2026-03-01T10:00:00Z a\n",
			"lines",
			[]string{"log", "log"},
			[]int{5, 2},
			nil,
		},
		"a scrape": {"# TYPE up gauge\nup{job=\"x\"} 1\n", "exposition", []string{"sample"}, []int{0}, nil},
		"nothing":  {"", "", nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			out := try(t, Trial{YAML: diskYAML, Input: c.input, Now: time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)})
			require.Equal(t, c.format, strings.Join(out.Formats, ","))
			var kinds []string
			var lines, faults []int
			for _, r := range out.Shown {
				kinds, lines = append(kinds, r.Kind), append(lines, r.Line)
			}
			for _, f := range out.Faults {
				faults = append(faults, f.Line)
			}
			require.Equal(t, c.kinds, kinds)
			require.Equal(t, c.lines, lines)
			require.Equal(t, c.faults, faults)
		})
	}
	out := try(t, Trial{YAML: diskYAML, Input: "==> /var/log/pods/shop_web-0_u1/web/0.log <==\n2026-03-01T10:00:01Z b\n"})
	require.Equal(t, "web-0", out.Shown[0].Attrs["k8s.pod.name"], "a file's name tells its pod")
}

func TestArmedSignaturesAreTriedAsWell(t *testing.T) {
	set, problems := signatures.LoadFS(catalog.FS, signatures.Options{})
	require.Empty(t, signatures.Errors(problems))
	etcd, _ := set.Get("etcd-slow-disk")
	e, err := ExampleOf(etcd, 0, time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	out := try(t, Trial{Armed: set.All(), Input: e.Input, After: e.After, Explain: 26})
	var states []string
	for _, r := range out.Revisions {
		if r.Signature == "etcd-slow-disk" {
			states = append(states, r.State)
		}
	}
	require.Equal(t, []string{"forming", "imminent", "incident", "resolved"}, states)
	require.NotEmpty(t, out.Shown[25].Misses, "what was asked about is told of armed signatures too")
	require.Empty(t, out.Shown[24].Misses)
	require.NotEmpty(t, out.Warnings[0].Remedies)
	require.Empty(t, out.Why, "the armed ones are many, and nobody asked")

	mine := try(t, Trial{YAML: strings.Replace(diskYAML, "disk-full", "etcd-slow-disk", 1), Armed: set.All(), Input: e.Input})
	n := 0
	for _, s := range mine.Signatures {
		if s.ID == "etcd-slow-disk" {
			n++
			require.False(t, s.Armed, "what is edited stands for what is armed")
		}
	}
	require.Equal(t, 1, n)
}

// Every example must do in the playground what its test says.
func TestExamplesOfTheWholeCatalogueRaiseWhatTheirTestsExpect(t *testing.T) {
	set, _ := signatures.LoadFS(catalog.FS, signatures.Options{})
	require.Greater(t, set.Len(), 50)
	for _, s := range set.All() {
		for i := range s.Tests {
			e, err := ExampleOf(s, i, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
			require.NoError(t, err)
			out := try(t, Trial{Armed: []*signatures.Signature{s}, Input: e.Input, After: e.After})
			require.Empty(t, out.Faults, s.ID)
			states := map[string]int{}
			was := map[string]string{}
			for _, r := range out.Revisions {
				if was[r.Key] != r.State {
					states[r.State]++
				}
				was[r.Key] = r.State
			}
			want := map[string]int{}
			for _, x := range s.Tests[i].Expect {
				want[x.State]++
			}
			require.Equal(t, want, states, "%s: %s", s.ID, e.Test)
		}
	}
}

func TestTheTestsOfWhatIsEditedAreRun(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "signatures", "catalog", "etcd-slow-disk.yaml"))
	require.NoError(t, err)
	out := try(t, Trial{YAML: string(text)})
	require.Len(t, out.Tests, 3)
	for _, x := range out.Tests {
		require.Empty(t, x.Failures)
		require.Positive(t, x.Line)
	}
	out = try(t, Trial{YAML: strings.Replace(string(text), "count: 20", "count: 30", 1)})
	require.NotEmpty(t, out.Tests[0].Failures)
}

func TestWhatIsTooLargeIsRefusedWithTheMend(t *testing.T) {
	for _, x := range []Trial{
		{YAML: strings.Repeat("x", 300<<10)}, {Input: strings.Repeat("x", 2<<20)}, {Armed: make([]*signatures.Signature, 501)},
	} {
		_, err := Try(t.Context(), &x, Bounds{})
		require.ErrorIs(t, err, ErrTrialTooLarge)
		require.Regexp(t, "use `forewarn scan|choose some", err.Error())
	}
	out := try(t, Trial{YAML: diskYAML, Input: strings.Repeat("2026-03-01T10:00:00Z apply request took too long\n", 20_020)})
	require.Equal(t, 20_000, out.Records)
	require.Contains(t, strings.Join(out.Notes, "\n"), "20 are not")
	require.LessOrEqual(t, len(out.Shown), 1000)
}

func TestATrialStopsWhenItsTimeIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out, err := Try(ctx, &Trial{YAML: diskYAML, Input: diskLog}, Bounds{})
	require.NoError(t, err)
	require.Contains(t, strings.Join(out.Notes, "\n"), "is not all")
}

func TestWrongAttributesAreNamed(t *testing.T) {
	out := try(t, Trial{YAML: diskYAML, Input: diskLog, Attrs: map[string]string{"nod": "x"}})
	require.Contains(t, out.Faults[0].Message, "nod")
	require.Contains(t, out.Faults[0].Message, "k8s.node.name")
}

func FuzzTry(f *testing.F) {
	f.Add(diskYAML, diskLog, int64(time.Hour))
	f.Add("", `{"kind":"log","time":1,"text":"x"}`, int64(-1))
	f.Add("id: a\nsignatures: [{}]", "==> a <==\n[{", int64(0))
	f.Add(strings.Replace(diskYAML, "by: node", "by: pod", 1), `{"apiVersion":"v1","kind":"List","items":[{"kind":"Event"}]}`, int64(1<<62))
	f.Fuzz(func(t *testing.T, yaml, input string, after int64) {
		x := Trial{YAML: yaml, Input: input, After: signatures.Duration(after), Explain: 1}
		bounds := Bounds{YAML: 4 << 10, Input: 16 << 10, Records: 100, Shown: 10, Time: time.Second}
		out, err := Try(t.Context(), &x, bounds)
		if err != nil {
			require.ErrorIs(t, err, ErrTrialTooLarge)
			return
		}
		b, err := json.Marshal(out)
		require.NoError(t, err)
		var back Outcome
		require.NoError(t, json.Unmarshal(b, &back))
		require.LessOrEqual(t, len(out.Shown), 21)
		for _, r := range out.Shown {
			require.LessOrEqual(t, r.Line, strings.Count(input, "\n")+1)
		}
	})
}
