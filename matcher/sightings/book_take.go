package sightings

import (
	"maps"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/matcher"
)

// What a Keeper puts into a Book. Everything may come again, and in any order.

// take notes a sighting that is stored with a sequence.
func (b *Book) take(s Sighting, seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries == nil {
		b.entries = map[string]map[string]entry{}
	}
	of := b.entries[s.Signature]
	if of == nil {
		of = map[string]entry{}
		b.entries[s.Signature] = of
	}
	if old, has := of[s.Warning]; has && old.seq >= seq {
		return
	}
	of[s.Warning] = entry{s, seq}
	b.forget(s.Signature)
}

// drop forgets a sighting whose month was closed.
func (b *Book) drop(warning string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for signature, of := range b.entries {
		if _, has := of[warning]; has {
			delete(of, warning)
			b.forget(signature)
		}
		if len(of) == 0 {
			delete(b.entries, signature)
		}
	}
}

// hear notes what a person said, under the key that tells whom of a warning it is by.
func (b *Book) hear(key string, f Feedback, seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spoken == nil {
		b.spoken = map[string]map[string]spoken{}
	}
	of := b.spoken[f.Warning]
	if of == nil {
		of = map[string]spoken{}
		b.spoken[f.Warning] = of
	}
	if old, has := of[key]; has && old.seq >= seq {
		return
	}
	of[key] = spoken{f, seq}
	b.forgetWarning(f.Warning)
}

// unhear forgets what was said under a key.
func (b *Book) unhear(warning, key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.spoken[warning], key)
	if len(b.spoken[warning]) == 0 {
		delete(b.spoken, warning)
	}
	b.forgetWarning(warning)
}

// shut notes a closed month.
func (b *Book) shut(c *Closed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed == nil {
		b.closed = map[closedKey]*Closed{}
	}
	b.closed[c.key()] = c
	b.forget(c.Signature)
}

// share merges tallies of other clusters; what is of this one is known better here.
func (b *Book) share(all ...*Tally) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shared == nil {
		b.shared, b.byDigest = map[Key]*Tally{}, map[string][]Key{}
	}
	for _, t := range all {
		key := t.Key()
		_, had := b.shared[key]
		if t.Origin == b.origin || !Merge(b.shared, t) {
			continue
		}
		changed = true
		if !had {
			b.byDigest[t.Digest] = append(b.byDigest[t.Digest], key)
		}
		maps.DeleteFunc(b.known, func(k knownKey, _ *known) bool { return k.digest == t.Digest })
	}
	return changed
}

// forget drops what was summed up of a signature; the lock is held.
func (b *Book) forget(signature string) {
	maps.DeleteFunc(b.known, func(k knownKey, _ *known) bool { return k.signature == signature })
}

func (b *Book) forgetWarning(warning string) {
	for signature, of := range b.entries {
		if _, has := of[warning]; has {
			b.forget(signature)
		}
	}
}

// counted returns what is stored of a warning, and its sequence; 0 when there is nothing.
func (b *Book) counted(signature, warning string) (Sighting, uint64) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e := b.entries[signature][warning]
	return e.Sighting, e.seq
}

// sequences are the last ones, in the logs of sightings and of feedback, of what a tally is made of. Both only grow, so whoever has seen more says a higher
// version, and who has seen the same says the same.
type sequences struct{ sightings, feedback uint64 }

func (s sequences) with(sighting uint64, said map[string]spoken) sequences {
	s.sightings = max(s.sightings, sighting)
	for _, x := range said {
		s.feedback = max(s.feedback, x.seq)
	}
	return s
}

func (s sequences) version() uint64 { return s.sightings + s.feedback }

// due makes what is to be kept of months before one, and lists the warnings that it stands for.
func (b *Book) due(before string) (months []*Closed, warnings map[closedKey][]string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	warnings = map[closedKey][]string{}
	made, words, versions := map[closedKey]*Closed{}, map[closedKey]*known{}, map[closedKey]sequences{}
	for signature, of := range b.entries {
		for _, e := range of {
			if e.Month >= before {
				continue
			}
			key := closedKey{signature, e.Digest, e.Month}
			warnings[key] = append(warnings[key], e.Warning)
			if _, is := b.closed[key]; is {
				continue
			}
			if made[key] == nil {
				made[key] = &Closed{Tally: Tally{Digest: e.Digest, Month: e.Month, Rungs: []Rung{}}, Signature: signature, Total: e.Total}
				words[key] = &known{words: map[string]matcher.Outcome{}}
			}
			c := made[key]
			said := b.said(e.Warning)
			if !e.Retracted {
				c.Tally.count(&e.Sighting, said)
				words[key].speak(&e.Sighting, slices.DeleteFunc(said, func(f Feedback) bool { return e.remedy(f.Remedy) >= 0 }))
			}
			versions[key] = versions[key].with(e.seq, b.spoken[e.Warning])
		}
	}
	for key, c := range made {
		c.Words, c.Tally.Version = words[key].words, versions[key].version()
		months = append(months, c)
	}
	slices.SortFunc(months, func(x, y *Closed) int {
		return strings.Compare(x.Tally.Month+x.Signature+x.Tally.Digest, y.Tally.Month+y.Signature+y.Tally.Digest)
	})
	return months, warnings
}
