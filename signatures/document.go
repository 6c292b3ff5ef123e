package signatures

// document is the YAML source of a signature: it maps field paths to lines and columns.
type document struct{}
