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
