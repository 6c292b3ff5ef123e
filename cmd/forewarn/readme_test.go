package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

const repository = "../.."

// documents are the READMEs of the repository, by path below its root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && len(d.Name()) > 2 && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(repository, path)
			if err != nil {
				return err
			}
			all[name] = string(b)
		}
		return nil
	}))
	require.Contains(t, all, "README.md")
	return all
}

// fenced returns the code blocks of a language.
func fenced(text, language string) (blocks []string) {
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

func TestPathsInDocumentsExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)(?:#[^)]*)?\)`)
	for name, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			_, err := os.Stat(filepath.Join(repository, filepath.Dir(name), m[1]))
			require.NoError(t, err, "%s links to %s", name, m[1])
		}
	}
	// The first column of "Where things are", and what is named within backquotes there, are folders.
	_, section, found := strings.Cut(documents(t)["README.md"], "## Where things are")
	require.True(t, found)
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(section, -1)
	require.NotEmpty(t, rows)
	for _, row := range rows {
		info, err := os.Stat(filepath.Join(repository, row[1]))
		require.NoError(t, err)
		require.True(t, info.IsDir(), row[1])
	}
}

// commandLines returns the forewarn command lines of a shell text.
func commandLines(text string) (lines [][]string) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, " #")
		for part := range strings.SplitSeq(strings.ReplaceAll(line, "&&", "|"), "|") {
			part, _, _ = strings.Cut(part, ">")
			words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(part), "$ "))
			if len(words) > 0 && (words[0] == "forewarn" || words[0] == "bin/forewarn") {
				lines = append(lines, words[1:])
			}
		}
	}
	return lines
}

// requireParses fails when a command line names a command, flag or number of arguments that does not exist.
func requireParses(t *testing.T, args []string, where string) {
	t.Helper()
	root := newRoot(stdio{strings.NewReader(""), io.Discard, io.Discard})
	c, rest, err := root.Find(args)
	require.NoError(t, err, "%s: forewarn %v", where, args)
	require.False(t, c.HasSubCommands() && len(rest) > 0, "%s: forewarn %v: unknown command", where, args)
	require.NoError(t, c.ParseFlags(rest), "%s: forewarn %v", where, args)
	if c.Args != nil {
		require.NoError(t, c.Args(c, c.Flags().Args()), "%s: forewarn %v", where, args)
	}
}

func TestCommandLinesInDocumentsParse(t *testing.T) {
	inline := regexp.MustCompile("`((?:bin/)?forewarn [a-z][^`]*)`")
	n := 0
	for name, text := range documents(t) {
		var lines [][]string
		for _, language := range []string{"sh", "console", "bash"} {
			for _, block := range fenced(text, language) {
				lines = append(lines, commandLines(block)...)
			}
		}
		for _, m := range inline.FindAllStringSubmatch(text, -1) {
			words := commandLines(m[1])
			if c, _, err := newRoot(stdio{}).Find(words[0]); err == nil && c.HasSubCommands() || len(words[0]) == 1 {
				continue // a command that is named, not a whole line
			}
			lines = append(lines, words...)
		}
		for _, args := range lines {
			requireParses(t, args, name)
			n++
		}
	}
	require.GreaterOrEqual(t, n, 12, "the lines were not found")
}

func TestExamplesInHelpTextsParse(t *testing.T) {
	everyCommand(newRoot(stdio{}), func(c *cobra.Command) {
		for _, args := range commandLines(c.Example + "\n" + c.Long) {
			if len(args) > 0 && args[0] != "watches" { // a sentence, not a command line
				requireParses(t, args, c.CommandPath())
			}
		}
	})
}

func TestMakeTargetsInDocumentsExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(repository, "Makefile"))
	require.NoError(t, err)
	for name, text := range documents(t) {
		for _, m := range regexp.MustCompile("(?m)(?:^|`)make ([a-z0-9-]+)").FindAllStringSubmatch(strings.Join(append(fenced(text, "sh"), text), "\n"), -1) {
			require.Regexp(t, `(?m)^`+m[1]+`:`, string(makefile), "%s says make %s", name, m[1])
		}
	}
}

func TestTheExamplesInTheReadmeWork(t *testing.T) {
	signatures, configs := 0, 0
	for _, block := range fenced(documents(t)["README.md"], "yaml") {
		if !strings.HasPrefix(block, "id: ") {
			path := file(t, "forewarn.yaml", block)
			require.Equal(t, answer{0, path + ": sound\n", ""}, cli(t, "config", "check", path))
			configs++
			continue
		}
		signatures++
		path := file(t, "cart.yaml", block)
		require.Equal(t, answer{0, "", "1 signature, 0 errors, 0 warnings\n"}, cli(t, "signature", "lint", path))
		require.Equal(t, answer{0, "", "2 tests of 1 signature: 2 passed, 0 failed\n"}, cli(t, "signature", "test", path))
		stored, err := os.ReadFile(cartSignature)
		require.NoError(t, err)
		require.Equal(t, string(stored), block, "the tests here use the signature of the README")
		a := cli(t, "scan", "-s", path, "testdata/cart.log")
		require.Contains(t, a.out, "INCIDENT")
	}
	require.Equal(t, []int{1, 3}, []int{signatures, configs})
}

func TestTheDemoInTheReadmeIsWhatTheDemoShows(t *testing.T) {
	out := cli(t, "demo", "--for", "0", "--utc").out
	blocks := fenced(documents(t)["README.md"], "text")
	require.NotEmpty(t, blocks)
	for line := range strings.Lines(blocks[0]) {
		if strings.TrimSpace(line) != "..." {
			require.Contains(t, out, line)
		}
	}
}
