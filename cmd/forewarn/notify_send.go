package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/signatures"
)

func newNotifyTest(g *globals) *cobra.Command {
	var f settingsFlags
	var severity string
	var over bool
	c := &cobra.Command{
		Use:   "test [DESTINATION...]",
		Short: "Send a test warning through each destination",
		Long: `test sends one warning, which says of itself that it is a test, to the destinations of the configuration that are named, or to all, and tells of each
whether it was taken, and if not, what to do. What a destination is not sent usually (severity, routes) plays no part. In PagerDuty it opens an incident,
in Alertmanager an alert that ends by itself after a few minutes: --over tells right after that it is over.`,
		Example: `  forewarn notify test -c forewarn.yaml
  forewarn notify test -c forewarn.yaml pager --severity critical --over`,
		RunE: func(c *cobra.Command, names []string) error {
			if signatures.Severity(severity).Rank() >= len(signatures.Severities()) {
				return usage("--severity %q: use critical, high, medium, low or info", severity)
			}
			s, err := f.load()
			if err != nil {
				return err
			}
			chosen, err := s.chosen(names)
			if err != nil {
				return err
			}
			w, err := testWarning(time.Now(), signatures.Severity(severity))
			if err != nil {
				return err
			}
			return g.testDestinations(c.Context(), s, chosen, w, over)
		},
	}
	f.connection(c.Flags())
	c.Flags().StringVar(&severity, "severity", "info", "the severity of the test warning: critical, high, medium, low or info")
	c.Flags().BoolVar(&over, "over", false, "tell right after that it is over, which closes what it opened")
	return c
}

// testWarning says of itself that it is a test. Each has an id of its own, so that every destination takes it for a new one.
func testWarning(now time.Time, severity signatures.Severity) (matcher.Warning, error) {
	id := make([]byte, 6)
	if _, err := rand.Read(id); err != nil {
		return matcher.Warning{}, fmt.Errorf("make an id: %w", err)
	}
	now = now.UTC().Truncate(time.Second)
	return matcher.Warning{
		ID: "7e57" + hex.EncodeToString(id), Revision: 1, Signature: "forewarn-test", Digest: "7e57", Severity: severity,
		Title: "TEST of forewarn: nothing is wrong", Impact: "Somebody ran forewarn notify test to see whether warnings arrive here. They do.",
		Key: []record.Attr{{Key: "test", Value: "forewarn"}}, KeyText: "forewarn",
		State: matcher.Forming, Stage: "test", Total: 2, Opened: now, Time: now,
		Reached:  []matcher.Reached{{Stage: "test", Title: "the test was sent", Time: now, Count: 1}},
		Next:     &matcher.Next{Stage: "read", Title: "somebody reads this"},
		Remedies: []signatures.Remedy{{Do: "Nothing.", Risk: signatures.Look}},
		Evidence: []matcher.Evidence{{Time: now, Stage: "test", Kind: "event", Text: "this is a test", Record: 1}},
	}, nil
}

// sentTest is what became of the test at one destination.
type sentTest struct {
	Destination string `json:"destination"`
	Type        string `json:"type"`
	Taken       bool   `json:"taken"`
	TookMS      int64  `json:"took_ms"`
	Error       string `json:"error,omitempty"`
	Mend        string `json:"mend,omitempty"`
}

func (g *globals) testDestinations(ctx context.Context, s settings, chosen []notify.Destination, w matcher.Warning, over bool) (err error) {
	s.Notify = chosen
	p := &process{globals: g, settings: s}
	if slices.ContainsFunc(chosen, func(d notify.Destination) bool { return d.OnBus() }) {
		so, err := s.streams(g)
		if err != nil {
			return err
		}
		if p.stream, err = stream.Open(ctx, so); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.stream.Close()) }()
	}
	env, err := p.notifyEnv(ctx)
	if err != nil {
		return err
	}
	env.Threads = nil // a test's message is not for later
	var results []sentTest
	failed := 0
	for _, d := range chosen {
		began := time.Now()
		err := sendTest(ctx, d, env, w, over)
		r := sentTest{Destination: d.Name, Type: d.Type, Taken: err == nil, TookMS: time.Since(began).Milliseconds()}
		if err != nil {
			failed++
			r.Error, r.Mend = err.Error(), notify.Advice(&d, err)
		}
		results = append(results, r)
	}
	if err := g.print(results, func(out io.Writer) error { return writeResults(out, results) }); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%s did not take the test", plural(uint64(failed), "destination"))
	}
	return nil
}

// sendTest tells the test, and that it is over.
func sendTest(ctx context.Context, d notify.Destination, env notify.Env, w matcher.Warning, over bool) error {
	n, err := notify.New(d, env)
	if err != nil {
		return err
	}
	told := []matcher.Warning{w}
	if over {
		w.Revision, w.State, w.Reason, w.Closed, w.Next = 2, matcher.Averted, "the test is over", &w.Time, nil
		told = append(told, w)
	}
	for _, w := range told {
		trying, cancel := context.WithTimeout(ctx, 15*time.Second)
		err := n.Notify(trying, notify.Single(w))
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

func writeResults(out io.Writer, results []sentTest) error {
	rows := [][]string{{"DESTINATION", "TYPE", "RESULT", "TOOK"}}
	for _, r := range results {
		rows = append(rows, []string{r.Destination, r.Type, map[bool]string{true: "taken", false: "failed"}[r.Taken], (time.Duration(r.TookMS) * time.Millisecond).String()})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	var b strings.Builder
	for _, r := range results {
		if !r.Taken {
			fmt.Fprintf(&b, "\n%s: %s\n", r.Destination, r.Error)
			if r.Mend != "" {
				fmt.Fprintf(&b, "  what to do: %s\n", r.Mend)
			}
		}
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
