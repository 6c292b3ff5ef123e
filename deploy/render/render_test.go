package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const deploy = ".."

func TestWhatIsKeptIsWhatTheChartRenders(t *testing.T) {
	for _, x := range examples() {
		want, err := render(deploy, x.values)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(deploy, x.out))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is old: run `make manifests`", x.out)
		}
	}
}

func TestTheChartIsSoundForHelm(t *testing.T) {
	for _, x := range examples() {
		values, err := common.ReadValuesFile(filepath.Join(deploy, x.values))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range lint.RunAll(filepath.Join(deploy, chart), values, "forewarn").Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %s", x.values, m)
			}
		}
	}
}

func TestValuesThatCannotBeAreRefused(t *testing.T) {
	for want, text := range map[string]string{
		"needs nats.url":     "matcher: {replicas: 2}",
		"matcherr":           "matcherr: {}",
		"'resourcs' not":     "matcher: {resourcs: {}}",
		"/matcher/replicas":  "matcher: {replicas: many}",
		"/image/pullPolicy":  "image: {pullPolicy: Sometimes}",
		"/nats/url":          "nats: {url: 'http://nats:4222'}",
		"/notify/0":          "notify: [{type: webhook}]",
		"/networkPolicy/api": "networkPolicy: {apiServerPorts: [https]}",
		"/routes/0":          "routes: [{match: [namespace=shop]}]",
		"/inhibit/0":         "inhibit: [{source: [node=a]}]",
		"/maintenance/0/to":  "maintenance: [{name: night, from: '22:00', to: two}]",
		"/sightings/share":   "sightings: {share: {url: 'http://nats'}}",
		"/console/url":       "console: {url: forewarn.example.org}",
		"/console/auth":      "console: {auth: {proxy: {header: X-User, trusted: [0.0.0.0/0]}}}",
		"proxy.trusted is":   "console: {auth: {proxy: {header: X-User}}}",
		"proxy.header is":    "console: {auth: {proxy: {trusted: [10.0.0.1]}}}",
		"needs console.url":  "console: {url: 'http://a.test', from: [{}], ingress: {enabled: true}}",
		"needs console.from": "console: {url: 'https://a.test', ingress: {enabled: true}}",
		"console.enabled":    "console: {enabled: false, url: 'https://a.test', from: [{}], ingress: {enabled: true}}",
	} {
		values, err := common.ReadValues([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, err = renderValues(deploy, values)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error about %q, got %v", text, want, err)
		}
	}
}

func TestEveryPartOfTheKustomizeTreeBuilds(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(deploy, "kustomize", "*", "kustomization.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		options := krusty.MakeDefaultOptions()
		m, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), filepath.Dir(f))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if least := map[string]int{"namespace": 1}[filepath.Base(filepath.Dir(f))]; m.Size() < max(least, 1) || least == 0 && m.Size() < 10 {
			t.Errorf("%s: only %d objects", f, m.Size())
		}
		for _, r := range m.Resources() {
			if r.GetKind() != "CustomResourceDefinition" && !strings.HasPrefix(r.GetKind(), "ClusterRole") && r.GetKind() != "Namespace" && r.GetNamespace() == "" {
				t.Errorf("%s: %s %s has no namespace", f, r.GetKind(), r.GetName())
			}
		}
	}
}

func TestServiceMonitorsAreWhatTheOperatorTakes(t *testing.T) {
	found := 0
	for _, x := range examples() {
		text, err := os.ReadFile(filepath.Join(deploy, x.out))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range strings.Split(string(text), "\n---\n") {
			if !strings.Contains(d, "kind: ServiceMonitor\n") {
				continue
			}
			found++
			var m monitoring.ServiceMonitor
			if err := yaml.UnmarshalStrict([]byte(d), &m); err != nil {
				t.Errorf("%s: %v", x.out, err)
			}
			if len(m.Spec.Endpoints) != 1 || m.Spec.Endpoints[0].Port != "http" || len(m.Spec.Selector.MatchLabels) == 0 {
				t.Errorf("%s: it selects nothing: %+v", x.out, m.Spec)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d ServiceMonitors", found)
	}
}

func TestPrometheusRulesAreWhatTheOperatorTakes(t *testing.T) {
	shipped, err := os.ReadFile(filepath.Join(deploy, "rules", "forewarn.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var want monitoring.PrometheusRuleSpec
	if err := yaml.UnmarshalStrict(shipped, &want); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, x := range examples() {
		text, err := os.ReadFile(filepath.Join(deploy, x.out))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range strings.Split(string(text), "\n---\n") {
			if !strings.Contains(d, "kind: PrometheusRule\n") {
				continue
			}
			found++
			var r monitoring.PrometheusRule
			if err := yaml.UnmarshalStrict([]byte(d), &r); err != nil {
				t.Errorf("%s: %v", x.out, err)
			}
			if !reflect.DeepEqual(r.Spec, want) {
				t.Errorf("%s: the rules are not those of deploy/rules", x.out)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d PrometheusRules", found)
	}
}

// renderText renders the chart with values, as one text for each object by its kind and name.
func renderText(t *testing.T, values string) map[string]string {
	t.Helper()
	given, err := common.ReadValues([]byte(values))
	if err != nil {
		t.Fatal(err)
	}
	text, err := renderValues(deploy, given)
	if err != nil {
		t.Fatalf("%s: %v", values, err)
	}
	all := map[string]string{}
	for _, d := range strings.Split("\n"+string(text), "\n---\n") {
		var o struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal([]byte(d), &o); err != nil {
			t.Fatal(err)
		}
		all[o.Kind+" "+o.Metadata.Name] = d
	}
	return all
}

func TestTheConsoleIsServedByOnePartAndClosed(t *testing.T) {
	for _, x := range []struct{ name, nats, part, workload string }{
		{"embedded", "", "matcher", "StatefulSet forewarn-matcher"},
		{"external", "nats: {url: 'nats://nats:4222'}\n", "console", "Deployment forewarn-console"},
	} {
		t.Run(x.name, func(t *testing.T) {
			all := renderText(t, x.nats)
			serving := 0
			for _, text := range all {
				if strings.Contains(text, "listen: 0.0.0.0:9465") {
					serving++
				}
			}
			if serving != 1 || !strings.Contains(all["ConfigMap forewarn-"+x.part], "listen: 0.0.0.0:9465") {
				t.Errorf("%d parts serve the console", serving)
			}
			if !strings.Contains(all["ConfigMap forewarn-"+x.part], "writable: false") || !strings.Contains(all["ConfigMap forewarn-"+x.part], "token_file: /etc/forewarn/console/token") {
				t.Error("it is open, or writable, by itself")
			}
			if !strings.Contains(all["Secret forewarn-console"], "token: ") {
				t.Error("there is no token to sign in with")
			}
			if !strings.Contains(all["Service forewarn-console"], "app.kubernetes.io/component: "+x.part+"\n    app") {
				t.Error("the Service leads elsewhere:", all["Service forewarn-console"])
			}
			for name, text := range all {
				if strings.HasPrefix(name, "NetworkPolicy") && strings.Contains(text, "port: console") || strings.HasPrefix(name, "Ingress") {
					t.Errorf("%s lets somebody in who was not named", name)
				}
			}
			all = renderText(t, x.nats+"console: {auth: {tokenSecret: mine}, from: [{podSelector: {}}]}")
			if _, made := all["Secret forewarn-console"]; made || !strings.Contains(all[x.workload], "name: mine") {
				t.Error("the Secret that was named is not what is mounted")
			}
			if p := all["NetworkPolicy forewarn-console"]; !strings.Contains(p, "component: "+x.part) || !strings.Contains(p, "port: console") {
				t.Errorf("who was named is not let in: %s", p)
			}
			for name := range renderText(t, x.nats+"console: {enabled: false}") {
				if strings.HasSuffix(name, "-console") {
					t.Errorf("%s is there without a console", name)
				}
			}
		})
	}
	external := renderText(t, "nats: {url: 'nats://nats:4222'}")
	if d := external["Deployment forewarn-console"]; !strings.Contains(d, "automountServiceAccountToken: false") || strings.Count(d, "path: /readyz\n            port: console") != 2 {
		t.Error("the console has a token of the cluster, or is asked elsewhere whether it is ready:", d)
	}
	if _, ok := external["PodDisruptionBudget forewarn-console"]; !ok {
		t.Error("a drain may take all consoles at once")
	}
	if _, ok := renderText(t, "nats: {url: 'nats://nats:4222'}\nconsole: {replicas: 1}")["PodDisruptionBudget forewarn-console"]; ok {
		t.Error("the budget of a single console blocks every drain")
	}
}

func TestWhatPeopleAreToldByGoesToThePartThatNotifies(t *testing.T) {
	values := "notify: [{name: a, type: json}]\nroutes: [{to: [a]}]\ninhibit: [{source: [x=1], target: [x=2]}]\nmaintenance: [{name: m, from: '1:00', to: '2:00'}]\nconsole: {url: 'https://a.test'}\n"
	for part, nats := range map[string]string{"matcher": "", "notifier": "nats: {url: 'nats://nats:4222'}\n"} {
		for name, text := range renderText(t, values+nats) {
			if !strings.HasPrefix(name, "ConfigMap") {
				continue
			}
			for _, section := range []string{"notify:", "routes:", "inhibit:", "maintenance:"} {
				if got, want := strings.Contains(text, "    "+section), name == "ConfigMap forewarn-"+part; got != want {
					t.Errorf("%s: %s %v, want %v", name, section, got, want)
				}
			}
			if name == "ConfigMap forewarn-"+part && !strings.Contains(text, "url: https://a.test") {
				t.Errorf("%s: messages have no links", name)
			}
		}
	}
}
