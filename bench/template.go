package bench

import (
	"bufio"
	"embed"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// shapeFiles are the shapes of log lines: one file a program, one template a line.
//
//go:embed shapes/*.txt
var shapeFiles embed.FS

// Shape is how the lines of one program look. Its templates are text with places to fill in, in braces:
//
//	{time LAYOUT}   the record's time, in a layout of Go's time package
//	{num N}         N digits              {int N}   a number from 0 to N
//	{hex N} {low N} N hexadecimal digits, N letters g to z
//	{pick A|B|C}    one of them
//	{ip} {uuid} {node} {ns} {pod} {word} {obj}
//	{msg}           a message: a planted one, or a near miss
//
// A template with {msg} carries messages; the others are the ordinary lines. Any other brace stands for itself.
type Shape struct {
	Name      string
	Component string // service.name of its records
	ordinary  []template
	carriers  []template
}

// template is a line as literal texts and the places between them.
type template []segment

type segment struct {
	text string
	fill byte // one of the fill constants, or 0 for the text itself
	n    int
	list []string
}

const (
	fillTime = iota + 1
	fillNum
	fillInt
	fillHex
	fillLow
	fillPick
	fillIP
	fillUUID
	fillNode
	fillNamespace
	fillPod
	fillWord
	fillObj
	fillMsg
)

// ParseShape reads the templates of a shape. Lines that begin with # are comments; "# component: NAME" says who writes the lines.
func ParseShape(name, text string) (*Shape, error) {
	s := &Shape{Name: name, Component: name}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if c, ok := strings.CutPrefix(line, "# component: "); ok {
			s.Component = c
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		t, carrier, err := parseTemplate(line)
		if err != nil {
			return nil, fmt.Errorf("shape %s, line %d: %w", name, n, err)
		}
		if carrier {
			s.carriers = append(s.carriers, t)
		} else {
			s.ordinary = append(s.ordinary, t)
		}
	}
	if len(s.ordinary) == 0 || len(s.carriers) == 0 {
		return nil, fmt.Errorf("shape %s: it needs at least one ordinary line and one with {msg}", name)
	}
	return s, nil
}

func parseTemplate(line string) (t template, carrier bool, err error) {
	for line != "" {
		open := strings.IndexByte(line, '{')
		end := -1
		if open >= 0 {
			end = strings.IndexByte(line[open:], '}')
		}
		if end < 0 {
			break
		}
		end += open
		g, ok, err := parsePlace(line[open+1 : end])
		if err != nil {
			return nil, false, err
		}
		if !ok { // a brace that stands for itself
			t = t.literal(line[:open+1])
			line = line[open+1:]
			continue
		}
		t = append(t.literal(line[:open]), g)
		carrier = carrier || g.fill == fillMsg
		line = line[end+1:]
	}
	return t.literal(line), carrier, nil
}

func (t template) literal(s string) template {
	if s == "" {
		return t
	}
	if n := len(t); n > 0 && t[n-1].fill == 0 {
		t[n-1].text += s
		return t
	}
	return append(t, segment{text: s})
}

// parsePlace reads what stands between braces; ok is false when it is no place.
func parsePlace(s string) (g segment, ok bool, err error) {
	word, arg, _ := strings.Cut(s, " ")
	switch word {
	case "time":
		return segment{fill: fillTime, text: arg}, arg != "", nil
	case "pick":
		return segment{fill: fillPick, list: strings.Split(arg, "|")}, arg != "", nil
	case "num", "int", "hex", "low":
		n, err := strconv.Atoi(arg)
		if err != nil || n < 1 || n > 1<<20 {
			return g, false, fmt.Errorf("{%s}: it needs a number from 1 to %d", s, 1<<20)
		}
		return segment{fill: map[string]byte{"num": fillNum, "int": fillInt, "hex": fillHex, "low": fillLow}[word], n: n}, true, nil
	}
	fill := map[string]byte{
		"ip": fillIP, "uuid": fillUUID, "node": fillNode, "ns": fillNamespace, "pod": fillPod, "word": fillWord, "obj": fillObj, "msg": fillMsg,
	}[s]
	return segment{fill: fill}, fill != 0, nil
}

// filler fills templates. It belongs to one goroutine.
type filler struct {
	*rand.Rand
	now  time.Time
	pods []pod
	pod  *pod // whose line it is
}

const (
	digits  = "0123456789"
	hexes   = "0123456789abcdef"
	letters = "ghijklmnopqrstuvwxyz"
)

// append appends the line of a template; msg is what stands at {msg}.
func (f *filler) append(b []byte, t template, msg string) []byte {
	for i := range t {
		g := &t[i]
		switch g.fill {
		case 0:
			b = append(b, g.text...)
		case fillTime:
			b = f.now.AppendFormat(b, g.text)
		case fillNum:
			b = append(b, digits[1+f.IntN(9)])
			b = f.of(b, digits, g.n-1)
		case fillInt:
			b = strconv.AppendInt(b, int64(f.IntN(g.n+1)), 10)
		case fillHex:
			b = f.of(b, hexes, g.n)
		case fillLow:
			b = f.of(b, letters, g.n)
		case fillPick:
			b = append(b, g.list[f.IntN(len(g.list))]...)
		case fillIP:
			b = f.ip(b)
		case fillUUID:
			b = f.uuid(b)
		case fillNode:
			b = append(b, f.pod.node...)
		case fillNamespace:
			b = append(b, f.pod.namespace...)
		case fillPod:
			b = append(b, f.pods[f.IntN(len(f.pods))].name...)
		case fillWord:
			b = append(b, words[f.IntN(len(words))]...)
		case fillObj:
			b = append(b, things[f.IntN(len(things))]...)
		case fillMsg:
			b = append(b, msg...)
		}
	}
	return b
}

// of appends n letters of an alphabet.
func (f *filler) of(b []byte, alphabet string, n int) []byte {
	var x uint64
	for i := range n {
		if i%8 == 0 {
			x = f.Uint64()
		}
		b = append(b, alphabet[uint64(byte(x))*uint64(len(alphabet))>>8])
		x >>= 8
	}
	return b
}

func (f *filler) ip(b []byte) []byte {
	x := f.Uint64()
	b = append(b, "10."...)
	b = strconv.AppendUint(b, x&255, 10)
	b = strconv.AppendUint(append(b, '.'), x>>8&255, 10)
	return strconv.AppendUint(append(b, '.'), x>>16&255, 10)
}

func (f *filler) uuid(b []byte) []byte {
	for i, n := range [...]int{8, 4, 4, 4, 12} {
		if i > 0 {
			b = append(b, '-')
		}
		b = f.of(b, hexes, n)
	}
	return b
}
