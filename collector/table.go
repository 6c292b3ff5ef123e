package collector

import "fmt"

// Maker makes the collectors of one kind.
type Maker struct {
	// Name is what configuration calls the kind.
	Name string
	// Does says in one line what it collects.
	Does string
	// Make makes one; everything that can be checked before anything is collected is checked here.
	Make func(Options) (Collector, error)
}

// Table lists every kind of collector. Adding one is a file of this folder and a line here.
func Table() []Maker {
	return []Maker{
		{"files", "files and standard input, once or followed, in any format that is recognised", func(o Options) (Collector, error) { return Open(o) }},
	}
}

// Make makes the collector that the table calls name.
func Make(name string, o Options) (Collector, error) {
	var names []string
	for _, m := range Table() {
		if m.Name == name {
			return m.Make(o)
		}
		names = append(names, m.Name)
	}
	return nil, fmt.Errorf("no collector is called %q: there are %q", name, names)
}
