// Package catalog holds the signatures that are shipped with forewarn: one known failure a file, each with its own tests.
//
// The files are the package: there is no code to write for a new one. README.md says how to add one and how they are tested.
package catalog

import "embed"

// FS holds the signatures, as NAME.yaml where NAME is the signature's id. Read it with signatures.LoadFS.
//
//go:embed *.yaml
var FS embed.FS
