package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
	"github.com/forewarn/forewarn/signatures/cre"
)

// consoleArms tells a console which signatures are armed: of this process when it matches, else those of its own configuration, which is that of the
// matching processes as far as it knows.
type consoleArms struct {
	p *process

	mu      sync.Mutex
	made    string    // of what last was made
	looked  time.Time // at the files
	last    console.Armed
	shipped map[string]bool // digests of the shipped catalogue
}

var _ console.Arms = (*consoleArms)(nil)

// armsEvery is how often the files are looked at when somebody asks.
const armsEvery = 10 * time.Second

// Armed implements [console.Arms].
func (a *consoleArms) Armed() console.Armed {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.p.matcher != nil {
		if program, refused := a.p.matcher.Program(); a.made != program.Digest() {
			a.made, a.last = program.Digest(), a.of(program, refused)
		} else {
			a.last.Refused = refused
		}
		return a.last
	}
	if time.Since(a.looked) < armsEvery {
		return a.last
	}
	a.looked = time.Now()
	files, problems := signatures.List(a.p.settings.Signatures)
	made := fmt.Sprint(fingerprint(files, problems, resources{}))
	if made == a.made {
		return a.last
	}
	var builtin *signatures.Set
	if !a.p.settings.NoCatalog {
		builtin, _ = signatures.LoadFS(catalog.FS, signatures.Options{}) // its tests hold it to be without fault
	}
	own, more := signatures.Load(a.p.settings.Signatures, signatures.Options{Foreign: cre.Options{Sources: a.p.settings.Sources}.Read})
	x := armory{globals: a.p.globals, settings: &a.p.settings, applies: a.p.settings.Applies}
	program, wrong := matcher.Compile(signatures.Merge(builtin, own).All(), x.options())
	var refused []string
	for _, p := range signatures.Errors(append(append(problems, more...), wrong...)) {
		refused = append(refused, p.Error())
	}
	a.made, a.last = made, a.of(program, refused)
	if a.p.settings.Resources {
		a.last.Problem = "the signatures that the cluster holds as custom resources are not listed, because this process does not match"
	}
	return a.last
}

// of lists the signatures of a program.
func (a *consoleArms) of(program *matcher.Program, refused []string) console.Armed {
	if a.shipped == nil {
		a.shipped = map[string]bool{}
		builtin, _ := signatures.LoadFS(catalog.FS, signatures.Options{}) // its tests hold it to be without fault
		for _, s := range builtin.All() {
			a.shipped[matcher.NewCompiled(s).DigestText] = true
		}
	}
	x := console.Armed{Digests: map[string]string{}, From: map[string]string{}, Disarmed: program.Disarmed(), Refused: refused}
	var all []*signatures.Signature
	unread := 0
	for _, c := range program.Signatures() {
		s, err := program.Body(c.Digest)
		if err != nil {
			unread++
			continue
		}
		all = append(all, s)
		x.Digests[s.ID] = c.DigestText
		switch file, line, _, ok := s.Position("id"); {
		case a.shipped[c.DigestText]:
			x.From[s.ID] = "the catalogue shipped with forewarn " + version
		case ok:
			x.From[s.ID] = fmt.Sprintf("%s:%d", file, line)
		default:
			x.From[s.ID] = "signatures of your own"
		}
	}
	if unread > 0 {
		x.Problem = fmt.Sprintf("the store cannot read %s", plural(uint64(unread), "signature"))
	}
	x.Set, _ = signatures.NewSet(all) // a program has each id once
	return x
}

// trialCommand is the hidden command that runs a trial of the playground in a process of its own.
const trialCommand = "trial"

// newTrial makes the command that [console.Child] starts.
func newTrial(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: trialCommand, Short: "Run one trial of the console's playground", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return console.ServeTrial(c.Context(), g.in, g.out) },
	}
}

// trialsAtOnce is how many trials of the playground may run at once.
const trialsAtOnce = 2

// consoleRunner runs trials in processes of this very binary.
func consoleRunner(ctx context.Context, g *globals) console.Runner {
	exe, err := os.Executable()
	if err != nil {
		g.log.WarnContext(ctx, "the console has no playground: this binary cannot be found", "error", err)
		return nil
	}
	return console.NewChild([]string{exe, trialCommand}, trialsAtOnce, console.Bounds{Shown: 200})
}
