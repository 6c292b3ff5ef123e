package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
)

// signatureFlags choose signatures: the catalogue, unless paths are named.
type signatureFlags struct {
	sample  []byte // text such as will be scanned
	paths   []string
	catalog bool
	refused int // problems that program met and went on without
}

func (s *signatureFlags) flags(f *pflag.FlagSet) {
	f.StringArrayVarP(&s.paths, "signatures", "s", nil, "a file or directory of signatures to use instead of the shipped catalogue; may be repeated")
	f.BoolVar(&s.catalog, "catalog", false, "use the shipped catalogue as well as --signatures")
}

// load reads the signatures with all problems, warnings included. A signature of a path replaces the catalogue's with the same id.
func (s *signatureFlags) load(o signatures.Options) (*signatures.Set, []signatures.Problem) {
	var builtin *signatures.Set
	var problems []signatures.Problem
	if s.catalog || len(s.paths) == 0 {
		builtin, problems = signatures.LoadFS(catalog.FS, o)
	}
	own, more := signatures.Load(s.paths, o)
	return signatures.Merge(builtin, own), append(problems, more...)
}

// program compiles the chosen signatures. What is refused is told on stderr and left out; it is an error when nothing is left.
func (s *signatureFlags) program(g *globals) (*matcher.Program, error) {
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
