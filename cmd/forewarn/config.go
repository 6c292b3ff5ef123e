package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/signatures"
)

func newConfig(g *globals) *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check and describe the configuration file"}
	c.AddCommand(
		&cobra.Command{
			Use:   "check FILE...",
			Short: "Read configuration files and tell every mistake",
			Args:  cobra.MinimumNArgs(1),
			RunE: func(_ *cobra.Command, files []string) error {
				bad := false
				for _, f := range files {
					s, err := readSettings(f)
					if err != nil {
						bad = true
						_, _ = fmt.Fprintln(g.err, err)
						continue
					}
					if err := g.print(s, func(w io.Writer) error { _, err := fmt.Fprintln(w, f+": sound"); return err }); err != nil {
						return err
					}
				}
				if bad {
					return exitError{code: exitRefused}
				}
				return nil
			},
		},
		&cobra.Command{
			Use:   "schema",
			Short: "Print the JSON Schema of the configuration file",
			Args:  cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				b, err := signatures.SchemaOf(&settings{}, "https://github.com/forewarn/forewarn/cmd/forewarn/config.schema.json", "forewarn configuration")
				if err != nil {
					return err
				}
				_, err = g.out.Write(b)
				return err
			},
		},
	)
	return c
}
