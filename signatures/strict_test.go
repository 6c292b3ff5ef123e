package signatures_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/signatures"
)

type settings struct {
	Where string              `yaml:"where,omitempty" doc:"A place."`
	Wait  signatures.Duration `yaml:"wait,omitempty" doc:"A time."`
	Parts []struct {
		Name string `yaml:"name"`
	} `yaml:"parts,omitempty"`
}

func TestDecodeReadsOtherFilesAsStrictly(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"sound", "where: here\nwait: 90s\nparts: [{name: a}]\n", ""},
		{"empty", "# nothing is set\n", ""},
		{"unknown key", "wher: here\n", "settings.yaml:1:1: unknown key \"wher\" in the settings\n    wher: here\n    ^\n  did you mean \"where\"?"},
		{"missing", "parts:\n  - {}\n", `"name" is missing in ` + "`parts[0]`"},
		{"two documents", "where: a\n---\nwhere: b\n", "settings.yaml:2:1: a second document begins here"},
		{"bad duration", "wait: 5\n", "settings.yaml:1:7: "},
		{"alias", "where: &a b\n", "anchors are not part of the language"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got settings
			problems, _ := signatures.Decode("the settings", "settings.yaml", []byte(c.src), &got)
			if c.want == "" {
				require.Empty(t, problems)
				return
			}
			require.NotEmpty(t, problems)
			require.Contains(t, problems[0].Error(), c.want)
		})
	}
}

func TestDecodePlacesWhatTheCallerFinds(t *testing.T) {
	var got settings
	problems, place := signatures.Decode("the settings", "settings.yaml", []byte("where: here\nwait: 90s\nparts:\n  - name: a\n"), &got)
	require.Empty(t, problems)
	require.Equal(t, signatures.Duration(90*time.Second), got.Wait)
	p := place("parts[0].name", "is taken", "choose another")
	require.Equal(t, "settings.yaml:4:11: is taken\n      - name: a\n              ^\n  choose another", p.Error())
}

func TestSchemaOfDescribesTheFields(t *testing.T) {
	b, err := signatures.SchemaOf(&settings{}, "https://example.org/settings.json", "settings")
	require.NoError(t, err)
	require.Contains(t, string(b), `"A place."`)
	require.Contains(t, string(b), `"additionalProperties": false`)
}
