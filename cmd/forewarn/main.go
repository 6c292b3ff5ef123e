// Command forewarn recognises the opening moves of known Kubernetes failures in events, object changes, logs, metrics and alerts, and
// tells what is about to happen before it is an incident.
//
// One file holds one subcommand; wire.go alone knows how the packages are put together.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

// Exit codes, as `forewarn help exit-codes` lists them.
const (
	exitOK      = 0
	exitFailure = 1 // something went wrong, and the message on stderr says what
	exitUsage   = 2 // the command line is wrong
	exitFound   = 3 // scan --fail-on: a warning at least this severe was raised
	exitRefused = 4 // lint, test, config check, scan: something was refused
)

// exitError carries an exit code other than exitFailure. A nil err says nothing more on stderr.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return exitError{exitUsage, fmt.Errorf(format, args...)}
}

func main() { os.Exit(run()) }

// run does what the process was started for, and returns its exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	io := stdio{os.Stdin, os.Stdout, os.Stderr}
	root := newRoot
	if isPlugin(os.Args[0]) {
		root = newPlugin
	}
	defer stop()
	return executeRoot(ctx, root(io), os.Args[1:], io)
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, io stdio) int {
	return executeRoot(ctx, newRoot(io), args, io)
}

func executeRoot(ctx context.Context, root *cobra.Command, args []string, io stdio) int {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var coded exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &coded):
		if text := coded.Error(); text != "" {
			_, _ = fmt.Fprintln(io.err, "forewarn: "+text)
		}
		return coded.code
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		_, _ = fmt.Fprintln(io.err, "forewarn: interrupted before it was done")
		return exitFailure
	default:
		_, _ = fmt.Fprintln(io.err, "forewarn: "+err.Error())
		return exitFailure
	}
}

func newRoot(io stdio) *cobra.Command {
	g := &globals{stdio: io}
	root := &cobra.Command{
		Use:   "forewarn",
		Short: "Know of a failure before it is an incident",
		Long: `forewarn watches events, object changes, logs, metrics and alerts for the opening moves of failures that
others have been through, and tells what is about to happen, how far it has got and the safest thing to do.

Begin with a log or a cluster dump of your own:
  forewarn scan app.log
  kubectl get events -A -o json | forewarn scan -
or see a genuine failure being forewarned:
  forewarn demo`,
		Version:       version,
		SilenceErrors: true, // execute prints them, once
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return g.check()
		},
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w\nsee `%s --help`", err, c.CommandPath())
	})
	root.SetVersionTemplate("forewarn {{.Version}}\n")
	g.flags(root.PersistentFlags())
	root.AddCommand(
		newScan(g), newDemo(g), newRun(g), newCollect(g), newMatch(g), newNotify(g), newConsole(g),
		newWarnings(g), newExplainWarning(g), newFeedback(g), newSightings(g), newSilence(g),
		newRecord(g), newReplay(g), newSignature(g), newStatus(g), newConfig(g), newRules(g), newBench(g), newExitCodes(),
	)
	completeValues(root, map[string][]string{
		"output": {"text", "json", "yaml"}, "color": {"auto", "always", "never"}, "log-level": {"debug", "info", "warn", "error"},
	})
	strict(root)
	return root
}

func newExitCodes() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: fmt.Sprintf(`  %d  all is well
  %d  something went wrong; the message on stderr says what to do
  %d  the command line is wrong
  %d  scan --fail-on: a warning at least this severe was raised
  %d  signature lint, signature test, config check: something was refused;
     scan: a signature was refused, and the others were used`,
			exitOK, exitFailure, exitUsage, exitFound, exitRefused),
	}
}
