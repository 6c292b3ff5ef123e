package cre

import (
	"regexp"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/signatures"
)

// item begins an element of a list in Markdown; deeper ones belong to the element before.
var (
	item    = regexp.MustCompile(`^(?:[-*+]|\d+[.)])\s+`)
	heading = regexp.MustCompile(`^#+\s`)
)

// remedies makes remedies of a mitigation in Markdown: one of each element of its lists, and one of each paragraph outside them.
// A block of code of one line becomes the command of the remedy before it.
func remedies(markdown string) []signatures.Remedy {
	var out []signatures.Remedy
	var text []string
	end := func() {
		if do := strings.TrimSpace(strings.Join(text, " ")); do != "" {
			out = append(out, signatures.Remedy{Do: do, Risk: risk(do)})
		}
		text = nil
	}
	var code []string
	inCode := false
	for line := range strings.Lines(markdown) {
		line = strings.TrimRight(line, " \t\r\n")
		bare := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(bare, "```"):
			if inCode = !inCode; inCode {
				end()
				code = nil
				continue
			}
			out = command(out, code)
		case inCode:
			if bare != "" {
				code = append(code, bare)
			}
		case bare == "" || heading.MatchString(bare):
			end()
		case item.MatchString(line) || item.MatchString(bare) && len(text) == 0:
			end()
			text = append(text, item.ReplaceAllString(bare, ""))
		default:
			text = append(text, bare)
		}
	}
	end()
	slices.SortStableFunc(out, func(a, b signatures.Remedy) int {
		return slices.Index(signatures.Risks(), a.Risk) - slices.Index(signatures.Risks(), b.Risk)
	})
	return out
}

// command gives a block of code to the last remedy. What holds braces would be taken for a template.
func command(out []signatures.Remedy, code []string) []signatures.Remedy {
	switch n := len(out) - 1; {
	case len(code) == 0:
	case len(code) == 1 && n >= 0 && out[n].Command == "" && !strings.Contains(code[0], "{{"):
		out[n].Command = strings.TrimPrefix(code[0], "$ ")
		out[n].Risk = riskier(out[n].Risk, riskOf(code[0], signatures.Look)) // a command of which nothing is known is as risky as the text
	case n >= 0:
		out[n].Do += " " + strings.Join(code, "; ")
	default:
		out = append(out, signatures.Remedy{Do: strings.Join(code, "; "), Risk: signatures.Restart})
	}
	return out
}

// riskier returns the one that costs more: a remedy is as risky as its riskiest part.
func riskier(a, b signatures.Risk) signatures.Risk {
	all := signatures.Risks()
	return all[max(slices.Index(all, a), slices.Index(all, b))]
}

// risks are words that say what a piece of advice may cost, the worst first. What only looks begins with a word of looking.
var risks = []struct {
	risk  signatures.Risk
	words *regexp.Regexp
}{
	{signatures.Data, regexp.MustCompile(`(?i)\b(delet\w*|drop\w*|truncat\w*|purg\w*|wip\w*|restor\w*|format\w*|reset\w*|remov\w* (the )?(data|volume|pvc)\w*|rm -rf?)\b`)},
	{signatures.Drain, regexp.MustCompile(`(?i)\b(drain\w*|cordon\w*|evict\w*|migrat\w*|fail ?over)\b`)},
	{signatures.Look, regexp.MustCompile(`(?i)^\W*(check|inspect|read|find|watch|compare|see|review|verify|monitor|look|see|identify|confirm|examine|observe|investigate|audit|analyze|analyse|list|describe|kubectl (get|describe|logs|top))\b`)},
	{signatures.Restart, regexp.MustCompile(`(?i)\b(restart\w*|rollout|roll back|rollback|upgrad\w*|redeploy\w*|reboot\w*|patch\w*)\b`)},
	{signatures.Scale, regexp.MustCompile(`(?i)\b(scal\w*|increas\w*|rais\w*|limits?|memory|cpu|replicas?|capacity|resources?|quota)\b`)},
}

// risk guesses what advice may cost. Nobody said that it is harmless, so what is not known is taken for a restart.
func risk(text string) signatures.Risk { return riskOf(text, signatures.Restart) }

func riskOf(text string, unknown signatures.Risk) signatures.Risk {
	for _, x := range risks {
		if x.words.MatchString(text) {
			return x.risk
		}
	}
	return unknown
}
