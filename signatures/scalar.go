package signatures

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// shortForm is a type that YAML may write shorter than it is.
type shortForm interface {
	decode(d *decoder, n *yaml.Node, path string)
}

var (
	_ shortForm = (*Match)(nil)
	_ shortForm = (*Text)(nil)
	_ shortForm = (*Key)(nil)
	_ shortForm = (*Duration)(nil)
)

func (m *Match) decode(d *decoder, n *yaml.Node, path string) {
	if n.Kind != yaml.MappingNode {
		m.Equals = d.words(n, path)
		return
	}
	d.operators(n, reflect.ValueOf(m).Elem(), path)
}

func (t *Text) decode(d *decoder, n *yaml.Node, path string) {
	if n.Kind != yaml.MappingNode {
		t.Any = d.words(n, path)
		return
	}
	d.operators(n, reflect.ValueOf(t).Elem(), path)
}

func (k *Key) decode(d *decoder, n *yaml.Node, path string) {
	if n.Kind == yaml.MappingNode {
		d.problem(n, path, "want a word or a list of words, not a mapping", "such as `by: pod` or `by: [namespace, label.app]`")
		return
	}
	*k = d.words(n, path)
}

func (x *Duration) decode(d *decoder, n *yaml.Node, path string) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.problem(n, path, "want a duration, not "+describe(n), "write one such as 90s, 5m, 1h30m, 2d or 1w")
		return
	}
	v, err := ParseDuration(strings.TrimSpace(n.Value))
	if err != nil {
		message, mend, _ := strings.Cut(err.Error(), ": ")
		d.problem(n, path, message, mend)
		return
	}
	*x = v
}

// operators reads the mapping form of a Match or a Text: a struct whose lists may be written as one word.
func (d *decoder) operators(n *yaml.Node, v reflect.Value, path string) {
	fields := members(v.Type())
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	if len(n.Content) == 0 {
		d.problem(n, path, placeName(path)+" is empty", "known here: "+strings.Join(names, ", "))
	}
	for key, value := range d.keys(n, path) {
		at := -1
		for i, f := range fields {
			if f.name == key.Value {
				at = i
			}
		}
		where := child(path, key.Value)
		switch {
		case at < 0:
			d.problem(key, where, fmt.Sprintf("unknown key %q in %s", clip(key.Value), placeName(path)), suggestWord(key.Value, names))
		case v.Field(fields[at].index).Kind() == reflect.Slice:
			v.Field(fields[at].index).Set(reflect.ValueOf(d.words(value, where)))
		default:
			d.value(value, v.Field(fields[at].index), where)
		}
	}
}

// words reads one word or a list of words.
func (d *decoder) words(n *yaml.Node, path string) []string {
	if n.Kind != yaml.SequenceNode {
		if s, ok := d.text(n, path); ok {
			return []string{s}
		}
		return nil
	}
	if len(n.Content) == 0 {
		d.problem(n, path, "the list is empty, so nothing could ever match", "name at least one value, or remove the key")
	}
	out := make([]string, 0, len(n.Content))
	for i, x := range n.Content {
		if s, ok := d.text(x, element(path, i)); ok {
			out = append(out, s)
		}
	}
	return out
}

// text reads a scalar as the author spelled it: `to: False` is the text False, `port: 0x10` the text 0x10.
func (d *decoder) text(n *yaml.Node, path string) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.problem(n, path, "want a text, not "+describe(n), "")
	case n.Tag == "!!null" && n.Value == "":
		d.problem(n, path, placeName(path)+" has no value", "write one, or remove the key")
	case n.Tag == "!!null":
		d.problem(n, path, fmt.Sprintf("%s means no value in YAML", n.Value), fmt.Sprintf("if the word is meant, write \"%s\"", n.Value))
	default:
		return n.Value, true
	}
	return "", false
}

// maxInteger bounds counts; a window of more records than this is no sign of anything but a mistake.
const maxInteger = 1_000_000

func (d *decoder) integer(n *yaml.Node, path string) (int64, bool) {
	i, err := strconv.ParseInt(n.Value, 10, 64)
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		d.problem(n, path, "want a whole number, not "+describe(n), "")
	case err == nil && n.Tag == "!!str":
		d.problem(n, path, fmt.Sprintf("want a whole number, not the text %q", clip(n.Value)), "write it without quotes")
	case err != nil && n.Tag != "!!int":
		d.problem(n, path, fmt.Sprintf("want a whole number, not %q", clip(n.Value)), "")
	case err != nil || i > maxInteger || i < -maxInteger:
		d.problem(n, path, fmt.Sprintf("%s is not between %d and %d", clip(n.Value), -maxInteger, maxInteger), "")
	default:
		return i, true
	}
	return 0, false
}

func (d *decoder) number(n *yaml.Node, path string) (float64, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.problem(n, path, "want a number, not "+describe(n), "")
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.TrimPrefix(n.Value, "+"), 64)
	switch {
	case n.Tag != "!!str" && (strings.Contains(strings.ToLower(n.Value), ".nan") || strings.Contains(strings.ToLower(n.Value), ".inf")),
		err == nil && (math.IsNaN(f) || math.IsInf(f, 0)):
		d.problem(n, path, clip(n.Value)+" is not a number to compare with", "write a finite number")
	case err == nil && n.Tag == "!!str":
		d.problem(n, path, fmt.Sprintf("want a number, not the text %q", clip(n.Value)), "write it without quotes")
	case err != nil:
		d.problem(n, path, fmt.Sprintf("want a number, not %q", clip(n.Value)), quantityMend(n.Value))
	default:
		return f, true
	}
	return 0, false
}

// quantityMend writes a share, a Kubernetes quantity or a duration as the plain number that is wanted.
func quantityMend(s string) string {
	units := []struct {
		suffix string
		factor float64
	}{
		{"%", 0.01},
		{"Ki", 1 << 10},
		{"Mi", 1 << 20},
		{"Gi", 1 << 30},
		{"Ti", 1 << 40},
		{"k", 1e3},
		{"M", 1e6},
		{"G", 1e9},
		{"T", 1e12},
		{"ms", 1e-3},
		{"s", 1},
	}
	for _, u := range units {
		if number, ok := strings.CutSuffix(s, u.suffix); ok {
			if f, err := strconv.ParseFloat(strings.TrimSpace(number), 64); err == nil {
				return "write " + strconv.FormatFloat(math.Round(f*u.factor*1e6)/1e6, 'f', -1, 64)
			}
		}
	}
	return ""
}

func (d *decoder) boolean(n *yaml.Node, path string) (value, ok bool) {
	if n.Kind == yaml.ScalarNode && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 {
		switch strings.ToLower(n.Value) {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	d.problem(n, path, "want true or false, not "+describe(n), "")
	return false, false
}
