package signatures

import (
	_ "embed"
	"strings"
)

//go:embed template.yaml
var templateText string

// Template returns a signature with comments to start from, which is sound as it stands: `forewarn signature new`. id takes the
// place of its id, and must be a name as [Signature.ID] asks.
func Template(id string) []byte { return []byte(strings.ReplaceAll(templateText, "my-signature", id)) }
