package bench

import (
	"math/bits"
	"strings"
)

// A phrase is what a failure says: a verb, a quality, an object, a reason. Phrases come in pairs of neighbours; a coin of the pair's own
// decides which of the two signatures may be about, and the other is for near misses. So a near miss is made of the same words in
// the same places, and never is a phrase of a signature.
const phrasePairs = 40 * 25 * 50 * 48 / 2

// phraseStep is prime to phrasePairs, so that stepping by it visits every pair once.
const phraseStep = 733_331

// phrase is the text of a failure in the way that log lines write it.
type phrase struct{ verb, quality, thing, reason string }

// phraseOf returns the i-th phrase for signatures; those below phrasePairs are all different.
func phraseOf(i int) phrase {
	pair := uint64(i) * phraseStep % phrasePairs
	return newPhrase(2*pair + coin(pair))
}

// nearMiss returns one that no signature is about.
func nearMiss(pair uint64) phrase {
	pair %= phrasePairs
	return newPhrase(2*pair + (1 - coin(pair)))
}

func coin(pair uint64) uint64 { return mix(pair) & 1 }

// mix spreads the bits of x (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// newPhrase takes a number apart into words. Neighbours differ in their reason.
func newPhrase(n uint64) (p phrase) {
	take := func(list []string) string {
		var at uint64
		n, at = n/uint64(len(list)), n%uint64(len(list))
		return list[at]
	}
	p.reason = take(reasons)
	p.thing = take(things)
	p.verb = take(verbs)
	p.quality = take(qualities)
	return p
}

// text is the phrase as a sentence, of at most 60 bytes; which of the openings it has is up to the caller.
func (p phrase) text(opening int) string {
	s := p.verb + " " + p.quality + " " + p.thing + ": " + p.reason
	if o := openings[opening%len(openings)]; len(o)+len(s) <= maxLiteral {
		return o + s
	}
	return s
}

// short is the phrase without its verb's opening, as messages of libraries are.
func (p phrase) short() string { return p.quality + " " + p.thing + " " + p.verb + ", " + p.reason }

// camel is the phrase as a reason in one word.
func (p phrase) camel() string {
	var b strings.Builder
	for _, w := range []string{p.verb, p.quality, p.thing} {
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	for w := range strings.FieldsSeq(p.reason) {
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String()
}

// fold is a number below n that depends on x alone.
func fold(x uint64, n int) int {
	hi, _ := bits.Mul64(mix(x), uint64(n))
	return int(hi)
}
