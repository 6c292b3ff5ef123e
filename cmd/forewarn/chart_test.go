package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/forewarn/forewarn/matcher/notify"
)

// rendered are the manifests that are kept of the chart, under deploy.
func rendered() []string {
	return []string{"kustomize/embedded/forewarn.yaml", "kustomize/external/forewarn.yaml", "helm/cases/full.rendered.yaml", "helm/cases/full-external.rendered.yaml"}
}

// manifest is what these tests look at in one object.
type manifest struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Template struct {
			Spec struct {
				Containers []struct {
					Args         []string
					VolumeMounts []struct {
						Name      string
						MountPath string `yaml:"mountPath"`
					} `yaml:"volumeMounts"`
				}
				Volumes []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
					Projected struct {
						Sources []struct {
							Secret struct {
								Name  string
								Items []struct{ Path string }
							}
						}
					}
				}
			}
		}
	}
}

// manifests reads all objects of a file.
func manifests(t *testing.T, path string) (all []manifest) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", path))
	require.NoError(t, err)
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o manifest
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err, path)
		all = append(all, o)
	}
}

func TestTheConfigurationsOfTheChartAreSound(t *testing.T) {
	t.Setenv("NODE_NAME", "node1") // as the chart does
	found := 0
	secrets := t.TempDir() // what the chart mounts
	for name, text := range map[string]string{
		"token": "t", "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "pagerduty": strings.Repeat("0", 32), "slack": "xoxb-1", "teams": "https://teams.example.org/x", "mail": "p",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(secrets, name), []byte(text), 0o600))
	}
	for _, path := range rendered() {
		for _, o := range manifests(t, path) {
			for _, c := range o.Spec.Template.Spec.Containers {
				root := newRoot(stdio{})
				role, _, err := root.Find(c.Args)
				require.NoError(t, err)
				require.NotEqual(t, root, role, "%s: %v", path, c.Args)
			}
			if config, ok := o.Data["forewarn.yaml"]; ok {
				found++
				a := cli(t, "config", "check", file(t, o.Metadata.Name+".yaml", strings.ReplaceAll(config, "/etc/forewarn/notify", secrets)))
				require.Zero(t, a.code, "%s %s: %s", path, o.Metadata.Name, a.err)
			}
		}
	}
	require.Equal(t, 2+5+2+5, found)
}

func TestEveryFileThatAConfigurationOfTheChartNamesIsMounted(t *testing.T) {
	named := regexp.MustCompile(`/etc/forewarn/[a-z]+(?:/[a-z.]+)?`)
	checked := map[string]bool{}
	for _, path := range rendered() {
		all := manifests(t, path)
		configs := map[string]string{}
		for _, o := range all {
			if text, ok := o.Data["forewarn.yaml"]; ok {
				configs[o.Metadata.Name] = text
			}
		}
		for _, o := range all {
			pod := o.Spec.Template.Spec
			if len(pod.Containers) == 0 {
				continue
			}
			mounted := map[string]string{} // a volume's place by its name
			for _, m := range pod.Containers[0].VolumeMounts {
				mounted[m.Name] = m.MountPath
			}
			var there []string // whole volumes end in a slash
			config := ""
			for _, v := range pod.Volumes {
				require.NotEmpty(t, mounted[v.Name], "%s %s: the volume %s is not mounted", path, o.Metadata.Name, v.Name)
				if v.Name == "config" {
					config = configs[v.ConfigMap.Name]
				}
				if len(v.Projected.Sources) == 0 {
					there = append(there, mounted[v.Name]+"/")
				}
				for _, s := range v.Projected.Sources {
					for _, i := range s.Secret.Items {
						there = append(there, mounted[v.Name]+"/"+i.Path)
					}
					if len(s.Secret.Items) == 0 {
						there = append(there, mounted[v.Name]+"/")
					}
				}
			}
			require.NotEmpty(t, config, "%s %s", path, o.Metadata.Name)
			for _, name := range named.FindAllString(config, -1) {
				checked[name] = true
				require.True(t, slices.ContainsFunc(there, func(m string) bool {
					return m == name || strings.HasSuffix(m, "/") && strings.HasPrefix(name+"/", m)
				}), "%s: %s reads %s, and has %q", path, o.Metadata.Name, name, there)
			}
		}
	}
	for _, name := range []string{"/etc/forewarn/console/token", "/etc/forewarn/console/tls.key", "/etc/forewarn/sightings/creds", "/etc/forewarn/notify/pagerduty", "/etc/forewarn/signatures"} {
		require.Contains(t, checked, name)
	}
}

func TestTheChartTakesEveryDestination(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "helm", "forewarn", "values.schema.json"))
	require.NoError(t, err)
	var schema struct {
		Properties struct {
			Notify struct {
				Items struct {
					Properties struct{ Type struct{ Enum []string } }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &schema))
	require.ElementsMatch(t, notify.Types(), schema.Properties.Notify.Items.Properties.Type.Enum)
}
