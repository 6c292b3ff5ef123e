package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestTheConfigurationsOfTheChartAreSound(t *testing.T) {
	t.Setenv("NODE_NAME", "node1") // as the chart does
	found := 0
	secrets := t.TempDir() // what the chart mounts
	for name, text := range map[string]string{"token": "t", "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="} {
		require.NoError(t, os.WriteFile(filepath.Join(secrets, name), []byte(text), 0o600))
	}
	for _, path := range []string{"kustomize/embedded/forewarn.yaml", "kustomize/external/forewarn.yaml", "helm/cases/full.rendered.yaml", "helm/cases/full-external.rendered.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", path))
		require.NoError(t, err)
		for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var o struct {
				Kind     string
				Metadata struct{ Name string }
				Data     map[string]string
				Spec     struct {
					Template struct {
						Spec struct {
							Containers []struct{ Args []string }
						}
					}
				}
			}
			err := d.Decode(&o)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, path)
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
	require.Equal(t, 2+4+2+4, found)
}
