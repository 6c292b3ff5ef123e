package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

// previewed is what would be sent to one destination.
type previewed struct {
	Destination string           `json:"destination"`
	Type        string           `json:"type"`
	Messages    []notify.Message `json:"messages"`
}

func newNotifyPreview(g *globals) *cobra.Command {
	var f settingsFlags
	var names []string
	var templates, warning string
	c := &cobra.Command{
		Use:   "preview",
		Short: "Show what destinations would be sent, without sending it",
		Long: `preview prints the requests, mails and events that the destinations of the configuration would be sent for a warning, in the order in which they would be, and sends nothing:
neither a destination nor a file with a secret has to be there. --warning takes the JSON of a warning, as a destination of type json writes it; with several lines it
shows how those warnings are told together.`,
		Example: `  forewarn notify preview -c forewarn.yaml --destination chat --template chat.tmpl
  forewarn notify preview -c forewarn.yaml --warning warning.json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			n, err := g.previewNotice(warning)
			if err != nil {
				return err
			}
			s, err := f.loadFor(notify.Env{Pretend: true})
			if err != nil {
				return err
			}
			chosen, err := s.chosen(names)
			if err != nil {
				return err
			}
			var all []previewed
			for _, d := range chosen {
				if templates != "" {
					d.Templates = notify.Templates{File: templates}
				}
				m, err := notify.Preview(c.Context(), d, g.style(), n)
				if err != nil {
					return exitError{exitRefused, err}
				}
				all = append(all, previewed{d.Name, d.Type, m})
			}
			return g.print(all, func(out io.Writer) error { return writePreviews(out, all) })
		},
	}
	f.connection(c.Flags())
	c.Flags().StringArrayVar(&names, "destination", nil, "a destination of the configuration; may be repeated (default all of them)")
	c.Flags().StringVar(&templates, "template", "", "a file of templates, in the place of those of the configuration")
	c.Flags().StringVar(&warning, "warning", "example", "a file with a warning as JSON, - for stdin, or example")
	return c
}

func writePreviews(out io.Writer, all []previewed) error {
	var b bytes.Buffer
	for _, p := range all {
		for i, m := range p.Messages {
			fmt.Fprintf(&b, "=== %s (%s), message %d of %d: %s\n", p.Destination, p.Type, i+1, len(p.Messages), m.To)
			for _, h := range m.Header {
				fmt.Fprintln(&b, h)
			}
			body := []byte(m.Body)
			var pretty bytes.Buffer
			if json.Indent(&pretty, body, "", "  ") == nil {
				body = []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(pretty.String()))
			}
			fmt.Fprintf(&b, "\n%s\n\n", bytes.TrimRight(body, "\n"))
		}
	}
	if _, err := out.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// previewNotice is the notice that a file tells, or the example.
func (g *globals) previewNotice(file string) (notify.Notice, error) {
	if file == "example" {
		return notify.Single(notify.Example(time.Now())), nil
	}
	var src []byte
	var err error
	if file == "-" {
		src, err = io.ReadAll(g.in)
	} else {
		src, err = os.ReadFile(file)
	}
	if err != nil {
		return notify.Notice{}, fmt.Errorf("read a warning: %w", err)
	}
	ws, err := decodeWarnings(src)
	if err != nil {
		return notify.Notice{}, exitError{exitRefused, fmt.Errorf("%s: %w: give it what a destination of type json writes, or `--warning example`", file, err)}
	}
	if len(ws) == 1 {
		return notify.Single(ws[0]), nil
	}
	return notify.Notice{ID: "preview-1", Thread: "preview", Warnings: ws, Over: !slices.ContainsFunc(ws, func(w matcher.Warning) bool { return !w.State.Final() })}, nil
}

// decodeWarnings reads warnings as type json writes them, as a webhook posts them, and as the stream holds them.
func decodeWarnings(src []byte) ([]matcher.Warning, error) {
	d := json.NewDecoder(bytes.NewReader(src))
	var all []matcher.Warning
	for {
		var raw json.RawMessage
		if err := d.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("warning %d: %w", len(all)+1, err)
		}
		var envelope struct {
			Data json.RawMessage `json:"data"`
		}
		if json.Unmarshal(raw, &envelope) == nil && len(envelope.Data) > 0 {
			raw = envelope.Data
		}
		told, err := pipeline.DecodeWarning(raw)
		if err != nil {
			return nil, fmt.Errorf("warning %d: %w", len(all)+1, err)
		}
		w := told.Warning
		var plain matcher.Warning
		if json.Unmarshal(raw, &plain) == nil && len(plain.Key) > 0 && plain.Key[0].Key != "" {
			w.Key = plain.Key
		}
		all = append(all, w)
	}
	if len(all) == 0 {
		return nil, errors.New("it holds no warning")
	}
	return all, nil
}
