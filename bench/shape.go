package bench

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

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

// wordsShape is the shape of lines that are nothing but common words; only the hard workloads ask for it.
const wordsShape = "words"

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
		list, weights = append(list, all[name]), append(weights, chosen[name])
	}
	return list, weights, nil
}
