package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/prometheus"
)

func newRulesImport(g *globals) *cobra.Command {
	var as, out string
	var force bool
	c := &cobra.Command{
		Use:   "import FILE...|-",
		Short: "Draft signatures of alerting rules",
		Long: `import reads alerting rules, as rule files of Prometheus or PrometheusRule objects, and drafts a signature of each alert. A metric above or below a number
becomes the same condition on that metric; of any other expression the firing alert is the condition, which an Alertmanager sends (collect.alerts). A draft keeps the rule word for word,
and 'forewarn rules generate --from metrics' gives it back.

With --as incident the alert is the incident instead, and its stages are what is known to come before it: its condition before ` + "`for`" + ` has passed, or alerts of
the same name that are less severe. Where nothing is known the draft says where to write it.`,
		Example: `  forewarn rules import --out signatures/ rules/*.yaml
  kubectl get prometheusrules -A -o yaml | forewarn rules import --out signatures/ -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, files []string) error {
			if as != "stage" && as != "incident" {
				return usage("--as %q: use stage or incident", as)
			}
			groups, problems, err := readRules(g, files)
			if err != nil {
				return err
			}
			for _, p := range problems {
				_, _ = fmt.Fprintln(g.err, p.Error())
			}
			drafts := prometheus.Draft(groups, as == "incident")
			if err := writeDrafts(g, out, force, drafts.Signatures); err != nil {
				return err
			}
			tellDrafts(g.err, &drafts)
			switch {
			case len(drafts.Signatures) == 0:
				return exitError{exitRefused, errors.New("no alerting rule was found: name rule files of Prometheus, or PrometheusRule objects")}
			case len(signatures.Errors(problems)) > 0:
				return exitError{exitRefused, errors.New("what is told above is left out, and the rest was drafted")}
			}
			return nil
		},
	}
	c.Flags().StringVar(&as, "as", "stage", "what an alert becomes: stage or incident")
	c.Flags().StringVar(&out, "out", "", "write a file for each draft into this directory; stdout without it")
	c.Flags().BoolVar(&force, "force", false, "write over files that are there")
	completeValues(c, map[string][]string{"as": {"stage", "incident"}})
	return c
}

// readRules reads all files; - is stdin.
func readRules(g *globals, files []string) (groups []prometheus.Group, problems []signatures.Problem, err error) {
	for _, name := range files {
		var src []byte
		if name == "-" {
			src, err = io.ReadAll(g.in)
		} else {
			src, err = os.ReadFile(name)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read rules: %w", err)
		}
		more, bad := prometheus.Read(name, src)
		groups, problems = append(groups, more...), append(problems, bad...)
	}
	return groups, problems, nil
}

// writeDrafts writes them all, or none when one would be written over.
func writeDrafts(g *globals, dir string, force bool, all []*signatures.Signature) error {
	var b bytes.Buffer
	for i, s := range all {
		text, err := prometheus.DraftYAML(s)
		if err != nil {
			return err
		}
		if dir != "" {
			continue
		}
		if i > 0 {
			b.WriteString("---\n")
		}
		b.Write(text)
	}
	if dir == "" {
		if _, err := g.out.Write(b.Bytes()); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
		return nil
	}
	for _, s := range all {
		if _, err := os.Stat(draftFile(dir, s)); !force && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: a draft that somebody has worked on is not written over; name another --out, or say --force", draftFile(dir, s))
		}
	}
	for _, s := range all {
		text, err := prometheus.DraftYAML(s)
		if err != nil {
			return err
		}
		if err := writePublic(draftFile(dir, s), text); err != nil {
			return fmt.Errorf("write drafts: %w", err)
		}
	}
	return nil
}

func draftFile(dir string, s *signatures.Signature) string { return filepath.Join(dir, s.ID+".yaml") }

func tellDrafts(w io.Writer, d *prometheus.Drafts) {
	_, _ = fmt.Fprintf(w, "%s drafted, %d of them on the metric itself\n", plural(uint64(len(d.Signatures)), "signature"), d.Measured)
	if d.Recording > 0 {
		_, _ = fmt.Fprintf(w, "%s left where they are: Prometheus goes on recording\n", plural(uint64(d.Recording), "recording rule"))
	}
	for _, id := range d.Incomplete {
		_, _ = fmt.Fprintf(w, "%s: nothing is known of what comes before it: write its stage `before`\n", id)
	}
}
