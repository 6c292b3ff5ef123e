package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"

	"github.com/forewarn/forewarn/matcher/notify"
)

// stdio is where a command reads and writes: data on out, everything else on err.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// globals are the flags that every command has.
type globals struct {
	stdio
	output   string
	color    string
	logLevel string
	utc      bool
	log      *slog.Logger
}

func (g *globals) flags(f *pflag.FlagSet) {
	f.StringVarP(&g.output, "output", "o", "text", "what to print on stdout: text, json or yaml")
	f.StringVar(&g.color, "color", "auto", "colours: auto (on a terminal, unless NO_COLOR is set), always or never")
	f.StringVar(&g.logLevel, "log-level", "info", "how much to log on stderr: debug, info, warn or error")
	f.BoolVar(&g.utc, "utc", false, "show clock times in UTC instead of the local zone")
}

func (g *globals) check() error {
	if !slices.Contains([]string{"text", "json", "yaml"}, g.output) {
		return usage("--output %q: use text, json or yaml", g.output)
	}
	if !slices.Contains([]string{"auto", "always", "never"}, g.color) {
		return usage("--color %q: use auto, always or never", g.color)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(g.logLevel)); err != nil {
		return usage("--log-level %q: use debug, info, warn or error", g.logLevel)
	}
	g.log = slog.New(slog.NewTextHandler(g.err, &slog.HandlerOptions{Level: level}))
	return nil
}

// style is how warnings are written for a person on stdout.
func (g *globals) style() notify.Style {
	s := notify.Style{Evidence: 3, Color: g.color == "always", Location: time.Local}
	if g.utc {
		s.Location = time.UTC
	}
	if g.color == "auto" && os.Getenv("NO_COLOR") == "" {
		s.Color = isTerminal(g.out)
	}
	return s
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// print writes v as the output flag asks; text writes it for people.
func (g *globals) print(v any, text func(io.Writer) error) error {
	switch g.output {
	case "json":
		e := json.NewEncoder(g.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(v)
	case "yaml":
		// By way of JSON, so that both have the same names.
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		var tree any
		if err := yaml.Unmarshal(b, &tree); err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		e := yaml.NewEncoder(g.out)
		e.SetIndent(2)
		if err := e.Encode(tree); err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		return e.Close()
	default:
		return text(g.out)
	}
}

// yamlDocuments writes each revision of a warning as a YAML document.
type yamlDocuments struct{ *globals }

// Notify implements notify.Notifier.
func (y yamlDocuments) Notify(_ context.Context, n notify.Notice) error {
	for i := range n.Warnings {
		if _, err := io.WriteString(y.out, "---\n"); err != nil {
			return fmt.Errorf("write warning %s: %w", n.Warnings[i].ID, err)
		}
		if err := y.print(&n.Warnings[i], nil); err != nil {
			return err
		}
	}
	return nil
}

// defaultDataDir follows the XDG base directory specification.
func defaultDataDir() string {
	if d := os.Getenv("XDG_STATE_HOME"); d != "" {
		return filepath.Join(d, "forewarn")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "forewarn-data"
	}
	return filepath.Join(home, ".local", "state", "forewarn")
}

// table writes rows with aligned columns, two spaces apart; the last column is not padded.
func table(w io.Writer, rows [][]string) error {
	var width []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	for _, r := range rows {
		var b strings.Builder
		for i, c := range r {
			b.WriteString(c)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-len([]rune(c))+2))
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	return nil
}
