package prometheus

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/signatures"
)

// parse reads one signature of the words that a test is about.
func parse(t *testing.T, text string) *signatures.Signature {
	t.Helper()
	all, problems := signatures.Parse("test.yaml", []byte("id: some-thing\ntitle: Something breaks\nseverity: high\n"+text))
	require.Empty(t, signatures.Errors(problems))
	require.Len(t, all, 1)
	return all[0]
}

// squeeze is an expression on one line.
func squeeze(s string) string {
	return regexp.MustCompile(`\s+`).ReplaceAllString(s, " ")
}

func TestConditionsOnMetricsBecomePromQL(t *testing.T) {
	for _, c := range []struct{ name, when, expr, wait string }{
		{"above", `{metric: m, above: 1.5}`, `m > 1.5`, "0s"},
		{"below, for a time", `{metric: m, below: 1, for: 10m}`, `m < 1`, "10m"},
		{"between", `{metric: m, above: 1, below: 2}`, `m > 1 < 2`, "0s"},
		{"any sample", `{metric: m}`, `m`, "0s"},
		{"rate", `{metric: m_total, rate: 5m, above: 0}`, `rate(m_total[5m]) > 0`, "0s"},
		{"share: a limit of 0 is none", `{metric: m, of: {metric: l}, above: 0.8}`, `(m / (l > 0)) > 0.8`, "0s"},
		{"labels", `{metric: m, labels: {a: x, b: [x.y, z], c: {prefix: p}, d: {regex: "x|"}, e: {not: q}, f: {contains: "+"}, g: {equals: [U], ignore_case: true}}, above: 1}`, `m{a="x",b=~"(?:x\\.y|z)",c=~"(?:p).*",d=~"x|",d!="",e!="q",f=~".*(?:\\+).*",g=~"(?i)(?:U)"} > 1`, "0s"},
		{"quotes in labels", `{metric: m, labels: {a: "x\"\\y"}, above: 1}`, `m{a="x\"\\y"} > 1`, "0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := parse(t, "by: cluster\nstages: [{name: a, when: {sample: "+c.when+"}}]\nclear: {quiet: 1h}\n")
			rungs, notes := native(s)
			require.Empty(t, notes)
			require.Len(t, rungs, 1)
			require.Equal(t, c.expr, rungs[0].query.text(0))
			require.Equal(t, "imminent", rungs[0].state)
			require.Equal(t, c.wait, model.Duration(rungs[0].wait).String())
			require.Empty(t, unbalanced(rungs[0].query.text(0)))
		})
	}
}

func TestAForecastLooksAtBothHalvesOfThePast(t *testing.T) {
	s := parse(t, "by: cluster\nstages: [{name: a, when: {sample: {metric: m, forecast: {reaches: 9, within: 2h, over: 1h}}}}]\nclear: {quiet: 1h}\n")
	rungs, _ := native(s)
	require.Equal(t, `m < 9 and predict_linear(m[1h], 7200) >= 9 and deriv(m[30m]) > 0 and deriv(m[30m] offset 30m) > 0`, squeeze(onSide(rungs[0].query, 0).text(0)))
	require.Equal(t, `m > 9 and predict_linear(m[1h], 7200) <= 9 and deriv(m[30m]) < 0 and deriv(m[30m] offset 30m) < 0`, squeeze(onSide(rungs[0].query, 1).text(0)))

	fires := func(value func(minute int) float64) bool {
		q := sequence{labels: labels{"__name__": "m"}, values: make([]float64, 180)}
		for i := range q.values {
			q.values[i] = value(i)
		}
		r := generated{query: rungs[0].query}
		for _, now := range r.fire(&store{series: []sequence{q}}, 179*minute) {
			if len(now) > 0 {
				return true
			}
		}
		return false
	}
	require.True(t, fires(func(i int) float64 { return 0.04 * float64(i) }), "it grows steadily")
	require.True(t, fires(func(i int) float64 { return 20 - 0.05*float64(i) }), "it falls steadily")
	require.False(t, fires(func(int) float64 { return 8 }), "it stands still below")
	require.False(t, fires(func(i int) float64 { return map[bool]float64{false: 1, true: 6}[i > 90] }), "a single step")
	require.False(t, fires(func(i int) float64 { return 3 + math.Mod(float64(i)/20, 1) }), "a saw-tooth that goes nowhere")
	require.False(t, fires(func(i int) float64 { return 8 - 0.04*float64(i) }), "it goes away from the limit")
}

func TestALadderIsJoinedByItsKey(t *testing.T) {
	s := parse(t, `by: pod
stages:
  - {name: high, when: {sample: {metric: m, above: 5, for: 30m}}}
  - {name: errors, when: {sample: {metric: e, rate: 5m, above: 1}}, follows_within: 2h}
incident: {when: {sample: {metric: m, labels: {namespace: shop}, above: 9}}}
clear: {quiet: 1h}
`)
	rungs, notes := native(s)
	require.Empty(t, notes)
	require.Len(t, rungs, 3)
	require.Equal(t, []string{"forming", "imminent", "incident"}, []string{rungs[0].state, rungs[1].state, rungs[2].state})
	require.Equal(t, `rate(e{namespace!="",pod!=""}[5m]) > 1 and on (cluster, namespace, pod) `+
		`max_over_time(( min_over_time(m{namespace!="",pod!=""}[30m]) > 5 and m{namespace!="",pod!=""} offset 30m > 5 )[1h:5m])`,
		squeeze(rungs[1].query.text(0)), "the stage before was held within the time after which the warning would have ended")
	require.Equal(t, `m{namespace="shop"} > 9`, rungs[2].query.text(0))

	x := guarded(selector{"m", []labelMatcher{{"container", "=~", ".+"}, {"pod", "!=", "x"}}}, []string{"namespace", "pod", "container"})
	require.Equal(t, `m{container=~".+",pod!="x",namespace!="",pod!=""}`, x.text(0), "a label that may be absent is asked to be there")
}

func TestWhatHasNoFaithfulPromQLSaysWhy(t *testing.T) {
	const metric = "{sample: {metric: m, above: 1}}"
	for why, text := range map[string]string{
		"it is a log line, which PromQL does not see":               "by: pod\nstages: [{name: a, when: {log: {contains: some text}}}]\nclear: {quiet: 1h}\n",
		"it counts records":                                         "by: pod\nstages: [{name: a, when: " + metric + ", count: 3, within: 5m}]\nclear: {quiet: 1h}\n",
		"it counts different values":                                "by: node\nstages: [{name: a, when: " + metric + ", distinct: {of: pod, count: 3}, within: 5m}]\nclear: {quiet: 1h}\n",
		"it holds unless something else is seen":                    "by: pod\nstages: [{name: a, when: " + metric + "}]\nunless: [{when: {log: {contains: some text}}, window: 1m}]\nclear: {quiet: 1h}\n",
		"it applies to some clusters only":                          "by: pod\napplies: {kubernetes: '>=1.30'}\nstages: [{name: a, when: " + metric + "}]\nclear: {quiet: 1h}\n",
		"an expression in CEL":                                      "by: pod\nstages: [{name: a, when: {sample: {metric: m, above: 1}, cel: 'value < 7.0'}}]\nclear: {quiet: 1h}\n",
		"it looks at attributes":                                    "by: pod\nstages: [{name: a, when: {sample: {metric: m, above: 1}, attrs: {host.name: x}}}]\nclear: {quiet: 1h}\n",
		"Prometheus may know the metric process.memory by another":  "by: pod\nstages: [{name: a, when: {sample: {metric: process.memory, above: 1}}}]\nclear: {quiet: 1h}\n",
		"which has no PromQL":                                       "by: pod\nstages: [{name: a, when: {log: {contains: some text}}}, {name: b, when: " + metric + "}]\nclear: {quiet: 1h}\n",
		"people are told from stage b on":                           "by: pod\ntell: b\nstages: [{name: a, when: " + metric + "}, {name: b, when: " + metric + "}]\nclear: {quiet: 1h}\n",
		"its stages belong together by workload, which is no label": "by: workload\nstages: [{name: a, when: " + metric + "}, {name: b, when: " + metric + "}]\nclear: {quiet: 1h}\n",
	} {
		_, notes := native(parse(t, text))
		require.Contains(t, strings.Join(notes, "\n"), why, text)
	}
}

func TestARuleThatTheTestsRefuteIsLeftOut(t *testing.T) {
	s := parse(t, `by: pod
stages: [{name: a, when: {sample: {metric: m, above: 1}}}]
clear: {quiet: 1h}
tests:
  - name: it rises
    records: [{at: 0s, repeat: 3, every: 1m, attrs: {namespace: n, pod: p}, sample: {metric: m, value: 2}}]
    expect: [{state: imminent}]
`)
	told := []Step{{At: 0, Key: "1", State: "imminent", Stage: "a"}}
	steps := func(*signatures.Signature, *signatures.Test) ([]Step, error) { return told, nil }
	set, _ := signatures.NewSet([]*signatures.Signature{s})
	made, err := Options{Steps: steps, Metrics: true}.Generate(set)
	require.NoError(t, err)
	require.Len(t, made.File().Groups, 1)
	require.Empty(t, made.Notes)

	told = nil
	made, err = Options{Steps: steps, Metrics: true}.Generate(set)
	require.NoError(t, err)
	require.Empty(t, made.File().Groups)
	require.Equal(t, []Note{{"some-thing", `a: it would fire in the test "it rises", in which the signature does not get there`}}, made.Notes)

	s.Tests = nil
	made, err = Options{Steps: steps, Metrics: true}.Generate(set)
	require.NoError(t, err)
	require.Equal(t, []Note{{"some-thing", "a: no test of the signature has samples that show it"}}, made.Notes)
}

// TestTextsAreNoTemplates has braces where people write them.
func TestTextsAreNoTemplates(t *testing.T) {
	s := parse(t, `impact: 'Helm says {{ .Values.x }} and {{"'
cause: '{{ template "x" }}'
by: pod
stages: [{name: a, title: 'It is {{ gone', when: {sample: {metric: m, above: 1}}}]
clear: {quiet: 1h}
remedies: [{do: 'Read {{ $labels.pod }}', risk: look, command: "kubectl -n {{ .namespace }} get pod {{ .pod }} -l app={{ .workload }}"}]
references: ['https://example.com/a', 'https://example.com/runbooks/{{x}}']
tests:
  - {name: fires, records: [{at: 0s, attrs: {namespace: shop, pod: web-1}, sample: {metric: m, value: 2}}], expect: [{state: imminent}]}
`)
	steps := func(*signatures.Signature, *signatures.Test) ([]Step, error) {
		return []Step{{At: 0, Key: "1", State: "imminent", Stage: "a"}}, nil
	}
	set, _ := signatures.NewSet([]*signatures.Signature{s})
	made, err := Options{Steps: steps}.Generate(set)
	require.NoError(t, err)
	l := labels{"namespace": "shop", "pod": "web-1"}
	want := map[string]string{
		"impact": `Helm says {{ .Values.x }} and {{"`, "cause": `{{ template "x" }}`, "remedy": "Read {{ $labels.pod }} (risk: look)", "runbook_url": "https://example.com/runbooks/{{x}}",
		"summary": "Something breaks (shop/web-1)", "description": "It is {{ gone.",
	}
	rules := made.File().Groups[0].Rules
	require.Len(t, rules, 2)
	for name, text := range want {
		got, err := expand(rules[1].Annotations[name], l, 1)
		require.NoError(t, err, name)
		require.Equal(t, text, got)
	}
	got, err := expand(rules[1].Annotations["command"], l, 1)
	require.NoError(t, err)
	require.Equal(t, "kubectl -n shop get pod web-1 -l app=<workload>", got)
	got, err = expand(rules[0].Annotations["command"], labels{}, 1)
	require.NoError(t, err)
	require.Equal(t, "kubectl -n <namespace> get pod <pod> -l app=<workload>", got)
	require.NotEmpty(t, made.Parts[0].Tests[0].Alerts[0].Expected)
}

func TestSeriesHoldUntilTheNextSampleOrAGap(t *testing.T) {
	s := parse(t, `by: pod
stages: [{name: a, when: {sample: {metric: m, of: {metric: l}, above: 1}}}]
clear: {quiet: 1h}
tests:
  - name: x
    records:
      - {at: 0s, attrs: {namespace: n, pod: p}, sample: {metric: l, value: 9}}
      - {at: 30s, repeat: 2, every: 4m, attrs: {namespace: n, pod: p}, sample: {metric: m, value: 1, step: 1}}
      - {at: 20m, attrs: {namespace: n, pod: p}, sample: {metric: m, value: 3}}
    until: 25m
    expect: []
`)
	got, end, err := measure(&s.Tests[0], []selector{{metric: "m"}, {metric: "l"}}, []string{"l"}, 0)
	require.NoError(t, err)
	require.Equal(t, 25*time.Minute, end)
	require.Equal(t, []inputSeries{{`l{namespace="n",pod="p"}`, "9x25"}, {`m{namespace="n",pod="p"}`, "_x1 1x3 2 _x14 3 _"}}, series(got))
}
