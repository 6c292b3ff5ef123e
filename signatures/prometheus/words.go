package prometheus

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"unicode"

	"github.com/forewarn/forewarn/signatures"
)

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// alertName joins words as the names of alerts are written: pvc-filling-up and full become PvcFillingUpFull.
func alertName(words ...string) string {
	var b strings.Builder
	for _, w := range words {
		up := true
		for _, r := range w {
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				up = true
				continue
			}
			if up {
				r = unicode.ToUpper(r)
			}
			up = false
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plain is text that Prometheus's templates leave as it is.
func plain(s string) string { return strings.ReplaceAll(s, "{{", `{{"{{"}}`) }

// keyWord finds what is filled into a remedy's command.
var keyWord = regexp.MustCompile(`\{\{-?\s*\.([a-zA-Z_]\w*)\s*-?\}\}`)

// command is a remedy's command with the alert's labels filled in, where it has them, and else with words in angle brackets.
func command(s string, labels map[string]string) string {
	var b strings.Builder
	at := 0
	for _, m := range keyWord.FindAllStringSubmatchIndex(s, -1) {
		b.WriteString(plain(s[at:m[0]]))
		word := s[m[2]:m[3]]
		if l, ok := labels[word]; ok {
			b.WriteString("{{ " + l + " }}")
		} else {
			b.WriteString("<" + word + ">")
		}
		at = m[1]
	}
	return b.String() + plain(s[at:])
}

// keyTemplates are, for the words of keys, what templates say for them.
func keyTemplates(by signatures.Key) (words map[string]string, where string) {
	all := map[string]string{
		"namespace": "$labels.namespace", "pod": "$labels.pod", "container": "$labels.container", "volume": "$labels.persistentvolumeclaim",
		"node": "or $labels.node $labels.instance",
	}
	has := map[string][]string{
		"container": {"namespace", "pod", "container"}, "pod": {"namespace", "pod"}, "volume": {"namespace", "volume"}, "node": {"node"}, "namespace": {"namespace"},
	}
	words = map[string]string{}
	var parts []string
	for _, k := range by {
		for _, w := range has[k] {
			words[w] = all[w]
			parts = append(parts, "{{ "+all[w]+" }}")
		}
	}
	return words, strings.Join(parts, "/")
}

// about are the annotations that all rules of a signature have.
func about(s *signatures.Signature, words map[string]string) map[string]string {
	out := map[string]string{}
	set := func(name, text string) {
		if text = strings.TrimSpace(text); text != "" {
			out[name] = text
		}
	}
	set("impact", plain(s.Impact))
	set("cause", plain(s.Cause))
	if len(s.Remedies) > 0 {
		r := &s.Remedies[0]
		set("remedy", plain(r.Do)+" (risk: "+string(r.Risk)+")")
		set("command", command(r.Command, words))
	}
	set("runbook_url", plain(runbook(s.References)))
	return out
}

// runbook is the reference that says what to do, else the first.
func runbook(references []string) string {
	for _, r := range references {
		if strings.Contains(strings.ToLower(r), "runbook") {
			return r
		}
	}
	if len(references) > 0 {
		return references[0]
	}
	return ""
}

// expand is what Prometheus makes of an annotation.
func expand(text string, l labels, value float64) (string, error) {
	t, err := template.New("").Option("missingkey=zero").Parse("{{$labels := .Labels}}{{$value := .Value}}" + text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, struct {
		Labels map[string]string
		Value  float64
	}{l, value})
	return b.String(), err
}
