package bench

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// workloadFiles are the workloads that are built in.
//
//go:embed workloads/*.yaml
var workloadFiles embed.FS

// Workload describes the work of a benchmark. It is written as a YAML file whose name is the workload's.
type Workload struct {
	Name            string         `yaml:"-"`
	Title           string         `yaml:"title" doc:"What it shows, in one line."`
	Seed            int            `yaml:"seed,omitempty" doc:"Another seed makes other text of the same kind; 1 without it."`
	SizeMB          int            `yaml:"size_mb,omitempty" doc:"How much text there is, in units of a million bytes; 32 without it."`
	BatchKB         int            `yaml:"batch_kb,omitempty" doc:"The size of a batch, in units of 1024 bytes; 128 without it."`
	Keys            int            `yaml:"keys,omitempty" doc:"How many pods speak; 256 without it."`
	Records         map[string]int `yaml:"records,omitempty" doc:"How often each kind of record comes, against the others: log, event, change, sample; log alone without it."`
	Shapes          map[string]int `yaml:"shapes,omitempty" doc:"How many of the pods write lines of each shape, against the others; without it all shapes alike."`
	MatchPercent    float64        `yaml:"match_percent,omitempty" doc:"In how many of 100 records a signature is planted."`
	NearMissPercent float64        `yaml:"near_miss_percent,omitempty" doc:"How many of 100 records nearly match; 20 without it."`
	Signatures      SignatureSet   `yaml:"signatures" doc:"What is looked for."`
	Expect          *Expect        `yaml:"expect,omitempty" doc:"What there is to be found. It is counted by a slow twin of the engine: go test ./bench -run Expected -update writes it."`
	Floors          []Floor        `yaml:"floors,omitempty" doc:"How fast it must be at least, beside something that is measured in the same run."`
}

// SignatureSet says what is looked for.
type SignatureSet struct {
	Set    string `yaml:"set" doc:"The kind of set: mixed, anchored, cre, hard or kinds."`
	Counts []int  `yaml:"counts" doc:"How many signatures, from few to many. A larger set holds the smaller ones."`
}

// Expect is what a workload must come to.
type Expect struct {
	Digest  string   `yaml:"digest" doc:"Of the records and signatures. Another one means that the generator changed, and that no result from before can be compared."`
	Records int      `yaml:"records" doc:"How many records there are."`
	Of      []Counts `yaml:"of" doc:"What is found with each number of signatures."`
}

// Counts are what a number of signatures find.
type Counts struct {
	Signatures int `yaml:"signatures" doc:"How many signatures."`
	Hits       int `yaml:"hits" doc:"Pairs of a record and a signature that it meets."`
	Warnings   int `yaml:"warnings" doc:"Pairs of a pod and a signature."`
}

// Floor says how fast the engine must be at least. It is a ratio within one run, because seconds are of no use on shared machines.
type Floor struct {
	Signatures int     `yaml:"signatures" doc:"With how many signatures."`
	Peer       string  `yaml:"peer" doc:"Beside what: naive or newlines; or self, which is the engine with the first of the counts."`
	Times      float64 `yaml:"times" doc:"How many times as fast as that."`
}

// The kinds of set whose signatures are about text; the others are about fields.
const kindsSet = "kinds"

// ParseWorkload reads a workload. Its error holds everything that is wrong with it, each with its place.
func ParseWorkload(file string, src []byte) (*Workload, error) {
	w := &Workload{Name: strings.TrimSuffix(filepath.Base(file), ".yaml")}
	problems, place := signatures.Decode("the workload", file, src, w)
	if len(problems) == 0 {
		problems = w.check(place)
	}
	if len(problems) > 0 {
		all := make([]error, len(problems))
		for i, p := range problems {
			all[i] = p
		}
		return nil, errors.Join(all...)
	}
	w.fillDefaults()
	return w, nil
}

// check finds what the types cannot say.
func (w *Workload) check(place func(path, message, suggestion string) signatures.Problem) (problems []signatures.Problem) {
	bad := func(path, suggestion, message string, args ...any) {
		problems = append(problems, place(path, fmt.Sprintf(message, args...), suggestion))
	}
	for _, n := range []struct {
		path      string
		value, to int
	}{{"seed", w.Seed, 1 << 30}, {"size_mb", w.SizeMB, 4096}, {"batch_kb", w.BatchKB, record.MaxFrame >> 11}, {"keys", w.Keys, 1_000_000}} {
		if n.value < 0 || n.value > n.to {
			bad(n.path, "leave it out for the default", "%d is not between 1 and %d", n.value, n.to)
		}
	}
	for _, p := range []struct {
		path  string
		value float64
	}{{"match_percent", w.MatchPercent}, {"near_miss_percent", w.NearMissPercent}} {
		if p.value < 0 || p.value > 100 {
			bad(p.path, "write 0.5 for one record in 200", "%v is no percentage", p.value)
		}
	}
	if w.MatchPercent+w.NearMissPercent > 100 {
		bad("match_percent", "", "matches and near misses together are more than all records")
	}
	w.checkWeights(bad)
	w.checkSet(bad)
	return problems
}

func (w *Workload) checkWeights(bad func(path, suggestion, message string, args ...any)) {
	kinds := []string{record.Log.String(), record.Event.String(), record.Change.String(), record.Sample.String()}
	for _, name := range slices.Sorted(maps.Keys(w.Records)) {
		if !slices.Contains(kinds, name) {
			bad("records."+name, "known here: "+strings.Join(kinds, ", "), "there is no kind of record %q", name)
		} else if w.Records[name] < 1 {
			bad("records."+name, "leave it out if there are none", "%d is no weight", w.Records[name])
		}
	}
	all, err := Shapes()
	if err != nil {
		bad("shapes", "", "%v", err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(w.Shapes)) {
		if all[name] == nil {
			bad("shapes."+name, "known here: "+strings.Join(slices.Sorted(maps.Keys(all)), ", "), "there is no shape %q", name)
		} else if w.Shapes[name] < 1 {
			bad("shapes."+name, "leave it out if there are none", "%d is no weight", w.Shapes[name])
		}
	}
}

func (w *Workload) checkSet(bad func(path, suggestion, message string, args ...any)) {
	all, err := sets()
	if err != nil {
		bad("signatures.set", "", "%v", err)
		return
	}
	kind, ok := all[w.Signatures.Set]
	if !ok {
		bad("signatures.set", "known here: "+strings.Join(slices.Sorted(maps.Keys(all)), ", "), "there is no set %q", w.Signatures.Set)
		return
	}
	counts := w.Signatures.Counts
	if len(counts) == 0 {
		bad("signatures.counts", "such as [100, 1000]", "it names no number of signatures")
	}
	for i, n := range counts {
		at := fmt.Sprintf("signatures.counts[%d]", i)
		if n < 1 || n > kind.most {
			bad(at, "", "the set %s has 1 to %d signatures, not %d", w.Signatures.Set, kind.most, n)
		} else if i > 0 && n <= counts[i-1] {
			bad(at, "write them from few to many", "%d is not more than %d", n, counts[i-1])
		}
	}
	for i, f := range w.Floors {
		if !slices.Contains(counts, f.Signatures) {
			bad(fmt.Sprintf("floors[%d].signatures", i), "one of signatures.counts", "nothing is measured with %d signatures", f.Signatures)
		}
		if !slices.Contains([]string{naiveName, newlinesName, selfName}, f.Peer) {
			bad(fmt.Sprintf("floors[%d].peer", i), "naive, newlines or self", "there is no peer %q to compare with", f.Peer)
		}
		if f.Times <= 0 {
			bad(fmt.Sprintf("floors[%d].times", i), "", "%v is no ratio", f.Times)
		}
	}
}

// fillDefaults fills what is not given.
func (w *Workload) fillDefaults() {
	w.Seed = cmp.Or(w.Seed, 1)
	w.SizeMB = cmp.Or(w.SizeMB, 32)
	w.BatchKB = cmp.Or(w.BatchKB, 128)
	w.Keys = cmp.Or(w.Keys, 256)
	w.NearMissPercent = cmp.Or(w.NearMissPercent, 20)
	if len(w.Records) == 0 {
		w.Records = map[string]int{record.Log.String(): 1}
	}
}

// most is the largest number of signatures.
func (w *Workload) most() int { return w.Signatures.Counts[len(w.Signatures.Counts)-1] }

// Workloads reads the workloads that are built in, in the order of their names.
func Workloads() ([]*Workload, error) {
	files, err := workloadFiles.ReadDir("workloads")
	if err != nil {
		return nil, fmt.Errorf("read workloads: %w", err)
	}
	var list []*Workload
	for _, f := range files {
		w, err := builtIn(strings.TrimSuffix(f.Name(), ".yaml"))
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, nil
}

func builtIn(name string) (*Workload, error) {
	file := path.Join("workloads", name+".yaml")
	src, err := workloadFiles.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read workload: %w", err)
	}
	return ParseWorkload(file, src)
}

// FindWorkload returns the workload with the name, or reads it from the file if the name is that of one.
func FindWorkload(name string) (*Workload, error) {
	if strings.HasSuffix(name, ".yaml") {
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read workload: %w", err)
		}
		return ParseWorkload(name, src)
	}
	all, err := Workloads()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, w := range all {
		if w.Name == name {
			return w, nil
		}
		names = append(names, w.Name)
	}
	return nil, fmt.Errorf("there is no workload %q: name one of %s, or a file that ends in .yaml", name, strings.Join(names, ", "))
}
