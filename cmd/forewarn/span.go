package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/forewarn/forewarn/signatures"
)

// span is a duration on the command line, written as in the configuration and in signatures: 90s, 1h30m, 2d.
type span time.Duration

func spanVar(fs *pflag.FlagSet, d *time.Duration, name string, value time.Duration, doc string) {
	*d = value
	fs.Var((*span)(d), name, doc)
}

func (s *span) Set(text string) error {
	d, err := parseSpan(text)
	*s = span(d)
	return err
}

// String gives "0" for none, which help leaves out.
func (s *span) String() string {
	if *s == 0 {
		return "0"
	}
	return time.Duration(*s).String()
}

func (s *span) Type() string { return "duration" }

// parseSpan takes 0 without a unit too.
func parseSpan(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	d, err := signatures.ParseDuration(text)
	return time.Duration(d), err //nolint:wrapcheck // the flag's name is put before it
}
