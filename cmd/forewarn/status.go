package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

// overview is what `forewarn status` tells.
type overview struct {
	Processes  []pipeline.Status  `json:"processes"`
	Collectors []collector.Status `json:"collectors"`
	Deliveries []deliveryStatus   `json:"deliveries"`
	Silenced   []silenced         `json:"silenced"` // open warnings that a silence or a maintenance window holds back
	Open       []outcome          `json:"open"`
	Warnings   int                `json:"warnings"` // open and finished, of those that the stream still holds
	Digest     string             `json:"digest"`   // of them: see matcher.DigestWarnings
}

func newStatus(g *globals) *cobra.Command {
	var f settingsFlags
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what a running forewarn has armed, sees, and lost",
		Long: `status shows which signatures are armed and which are refused, which inputs were seen and which are silent, how far behind it
is, everything that was lost, late or evicted, and the open warnings: enough to trust that nothing was found when nothing was found.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := f.load()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), 15*time.Second)
			defer cancel()
			st, err := g.connect(ctx, s)
			if err != nil {
				return err
			}
			defer func() { _ = st.Close() }() // nothing is under way
			o, err := readOverview(ctx, st, s.windows())
			if err != nil {
				return err
			}
			return g.tellOverview(o)
		},
	}
	f.flags(c.Flags())
	return c
}

// readOverview reads from the stream what `forewarn status` tells.
func readOverview(ctx context.Context, st *stream.Stream, windows []notify.Window) (*overview, error) {
	raw, err := st.Statuses(ctx)
	if err != nil {
		return nil, err
	}
	o := &overview{Processes: []pipeline.Status{}, Collectors: []collector.Status{}, Deliveries: []deliveryStatus{}, Silenced: []silenced{}}
	if err := o.decode(raw); err != nil {
		return nil, err
	}
	ws, err := pipeline.Latest(ctx, st)
	if err != nil {
		return nil, err
	}
	o.fill(ws)
	kept, err := silencesOf(ctx, st)
	if err != nil {
		return nil, err
	}
	o.silence(ws, kept.list, windows, time.Now())
	return o, nil
}

// tellOverview prints an overview.
func (g *globals) tellOverview(o *overview) error {
	if len(o.Processes) == 0 {
		_, _ = fmt.Fprintln(g.err, "forewarn: no matching process has told its status in the last minutes: is `forewarn run` or `forewarn match` running?")
	}
	return g.print(o, func(w io.Writer) error { return statusText(w, o, time.Now(), g.style().Location) })
}

// decode takes the statuses of the processes that did not stop.
func (o *overview) decode(raw map[string][]byte) error {
	for _, b := range stream.StatusesOf(pipeline.StatusRole, raw) {
		x, err := pipeline.StatusOf(b)
		if err != nil {
			return err
		}
		if !x.Stopped {
			o.Processes = append(o.Processes, x)
		}
	}
	for _, b := range stream.StatusesOf(collectStatus, raw) {
		var x collector.Status
		if err := json.Unmarshal(b, &x); err != nil {
			return fmt.Errorf("decode the status of a collecting process: %w", err)
		}
		if !x.Stopped {
			o.Collectors = append(o.Collectors, x)
		}
	}
	for _, b := range stream.StatusesOf(notifyStatus, raw) {
		var x deliveryStatus
		if err := json.Unmarshal(b, &x); err != nil {
			return fmt.Errorf("decode the status of a delivering process: %w", err)
		}
		if !x.Stopped {
			o.Deliveries = append(o.Deliveries, x)
		}
	}
	return nil
}

// silenced is an open warning that nobody is told of for now.
type silenced struct {
	ID      string `json:"id"`
	Warning string `json:"warning"` // signature and key
	By      string `json:"by"`
}

// silence notes which open warnings a silence or a maintenance window holds back.
func (o *overview) silence(ws []matcher.Warning, list []notify.Silence, windows []notify.Window, now time.Time) {
	for i := range ws {
		if ws[i].State.Final() {
			continue
		}
		if by := notify.HeldBy(notify.LabelsOf(&ws[i]), list, windows, now); by != "" {
			o.Silenced = append(o.Silenced, silenced{ws[i].ID, ws[i].Signature + " " + ws[i].KeyText, by})
		}
	}
}

func (o *overview) fill(ws []matcher.Warning) {
	slices.SortFunc(ws, func(a, b matcher.Warning) int { return a.Opened.Compare(b.Opened) })
	o.Open = []outcome{}
	for i := range ws {
		if !ws[i].Retracted {
			o.Warnings++
		}
		if !ws[i].State.Final() {
			o.Open = append(o.Open, outcomeOf(&ws[i]))
		}
	}
	o.Digest = matcher.DigestWarnings(ws)
}

func statusText(w io.Writer, o *overview, now time.Time, zone *time.Location) error {
	for i := range o.Processes {
		s := &o.Processes[i]
		gone := now.Sub(s.Time) > goneAfter
		rows := [][]string{
			{"process", fmt.Sprintf("%s, forewarn %s, up %s, told %s ago", s.Instance, s.Version, age(now, s.Began), age(now, s.Time))},
			{"signatures", fmt.Sprintf("%d armed, %d disarmed, %d refused", s.Signatures, len(s.Disarmed), len(s.Refused))},
			{"waiting", lagText(s.Lag)},
			{"lost", orNothing(strings.ReplaceAll(countsText(s.Losses), "_", " "))},
			{"disk", fmt.Sprintf("%s of state, %s free", bytesText(s.Store.TreeBytes+s.Store.ValueLogBytes), bytesText(int64(s.Store.FreeBytes)))},
		}
		if len(s.Unowned) > 0 {
			rows = append(rows, []string{"unowned", strings.Join(s.Unowned, ", ") + ": no process takes these partitions"})
		}
		if err := table(w, rows); err != nil {
			return err
		}
		for _, r := range s.Refused {
			if _, err := fmt.Fprintf(w, "  refused: %s\n", strings.ReplaceAll(r, "\n", "\n    ")); err != nil {
				return fmt.Errorf("write output: %w", err)
			}
		}
		for _, d := range s.Dead {
			if _, err := fmt.Fprintf(w, "  unusable: %s\n", fmt.Sprintf("message %d of %s (%s): %s", d.Sequence, d.Stream, bytesText(int64(d.Size)), d.Reason)); err != nil {
				return fmt.Errorf("write output: %w", err)
			}
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
		if gone {
			if _, err := fmt.Fprintf(w, "  it has told nothing for %s: it was killed or hangs, and this is how it stood\n\n", age(now, s.Time)); err != nil {
				return fmt.Errorf("write output: %w", err)
			}
			continue
		}
		if err := inputTable(w, s.Inputs, now); err != nil {
			return err
		}
	}
	if err := collectorTable(w, o.Collectors, now); err != nil {
		return err
	}
	if err := deliveryTable(w, o.Deliveries, o.Silenced, now); err != nil {
		return err
	}
	if len(o.Open) == 0 {
		_, err := fmt.Fprintf(w, "no open warning; %d in the stream, digest %s\n", o.Warnings, o.Digest)
		return err
	}
	if err := outcomeTable(w, o.Open, zone); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s open; %d in the stream, digest %s\n", plural(uint64(len(o.Open)), "warning"), o.Warnings, o.Digest)
	return err
}

// goneAfter is three times as long as a process takes between two statuses.
const goneAfter = 15 * time.Second

func inputTable(w io.Writer, inputs []pipeline.Input, now time.Time) error {
	rows := [][]string{{"INPUT", "KINDS", "RECORDS", "LAST RECORD", "STATE"}}
	for _, in := range inputs {
		rows = append(rows, []string{in.Source, strings.Join(in.Kinds, ","), strconv.FormatUint(in.Records, 10), age(now, in.Mark) + " ago", inputState(&in)})
	}
	if len(rows) == 1 {
		_, err := fmt.Fprintln(w, "no input was seen when this was told: nothing can be found until a collector sends something")
		return err
	}
	if err := table(w, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// collectorTable shows the collectors of all processes.
func collectorTable(w io.Writer, processes []collector.Status, now time.Time) error {
	rows := [][]string{{"COLLECTOR", "PROCESS", "STATE", "RECORDS", "COMPLETE UP TO", "LOST"}}
	for _, p := range processes {
		for _, c := range p.Collectors {
			state := "connected"
			switch {
			case now.Sub(p.Time) > goneAfter:
				state = "has told nothing for " + age(now, p.Time)
			case !c.Connected:
				state = "NOT CONNECTED"
			}
			upTo := "not known"
			if !c.UpTo.IsZero() {
				upTo = age(now, c.UpTo) + " ago"
			}
			rows = append(rows, []string{c.Collector, p.Instance, state, strconv.FormatUint(c.Records, 10), upTo, orNothing(strings.ReplaceAll(countsText(c.Lost), "_", " "))})
		}
	}
	if len(rows) == 1 {
		return nil
	}
	if err := table(w, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

func inputState(in *pipeline.Input) string {
	switch {
	case in.Ended:
		return "ended"
	case in.Silent:
		return "SILENT: absence of its kinds is unknown"
	default:
		return "alive"
	}
}

func lagText(lag map[string]uint64) string {
	var sum uint64
	for _, n := range lag {
		sum += n
	}
	if sum == 0 {
		return "nothing"
	}
	return plural(sum, "message") + " (" + countsText(lag) + ")"
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func age(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return now.Sub(t).Round(time.Second).String()
}
