package sightings

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

// Book is what is known of finished warnings, in memory. It is safe for concurrent use. The zero Book is empty and kept nowhere: a [Keeper] fills one from
// where sightings are stored, and stores what is given to it.
//
// What it holds is bounded by months: single sightings and what people said of them only until their month is closed, and tallies after that.
type Book struct {
	// Now is the clock by which it is told how long has been waited; [time.Now] without it. It is set before the Book is used.
	Now func() time.Time

	mu       sync.RWMutex
	origin   string
	entries  map[string]map[string]entry // by signature and warning
	spoken   map[string]map[string]spoken
	closed   map[closedKey]*Closed
	shared   map[Key]*Tally
	byDigest map[string][]Key // of shared
	known    map[knownKey]*known
	give     func(context.Context, Feedback) error
}

type entry struct {
	Sighting
	seq uint64
}

type spoken struct {
	Feedback
	seq uint64
}

type closedKey struct{ signature, digest, month string }

type knownKey struct {
	signature, digest string
	total             int
}

// Closed is what is kept of a signature's sightings in a month that is long over, in place of them. It stays in its cluster.
type Closed struct {
	Tally     Tally                      `json:"tally"`
	Signature string                     `json:"signature"`
	Total     int                        `json:"total"`
	Words     map[string]matcher.Outcome `json:"words,omitempty"` // what was done that is not in the signature's list
}

func (c *Closed) key() closedKey { return closedKey{c.Signature, c.Tally.Digest, c.Tally.Month} }

// ErrKeptNowhere says that a Book has nowhere to put feedback.
var ErrKeptNowhere = errors.New("sightings are not kept here: feedback needs a running forewarn")

func (b *Book) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

// Outlook says what sightings tell of a warning, as of now; nil when they tell nothing. It may be called with the nil Book.
func (b *Book) Outlook(w *matcher.Warning) *matcher.Outlook {
	if b == nil {
		return nil
	}
	return b.OutlookAt(w, b.now())
}

// OutlookAt is Outlook as of a time.
func (b *Book) OutlookAt(w *matcher.Warning, now time.Time) *matcher.Outlook {
	return b.knows(knownKey{w.Signature, w.Digest, w.Total}).outlook(w, now)
}

// knows sums up what counts for a signature: here all of its id with as many stages, for a title that is mended makes another digest but no other failure, and
// elsewhere only exactly the same content, for other clusters tell no ids.
func (b *Book) knows(key knownKey) *known {
	b.mu.RLock()
	k := b.known[key]
	b.mu.RUnlock()
	if k != nil {
		return k
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k = &known{words: map[string]matcher.Outcome{}}
	for _, e := range b.entries[key.signature] {
		if e.Total == key.total && !e.Retracted && !b.isClosed(&e.Sighting) {
			said := b.said(e.Warning)
			k.here.count(&e.Sighting, said)
			k.speak(&e.Sighting, said)
		}
	}
	k.here.Remedies = nil // they are in words
	for c, x := range b.closed {
		if c.signature == key.signature && x.Total == key.total {
			k.here.plus(&x.Tally)
			for name, o := range x.Words {
				k.did(name, o)
			}
		}
	}
	for _, x := range b.byDigest[key.digest] {
		k.elsewhere.plus(b.shared[x])
	}
	if b.known == nil || len(b.known) >= maxKnown {
		b.known = map[knownKey]*known{}
	}
	b.known[key] = k
	return k
}

// maxKnown bounds what is summed up already; it is made again when it is asked for.
const maxKnown = 4096

// speak notes what was done, by its name.
func (k *known) speak(s *Sighting, all []Feedback) {
	for name, helped := range sum(all, s).done {
		k.did(name, matcher.Outcome{Done: 1, Helped: b2u(helped)})
	}
}

func (k *known) did(name string, more matcher.Outcome) {
	x := k.words[name]
	x.Done += more.Done
	x.Helped += more.Helped
	k.words[name] = x
}

func (b *Book) isClosed(s *Sighting) bool {
	_, is := b.closed[closedKey{s.Signature, s.Digest, s.Month}]
	return is
}

// said is what people said of a warning, in the order in which they did.
func (b *Book) said(warning string) []Feedback {
	var all []Feedback
	for _, x := range b.spoken[warning] {
		all = append(all, x.Feedback)
	}
	slices.SortFunc(all, func(x, y Feedback) int {
		return cmp.Or(x.Time.Compare(y.Time), strings.Compare(x.By, y.By), strings.Compare(string(x.Verdict), string(y.Verdict)))
	})
	return all
}

// Feedback returns what people said of a warning, the oldest first.
func (b *Book) Feedback(warning string) []Feedback {
	if b == nil {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.said(warning)
}

// Give takes what a person says, and stores it. It is in the Book soon after, as it is in those of all other processes. An error that is [ErrBadFeedback]
// is the person's.
func (b *Book) Give(ctx context.Context, f Feedback) error {
	if f.Time.IsZero() {
		f.Time = b.now()
	}
	if err := f.Check(); err != nil {
		return err
	}
	b.mu.RLock()
	give := b.give
	b.mu.RUnlock()
	if give == nil {
		return ErrKeptNowhere
	}
	return give(ctx, f)
}

// Scorecards returns how well each signature served in this cluster, by its id.
func (b *Book) Scorecards() []Scorecard {
	if b == nil {
		return nil
	}
	now := b.now().UTC()
	b.mu.RLock()
	defer b.mu.RUnlock()
	all, first := map[string]*Tally{}, map[string]string{}
	of := func(signature, month string) *Tally {
		if all[signature] == nil {
			all[signature], first[signature] = &Tally{}, month
		}
		first[signature] = min(first[signature], month)
		return all[signature]
	}
	for id, entries := range b.entries {
		for _, e := range entries {
			if !e.Retracted && !b.isClosed(&e.Sighting) {
				of(id, e.Month).count(&e.Sighting, b.said(e.Warning))
			}
		}
	}
	for key, c := range b.closed {
		of(key.signature, key.month).plus(&c.Tally)
	}
	cards := make([]Scorecard, 0, len(all))
	for _, id := range slices.Sorted(maps.Keys(all)) {
		weeks := 1.0
		if began, err := time.Parse(monthLayout, first[id]); err == nil {
			weeks = now.Sub(began).Hours() / (7 * 24)
		}
		cards = append(cards, score(id, all[id], weeks))
	}
	return cards
}

// Tallies returns what this cluster counted, and what others did that is known here: everything that may leave it.
func (b *Book) Tallies() []*Tally {
	own := b.Own()
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := append(own, slices.Collect(maps.Values(b.shared))...)
	slices.SortFunc(all, func(x, y *Tally) int {
		return cmp.Or(strings.Compare(x.Digest, y.Digest), strings.Compare(x.Origin, y.Origin), strings.Compare(x.Month, y.Month))
	})
	return all
}

// Own returns what this cluster counted.
func (b *Book) Own() []*Tally {
	b.mu.RLock()
	defer b.mu.RUnlock()
	made, seen := map[Key]*Tally{}, map[Key]sequences{}
	for _, entries := range b.entries {
		for _, e := range entries {
			if b.isClosed(&e.Sighting) {
				continue
			}
			key := Key{b.origin, e.Digest, e.Month}
			t := made[key]
			if t == nil {
				t = &Tally{Origin: b.origin, Digest: e.Digest, Month: e.Month, Rungs: []Rung{}}
				made[key] = t
			}
			seen[key] = seen[key].with(e.seq, b.spoken[e.Warning])
			t.Version = seen[key].version()
			if !e.Retracted {
				t.count(&e.Sighting, b.said(e.Warning))
			}
		}
	}
	for _, c := range b.closed {
		t := c.Tally
		t.Origin = b.origin
		made[t.Key()] = &t
	}
	return slices.Collect(maps.Values(made))
}

// Sightings is how many finished warnings of this cluster are counted, and how many of others.
func (b *Book) Sightings() (here, elsewhere uint64) {
	for _, t := range b.Own() {
		here += t.Finished
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, t := range b.shared {
		elsewhere += t.Finished
	}
	return here, elsewhere
}

// keys are those under which things were said of a warning.
func (b *Book) keys(warning string) []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Sorted(maps.Keys(b.spoken[warning]))
}
