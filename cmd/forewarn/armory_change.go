package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
)

// change is what a look at the files came to.
type change struct {
	set      *store.Set // what the files give now
	fresh    bodies     // the signatures that were read
	problems []signatures.Problem
	changed  bool // some file differs from what the store has
	racy     bool // a file was written a moment ago, and may be written again without looking different
	program  *matcher.Program
	compiled bool // the program is compiled, and not another one with additions
}

// sample is some text of the files that this process follows, if it follows any: what is rare in it is looked for.
func (a *armory) sample() []byte {
	var paths []string
	for i := range a.settings.Files {
		paths = append(paths, a.settings.Files[i].Path)
	}
	return collector.Sample(paths, 1<<20)
}

// bodies are signatures by digest.
type bodies map[[32]byte]*signatures.Signature

// with returns b with more in it.
func (b bodies) with(more bodies) bodies {
	if b == nil {
		b = bodies{}
	}
	maps.Copy(b, more)
	return b
}

func (b bodies) list() []*signatures.Signature { return slices.Collect(maps.Values(b)) }

// over returns a source of bodies that looks here first. It does not change with b.
func (b bodies) over(s *store.Store) matcher.Bodies { return layered{maps.Clone(b), s} }

type layered struct {
	first bodies
	store *store.Store
}

var _ matcher.Bodies = layered{}

// Signature implements matcher.Bodies.
func (l layered) Signature(digest string) (*signatures.Signature, bool, error) {
	var d [32]byte
	if n, err := hex.Decode(d[:], []byte(digest)); err == nil && n == len(d) {
		if s, ok := l.first[d]; ok {
			return s, true, nil
		}
	}
	return l.store.Signature(digest)
}

// catalogPath stands for all files of the shipped catalogue, which are part of the reader.
const catalogPath = "catalog:"

// change reads what differs from what is known, and makes the program of it. It is an error when the store lacks a body that it should have.
func (a *armory) change(known *store.Set, files []signatures.FileInfo, resources resources) (*change, error) {
	c := &change{set: &store.Set{Reader: a.reader()}, fresh: bodies{}}
	a.read(c, known, files)
	c.readResources(known, resources)
	c.changed = !slices.EqualFunc(known.Files, c.set.Files, func(x, y store.SetFile) bool {
		return x.Path == y.Path && x.Size == y.Size && x.ModTime == y.ModTime && x.Hash == y.Hash && x.Unsound == y.Unsound && slices.Equal(x.Signatures, y.Signatures)
	})
	picks := c.pick()
	err := a.arm(c, picks)
	return c, err
}

// read fills in the set, reading files only where size, time and hash do not show that they are known.
func (a *armory) read(c *change, known *store.Set, files []signatures.FileInfo) {
	was := make(map[string]*store.SetFile, len(known.Files))
	for i := range known.Files {
		was[known.Files[i].Path] = &known.Files[i]
	}
	if !a.settings.NoCatalog {
		if f := was[catalogPath]; f != nil {
			c.set.Files = append(c.set.Files, *f)
		} else {
			set, problems := signatures.LoadFS(catalog.FS, signatures.Options{})
			c.problems = append(c.problems, problems...)
			c.set.Files = append(c.set.Files, store.SetFile{Path: catalogPath, Signatures: c.keep(set.All())})
		}
	}
	results := make([]reading, len(files))
	var group errgroup.Group
	o := signatures.Options{Foreign: a.rules().Read}
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range files {
		f := was[files[i].Path]
		if f != nil && !f.Unsound && f.Size == files[i].Size && f.ModTime == files[i].ModTime {
			results[i].row = *f
			continue
		}
		group.Go(func() error {
			results[i].read(&files[i], f, o)
			return nil
		})
	}
	_ = group.Wait() // none of them returns an error
	for i := range results {
		r := &results[i]
		if r.row.Path == "" { // it was read anew
			r.row.Path = files[i].Path
		}
		if r.signatures != nil {
			r.row.Signatures = c.keep(r.signatures)
		}
		c.problems = append(c.problems, r.problems...)
		c.racy = c.racy || r.row.ModTime == 0
		c.set.Files = append(c.set.Files, r.row)
	}
}

// keep remembers signatures that were read, and names them.
func (c *change) keep(list []*signatures.Signature) []store.SetSignature {
	out := make([]store.SetSignature, len(list))
	for i, s := range list {
		out[i] = store.SetSignature{ID: s.ID, Digest: s.Digest()}
		c.fresh[out[i].Digest] = s
	}
	return out
}

// reading is what one file came to.
type reading struct {
	row        store.SetFile
	signatures []*signatures.Signature // nil when the row has them
	problems   []signatures.Problem
}

// settled is how old a file must be for its time to show that it was not written since: file systems count in steps, and a second write
// within one looks like none.
const settled = 2 * time.Second

// read reads a file that was known as f, or not at all. One that became bad goes on with its last version that had no error.
func (r *reading) read(info *signatures.FileInfo, f *store.SetFile, o signatures.Options) {
	began := time.Now()
	var hash [32]byte
	if f != nil && !f.Unsound {
		hash = f.Hash
	}
	file, changed, list, problems := o.ReadFile(info.Path, hash)
	bad := len(signatures.Errors(problems)) > 0
	switch {
	case !changed:
		r.row = *f
	case bad && f != nil && len(f.Signatures) > 0:
		r.row = *f
		r.problems = problems
	default:
		r.row.Hash = file.Hash
		r.signatures, r.problems = list, problems
		if list == nil {
			r.signatures = []*signatures.Signature{}
		}
	}
	r.row.Path, r.row.Size, r.row.ModTime, r.row.Unsound = info.Path, info.Size, info.ModTime, bad
	if began.UnixNano()-info.ModTime < int64(settled) {
		r.row.ModTime = 0
	}
}

// picked is a signature that is to be in the program.
type picked struct {
	store.SetSignature
	file int
}

func (p *picked) short() uint64 { return binary.BigEndian.Uint64(p.Digest[:8]) }

// pick chooses the signatures: the first of each id, and the user's own for the catalogue's.
func (c *change) pick() []picked {
	total := 0
	for i := range c.set.Files {
		total += len(c.set.Files[i].Signatures)
	}
	out := make([]picked, 0, total)
	taken := make(map[string]int, total)
	files := c.set.Files
	take := func(i int, told bool) {
		for _, s := range files[i].Signatures {
			first, twice := taken[s.ID]
			if !twice {
				taken[s.ID] = i
				out = append(out, picked{s, i})
			} else if told {
				c.problems = append(c.problems, signatures.Problem{
					File: placeName(files[i].Path), Severity: signatures.LevelError,
					Message: fmt.Sprintf("the id %q is taken by a signature of %s", s.ID, placeName(files[first].Path)), Suggestion: "choose another id, or remove one of them",
				})
			}
		}
	}
	for i := range files {
		if files[i].Path != catalogPath {
			take(i, true)
		}
	}
	for i := range files {
		if files[i].Path == catalogPath {
			take(i, false)
		}
	}
	return out
}

// arm makes the program that has the picked signatures.
func (a *armory) arm(c *change, picks []picked) error {
	var add []*signatures.Signature
	var remove []uint64
	var problems []signatures.Problem
	var err error
	anew := a.program == nil || a.decide
	if !anew {
		if add, remove, err = a.difference(c, picks); err != nil {
			return err
		}
	}
	switch {
	case anew || a.program.Len() < smallSet && len(add)+len(remove) > 0 || a.program.Drift()+len(add)+len(remove) > maxDrift:
		all := make([]*signatures.Signature, len(picks))
		for i := range picks {
			if all[i], err = a.body(c, &picks[i]); err != nil {
				return err
			}
		}
		o := a.options()
		o.Sample = a.sample()
		c.program, problems = matcher.Compile(all, o)
		c.compiled = true
	case len(add)+len(remove) > 0:
		c.program, problems = a.program.With(add, remove)
	default:
		c.program = a.program
	}
	c.problems = append(c.problems, problems...)
	c.unsound(picks)
	return nil
}

// difference returns what the program lacks and what it has too much. What does not apply here is not in it, and not lacking.
func (a *armory) difference(c *change, picks []picked) (add []*signatures.Signature, remove []uint64, err error) {
	disarmed := map[string]bool{}
	for _, id := range a.program.Disarmed() {
		disarmed[id] = true
	}
	want := make(map[uint64]bool, len(picks))
	for i := range picks {
		p := &picks[i]
		want[p.short()] = true
		if a.program.Contains(p.short()) || disarmed[p.ID] && c.fresh[p.Digest] == nil {
			continue
		}
		s, err := a.body(c, p)
		if err != nil {
			return nil, nil, err
		}
		add = append(add, s)
	}
	for digest := range a.program.Digests() {
		if !want[digest] {
			remove = append(remove, digest)
		}
	}
	return add, remove, nil
}

// body returns the whole of a signature: as it was read, or from the store.
func (a *armory) body(c *change, p *picked) (*signatures.Signature, error) {
	if s := c.fresh[p.Digest]; s != nil {
		return s, nil
	}
	if s := a.unsaved[p.Digest]; s != nil {
		return s, nil
	}
	s, found, err := a.store.Signature(hex.EncodeToString(p.Digest[:]))
	if err == nil && !found {
		err = fmt.Errorf("the store lacks signature %s, which it should have", p.ID)
	}
	return s, err
}

// unsound marks the files of signatures that the compiler refused, so that the next start tells of them too.
func (c *change) unsound(picks []picked) {
	disarmed := map[string]bool{}
	for _, id := range c.program.Disarmed() {
		disarmed[id] = true
	}
	for i := range picks {
		if p := &picks[i]; !c.program.Contains(p.short()) && !disarmed[p.ID] && !c.set.Files[p.file].Unsound {
			c.set.Files[p.file].Unsound, c.changed = true, true
		}
	}
}
