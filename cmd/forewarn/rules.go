package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/prometheus"
)

func newRules(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "rules",
		Short: "Prometheus alerting rules of signatures, and signatures of alerting rules",
	}
	c.AddCommand(newRulesGenerate(g), newRulesImport(g))
	return c
}

// What `rules generate --out` writes beside a file of rules for each signature.
const (
	rulesTestDir = "tests"
	rulesObject  = "forewarn.prometheusrule.yaml"
)

// ruleFlags are those of `rules generate`.
type ruleFlags struct {
	signatures signatureFlags
	format     string
	out        string
	from       string
	name       string
	namespace  string
	labels     []string
	severity   []string
}

func newRulesGenerate(g *globals) *cobra.Command {
	var f ruleFlags
	c := &cobra.Command{
		Use:   "generate [ID...]",
		Short: "Make alerting rules of signatures, with unit tests for promtool",
		Long: `generate makes alerting rules of the shipped signatures, of those of --signatures, or of those that are named. Each has rules on forewarn's own metrics,
one for each state that a warning can be in. Where a stage or the incident is a condition on metrics there is a rule in PromQL on those metrics as well, which warns
without forewarn; its label source is metrics instead of forewarn. What has no faithful PromQL gets no such rule, and a comment says why.

With --out each signature gets a file of a directory, which may be named in Prometheus's rule_files, and a file of unit tests, made of the tests that the
signature carries:
  promtool check rules DIR/*.yaml
  promtool test rules DIR/tests/*.yaml`,
		Example: `  forewarn rules generate --out monitoring/
  forewarn rules generate --format prometheusrule --label release=kube-prometheus-stack | kubectl apply -f -
  forewarn rules generate --from metrics pvc-filling-up`,
		ValidArgsFunction: completeIDs,
		RunE:              func(_ *cobra.Command, ids []string) error { return f.generate(g, ids) },
	}
	f.signatures.flags(c.Flags())
	c.Flags().StringVar(&f.format, "format", "rules", "rules (a file that Prometheus reads) or prometheusrule (objects for the Prometheus operator)")
	c.Flags().StringVar(&f.out, "out", "", "write files into this directory; stdout without it, the rules alone")
	c.Flags().StringVar(&f.from, "from", "both", "what rules look at: forewarn (its own metrics), metrics (the cluster's) or both")
	c.Flags().StringVar(&f.name, "name", "forewarn", "the name of the PrometheusRule")
	c.Flags().StringVar(&f.namespace, "namespace", "", "the namespace of the PrometheusRule")
	c.Flags().StringArrayVar(&f.labels, "label", nil, "a label of the PrometheusRule, by which the operator finds it, as NAME=VALUE; may be repeated")
	c.Flags().StringArrayVar(&f.severity, "severity", nil, "another word for a severity in labels, such as high=critical; may be repeated")
	completeValues(c, map[string][]string{"format": {"rules", "prometheusrule"}, "from": {"forewarn", "metrics", "both"}})
	return c
}

func (f *ruleFlags) generate(g *globals, ids []string) error {
	options, object, err := f.check()
	if err != nil {
		return err
	}
	set, problems := f.signatures.load(signatures.Options{})
	problems = signatures.Errors(problems)
	for _, p := range problems {
		_, _ = fmt.Fprintln(g.err, p.Error())
	}
	chosen, err := choose(set, ids)
	if err != nil {
		return err
	}
	if len(chosen) == 0 {
		return exitError{exitRefused, errors.New("no signature is left to make rules of")}
	}
	set, _ = signatures.NewSet(chosen)
	made, err := options.Generate(set)
	if err != nil {
		return err
	}
	if err := f.write(g, object, made); err != nil {
		return err
	}
	rules, tests := 0, 0
	for i := range made.Parts {
		rules, tests = rules+len(made.Parts[i].Group.Rules), tests+len(made.Parts[i].Tests)
	}
	_, _ = fmt.Fprintf(g.err, "%s of %s, %s; %s or incidents have no rule on metrics: comments say why\n",
		plural(uint64(rules), "rule"), plural(uint64(set.Len()), "signature"), plural(uint64(tests), "unit test"), plural(uint64(len(made.Notes)), "stage"))
	if len(problems) > 0 {
		return exitError{exitRefused, errors.New("what is told above is refused and has no rules: mend it first")}
	}
	return nil
}

// check reads the flags.
func (f *ruleFlags) check() (o prometheus.Options, object prometheus.Object, err error) {
	if err := f.signatures.check(); err != nil {
		return o, object, err
	}
	if f.format != "rules" && f.format != "prometheusrule" {
		return o, object, usage("--format %q: use rules or prometheusrule", f.format)
	}
	switch f.from {
	case "both", "forewarn", "metrics":
	default:
		return o, object, usage("--from %q: use forewarn, metrics or both", f.from)
	}
	object = prometheus.Object{Name: f.name, Namespace: f.namespace, Labels: map[string]string{}}
	if f.format == "rules" && (len(f.labels) > 0 || f.namespace != "") {
		return o, object, usage("--label and --namespace belong to --format prometheusrule")
	}
	for _, x := range f.labels {
		name, value, ok := strings.Cut(x, "=")
		if !ok || name == "" {
			return o, object, usage("--label %q: use NAME=VALUE, such as release=kube-prometheus-stack", x)
		}
		object.Labels[name] = value
	}
	o = prometheus.Options{Steps: testSteps, Matcher: f.from == "forewarn", Metrics: f.from == "metrics", Severity: map[string]string{}}
	for _, x := range f.severity {
		was, is, ok := strings.Cut(x, "=")
		if !ok || is == "" || signatures.Severity(was).Rank() == len(signatures.Severities()) {
			return o, object, usage("--severity %q: use SEVERITY=WORD, such as high=critical, where SEVERITY is critical, high, medium, low or info", x)
		}
		o.Severity[was] = is
	}
	return o, object, nil
}

// write puts the rules where they were asked for.
func (f *ruleFlags) write(g *globals, object prometheus.Object, made *prometheus.Output) error {
	files := map[string]func() ([]byte, error){}
	whole := made.File().YAML
	if f.format == "prometheusrule" {
		whole = func() ([]byte, error) { return made.File().Objects(object) }
		files[rulesObject] = whole
	} else {
		for i := range made.Parts {
			x := &made.Parts[i]
			rules := prometheus.File{Groups: []prometheus.Group{x.Group}}
			tests := prometheus.UnitTests{RuleFiles: []string{"../" + x.Signature + ".yaml"}, EvaluationInterval: model.Duration(time.Minute), Tests: x.Tests}
			files[x.Signature+".yaml"] = rules.YAML
			files[filepath.Join(rulesTestDir, x.Signature+".yaml")] = tests.YAML
		}
	}
	if f.out == "" {
		text, err := whole()
		if err != nil {
			return err
		}
		if _, err := g.out.Write(text); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
		return nil
	}
	for name, write := range files {
		text, err := write()
		if err != nil {
			return err
		}
		if err := writePublic(filepath.Join(f.out, name), text); err != nil {
			return fmt.Errorf("write rules: %w", err)
		}
	}
	return nil
}

// writePublic writes a file that others may read, and its directory.
func writePublic(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // rules are no secret, and Prometheus reads them as another user
		return err
	}
	return os.WriteFile(path, text, 0o644) //nolint:gosec // the same
}

// testSteps runs a test of a signature and tells what people would be told, for the unit tests of rules.
func testSteps(s *signatures.Signature, t *signatures.Test) ([]prometheus.Step, error) {
	changes, start, err := matcher.TestChanges(s, t)
	if err != nil {
		return nil, err
	}
	var steps []prometheus.Step
	reached := map[string]int{}
	for i := range changes {
		w := &changes[i].Warning
		for _, r := range w.Reached[min(reached[w.ID], len(w.Reached)):] {
			steps = append(steps, prometheus.Step{At: w.Time.Sub(start), Key: w.ID, State: string(w.State), Stage: r.Stage})
		}
		reached[w.ID] = len(w.Reached)
		steps = append(steps, prometheus.Step{At: w.Time.Sub(start), Key: w.ID, State: string(w.State)})
	}
	return steps, nil
}
