package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// process is a peer that is another program: it reads its patterns and the lines from files, and prints how many lines it found.
type process struct {
	name, binary string
	args         []string
	stdin        string // a file, or ""
	patterns     string // what its file of patterns holds; the file is patternsFile
	counts       bool   // it prints the number of lines
}

const (
	patternsFile = "patterns"
	linesFile    = "lines.log"
)

// candidate writes the files and makes the candidate.
func (x *process) candidate(ctx context.Context, j *job, p *part) (candidate, error) {
	binary, err := exec.LookPath(x.binary)
	if err != nil {
		return candidate{}, fmt.Errorf("%s is not on the PATH: %w", x.binary, errAbsent)
	}
	dir, err := os.MkdirTemp(j.dir, "peer-")
	if err != nil {
		return candidate{}, fmt.Errorf("make a directory for %s: %w", x.name, err)
	}
	var lines bytes.Buffer
	for _, t := range p.texts {
		lines.Write(t)
		lines.WriteByte('\n')
	}
	for file, data := range map[string][]byte{linesFile: lines.Bytes(), patternsFile: []byte(x.patterns)} {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			return candidate{}, fmt.Errorf("write the work of %s: %w", x.name, err)
		}
	}
	want := p.lines
	if !x.counts {
		want = -1
	}
	return candidate{name: x.name, want: want, timed: func() (time.Duration, int, error) { return x.run(ctx, binary, dir) }}, nil
}

// run runs the program once. What it costs to start and to read the patterns is a part of its time: so it is for those who use it.
func (x *process) run(ctx context.Context, binary, dir string) (time.Duration, int, error) {
	c := exec.CommandContext(ctx, binary, x.args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "LC_ALL=C")
	var out, told bytes.Buffer
	c.Stdout, c.Stderr = &out, &told
	if x.stdin != "" {
		f, err := os.Open(filepath.Join(dir, x.stdin))
		if err != nil {
			return 0, 0, fmt.Errorf("run %s: %w", x.name, err)
		}
		defer func() { _ = f.Close() }() // it was only read
		c.Stdin = f
	}
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1 says that no line was found
		return 0, 0, fmt.Errorf("run %s: %w: %s", x.name, err, strings.TrimSpace(told.String()))
	}
	took := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	if !x.counts {
		return took, 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(out.String()))
	if err != nil {
		return 0, 0, fmt.Errorf("run %s: it printed %q instead of a number of lines: %s", x.name, out.String(), strings.TrimSpace(told.String()))
	}
	return took, n, nil
}

func prepareGrepF(ctx context.Context, j *job) (candidate, part, error) {
	p := j.part(0, func(x *Pattern) bool { return !x.Regex && !x.Fold })
	var list strings.Builder
	for _, x := range p.patterns {
		list.WriteString(x.Text + "\n")
	}
	if len(p.patterns) == 0 {
		return candidate{}, p, fmt.Errorf("no pattern is a plain text: %w", errAbsent)
	}
	x := process{name: grepFName, binary: "grep", args: []string{"-a", "-c", "-F", "-f", patternsFile, linesFile}, patterns: list.String(), counts: true}
	c, err := x.candidate(ctx, j, &p)
	return c, p, err
}

// grepSyntax are the parts of RE2's syntax that grep -E lacks, and what it has instead.
var grepSyntax = strings.NewReplacer(`\\`, `\\`, `\d`, `[0-9]`, `\-`, `-`, `\/`, `/`, `\"`, `"`, `\'`, `'`, `\:`, `:`)

func prepareGrepE(ctx context.Context, j *job) (candidate, part, error) {
	p := j.part(max(1000, 2_000_000/max(1, j.n)), func(x *Pattern) bool {
		return !x.Fold && !strings.Contains(x.Text, "(?") && !strings.Contains(x.Text, `[\`)
	})
	var list strings.Builder
	for _, x := range p.patterns {
		list.WriteString(grepSyntax.Replace(x.expression()) + "\n")
	}
	x := process{name: grepEName, binary: "grep", args: []string{"-a", "-c", "-E", "-f", patternsFile, linesFile}, patterns: list.String(), counts: true}
	c, err := x.candidate(ctx, j, &p)
	return c, p, err
}

func prepareRipgrep(ctx context.Context, j *job) (candidate, part, error) {
	p := j.part(0, every)
	var list strings.Builder
	for _, x := range p.patterns {
		list.WriteString(ripgrepSyntax.Replace(x.expression()) + "\n")
	}
	x := process{name: ripgrepName, binary: "rg", patterns: list.String(), counts: true, args: []string{
		"--no-config", "-a", "-c", "-j", "1", "--no-unicode", "--regex-size-limit", "2G", "--dfa-size-limit", "2G", "-f", patternsFile, linesFile,
	}}
	c, err := x.candidate(ctx, j, &p)
	return c, p, err
}

// ripgrepSyntax takes back the escapes that Rust's syntax does not know.
var ripgrepSyntax = strings.NewReplacer(`\\`, `\\`, `\<`, `<`, `\>`, `>`, `\"`, `"`, `\'`, `'`, `\/`, `/`)

// preqRule is a rule of the CRE format that looks for one pattern.
type preqRule struct {
	Metadata map[string]string `yaml:"metadata"`
	CRE      map[string]any    `yaml:"cre"`
	Rule     map[string]any    `yaml:"rule"`
}

// preparePreq gives preq the same patterns as rules of its own language. Its reports are for people, so what it finds is not compared.
func preparePreq(ctx context.Context, j *job) (candidate, part, error) {
	p := j.part(5000, every)
	var rules struct {
		Rules []preqRule `yaml:"rules"`
	}
	for i, x := range p.patterns {
		term := map[string]string{"value": x.Text}
		if x.Regex || x.Fold {
			term = map[string]string{"regex": x.expression()}
		}
		// Its ids are base58 of at least twelve letters.
		id := strings.NewReplacer("0", "A", "1", "B").Replace(fmt.Sprintf("bench%010b", i)) + "Pattern"
		rules.Rules = append(rules.Rules, preqRule{
			Metadata: map[string]string{"id": id, "hash": id},
			CRE:      map[string]any{"id": fmt.Sprintf("CRE-2026-%04d", i), "severity": 3, "title": "A text was seen"},
			Rule:     map[string]any{"set": map[string]any{"event": map[string]string{"source": "cre.log.bench"}, "match": []any{term}}},
		})
	}
	text, err := yaml.Marshal(rules)
	if err != nil {
		return candidate{}, p, fmt.Errorf("write rules for preq: %w", err)
	}
	x := process{name: preqName, binary: "preq", args: []string{"-d", "-q", "-r", patternsFile}, stdin: linesFile, patterns: string(text)}
	c, err := x.candidate(ctx, j, &p)
	return c, p, err
}
