package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"slices"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
	"github.com/forewarn/forewarn/signatures/cre"
)

// armory keeps the signatures of a running process: read from the store when their files did not change, from the files when they
// did.
type armory struct {
	*globals
	store    *store.Store
	settings *settings

	known   []signatures.Content // what the store knew at the start
	builtin *signatures.Set
	digest  string   // of the program in use
	refused []string // what was refused when it was made
}

// setName is the set's name in the store.
const setName = "run"

// open returns the program to start with and what was refused.
func (a *armory) open() (*matcher.Program, []string) {
	var err error
	if a.known, err = a.recall(); err != nil {
		// What is damaged here is made again from the files; a store that is damaged as a whole says so when the matcher opens it.
		a.log.Warn("the stored signatures cannot be used: their files are read", "error", err)
		a.known = nil
	}
	own, problems := signatures.Load(a.settings.Signatures, signatures.Options{Known: a.known, Foreign: a.rules().Read})
	if !a.settings.NoCatalog {
		var more []signatures.Problem
		a.builtin, more = signatures.LoadFS(catalog.FS, signatures.Options{Known: a.known})
		problems = append(problems, more...)
	}
	program, refused := a.compile(own, problems)
	return program, refused
}

// watch calls swap with a new program whenever the files give one, until ctx ends.
func (a *armory) watch(ctx context.Context, swap func(*matcher.Program, []string)) error {
	if len(a.settings.Signatures) == 0 {
		<-ctx.Done()
		return nil
	}
	o := signatures.WatchOptions{Options: signatures.Options{Known: a.known, Foreign: a.rules().Read}}
	return signatures.Watch(ctx, a.settings.Signatures, o, func(own *signatures.Set, problems []signatures.Problem) {
		digest, before := a.digest, a.refused
		program, refused := a.compile(own, problems)
		if a.digest == digest && slices.Equal(before, refused) {
			return // the first look, or a change of layout or tests
		}
		swap(program, refused)
	})
}

// compile makes the program of the catalogue and the user's own signatures, and stores what it was made of.
func (a *armory) compile(own *signatures.Set, problems []signatures.Problem) (*matcher.Program, []string) {
	set := signatures.Merge(a.builtin, own)
	program, more := matcher.Compile(set.All(), matcher.CompileOptions{
		KubernetesVersion: a.settings.Applies.Kubernetes, Components: a.settings.Applies.Components, Facts: a.settings.Applies.Facts,
	})
	var refused []string
	for _, p := range signatures.Errors(append(problems, more...)) {
		if !slices.Contains(a.refused, p.Error()) { // told once, not at each reload
			a.log.Error("a signature is refused: mend it, and it is taken up at once", "problem", p.Error())
		}
		refused = append(refused, p.Error())
	}
	a.refused = refused
	a.digest = program.Digest()
	if err := a.remember(set, program); err != nil {
		a.log.Warn("the signatures cannot be stored: the next start reads their files again", "error", err)
	}
	return program, refused
}

// rules says how CRE files are read.
func (a *armory) rules() cre.Options { return cre.Options{Sources: a.settings.Sources} }

// reader names this very binary, and what else decides how a file is read: another one may read the same file differently.
func (a *armory) reader() string {
	if len(a.settings.Sources) == 0 {
		return binary()
	}
	return fmt.Sprint(binary(), " ", a.settings.Sources) // fmt sorts the keys
}

func binary() string {
	exe, err := os.Executable()
	if err != nil {
		return version
	}
	info, err := os.Stat(exe)
	if err != nil {
		return version
	}
	return fmt.Sprintf("%s %d %d", version, info.Size(), info.ModTime().UnixNano())
}

// recall returns what the store knows of files that this binary read.
func (a *armory) recall() ([]signatures.Content, error) {
	set, found, err := a.store.LoadSet(setName)
	if err != nil || !found || set.Reader != a.reader() {
		return nil, err
	}
	var known []signatures.Content
	for _, f := range set.Files {
		c := signatures.Content{File: signatures.File{Path: f.Path}}
		if n, err := hex.Decode(c.File.Hash[:], []byte(f.Hash)); err != nil || n != len(c.File.Hash) {
			continue // another kind of hash: the file is read
		}
		for _, digest := range f.Signatures {
			s, ok, err := a.store.Signature(digest)
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, fmt.Errorf("the store lacks signature %s of %s, which it should have: move %s away to start anew", digest, f.Path, a.store.Dir())
			}
			c.Signatures = append(c.Signatures, s)
		}
		known = append(known, c)
	}
	a.log.Info("signatures loaded from the store", "files", len(known))
	return known, nil
}

// remember stores what each sound file gave, and what its conditions are looked up by.
func (a *armory) remember(all *signatures.Set, program *matcher.Program) error {
	set := store.Set{Reader: a.reader()}
	bodies := map[string]*signatures.Signature{}
	for _, c := range all.Contents() {
		f := store.SetFile{Path: c.File.Path, Hash: hex.EncodeToString(c.File.Hash[:])}
		for _, s := range c.Signatures {
			d := s.Digest()
			digest := hex.EncodeToString(d[:])
			f.Signatures = append(f.Signatures, digest)
			bodies[digest] = s
		}
		set.Files = append(set.Files, f)
	}
	list := make([]*signatures.Signature, 0, len(bodies))
	for _, s := range bodies {
		list = append(list, s)
	}
	return a.store.SaveSet(setName, set, list, nil)
}
