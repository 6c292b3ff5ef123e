package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/cre"
)

// armory keeps the signatures of a running process. What their files gave is in the store: the compiled form is loaded at the start, bodies
// are read when a warning is raised, and of the files only those that changed are read. Between two looks it keeps nothing but the program.
type armory struct {
	*globals
	store    *store.Store
	settings *settings
	cluster  *cluster    // the custom resources; nil when they are not followed
	found    *foundFacts // of the clusters; nil when they are not followed

	looking sync.Mutex // one look at a time

	program *matcher.Program // in use; nil before the first look
	index   string           // the stored compiled form that the program was made of
	refused []string         // what was refused when it was made
	seen    uint64           // what the files looked like; 0 when that says nothing
	unsaved bodies           // what the store could not take
	applies facts            // by which it was decided what is in the program
	decide  bool             // it must be decided anew
}

const (
	// setName is the set's name in the store.
	setName = "run"
	// smallSet is the size below which a set is compiled whole at each change: that takes milliseconds and gives the fastest program.
	smallSet = 2000
	// maxDrift is how many signatures may come and go before a program is compiled anew.
	maxDrift = 2000
)

// open returns the program to start with and what was refused.
func (a *armory) open() (*matcher.Program, []string) {
	a.look()
	return a.program, a.refused
}

// watch calls swap with a new program whenever the files or the custom resources give one, until ctx ends.
func (a *armory) watch(ctx context.Context, swap func(*matcher.Program, []string)) error {
	look := func() {
		a.looking.Lock()
		defer a.looking.Unlock()
		program, refused := a.program, a.refused
		if a.look(); a.program != program || !slices.Equal(a.refused, refused) {
			swap(a.program, a.refused)
		}
	}
	group, watching := errgroup.WithContext(ctx)
	if len(a.settings.Signatures) > 0 {
		group.Go(func() error {
			return signatures.Follow(watching, a.settings.Signatures, signatures.WatchOptions{}, look)
		})
	}
	if a.cluster != nil {
		group.Go(func() error { return a.cluster.run(watching, look) })
	}
	if a.found != nil {
		group.Go(func() error { return a.found.run(watching, look) })
	}
	group.Go(func() error {
		<-watching.Done()
		return nil
	})
	return group.Wait()
}

// look makes the program what the files and the custom resources say, unless they look as they did.
func (a *armory) look() {
	files, problems := signatures.List(a.settings.Signatures)
	resources := a.cluster.resources()
	seen := fingerprint(files, problems, resources)
	if applies := a.settings.Applies.over(a.found.now()); !applies.equal(&a.applies) {
		a.applies = applies
		a.decide = a.decide || a.program != nil // else the stored program is known to have been made by the same
	}
	if seen == a.seen && !a.decide {
		return
	}
	known := a.known()
	change, err := a.change(known, files, resources)
	if err != nil {
		a.log.Warn("the stored signatures cannot be used: their files are read", "error", err)
		a.program, known = nil, &store.Set{}
		change, err = a.change(known, files, resources)
	}
	if err != nil { // everything was read, so nothing can be missing
		a.log.Error("the signatures cannot be loaded", "error", err)
		return
	}
	a.told(append(problems, change.problems...))
	a.keep(change)
	a.decide = false
	a.cluster.judge(change.verdicts(a.program, resources))
	if a.seen = seen; change.racy {
		a.seen = 0
	}
}

// fingerprint tells lists of files and resources apart.
func fingerprint(files []signatures.FileInfo, problems []signatures.Problem, resources resources) uint64 {
	var d xxhash.Digest
	d.Reset()
	var n [16]byte
	for i := range files {
		binary.LittleEndian.PutUint64(n[:], uint64(files[i].Size))
		binary.LittleEndian.PutUint64(n[8:], uint64(files[i].ModTime))
		_, _ = d.WriteString(files[i].Path + "\x00")
		_, _ = d.Write(n[:])
	}
	for i := range problems {
		_, _ = d.WriteString(problems[i].Error() + "\x00")
	}
	for _, r := range resources.all {
		_, _ = d.WriteString(r.Ref.Path() + "\x00")
		_, _ = d.Write(r.Hash[:])
	}
	if resources.complete {
		_, _ = d.WriteString("complete")
	}
	return max(d.Sum64(), 1)
}

// told logs what is refused and was not before. All mistakes of a file or custom resource are one refusal, so that their number says how many there are.
func (a *armory) told(problems []signatures.Problem) {
	var refused []string
	last := ""
	for _, p := range signatures.Errors(problems) {
		if n := len(refused) - 1; n >= 0 && p.File == last {
			refused[n] += "\n" + p.Error()
		} else {
			refused, last = append(refused, p.Error()), p.File
		}
	}
	for _, r := range refused {
		if !slices.Contains(a.refused, r) { // told once, not at each reload
			a.log.Error("a signature is refused: mend it, and it is taken up at once", "problem", r)
		}
	}
	a.refused = refused
}

// known returns what the store has of files that this binary read, and at the start loads the program.
func (a *armory) known() *store.Set {
	set, found, err := a.store.LoadSet(setName)
	if err != nil {
		a.log.Warn("the stored signatures cannot be used: their files are read", "error", err)
	}
	if err != nil || !found || set.Reader != a.reader() {
		return &store.Set{}
	}
	if a.program != nil {
		return set
	}
	index, found, err := a.store.LoadIndex(setName, set.Index)
	if err == nil && found {
		a.program, err = matcher.LoadProgram(index, a.options(), a.store)
	}
	switch {
	case err != nil:
		a.log.Warn("the stored index cannot be used: the signatures are compiled", "error", err)
	case found:
		a.index = set.Index
		a.log.Info("signatures loaded from the store", "files", len(set.Files), "signatures", a.program.Len())
	}
	return set
}

// keep stores what changed and takes up the program. What the store can't take stays in memory.
func (a *armory) keep(c *change) {
	if c.program == a.program && !c.changed {
		return
	}
	a.unsaved = a.unsaved.with(c.fresh)
	set, program := c.set, c.program
	var index []byte
	if c.compiled {
		index = program.AppendTo(nil)
		a.index = fmt.Sprintf("%d-%s", matcher.ProgramFormat, program.Digest())
	}
	set.Index = a.index
	if err := a.store.SaveSet(setName, set, a.unsaved.list(), index); err != nil {
		a.log.Warn("the signatures cannot be stored: the next start reads their files again", "error", err)
		if c.compiled {
			a.index = "" // it is not stored
		}
		a.program = program.WithBodies(a.unsaved.over(a.store))
		return
	}
	a.unsaved = nil
	if program != a.program {
		a.program = program.WithBodies(a.store)
	}
}

func (a *armory) options() matcher.CompileOptions {
	return matcher.CompileOptions{
		KubernetesVersion: a.applies.Kubernetes, Components: a.applies.Components, Facts: a.applies.Facts,
	}
}

// rules says how CRE files are read.
func (a *armory) rules() cre.Options { return cre.Options{Sources: a.settings.Sources} }

// reader names this very binary, because another one may read the same file differently, and what else decides how a file is read and which
// signatures apply.
func (a *armory) reader() string {
	where := fmt.Sprint(a.options(), a.settings.Sources) // maps are printed in the order of their keys
	exe, err := os.Executable()
	if err != nil {
		return version + where
	}
	info, err := os.Stat(exe)
	if err != nil {
		return version + where
	}
	return fmt.Sprintf("%s %d %d %s", version, info.Size(), info.ModTime().UnixNano(), where)
}
