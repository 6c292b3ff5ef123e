package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
	"github.com/forewarn/forewarn/signatures/cre"
)

// signatureFlags choose signatures: the catalogue, unless paths are named.
type signatureFlags struct {
	sample  []byte // text such as will be scanned
	paths   []string
	catalog bool
	sources []string
	refused int // problems that program met and went on without
}

func (s *signatureFlags) flags(f *pflag.FlagSet) {
	f.StringArrayVarP(&s.paths, "signatures", "s", nil, "a file or directory of signatures, or of CRE rules, to use instead of the shipped catalogue; may be repeated")
	f.StringArrayVar(&s.sources, "source", nil, "of CRE rules: SOURCE=COMPONENT, the software that an event source means, such as cre.log.mq=rabbitmq; may be repeated")
	f.BoolVar(&s.catalog, "catalog", false, "use the shipped catalogue as well as --signatures")
}

// load reads the signatures with all problems, warnings included. A signature of a path replaces the catalogue's with the same id.
func (s *signatureFlags) load(o signatures.Options) (*signatures.Set, []signatures.Problem) {
	o.Foreign = s.rules().Read
	var builtin *signatures.Set
	var problems []signatures.Problem
	if s.catalog || len(s.paths) == 0 {
		builtin, problems = signatures.LoadFS(catalog.FS, o)
	}
	own, more := signatures.Load(s.paths, o)
	return signatures.Merge(builtin, own), append(problems, more...)
}

// check refuses sources that are not of the form SOURCE=COMPONENT.
func (s *signatureFlags) check() error {
	for _, x := range s.sources {
		if source, component, ok := strings.Cut(x, "="); !ok || source == "" || component == "" {
			return usage("--source %q: use SOURCE=COMPONENT, such as cre.log.mq=rabbitmq", x)
		}
	}
	return nil
}

// rules says how CRE files are read.
func (s *signatureFlags) rules() cre.Options {
	o := cre.Options{Sources: map[string][]string{}}
	for _, x := range s.sources {
		source, component, _ := strings.Cut(x, "=")
		o.Sources[source] = append(o.Sources[source], component)
	}
	return o
}

// program compiles the chosen signatures. What is refused is told on stderr and left out; it is an error when nothing is left.
func (s *signatureFlags) program(g *globals) (*matcher.Program, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	set, problems := s.load(signatures.Options{})
	program, more := matcher.Compile(set.All(), matcher.CompileOptions{Sample: s.sample})
	problems = signatures.Errors(append(problems, more...))
	for _, p := range problems {
		_, _ = fmt.Fprintln(g.err, p.Error())
	}
	if program.Len() == 0 {
		if len(problems) > 0 {
			return nil, exitError{exitRefused, errors.New("no signature is left: mend what is told above, or leave --signatures out to use the catalogue")}
		}
		return nil, fmt.Errorf("no signature in %s: name a YAML file or a directory of them", strings.Join(s.paths, ", "))
	}
	s.refused = len(problems)
	if len(problems) > 0 {
		_, _ = fmt.Fprintf(g.err, "forewarn: %s refused, %d in use\n", plural(uint64(len(problems)), "signature problem"), program.Len())
	}
	return program, nil
}
