package rbac

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/kube"
)

var update = flag.Bool("update", false, "rewrite the rules of the chart")

func TestTheRulesOfTheChartAreThoseThatTheCodeDeclares(t *testing.T) {
	grants, err := Grants()
	require.NoError(t, err)
	const chart = "../helm/forewarn"
	known := map[string]bool{}
	for _, g := range grants {
		got, err := g.YAML()
		require.NoError(t, err)
		file := filepath.Join(chart, g.File())
		known[file] = true
		if *update {
			require.NoError(t, os.WriteFile(file, got, 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err, "run go generate ./deploy/rbac")
		require.Equal(t, string(want), string(got), "run go generate ./deploy/rbac")
	}
	files, err := filepath.Glob(filepath.Join(chart, "files", "rbac", "*"))
	require.NoError(t, err)
	for _, f := range files {
		require.True(t, known[f], "%s: nothing declares it", f)
	}
}

func TestNobodyMayDoEverythingOrReadSecretsOrWriteWhatIsNotForewarns(t *testing.T) {
	grants, err := Grants()
	require.NoError(t, err)
	require.NotEmpty(t, grants)
	own := map[string]bool{"forewarn.dev signatures/status patch": true, "forewarn.dev clustersignatures/status patch": true}
	own["events.k8s.io events create"], own["events.k8s.io events patch"] = true, true // notifiers of type kubernetes
	for _, verb := range []string{"create", "update"} {
		own["coordination.k8s.io leases "+verb] = true
	}
	for _, g := range grants {
		for _, r := range split(g.Needs) {
			for _, verb := range r.Verbs {
				if len(r.NonResourceURLs) > 0 {
					require.Equal(t, "get", verb)
					continue
				}
				what := r.APIGroups[0] + " " + r.Resources[0] + " " + verb
				require.NotContains(t, what, "*", g.Name)
				require.NotContains(t, what, "secrets", g.Name)
				if verb != "get" && verb != "list" && verb != "watch" {
					require.True(t, own[what], "%s: %s", g.Name, what)
				}
			}
		}
	}
}

func TestNeedsThatOverlapAreJoined(t *testing.T) {
	g := Grant{"x", "cluster", kube.Needs{
		{APIGroups: []string{""}, Resources: []string{"pods", "nodes"}, Verbs: []string{"watch", "list"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"list", "watch"}},
		{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}},
	}}
	text, err := g.YAML()
	require.NoError(t, err)
	require.Equal(t, `# Made of what the code declares by `+"`go generate ./deploy/rbac`"+`.
- nonResourceURLs: [/metrics]
  verbs: [get]
- apiGroups: [""]
  resources: [events, nodes]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
`, string(text))
	require.Len(t, split(kube.Needs{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}, g.Needs[1]}), 1)
}
