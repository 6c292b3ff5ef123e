package prometheus

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/signatures"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestEveryMistakeIsToldWithItsPlace(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.Greater(t, len(files), 4)
	for _, f := range files {
		src, err := os.ReadFile(f)
		require.NoError(t, err)
		groups, problems := Read(f, src)
		require.NotEmpty(t, signatures.Errors(problems), f)
		var b strings.Builder
		for _, p := range problems {
			require.Positive(t, p.Line, "%s: %s", f, p.Message)
			b.WriteString(p.Error() + "\n")
		}
		for _, g := range groups {
			for _, r := range g.Rules {
				fmt.Fprintf(&b, "read: %s %s\n", g.Name, r.Alert)
			}
		}
		golden := strings.TrimSuffix(f, ".yaml") + ".err"
		if *update {
			require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o600))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err, "run the test with -update")
		require.Equal(t, string(want), b.String())
	}
}

func TestRulesAreReadFromAllForms(t *testing.T) {
	var names []string
	for _, f := range []string{"cluster.yaml", "objects.yaml"} {
		src, err := os.ReadFile(filepath.Join("testdata/import", f))
		require.NoError(t, err)
		groups, problems := Read(f, src)
		require.Empty(t, signatures.Errors(problems))
		for _, g := range groups {
			for _, r := range g.Rules {
				names = append(names, g.Name+" "+r.Record+r.Alert)
			}
		}
	}
	require.Equal(t, []string{
		"cluster-apps namespace:restarts:rate5m", "cluster-apps PodRestartsOften", "cluster-apps VolumeNearlyFull", "cluster-apps VolumeNearlyFull",
		"cluster-apps QuotaExceededSoon", "cluster-nodes NodeNotReady", "cluster-nodes NodeClockOff", "cluster-nodes KubeAPIDown", "cluster-nodes Watchdog",
		"queue QueueBacklog", "queue QueueMemory",
	}, names)
}

// random makes files of rules such as people and tools write.
type random struct{ *rand.Rand }

func (r random) one(words ...string) string { return words[r.IntN(len(words))] }

func (r random) text() string {
	var parts []string
	for range 1 + r.IntN(5) {
		parts = append(parts, r.one("the pod", "{{ $labels.pod }}", `{{ printf "%.2f" $value }}`, "is down:", "yes", "- ", "#1", "'quoted'", `"so"`, "müde", "\n", "\t", "%", "{", "\\", "true", "~", "5"))
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}

func (r random) duration() model.Duration {
	return model.Duration([]time.Duration{0, 0, time.Second, 90 * time.Second, 5 * time.Minute, 36 * time.Hour, 14 * 24 * time.Hour, 1500 * time.Millisecond}[r.IntN(8)])
}

func (r random) words(names ...string) map[string]string {
	out := map[string]string{}
	for _, n := range names {
		if r.IntN(2) == 0 {
			out[n] = r.text()
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (r random) file() *File {
	f := &File{}
	for g := range r.IntN(4) {
		x := Group{Name: fmt.Sprintf("group %d: %s", g, r.text()), Interval: r.duration(), Limit: r.IntN(2), Labels: r.words("team", "severity")}
		for range r.IntN(6) {
			y := Rule{
				Alert: r.one("Down", "Slow", "KubeAPIDown", "a b", "müde", "x:y", "Alert_1"), For: r.duration(), KeepFiringFor: r.duration(),
				Expr:   r.one("up == 0", "node_load1 > 4", "a{b=\"c\",d!~'e|f'} < -1.5e3", "sum by (pod, namespace) (\n  rate(x[5m])\n) > 0", "absent(up)", `0.5 > up{job=~".+"}`, "up # always"),
				Labels: r.words("severity", "team", "pod"), Annotations: r.words("summary", "description", "runbook_url", "message"),
			}
			if r.IntN(2) == 0 {
				y.Labels = map[string]string{"severity": r.one("critical", "warning", "info", "page")}
			}
			if r.IntN(8) == 0 {
				y = Rule{Record: "a:b", Expr: "sum(x)", Labels: r.words("team")}
			}
			x.Rules = append(x.Rules, y)
		}
		f.Groups = append(f.Groups, x)
	}
	return f
}

// alerts are what must not be lost, in words.
func alerts(groups []Group) []string {
	out := []string{}
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				out = append(out, fmt.Sprintf("%q %q %s %s %q %q", r.Alert, r.Expr, r.For, r.KeepFiringFor, merged(g.Labels, r.Labels), r.Annotations))
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestImportAndExportLoseNoAlert writes random rules in each form, reads them, drafts signatures, writes and reads those, and generates rules again: they
// are the same alerts, word for word.
func TestImportAndExportLoseNoAlert(t *testing.T) {
	for seed := range uint64(400) {
		r := random{rand.New(rand.NewPCG(seed, 1))}
		f := r.file()
		text, err := f.YAML()
		require.NoError(t, err)
		if seed%2 == 0 && len(f.Groups) > 0 {
			text, err = f.Objects(Object{Name: "rules"})
			require.NoError(t, err)
		}
		groups, problems := Read("rules.yaml", text)
		require.Empty(t, problems, "%s", text)
		for i := range groups { // where it was read is no part of it
			for j := range groups[i].Rules {
				groups[i].Rules[j].place = place{}
			}
		}
		if len(f.Groups) > 0 {
			require.Equal(t, f.Groups, groups, "seed %d\n%s", seed, text)
		}

		drafts := Draft(groups, seed%3 == 0)
		var all []*signatures.Signature
		for _, s := range drafts.Signatures {
			text, err := DraftYAML(s)
			require.NoError(t, err)
			read, problems := signatures.Parse(s.ID+".yaml", text)
			require.Empty(t, signatures.Errors(problems), "%s", text)
			require.Len(t, read, 1)
			require.Equal(t, s.Digest(), read[0].Digest(), "%s", text)
			all = append(all, read...)
		}
		set, problems := signatures.NewSet(all)
		require.Empty(t, signatures.Errors(problems), "ids are unique")
		made, err := Options{Steps: nothingTold, Metrics: true}.Generate(set)
		require.NoError(t, err)
		require.Equal(t, alerts(groups), alerts(made.File().Groups), "seed %d", seed)
		text, err = made.File().YAML()
		require.NoError(t, err)
		again, problems := Read("again.yaml", text)
		if len(all) > 0 {
			require.Empty(t, problems)
		}
		require.Equal(t, alerts(groups), alerts(again), "seed %d", seed)
	}
}

func nothingTold(*signatures.Signature, *signatures.Test) ([]Step, error) { return nil, nil }

func TestAThresholdIsTranslatedOnlyWhereItSaysTheSame(t *testing.T) {
	for expr, want := range map[string]string{
		"up > 0":                              "up above 0",
		"(up) < 0.5":                          "up below 0.5",
		"((up{}) > 1)":                        "up above 1",
		"0.9 < node_load1":                    "node_load1 above 0.9",
		"4e2 > node_load1 # busy":             "node_load1 below 400",
		`a{b="c", d!="e",} > -1.5`:            "a{b=c d!=e} above -1.5",
		`a{b=~"x|y"} > 1`:                     "a{b~(?s:x|y)} above 1",
		`a{b!=""} > 1`:                        "a{b~(?s:.+)} above 1",
		"a{b='it\\'s \"x\"'} > 1":             `a{b=it's "x"} above 1`,
		"a{b=`\\d`} > 1":                      `a{b=\d} above 1`,
		"up == 0":                             "",
		"up >= 1":                             "", // there is no such condition
		"up > bool 1":                         "",
		"up > 1 < 2":                          "",
		"up > 1 and down":                     "",
		"up":                                  "",
		"up > other":                          "",
		"up offset 5m > 1":                    "",
		"up[5m] > 1":                          "",
		"-up > 1":                             "",
		"rate(x[5m]) > 1":                     "", // Prometheus extrapolates
		"sum(x) > 1":                          "",
		"a / b > 1":                           "",
		"a > 2 * 3":                           "",
		"a > Inf":                             "",
		"a > 5m":                              "",
		"namespace:x:rate5m > 1":              "", // only Prometheus has it
		`{__name__="up"} > 1`:                 "",
		`up{__name__="x"} > 1`:                "",
		`a{b=""} > 1`:                         "", // a label that is absent
		`a{b=~".*"} > 1`:                      "",
		`a{b!~"x"} > 1`:                       "",
		`a{b="c",b="d"} > 1`:                  "",
		`a{b="c} > 1`:                         "",
		"vector(1) > 0":                       "",
		"a > on (b) group_left c":             "",
		"label_replace(a, \"b\", \"\") > 1":   "",
		"predict_linear(a[6h], 4 * 3600) < 0": "",
	} {
		c, ok := threshold(expr)
		got := ""
		if ok {
			got = c.Metric
			var parts []string
			for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
				m := c.Labels[name]
				parts = append(parts, name+map[bool]string{true: "=" + strings.Join(m.Equals, "|")}[len(m.Equals) > 0]+map[bool]string{true: "!=" + strings.Join(m.Not, "|")}[len(m.Not) > 0]+map[bool]string{true: "~" + m.Regex}[m.Regex != ""])
			}
			if len(parts) > 0 {
				got += "{" + strings.Join(parts, " ") + "}"
			}
			if c.Above != nil {
				got += fmt.Sprintf(" above %v", *c.Above)
			}
			if c.Below != nil {
				got += fmt.Sprintf(" below %v", *c.Below)
			}
		}
		require.Equal(t, want, got, expr)
	}
}

func TestSlugs(t *testing.T) {
	for name, want := range map[string]string{
		"KubeAPIDown": "kube-api-down", "etcdNoLeader": "etcd-no-leader", "Node_CPU High": "node-cpu-high", "HTTP2Errors": "http2-errors", "müde": "m-de", "___": "", "A": "a",
	} {
		require.Equal(t, want, slug(name), name)
	}
}

func FuzzRead(f *testing.F) {
	for _, pattern := range []string{"testdata/import/*.yaml", "testdata/bad/*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, name := range files {
			src, err := os.ReadFile(name)
			require.NoError(f, err)
			f.Add(src)
		}
	}
	f.Add([]byte("groups: [{name: a, rules: [{alert: b, expr: 'c > 1', for: 1d}]}]"))
	f.Fuzz(func(t *testing.T, src []byte) {
		groups, problems := Read("fuzz.yaml", src)
		for _, p := range problems {
			require.NotEmpty(t, p.Error())
			require.Positive(t, p.Line)
		}
		for _, incident := range []bool{false, true} {
			drafts := Draft(groups, incident)
			require.Len(t, drafts.Signatures, len(alerts(groups)), "no alert is lost")
			for _, s := range drafts.Signatures {
				text, err := DraftYAML(s)
				require.NoError(t, err)
				_, problems := signatures.Parse("draft.yaml", text)
				require.Empty(t, signatures.Errors(problems), "%s", text)
			}
		}
	})
}
