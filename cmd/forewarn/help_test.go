package main

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// everyCommand calls do for each command that a person can run.
func everyCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			everyCommand(sub, do)
		}
	}
}

func TestHelpOfEveryCommandIsAsStored(t *testing.T) {
	t.Setenv("HOME", "/home/sre") // the default data directory is named
	t.Setenv("XDG_STATE_HOME", "")
	seen := map[string]bool{}
	everyCommand(newRoot(stdio{nil, io.Discard, io.Discard}), func(c *cobra.Command) {
		words := strings.Fields(c.CommandPath())
		if len(words) > 1 && words[1] == "completion" {
			return // another project's words
		}
		t.Run(c.CommandPath(), func(t *testing.T) {
			name := filepath.Join("testdata", "help", strings.Join(words, "-")+".txt")
			seen[name] = true
			a := cli(t, append(words[1:], "--help")...)
			require.Zero(t, a.code)
			require.Empty(t, a.err)
			golden(t, name, a.out)
			require.Equal(t, a.out, cli(t, append([]string{"help"}, words[1:]...)...).out, "help and --help differ")
		})
	})
	files, err := filepath.Glob("testdata/help/*.txt")
	require.NoError(t, err)
	for _, f := range files {
		require.True(t, seen[f], "%s belongs to no command", f)
	}
}

func TestWrongCommandLinesEndWith2AndSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string
	}{
		{"nosuch", []string{`unknown command "nosuch"`, "see `forewarn --help`"}},
		{"scna app.log", []string{"did you mean `forewarn scan`?"}},
		{"signature nosuch", []string{"see `forewarn signature --help`"}},
		{"signature tets", []string{"did you mean `forewarn signature test`?"}},
		{"config nosuch", []string{"see `forewarn config --help`"}},
		{"completion tcsh", []string{"see `forewarn completion --help`"}},
		{"help nosuch", []string{`unknown command "nosuch"`}},
		{"help signature nosuch", []string{`unknown command "nosuch"`}},
		{"scan --nosuch x", []string{"unknown flag: --nosuch", "see `forewarn scan --help`"}},
		{"scan", []string{"usage: forewarn scan [flags] FILE...|-"}},
		{"scan --lateness soon x", []string{"--lateness", "see `forewarn scan --help`"}},
		{"scan --lateness -1s x", []string{"--lateness"}},
		{"scan --fail-on bad x", []string{"use critical, high, medium, low or info"}},
		{"scan --format xml x", []string{"use text or json"}},
		{"scan --zone Nowhere x", []string{"Europe/Berlin"}},
		{"scan --progress maybe x", []string{"use auto, always or never"}},
		{"scan --explain nosuch testdata/cart.log", []string{"forewarn signature show"}},
		{"scan -o xml x", []string{"use text, json or yaml"}},
		{"scan --color pink x", []string{"use auto, always or never"}},
		{"scan --log-level loud x", []string{"use debug, info, warn or error"}},
		{"status extra", []string{"usage: forewarn status [flags]"}},
		{"demo extra", []string{"usage: forewarn demo [flags]"}},
		{"demo --for -1s", []string{"negative"}},
		{"match extra --nats x", []string{"usage: forewarn match [flags]"}},
		{"match", []string{"--nats"}},
		{"notify", []string{"--nats"}},
		{"collect x", []string{"--nats"}},
		{"collect --nats nats://127.0.0.1:1", []string{"nothing to collect", "`files`"}},
		{"collect --dry-run", []string{"nothing to collect", "`files`"}},
		{"record", []string{"--out is missing"}},
		{"record --out x --since yesterday", []string{"2h", "2026-11-20T12:00:00Z"}},
		{"record --out x --since 1h --until 2h", []string{"--since is not before --until"}},
		{"replay --lateness -1s x", []string{"negative"}},
		{"replay", []string{"usage: forewarn replay RECORDING [flags]"}},
		{"config check", []string{"usage: forewarn config check FILE... [flags]"}},
		{"config schema extra", []string{"usage:"}},
		{"signature schema extra", []string{"usage:"}},
		{"signature new", []string{"usage: forewarn signature new ID [flags]"}},
		{"signature new Not_An_Id", []string{"lower case letters, digits and dashes"}},
		{"signature show nosuch", []string{"`forewarn signature show` lists them"}},
		{"signature explain", []string{"usage:"}},
		{"rules nosuch", []string{"see `forewarn rules --help`"}},
		{"rules generate nosuch", []string{"`forewarn signature show` lists them"}},
		{"rules generate --format xml", []string{"use rules or prometheusrule"}},
		{"rules generate --from x", []string{"use forewarn, metrics or both"}},
		{"rules generate --label release=x", []string{"belong to --format prometheusrule"}},
		{"rules generate --format prometheusrule --label x", []string{"release=kube-prometheus-stack"}},
		{"rules generate --severity bad=page", []string{"high=critical"}},
		{"rules import", []string{"usage: forewarn rules import"}},
		{"rules import --as nothing x", []string{"use stage or incident"}},
		{"signature explain nosuch", []string{"`forewarn signature show` lists them"}},
	} {
		t.Run(c.args, func(t *testing.T) {
			a := cli(t, strings.Fields(c.args)...)
			require.Equal(t, exitUsage, a.code, a.err)
			require.Empty(t, a.out, "an error is no data")
			require.True(t, strings.HasPrefix(a.err, "forewarn: "), a.err)
			for _, want := range c.want {
				require.Contains(t, a.err, want)
			}
		})
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		a := cli(t, "completion", shell)
		require.Zero(t, a.code)
		require.Contains(t, a.out, "forewarn")
		require.Empty(t, a.err)
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"sc"}, []string{"scan\tLook for the stages"}},
		{[]string{"signature", ""}, []string{"lint\t", "explain\t", "new\t"}},
		{[]string{"scan", "--fail-on", ""}, []string{"critical\n", "info\n"}},
		{[]string{"scan", "--explain", ""}, []string{"crash-loop\t", "node-memory-eviction\t"}},
		{[]string{"signature", "show", "node"}, []string{"node-memory-eviction\t"}},
		{[]string{"signature", "explain", "crash"}, []string{"crash-loop\t"}},
		{[]string{"status", "-o", ""}, []string{"text\n", "json\n", "yaml\n"}},
		{[]string{"run", "--color", ""}, []string{"auto\n", "always\n", "never\n"}},
	} {
		a := cli(t, append([]string{"__complete"}, c.args...)...)
		require.Zero(t, a.code)
		for _, want := range c.want {
			require.Contains(t, a.out, want, "%v", c.args)
		}
	}
}

func TestVersionAndExitCodes(t *testing.T) {
	require.Equal(t, answer{0, "forewarn dev\n", ""}, cli(t, "--version"))
	a := cli(t, "exit-codes")
	require.Zero(t, a.code)
	for _, line := range []string{"0  all is well", "2  the command line is wrong", "3  scan --fail-on", "4  signature lint"} {
		require.Contains(t, a.out, line)
	}
}

func TestInterruptedContextIsNoFailureOfScan(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs buffer
	code := execute(ctx, []string{"scan", "testdata/cart.log"}, stdio{strings.NewReader(""), &out, &errs})
	require.Zero(t, code, errs.String())
	require.Contains(t, errs.String(), "looked at")
}
