package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/signatures/prometheus"
)

// TestEverySignatureOfTheCatalogueHasRulesThatAreTested is what promtool is given by `make rules`.
func TestEverySignatureOfTheCatalogueHasRulesThatAreTested(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := cli(t, "rules", "generate", "--out", dir)
	require.Zero(t, a.code, a.err)
	require.Empty(t, a.out)
	require.Contains(t, a.err, "of 56 signatures")
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	require.NoError(t, err)
	require.Len(t, files, 56)
	native := map[string]string{}
	names := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		groups, problems := prometheus.Read(f, text)
		require.Empty(t, problems)
		var tests struct {
			RuleFiles []string `yaml:"rule_files"`
			Tests     []struct {
				Alerts []struct {
					Name     string     `yaml:"alertname"`
					Expected []struct{} `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		text, err = os.ReadFile(filepath.Join(dir, "tests", filepath.Base(f)))
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(text, &tests))
		require.Equal(t, []string{"../" + filepath.Base(f)}, tests.RuleFiles)
		fires, silent := map[string]bool{}, map[string]bool{}
		for _, x := range tests.Tests {
			for _, y := range x.Alerts {
				(map[bool]map[string]bool{true: fires, false: silent})[len(y.Expected) > 0][y.Name] = true
			}
		}
		for _, g := range groups {
			for _, r := range g.Rules {
				require.False(t, names[r.Alert], "%s stands twice", r.Alert)
				names[r.Alert] = true
				require.True(t, fires[r.Alert] && silent[r.Alert], "%s: a test must show it firing, and one silent", r.Alert)
				for _, note := range []string{"summary", "description", "impact", "remedy", "runbook_url"} {
					require.NotEmpty(t, r.Annotations[note], "%s: %s", r.Alert, note)
				}
				if r.Labels["source"] == "metrics" {
					native[r.Alert] = strings.Join(strings.Fields(r.Expr), " ")
				}
			}
		}
	}
	var list strings.Builder
	for _, name := range slices.Sorted(maps.Keys(native)) {
		list.WriteString(name + "\n  " + native[name] + "\n")
	}
	golden(t, "testdata/rules-metrics.txt", list.String())
}

// TestRulesForTheOperatorAreTheSame has both forms, and reads them back.
func TestRulesForTheOperatorAreTheSame(t *testing.T) {
	t.Parallel()
	ids := []string{"pvc-filling-up", "crash-loop"}
	plain := cli(t, append([]string{"rules", "generate"}, ids...)...)
	object := cli(t, append([]string{"rules", "generate", "--format", "prometheusrule", "--label", "release=prom", "--namespace", "monitoring", "--severity", "high=critical"}, ids...)...)
	require.Zero(t, plain.code, plain.err)
	require.Zero(t, object.code, object.err)
	for _, want := range []string{"apiVersion: monitoring.coreos.com/v1", "kind: PrometheusRule", "release: prom", "namespace: monitoring"} {
		require.Contains(t, object.out, want)
	}
	a, problems := prometheus.Read("a", []byte(plain.out))
	require.Empty(t, problems)
	b, problems := prometheus.Read("b", []byte(object.out))
	require.Empty(t, problems)
	require.Len(t, b, len(a))
	for i := range a {
		require.Equal(t, a[i].Name, b[i].Name)
		for j := range a[i].Rules {
			require.Equal(t, a[i].Rules[j].Expr, b[i].Rules[j].Expr)
			if a[i].Rules[j].Labels["severity"] == "high" {
				require.Equal(t, "critical", b[i].Rules[j].Labels["severity"])
			}
		}
	}
	only := cli(t, "rules", "generate", "--from", "metrics", "pvc-filling-up")
	require.NotContains(t, only.out, "forewarn_pipeline")
	require.Contains(t, only.out, "alert: PvcFillingUpFilling")
}

// TestImportedRulesAreSignaturesThatWork drafts, lints, tests and gives back.
func TestImportedRulesAreSignaturesThatWork(t *testing.T) {
	t.Parallel()
	rules := filepath.Join("..", "..", "signatures", "prometheus", "testdata", "import")
	sources := []string{filepath.Join(rules, "cluster.yaml"), filepath.Join(rules, "objects.yaml")}
	alerts := func(text string) (all []string) {
		groups, problems := prometheus.Read("x", []byte(text))
		for _, p := range problems {
			require.False(t, p.IsError(), p.Error())
		}
		for _, g := range groups {
			for _, r := range g.Rules {
				if r.Alert != "" {
					all = append(all, r.Alert+" "+r.Expr+" "+r.For.String()+" "+r.KeepFiringFor.String())
				}
			}
		}
		slices.Sort(all)
		return all
	}
	var want []string
	for _, f := range sources {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		want = append(want, alerts(string(text))...)
	}
	slices.Sort(want)
	for _, as := range []string{"stage", "incident"} {
		dir := filepath.Join(t.TempDir(), "drafts")
		a := cli(t, append([]string{"rules", "import", "--as", as, "--out", dir}, sources...)...)
		require.Zero(t, a.code, a.err)
		require.Contains(t, a.err, "10 signatures drafted")
		require.Contains(t, a.err, "1 recording rule left where they are")
		require.Contains(t, a.err, "warning: objects that hold no alerting rules are passed over: ServiceMonitor")
		a = cli(t, "signature", "lint", dir)
		require.Zero(t, a.code, a.out)
		a = cli(t, "signature", "test", dir)
		require.Zero(t, a.code, a.out)
		a = cli(t, "rules", "generate", "--from", "metrics", "--signatures", dir)
		require.Zero(t, a.code, a.err)
		require.Equal(t, want, alerts(a.out), "no alert is lost")

		a = cli(t, append([]string{"rules", "import", "--as", as, "--out", dir}, sources...)...)
		require.Equal(t, exitFailure, a.code)
		require.Contains(t, a.err, "say --force")
		a = cli(t, append([]string{"rules", "import", "--as", as, "--force", "--out", dir}, sources...)...)
		require.Zero(t, a.code, a.err)
	}

	piped, err := os.ReadFile(sources[1])
	require.NoError(t, err)
	a := cliIn(t, string(piped), "rules", "import", "-")
	require.Zero(t, a.code, a.err)
	golden(t, "testdata/rules-import.txt", a.out)
}

func TestOwnRulesCanBeImported(t *testing.T) {
	t.Parallel()
	made := cli(t, "rules", "generate", "crash-loop", "pvc-filling-up", "node-readonly-filesystem")
	a := cliIn(t, made.out, "rules", "import", "-")
	require.Zero(t, a.code, a.err)
	require.Contains(t, a.err, "signatures drafted")
}

func TestAlertingRulesUsedWrongly(t *testing.T) {
	t.Parallel()
	bad := file(t, "bad.yaml", "groups:\n  - name: a\n    rules:\n      - {alert: Down, expr: up == 0, for: soon}\n      - {alert: Slow, expr: 'lag > 5'}\n")
	a := cli(t, "rules", "import", bad)
	require.Equal(t, exitRefused, a.code)
	require.Contains(t, a.err, bad+":4:43: for is no duration")
	require.Contains(t, a.out, "id: slow", "the rest is drafted")
	a = cli(t, "rules", "import", file(t, "empty.yaml", ""))
	require.Equal(t, exitRefused, a.code)
	require.Contains(t, a.err, "the file is empty")
	a = cli(t, "rules", "import", "/nope/rules.yaml")
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.err, "read rules: open /nope/rules.yaml")
	a = cli(t, "rules", "generate", "-s", file(t, "s.yaml", "id: x\n"))
	require.Equal(t, exitRefused, a.code)
	require.Contains(t, a.err, "no signature is left to make rules of")
	a = cli(t, "rules", "generate", "--out", file(t, "taken", ""), "crash-loop")
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.err, "write rules")
}
