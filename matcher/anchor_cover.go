package matcher

import (
	"bytes"
	"slices"
)

// bunch is a run with the literals that are filed under it.
type bunch struct {
	word, offset uint32 // where the run stands
	refs         []site
}

// site is a run in a word.
type site struct{ word, offset uint32 }

// maxPlaces is how many places of one literal are looked at for a run. More make a longer literal's choice hardly better.
const maxPlaces = 64

// runsOf are all runs of the literals of a tier: each once, with the places where it stands.
type runsOf struct {
	table []runSlot
	first []uint32 // of each run where its places begin
	at    []site
}

type runSlot struct {
	hash uint64
	run  uint32 // its number + 1; 0 when the slot is free
}

// cover chooses runs such that each literal has one, and files it there. It looks for the smallest weight, where a run weighs how
// often it is seen in ordinary text: that is how often the scan will look for its literals in vain. The smallest would take
// exponential time; the greedy choice, what serves the most literals for its weight first, is within a logarithm of it.
//
// 104,000 literals of 100,000 signatures are served by some 6,000 runs, whose windows stay in the second cache.
func cover(t *tier, literals []uint32, words []word, padded []byte, rare *sketch) []bunch {
	all := collectRuns(t, literals, words, padded)
	q := make(runQueue, len(all.first)-1)
	for i := range q {
		places := all.at[all.first[i]:all.first[i+1]]
		weight := rare.weight(padded[words[places[0].word].start+places[0].offset:], t)
		q[i] = queued{run: uint32(i), open: float32(len(places)), weight: weight}
	}
	for i := len(q)/2 - 1; i >= 0; i-- {
		q.down(i)
	}
	done := make([]bool, len(words))
	left := len(literals)
	var out []bunch
	for left > 0 && len(q) > 0 {
		top := &q[0]
		places := all.at[all.first[top.run]:all.first[top.run+1]]
		open := countOpen(places, done)
		if open == 0 {
			q.pop()
			continue
		}
		if float32(open) < top.open { // others took some of it: it must wait its turn
			top.open = float32(open)
			q.down(0)
			continue
		}
		q.pop()
		b := bunch{word: places[0].word, offset: places[0].offset}
		text := runText(t, words, padded, places[0])
		for _, p := range places {
			// Runs are told apart by their hashes; that they are equal is what the scan relies on.
			if !done[p.word] && equalFolded(runText(t, words, padded, p), text) {
				done[p.word] = true
				left--
				b.refs = append(b.refs, p)
			}
		}
		if len(b.refs) > 0 {
			out = append(out, b)
		}
	}
	for _, w := range literals { // what only a chance collision of hashes left over
		if !done[w] {
			out = append(out, bunch{word: w, refs: []site{{word: w}}})
		}
	}
	return out
}

func countOpen(places []site, done []bool) int {
	n := 0
	for i, p := range places {
		if !done[p.word] && (i == 0 || places[i-1].word != p.word) {
			n++
		}
	}
	return n
}

func runText(t *tier, words []word, padded []byte, p site) []byte {
	start := words[p.word].start + p.offset
	return padded[start : start+uint32(t.run())]
}

func equalFolded(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	for i, c := range a {
		if c|0x20 != b[i]|0x20 {
			return false
		}
	}
	return true
}

// hashRun hashes a folded run of at most 11 bytes.
func hashRun(t *tier, text []byte) uint64 {
	n := t.run()
	h := load8(text, 0)
	if n < 8 {
		return (h & maskOf(n)) * mulHash
	}
	h *= mulHash
	return (h ^ h>>32 ^ load8(text, n-8)) * 0xD6E8FEB86659FD93
}

// collectRuns lists the runs of all literals.
func collectRuns(t *tier, literals []uint32, words []word, padded []byte) *runsOf {
	total := 0
	for _, w := range literals {
		total += placesOf(t, &words[w])
	}
	r := &runsOf{table: make([]runSlot, power(2*total, 4))}
	runs := make([]uint32, 0, total)
	var count []uint32
	for _, w := range literals {
		for o := range placesOf(t, &words[w]) {
			n := r.number(hashRun(t, padded[int(words[w].start)+o:]), uint32(len(count)))
			if int(n) == len(count) {
				count = append(count, 0)
			}
			count[n]++
			runs = append(runs, n)
		}
	}
	r.first = make([]uint32, len(count)+1)
	for i, n := range count {
		r.first[i+1] = r.first[i] + n
	}
	r.at = make([]site, total)
	next := slices.Clone(r.first)
	i := 0
	for _, w := range literals {
		for o := range placesOf(t, &words[w]) {
			r.at[next[runs[i]]] = site{w, uint32(o)}
			next[runs[i]]++
			i++
		}
	}
	return r
}

func placesOf(t *tier, w *word) int { return min(int(w.end-w.start)-t.run()+1, maxPlaces) }

// number returns the number of a run; next is that of a new one.
func (r *runsOf) number(hash uint64, next uint32) uint32 {
	mask := uint64(len(r.table) - 1)
	for i := hash >> 20 & mask; ; i = (i + 1) & mask {
		s := &r.table[i]
		if s.run == 0 {
			*s = runSlot{hash, next + 1}
			return next
		}
		if s.hash == hash {
			return s.run - 1
		}
	}
}

// queued is a run that may be chosen.
type queued struct {
	run    uint32
	open   float32 // how many literals it would serve, or more
	weight float32
}

// runQueue is a heap with the run first that serves the most literals for its weight.
type runQueue []queued

// down restores the order below i.
func (q *runQueue) down(i int) {
	list := *q
	for {
		first := i
		for _, kid := range [...]int{2*i + 1, 2*i + 2} {
			if kid < len(list) && list[kid].open*list[first].weight > list[first].open*list[kid].weight {
				first = kid
			}
		}
		if first == i {
			return
		}
		list[i], list[first] = list[first], list[i]
		i = first
	}
}

func (q *runQueue) pop() {
	last := len(*q) - 1
	(*q)[0] = (*q)[last]
	*q = (*q)[:last]
	q.down(0)
}
