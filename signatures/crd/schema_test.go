package crd

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite the stored definitions")

func definition(t *testing.T, kind Kind) (map[string]any, []byte) {
	t.Helper()
	d, err := Definition(kind)
	require.NoError(t, err)
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	require.NoError(t, e.Encode(d))
	var tree map[string]any
	require.NoError(t, yaml.Unmarshal(out.Bytes(), &tree))
	return tree, out.Bytes()
}

func TestDefinitionsAreStored(t *testing.T) {
	for _, kind := range Kinds() {
		_, got := definition(t, kind)
		file := filepath.Join("..", "..", "deploy", "crds", kind.Resource().Resource+".yaml")
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, got, 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err, "run the test with -update to store it")
		require.Equal(t, string(want), string(got), "run the test with -update to store it")
	}
}

// schemaOf is the schema of the kind's spec.
func schemaOf(t *testing.T, kind Kind) map[string]any {
	t.Helper()
	d, _ := definition(t, kind)
	return at(t, d, "spec", "versions", 0, "schema", "openAPIV3Schema").(map[string]any)
}

func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			v = v.(map[string]any)[step]
		case int:
			v = v.([]any)[step]
		}
		require.NotNil(t, v, "%v", path)
	}
	return v
}

func TestADefinitionIsWhatAnAPIServerTakes(t *testing.T) {
	for _, kind := range Kinds() {
		d, _ := definition(t, kind)
		b, err := json.Marshal(d)
		require.NoError(t, err)
		require.Less(t, len(b), 200<<10, "kubectl apply keeps a copy in an annotation of at most 256 KiB")
		structuralNode(t, "", schemaOf(t, kind))
	}
}

// structuralNode checks the rules of structural schemas; the end-to-end tests ask a real API server.
func structuralNode(t *testing.T, path string, node map[string]any) {
	t.Helper()
	open := node["x-kubernetes-preserve-unknown-fields"] == true
	kind, typed := node["type"].(string)
	require.NotEqual(t, typed, open, "%s: a node has one type or is open", path)
	for _, key := range []string{"$ref", "oneOf", "additionalItems", "$defs"} {
		require.NotContains(t, node, key, path)
	}
	if typed && kind == "array" {
		require.Contains(t, node, "items", path)
	}
	properties, _ := node["properties"].(map[string]any)
	values, isMap := node["additionalProperties"]
	require.False(t, isMap && len(properties) > 0, "%s: properties or additionalProperties", path)
	for name, p := range properties {
		structuralNode(t, path+"."+name, p.(map[string]any))
	}
	if isMap {
		structuralNode(t, path+"[*]", values.(map[string]any))
	}
	if items, ok := node["items"].(map[string]any); ok {
		structuralNode(t, path+"[]", items)
	}
}

// pruned lists the fields of v that an API server would drop, because the schema does not have them.
func pruned(path string, schema map[string]any, v any) (out []string) {
	if schema["x-kubernetes-preserve-unknown-fields"] == true {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		values, isMap := schema["additionalProperties"].(map[string]any)
		for key, x := range v {
			p, ok := properties[key].(map[string]any)
			switch {
			case ok:
				out = append(out, pruned(path+"."+key, p, x)...)
			case isMap:
				out = append(out, pruned(path+"."+key, values, x)...)
			default:
				out = append(out, path+"."+key)
			}
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for _, x := range v {
			out = append(out, pruned(path+"[]", items, x)...)
		}
	}
	return out
}

// written returns every signature of the repository's files, as its author wrote it, without its id.
func written(t *testing.T) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for _, pattern := range []string{"../catalog/*.yaml", "../testdata/good/*.yaml"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, names)
		for _, name := range names {
			src, err := os.ReadFile(name)
			require.NoError(t, err)
			dec := yaml.NewDecoder(bytes.NewReader(src))
			for {
				var v map[string]any
				if dec.Decode(&v) != nil {
					break
				}
				list := []any{v}
				if all, ok := v["signatures"].([]any); ok {
					list = all
				}
				for _, x := range list {
					s := x.(map[string]any)
					id, _ := s["id"].(string)
					delete(s, "id")
					b, err := json.Marshal(s)
					require.NoError(t, err)
					var plain map[string]any
					require.NoError(t, json.Unmarshal(b, &plain))
					out[id] = plain
				}
			}
		}
	}
	return out
}

func TestEverySignatureCanBeWrittenAsAResource(t *testing.T) {
	schema := schemaOf(t, ClusterWide)
	spec := at(t, schema, "properties", "spec").(map[string]any)
	b, err := json.Marshal(spec)
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("spec.json", doc))
	compiled, err := c.Compile("spec.json")
	require.NoError(t, err)
	all := written(t)
	require.Greater(t, len(all), 50)
	for id, s := range all {
		require.NoError(t, compiled.Validate(s), id)
		require.Empty(t, pruned("spec", spec, s), id)
		text, err := yaml.Marshal(s)
		require.NoError(t, err)
		r := read(ClusterWide, object(t, Ref{Kind: ClusterWide, Name: id}, string(text)), nil)
		require.Empty(t, errorsOf(r), id)
	}
	for _, c := range []struct{ path, want string }{{"stages", "wen"}, {"", "stage"}} {
		s := map[string]any{"stage": 1}
		if c.path != "" {
			s = map[string]any{"stages": []any{map[string]any{"wen": 1}}}
		}
		require.Contains(t, strings.Join(pruned("spec", spec, s), " "), c.want, "the check of unknown fields itself")
	}
}
