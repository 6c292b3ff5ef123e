package signatures

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func readSeed(f *testing.F, name string) []byte {
	f.Helper()
	src, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	return src
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource(SchemaID, doc))
	s, err := c.Compile(SchemaID)
	require.NoError(t, err)
	return s
}

// documents decodes each YAML document of a file as an editor does.
func documents(t *testing.T, src []byte) []any {
	t.Helper()
	var out []any
	dec := yaml.NewDecoder(bytes.NewReader(src))
	for {
		var v any
		if dec.Decode(&v) != nil {
			return out
		}
		b, err := json.Marshal(v)
		require.NoError(t, err)
		x, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		require.NoError(t, err)
		out = append(out, x)
	}
}

func TestSchemaIsStored(t *testing.T) {
	got, err := Schema()
	require.NoError(t, err)
	golden(t, "schema.json", got)
}

func TestSchemaAcceptsWhatIsGood(t *testing.T) {
	schema := compiledSchema(t)
	for _, file := range files(t, "testdata/good/*.yaml") {
		for _, doc := range documents(t, read(t, file)) {
			require.NoError(t, schema.Validate(doc), file)
		}
		for _, s := range sound(t, file, read(t, file)) {
			b, err := json.Marshal(s)
			require.NoError(t, err)
			for _, doc := range documents(t, b) {
				require.NoError(t, schema.Validate(doc), "the JSON form of %s", s.ID)
			}
		}
	}
}

func TestSchemaRefusesBadShapes(t *testing.T) {
	schema := compiledSchema(t)
	for _, name := range []string{
		"unknown-keys", "missing-clear", "missing-everything", "wrong-shapes", "enums", "durations", "names", "scalar", "list", "clear-says-nothing",
		"list-and-more", "list-elements", "too-many", "long-line", "condition-shapes", "empty-values",
	} {
		docs := documents(t, read(t, filepath.Join("testdata/bad", name+".yaml")))
		require.NotEmpty(t, docs, name)
		for _, doc := range docs {
			require.Error(t, schema.Validate(doc), name)
		}
	}
}

func TestEveryFieldIsDocumented(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(typ.Elem())
		case reflect.Struct:
			if seen[typ] {
				return
			}
			seen[typ] = true
			for f := range typ.Fields() {
				if f.IsExported() {
					require.NotEmpty(t, f.Tag.Get("doc"), "%s.%s", typ.Name(), f.Name)
					require.NotEmpty(t, f.Tag.Get("yaml"), "%s.%s", typ.Name(), f.Name)
					walk(f.Type)
				}
			}
		default:
		}
	}
	walk(reflect.TypeFor[Signature]())
	require.Greater(t, len(seen), 20)
}
