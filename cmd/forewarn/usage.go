package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
)

// strict makes every wrong command line below root an error with the exit code of wrong usage, and never a help text on stdout
// that a pipe would take for data.
func strict(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			strictHelp(c)
		}
		strictArgs(c)
	}
	group(root)
}

// strictArgs tells wrong arguments with the usage line, for c and everything below it.
func strictArgs(c *cobra.Command) {
	if c.HasSubCommands() && c.RunE == nil {
		group(c)
	} else if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usage("%w\nusage: %s\nsee `%s --help`", err, c.UseLine(), c.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		strictArgs(sub)
	}
}

// group makes c, which does nothing but hold other commands, show its help alone and refuse what it does not know.
func group(c *cobra.Command) {
	c.Args = cobra.ArbitraryArgs
	c.DisableFlagsInUseLine = true
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return unknownCommand(c, args[0])
	}
}

func unknownCommand(c *cobra.Command, name string) error {
	hint := ""
	if near := c.SuggestionsFor(name); len(near) > 0 {
		hint = fmt.Sprintf("did you mean `%s %s`?\n", c.CommandPath(), strings.Join(near, "`, `"+c.CommandPath()+" "))
	}
	return usage("unknown command %q for `%s`\n%ssee `%s --help`", name, c.CommandPath(), hint, c.CommandPath())
}

// strictHelp makes `help` refuse what it has no help for.
func strictHelp(help *cobra.Command) {
	show := help.Run
	help.RunE = func(c *cobra.Command, args []string) error {
		if found, rest, err := c.Root().Find(args); err != nil || found.HasSubCommands() && len(rest) > 0 {
			return unknownCommand(found, rest[0])
		}
		show(c, args)
		return nil
	}
}

// completeValues lets shells complete the values of flags that have a closed set of them.
func completeValues(c *cobra.Command, values map[string][]string) {
	for flag, list := range values {
		// The only error is a flag that c does not have, and then there is nothing to complete.
		_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp))
	}
}

// completeIDs completes the ids of the shipped signatures.
func completeIDs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	set, _ := signatures.LoadFS(catalog.FS, signatures.Options{})
	var ids []string
	for _, s := range set.All() {
		ids = append(ids, s.ID+"\t"+s.Title)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func severities() []string {
	var names []string
	for _, s := range signatures.Severities() {
		names = append(names, string(s))
	}
	return names
}
