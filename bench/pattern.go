package bench

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"

	"github.com/forewarn/forewarn/signatures"
)

// Bounds of a literal in the mixed sets, in bytes.
const (
	minLiteral = 12
	maxLiteral = 60
)

// Pattern is what one signature looks for in the text of a record.
type Pattern struct {
	Text  string // the literal, or the expression
	Regex bool
	Fold  bool // the literal is compared without the case of ASCII letters
	// Needs are texts of which every match holds at least one, without regard to case; Frame is an expression that matches
	// wherever Text does. They are known from how the pattern was made, and let the twin look at few records. Of a pattern of a set one
	// of them is always given.
	Needs []string
	Frame string
	// Example matches. Whole says that it is to be a line of its own, because the pattern asks for the line's beginning.
	Example string
	Whole   bool
}

// Condition is the pattern in the language of signatures. Only in texts of component, if that is not "".
func (p *Pattern) Condition(component string) signatures.Condition {
	c := signatures.LogCondition{Regex: p.Text}
	if !p.Regex {
		c = signatures.LogCondition{Contains: signatures.Text{Any: []string{p.Text}, IgnoreCase: p.Fold}}
	}
	if component != "" {
		c.Component.Equals = []string{component}
	}
	return signatures.Condition{Log: &c}
}

// set makes the patterns of one kind of set. Pattern i is the same whatever the size of the set, so that sets are nested.
type set struct {
	title string
	most  int // patterns that there are
	make  func(i int) Pattern
}

// sets are the kinds of sets that a workload can name.
func sets() map[string]set {
	return map[string]set{
		"mixed":    {"70 % literals of 12 to 60 bytes, 25 % expressions with a literal, 5 % without", 20 * len(bareFrames) * bareSizes, mixed},
		"anchored": {"literals and expressions, each with a literal of at least 11 bytes in every match", 400_000, anchored},
		"hard":     {"literals and expressions made of the words that fill the log", 200_000, hard},
	}
}

// newRand is a generator of its own for item i of what a name stands for.
func newRand(name string, i int) *rand.Rand {
	h := uint64(14695981039346656037)
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return rand.New(rand.NewPCG(h, uint64(i)))
}

// mixed gives 14 literals, 5 expressions with a literal and one without in every 20. The first thousand hold short ones too, as many
// as real rules do.
func mixed(i int) Pattern {
	r := newRand("mixed", i)
	switch {
	case i%20 == 7:
		return bare(i / 20)
	case i%4 == 2 && i < 1000 && i%3 == 0:
		return short(i, r)
	case i%4 == 2:
		return withLiteral(i, r)
	}
	return literalPattern(i, r)
}

func anchored(i int) Pattern {
	r := newRand("anchored", i)
	if i%19%4 == 2 {
		return withLiteral(i, r)
	}
	return literalPattern(i, r)
}

func literalPattern(i int, r *rand.Rand) Pattern {
	p := phraseOf(i)
	s := p.text(r.IntN(len(openings)))
	switch r.IntN(20) {
	case 0, 1, 2:
		s = p.camel()
	case 3, 4, 5:
		s = p.short()
	case 6:
		return Pattern{Text: s, Fold: true, Needs: []string{s}, Example: strings.ToUpper(s[:1]) + s[1:]}
	case 7: // a code, as databases and brokers have
		s = fmt.Sprintf("E%05d %s", i, p.thing)
	}
	if len(s) > maxLiteral {
		s = s[:maxLiteral]
	}
	for len(s) < minLiteral {
		s += "!"
	}
	return Pattern{Text: s, Needs: []string{s}, Example: s}
}

// otherPhrase is where the second phrases of expressions begin, so that they are no first phrase of another pattern.
const otherPhrase = phrasePairs / 2

// withLiteral gives an expression of which every match holds a literal of at least 11 bytes.
func withLiteral(i int, r *rand.Rand) Pattern {
	p, o := phraseOf(i), phraseOf(otherPhrase+i)
	s, t := p.text(r.IntN(len(openings))), o.text(r.IntN(len(openings)))
	q := regexp.QuoteMeta
	one := func(expr, example string) Pattern {
		return Pattern{Text: expr, Regex: true, Needs: []string{s}, Example: example}
	}
	switch r.IntN(9) {
	case 0:
		return one(q(s)+` after [0-9.]+(ms|s)\b`, s+" after 1.5s")
	case 1:
		return one(`(?i)`+q(s), strings.ToUpper(s))
	case 2:
		return one(q(s)+`.*\b(code|status)=\d{3}`, s+", giving up: code=503")
	case 3:
		return Pattern{Text: `(` + q(s) + `|` + q(t) + `) for [a-z-]+\b`, Regex: true, Needs: []string{s, t}, Example: t + " for cart-service"}
	case 4:
		return one(`\b`+q(s)+`.*`+q(o.reason), s+", before that: "+o.reason)
	case 5:
		return one(`\b`+q(s)+` \(attempt \d+ of \d+\)`, s+" (attempt 4 of 5)")
	case 6:
		return one(`(error|warning|fatal): .*`+q(s)+`$`, "fatal: request 7, "+s)
	case 7:
		return Pattern{Text: `^E\d{4} [0-9:.]+ .*` + q(s), Regex: true, Needs: []string{s}, Example: "E0314 09:26:53.589793 2214 sync.go:77] " + s, Whole: true}
	}
	return one(q(s)+`[^,;]*, (retrying|backing off) in \d+s`, s+" (2nd time), backing off in 30s")
}

// short gives an expression whose literals are of 3 to 10 bytes only.
func short(i int, r *rand.Rand) Pattern {
	c := strings.ToUpper(string(letters[i%20])) + string(letters[i/20%20])
	word := c + string(letters[i/7%20])
	if i%7 != 0 {
		word += "err" + string(digits[i%10]) + string(letters[r.IntN(20)])
	}
	return Pattern{Text: `\b` + word + `=[0-9]+(ms|%|kB)`, Regex: true, Needs: []string{word + "="}, Example: word + "=97%"}
}

// bareFrames are the frames of expressions without a literal: four classes of characters, each of some length.
var bareFrames = [...]struct {
	expr    string // with the three numbers, and the least that a frame asks for
	example func(a, b, c int) string
}{
	{`\b[g-z]{%s}[0-9]{%s}[a-f]{%s}\b`, func(a, b, c int) string { return nth("nsqwt", a) + nth("47", b) + nth("bade", c) }},
	{`\b[0-9]{%s}-[g-z]{%s}-[0-9]{%s}\b`, func(a, b, c int) string { return nth("731", a) + "-" + nth("kzm", b) + "-" + nth("902", c) }},
	{`\b[A-Z]{%s}_[0-9]{%s}[A-Z]{%s}\b`, func(a, b, c int) string { return nth("QX", a) + "_" + nth("58", b) + nth("LMN", c) }},
	{`\b[a-z]{%s}\.[A-Z]{%s}\.[0-9]{%s}\b`, func(a, b, c int) string { return nth("hub", a) + "." + nth("KEY", b) + "." + nth("63", c) }},
	{`\([0-9]{%s}/[0-9]{%s}\)[a-z]{%s}\b`, func(a, b, c int) string { return "(" + nth("12", a) + "/" + nth("34", b) + ")" + nth("left", c) }},
	{`\b[A-Z]{%s}[0-9]{%s}=[A-Z]{%s}\b`, func(a, b, c int) string { return nth("SLOT", a) + nth("81", b) + "=" + nth("DEAD", c) }},
	{`\b[0-9]{%s}[:;][A-Z]{%s}[:;][0-9]{%s}\b`, func(a, b, c int) string { return nth("45", a) + ":" + nth("RS", b) + ";" + nth("67", c) }},
	{`<[a-z]{%s}:[0-9]{%s}>[A-Z]{%s}\b`, func(a, b, c int) string { return "<" + nth("unit", a) + ":" + nth("29", b) + ">" + nth("OFF", c) }},
}

// bareSizes is how many expressions there are of each frame.
const bareSizes = 9 * 9 * 8

// nth repeats s up to n bytes.
func nth(s string, n int) string { return strings.Repeat(s, n/len(s)+1)[:n] }

// bare gives the n-th expression without a literal that could anchor it.
func bare(n int) Pattern {
	f := &bareFrames[n%len(bareFrames)]
	n /= len(bareFrames)
	a, b, c := 2+n%9, 2+n/9%9, 2+n/81%8
	form := "%d"
	if n%3 == 2 {
		form = "%d,"
	}
	expr := fmt.Sprintf(f.expr, fmt.Sprintf(form, a), fmt.Sprint(b), fmt.Sprint(c))
	return Pattern{
		Text: expr, Regex: true, Example: f.example(a, b, c),
		Frame: fmt.Sprintf(f.expr, "2,", "2,", "2,"),
	}
}

// hard gives texts of five words that every line is full of; a fifth of them as expressions whose longest literal is three words.
func hard(i int) Pattern {
	n := uint64(i) * 7_368_787 % (24 * 24 * 24 * 24 * 24) // prime to it, so that all are different
	var w [5]string
	for k := range w {
		w[k] = words[n%24]
		n /= 24
	}
	if i%5 != 3 {
		s := strings.Join(w[:], " ")
		return Pattern{Text: s, Needs: []string{s}, Example: s}
	}
	head, tail := strings.Join(w[:3], " "), strings.Join(w[3:], " ")
	return Pattern{Text: `\b` + head + `( [a-z]+)? ` + tail + `\b`, Regex: true, Needs: []string{head}, Example: head + " not " + tail}
}
