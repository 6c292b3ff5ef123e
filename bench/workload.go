package bench

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Workload describes the work of a benchmark. The zero value of a field means its default.
type Workload struct {
	Name       string
	Title      string
	Seed       uint64
	Size       Bytes          // of text
	Shapes     map[string]int // how often each shape of log lines comes, against the others; all alike without it
	Matches    float64        // the part of the records that a signature is planted in
	NearMisses float64        // the part of the records that nearly match
	Keys       int            // pods that speak
	Batch      Bytes          // of a frame
	Signatures SignatureSet
}

// SignatureSet says what is looked for.
type SignatureSet struct {
	Set   string
	Count int
}

// Bytes is a number of bytes.
type Bytes int

// fillDefaults fills what is not given.
func (w *Workload) fillDefaults() {
	w.Seed = cmp.Or(w.Seed, 1)
	w.Size = cmp.Or(w.Size, 64<<20)
	w.Keys = cmp.Or(w.Keys, 256)
	w.Batch = cmp.Or(w.Batch, 128<<10)
	w.NearMisses = cmp.Or(w.NearMisses, 0.2)
	w.Matches = cmp.Or(w.Matches, 0.004)
}

// Shapes reads the shapes that are built in, by name.
func Shapes() (map[string]*Shape, error) {
	files, err := shapeFiles.ReadDir("shapes")
	if err != nil {
		return nil, fmt.Errorf("read shapes: %w", err)
	}
	all := make(map[string]*Shape, len(files))
	for _, f := range files {
		text, err := shapeFiles.ReadFile(path.Join("shapes", f.Name()))
		if err != nil {
			return nil, fmt.Errorf("read shapes: %w", err)
		}
		name := strings.TrimSuffix(f.Name(), ".txt")
		if all[name], err = ParseShape(name, string(text)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// shapes are those that the workload uses, with their weights, in the order of their names.
func (w *Workload) shapes() (list []*Shape, weights []int, err error) {
	all, err := Shapes()
	if err != nil {
		return nil, nil, err
	}
	chosen := w.Shapes
	if len(chosen) == 0 {
		chosen = make(map[string]int, len(all))
		for name := range all {
			chosen[name] = 1
		}
		delete(chosen, wordsShape)
	}
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		s, ok := all[name]
		if !ok {
			return nil, nil, fmt.Errorf("there is no shape %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
		}
		list, weights = append(list, s), append(weights, chosen[name])
	}
	return list, weights, nil
}

// wordsShape is the shape of lines that are nothing but common words; only the hard workloads ask for it.
const wordsShape = "words"
