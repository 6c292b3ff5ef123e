package signatures

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"slices"

	"github.com/invopop/jsonschema"
)

// SchemaID is the name of the schema. It is not fetched from anywhere.
const SchemaID = "https://github.com/forewarn/forewarn/signatures/schema.json"

// Schema returns the JSON Schema (draft 2020-12) of a YAML document: one signature, or `signatures: [...]`. Editors complete from it.
// It is made from the Go types and their doc tags, so it says what Parse accepts by shape; Parse checks much more.
func Schema() ([]byte, error) {
	root := reflector().Reflect(&Signature{})
	defs := root.Definitions
	one := &jsonschema.Schema{Ref: "#/$defs/Signature"}
	for _, name := range []string{"Match", "Text"} {
		defs[name] = shortFormSchema(defs[name])
	}
	for name, s := range defs {
		refine(name, s)
	}
	list := jsonschema.NewProperties()
	list.Set("signatures", &jsonschema.Schema{Type: "array", Items: one, Description: "Several signatures."})
	out := &jsonschema.Schema{
		Version: jsonschema.Version, ID: SchemaID, Title: "forewarn signature", Definitions: defs,
		If: &jsonschema.Schema{Required: []string{"signatures"}},
		Then: &jsonschema.Schema{
			Type: "object", Properties: list, AdditionalProperties: jsonschema.FalseSchema,
		},
		Else: one,
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema of signatures: %w", err)
	}
	return append(b, '\n'), nil
}

// SchemaOf returns the JSON Schema of a file that [Decode] reads into a value of v's type, under the given id and title.
func SchemaOf(v any, id, title string) ([]byte, error) {
	root := reflector().Reflect(v)
	root.ID, root.Title = jsonschema.ID(id), title
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema of %s: %w", title, err)
	}
	return append(b, '\n'), nil
}

// reflector makes schemas by the yaml and doc tags.
func reflector() *jsonschema.Reflector {
	return &jsonschema.Reflector{
		Anonymous: true, FieldNameTag: "yaml", Mapper: schemaOf,
		Namer: func(t reflect.Type) string { // types of several packages may have one name
			switch of := path.Base(t.PkgPath()); of {
			case ".", "signatures":
				return t.Name()
			default:
				return of + "." + t.Name()
			}
		},
		LookupComment: func(t reflect.Type, name string) string {
			if t.Kind() != reflect.Struct || name == "" {
				return ""
			}
			f, _ := t.FieldByName(name)
			return f.Tag.Get("doc")
		},
	}
}

// scalar is a text as an author may spell it: 137, True and 1.5 are texts too.
func scalar() *jsonschema.Schema {
	return &jsonschema.Schema{Extras: map[string]any{"type": []string{"string", "number", "boolean"}}}
}

func listOf(s *jsonschema.Schema) *jsonschema.Schema {
	one := uint64(1)
	return &jsonschema.Schema{Type: "array", Items: s, MinItems: &one}
}

func wordOrList() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{scalar(), listOf(scalar())}}
}

// schemaOf gives the types whose YAML is not what their Go type says.
func schemaOf(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: `^-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d|w))+$`, Examples: []any{"90s", "5m", "1h30m", "2d"}}
	case reflect.TypeFor[Key]():
		word := &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string", Enum: anys(topology())}, {Type: "string", Pattern: `[._]`}}}
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{word, listOf(word)}}
	case reflect.TypeFor[Severity]():
		return &jsonschema.Schema{Type: "string", Enum: anys(Severities())}
	case reflect.TypeFor[Order]():
		return &jsonschema.Schema{Type: "string", Enum: anys([]Order{Sequence, Any})}
	case reflect.TypeFor[Risk]():
		return &jsonschema.Schema{Type: "string", Enum: anys(Risks())}
	case reflect.TypeFor[map[string]string]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: scalar()}
	}
	return nil
}

// shortFormSchema adds the short forms to the mapping form of a Match or a Text.
func shortFormSchema(mapping *jsonschema.Schema) *jsonschema.Schema {
	for p := mapping.Properties.Oldest(); p != nil; p = p.Next() {
		if p.Value.Type == "array" {
			words := wordOrList()
			words.Description = p.Value.Description
			p.Value = words
		}
	}
	one := uint64(1)
	mapping.MinProperties = &one
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{scalar(), listOf(scalar()), mapping}}
}

// refine adds what the Go types can't say.
func refine(name string, s *jsonschema.Schema) {
	one := json.Number("1")
	atLeastOne := uint64(1)
	set := func(field string, change func(*jsonschema.Schema)) {
		if p, ok := s.Properties.Get(field); ok {
			change(p)
		}
	}
	words := func(list []string) func(*jsonschema.Schema) {
		return func(p *jsonschema.Schema) { p.Enum = anys(list) }
	}
	text := func(p *jsonschema.Schema) { p.Type, p.Extras = "", scalar().Extras }
	identifier := func(p *jsonschema.Schema) { p.Pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" }
	switch name {
	case "Signature":
		set("id", identifier)
		set("need", func(p *jsonschema.Schema) { p.Minimum = one })
		set("stages", func(p *jsonschema.Schema) {
			most := uint64(maxStages)
			p.MinItems, p.MaxItems = &atLeastOne, &most
		})
		set("unless", func(p *jsonschema.Schema) {
			most := uint64(maxUnless)
			p.MaxItems = &most
		})
	case "Stage":
		set("name", identifier)
	case "Distinct":
		set("count", func(p *jsonschema.Schema) { p.Minimum = "2" })
	case "Clear":
		s.AnyOf = []*jsonschema.Schema{{Required: []string{"when"}}, {Required: []string{"quiet"}}}
	case "Condition":
		for _, f := range []string{"all", "any"} {
			set(f, func(p *jsonschema.Schema) { p.MinItems = &atLeastOne })
		}
	case "TestChange":
		set("from", text)
		set("to", text)
		set("verb", words([]string{"added", "modified", "deleted"}))
	case "TestEvent":
		set("type", words([]string{"Normal", "Warning"}))
	case "TestAlert":
		set("state", words([]string{"firing", "resolved"}))
	case "Expect":
		set("state", words(states()))
	}
	// A fixed order, so that the schema is the same at each making.
	slices.Sort(s.Required)
}

func anys[T ~string](list []T) []any {
	out := make([]any, len(list))
	for i, x := range list {
		out[i] = string(x)
	}
	return out
}
