// Command render makes what is made of the Helm chart: the manifests of the kustomize bases, and an example with everything switched on, which
// the end-to-end tests apply. It is a module of its own, so that Helm stays out of forewarn's dependencies.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

// example is one rendering of the chart that is kept.
type example struct {
	values string // a file of values
	out    string
}

// The paths are those of the folder deploy.
const chart = "helm/forewarn"

func examples() []example {
	return []example{
		{"helm/cases/embedded.yaml", "kustomize/embedded/forewarn.yaml"},
		{"helm/cases/external.yaml", "kustomize/external/forewarn.yaml"},
		{"helm/cases/full.yaml", "helm/cases/full.rendered.yaml"},
		{"helm/cases/full-external.yaml", "helm/cases/full-external.rendered.yaml"},
	}
}

func main() {
	dir := flag.String("deploy", "..", "the folder deploy")
	flag.Parse()
	for _, x := range examples() {
		text, err := render(*dir, x.values)
		if err == nil {
			err = os.WriteFile(filepath.Join(*dir, x.out), text, 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "render: "+err.Error())
			os.Exit(1)
		}
	}
}

// render renders the chart as `helm template forewarn -n forewarn` does, with a file of values.
func render(dir, values string) ([]byte, error) {
	given, err := common.ReadValuesFile(filepath.Join(dir, values))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", values, err)
	}
	text, err := renderValues(dir, given)
	if err != nil {
		return nil, fmt.Errorf("render with %s: %w", values, err)
	}
	return append([]byte("# Made of the Helm chart with deploy/"+values+" by `make manifests`: change those.\n"), text...), nil
}

func renderValues(dir string, given common.Values) ([]byte, error) {
	c, err := loader.Load(filepath.Join(dir, chart))
	if err != nil {
		return nil, err
	}
	all, err := util.ToRenderValues(c, given, common.ReleaseOptions{Name: "forewarn", Namespace: "forewarn", IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Engine{Strict: true}.Render(c, all)
	if err != nil {
		return nil, err
	}
	return documents(files)
}

// order is that in which manifests are applied: what others name comes first.
var order = []string{
	"NetworkPolicy", "PodDisruptionBudget", "ServiceAccount", "Secret", "ConfigMap", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding",
	"Service", "Ingress", "DaemonSet", "Deployment", "StatefulSet", "ServiceMonitor", "PrometheusRule",
}

type document struct {
	rank       int
	kind, name string
	text       string
}

// documents joins the YAML documents of all files in a fixed order, each as the API server would show it: with sorted keys.
func documents(files map[string]string) ([]byte, error) {
	var all []document
	for name, content := range files {
		if filepath.Ext(name) != ".yaml" {
			continue
		}
		for _, text := range strings.Split("\n"+content, "\n---") {
			var object struct {
				Kind     string
				Metadata struct{ Name string }
			}
			if err := yaml.Unmarshal([]byte(text), &object); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if object.Kind == "" {
				continue
			}
			var tree map[string]any
			if err := yaml.UnmarshalStrict([]byte(text), &tree); err != nil { // a key that stands twice is an error
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if meta, ok := tree["metadata"].(map[string]any); ok {
				if labels, ok := meta["labels"].(map[string]any); ok { // Helm does not manage what is kept here
					delete(labels, "app.kubernetes.io/managed-by")
					delete(labels, "helm.sh/chart")
				}
			}
			plain, err := yaml.Marshal(tree)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			rank := slices.Index(order, object.Kind)
			if rank < 0 {
				return nil, fmt.Errorf("%s: the kind %s has no place in the order", name, object.Kind)
			}
			all = append(all, document{rank, object.Kind, object.Metadata.Name, string(plain)})
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the chart renders nothing")
	}
	slices.SortFunc(all, func(a, b document) int {
		if a.rank != b.rank {
			return a.rank - b.rank
		}
		return strings.Compare(a.name, b.name)
	})
	var out []byte
	for _, d := range all {
		out = append(out, "---\n"+d.text...)
	}
	return out, nil
}
