package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

func newSignature(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:     "signature",
		Aliases: []string{"signatures", "sig"},
		Short:   "Write, check and understand signatures",
	}
	c.AddCommand(newLint(g), newTest(g), newShow(g), newExplain(g), newSchema(g), newTemplate(g), newBlindSpots(g))
	return c
}

func newLint(g *globals) *cobra.Command {
	var strict bool
	c := &cobra.Command{
		Use:   "lint [PATH...]",
		Short: "Check signatures; without a path, the catalogue",
		Long: `lint reads files and directories and tells everything that is wrong, with file, line, column and a mend.
Errors give exit code 4; with --strict warnings do as well, and what a shipped signature needs is asked for.`,
		RunE: func(_ *cobra.Command, paths []string) error {
			from := signatureFlags{paths: paths}
			set, problems := from.load(signatures.Options{Catalogue: strict})
			_, more := matcher.Compile(set.All(), matcher.CompileOptions{})
			problems = append(append([]signatures.Problem{}, problems...), more...) // an empty list is [] for tools
			err := g.print(problems, func(w io.Writer) error {
				for _, p := range problems {
					if _, err := fmt.Fprintln(w, p.Error()); err != nil {
						return fmt.Errorf("write output: %w", err)
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			bad := len(signatures.Errors(problems))
			_, _ = fmt.Fprintf(g.err, "%s, %s, %s\n", plural(uint64(set.Len()), "signature"), plural(uint64(bad), "error"),
				plural(uint64(len(problems)-bad), "warning"))
			if bad > 0 || strict && len(problems) > 0 {
				return exitError{code: exitRefused}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&strict, "strict", false, "ask for all that a shipped signature needs, and fail on warnings")
	return c
}

// testResult is the outcome of one signature test.
type testResult struct {
	Signature string   `json:"signature"`
	Test      string   `json:"test"`
	Passed    bool     `json:"passed"`
	Failures  []string `json:"failures,omitempty"`
}

func newTest(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "test [PATH...]",
		Short: "Run the tests that signatures carry; without a path, the catalogue's",
		RunE: func(_ *cobra.Command, paths []string) error {
			from := signatureFlags{paths: paths}
			set, problems := from.load(signatures.Options{})
			_, more := matcher.Compile(set.All(), matcher.CompileOptions{})
			problems = signatures.Errors(append(problems, more...))
			for _, p := range problems {
				_, _ = fmt.Fprintln(g.err, p.Error())
			}
			results, failed := []testResult{}, 0
			for _, s := range set.All() {
				for i := range s.Tests {
					failures := matcher.RunTest(s, &s.Tests[i])
					results = append(results, testResult{s.ID, s.Tests[i].Name, len(failures) == 0, failures})
					failed += min(1, len(failures))
				}
			}
			err := g.print(results, func(w io.Writer) error {
				for _, r := range results {
					if r.Passed {
						continue
					}
					if _, err := fmt.Fprintf(w, "FAIL  %s: %s\n      %s\n", r.Signature, r.Test, strings.Join(r.Failures, "\n      ")); err != nil {
						return fmt.Errorf("write output: %w", err)
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(g.err, "%s of %s: %d passed, %d failed\n", plural(uint64(len(results)), "test"),
				plural(uint64(set.Len()), "signature"), len(results)-failed, failed)
			if len(problems) > 0 {
				return exitError{exitRefused, errors.New("what is told above is refused, and its tests did not run: mend it first")}
			}
			if failed > 0 {
				return exitError{code: exitRefused}
			}
			return nil
		},
	}
}

func newShow(g *globals) *cobra.Command {
	var from signatureFlags
	c := &cobra.Command{
		Use:   "show [ID...]",
		Short: "List signatures, or show some of them in full",

		ValidArgsFunction: completeIDs,
		RunE: func(_ *cobra.Command, ids []string) error {
			set, problems := from.load(signatures.Options{})
			for _, p := range signatures.Errors(problems) {
				_, _ = fmt.Fprintln(g.err, p.Error())
			}
			chosen, err := choose(set, ids)
			if err != nil {
				return err
			}
			return g.print(chosen, func(w io.Writer) error {
				if len(ids) == 0 {
					return listSignatures(w, chosen)
				}
				for _, s := range chosen {
					if _, err := io.WriteString(w, describe(s)); err != nil {
						return fmt.Errorf("write output: %w", err)
					}
				}
				return nil
			})
		},
	}
	from.flags(c.Flags())
	return c
}

func choose(set *signatures.Set, ids []string) ([]*signatures.Signature, error) {
	if len(ids) == 0 {
		return set.All(), nil
	}
	var chosen []*signatures.Signature
	for _, id := range ids {
		s, ok := set.Get(id)
		if !ok { // CRE ids are written in capitals
			s, ok = set.Get(strings.ToLower(id))
		}
		if !ok {
			return nil, usage("no signature %q: `forewarn signature show` lists them", id)
		}
		chosen = append(chosen, s)
	}
	return chosen, nil
}

func listSignatures(w io.Writer, all []*signatures.Signature) error {
	rows := [][]string{{"ID", "SEVERITY", "STAGES", "BY", "TITLE"}}
	for _, s := range all {
		rows = append(rows, []string{s.ID, string(s.Severity), strconv.Itoa(len(s.Stages)), strings.Join(s.By, ","), s.Title})
	}
	return table(w, rows)
}

func newExplain(g *globals) *cobra.Command {
	var from signatureFlags
	c := &cobra.Command{
		Use:   "explain ID [FILE...|-]",
		Short: "Tell a signature in words; with files, why it fires there or why it does not",
		Long: `explain tells a signature in words. With files it takes their records through this signature alone, and tells for each key that it was
seen for which stages were reached, what is missing and by how much, and what is waited for. When no record met a stage, it tells the record that
came nearest, and the first part of the condition that it does not meet.`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return completeIDs(c, args, word)
		},
		RunE: func(c *cobra.Command, args []string) error {
			set, problems := from.load(signatures.Options{})
			for _, p := range signatures.Errors(problems) {
				_, _ = fmt.Fprintln(g.err, p.Error())
			}
			chosen, err := choose(set, args[:1])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return g.print(chosen[0], func(w io.Writer) error { _, err := io.WriteString(w, describe(chosen[0])); return err })
			}
			program, problems := matcher.Compile(chosen, matcher.CompileOptions{})
			if len(problems) > 0 {
				return exitError{exitRefused, problems[0]}
			}
			s := &scan{globals: g, program: program, explain: chosen[0].ID, explainTo: g.out, progress: "auto"}
			return s.run(c.Context(), collector.Options{Paths: args[1:], Stdin: g.in}, matcher.TrackerOptions{Lateness: time.Minute})
		},
	}
	from.flags(c.Flags())
	return c
}

func newSchema(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of signatures, for editors",
		Long: `schema prints the JSON Schema that editors complete and check signatures with. With the YAML language server:
  forewarn signature schema > signature.schema.json
and as the first line of a signature:
  # yaml-language-server: $schema=signature.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b, err := signatures.Schema()
			if err != nil {
				return err
			}
			_, err = g.out.Write(b)
			return err
		},
	}
}

func newTemplate(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "new ID",
		Short: "Print a signature to begin with",
		Example: `  forewarn signature new redis-memory-full > redis-memory-full.yaml
  forewarn signature lint redis-memory-full.yaml && forewarn signature test redis-memory-full.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			b := signatures.Template(args[0])
			if _, problems := signatures.Parse(args[0], b); len(signatures.Errors(problems)) > 0 {
				return usage("%q is no id for a signature: use lower case letters, digits and dashes, such as redis-memory-full", args[0])
			}
			_, err := g.out.Write(b)
			return err
		},
	}
}
