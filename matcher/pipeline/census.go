package pipeline

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher/store"
)

// What a census holds.
const (
	maxNames     = 512 // of each kind; a cluster has some hundred reasons, components and metrics that signatures ask for
	maxNameBytes = 128
	censusGrain  = 10 // seconds: how exactly it is known when something was last seen
	// censusKeep is how long it is known that something was seen once.
	censusKeep = 30 * 24 * time.Hour
	// censusEvery is the least time between two savings.
	censusEvery = time.Minute
)

// Seen is what records a process was given so far, by kind and by the name that conditions ask for first: the reason of an event, the component
// of a log line ("" of one that does not say), the kind of a changed object, the name of a metric or an alert. So it can be told which
// signatures cannot fire because nothing of what they need ever comes.
type Seen struct {
	Since time.Time `json:"since"` // nothing is known of what was before
	// Kinds gives for each kind and name when such a record last came, in Unix seconds by the process's clock.
	Kinds map[string]map[string]int64 `json:"kinds"`
	// Full lists the kinds of which there were more names than are kept: of these it cannot be said that a name was not seen.
	Full []string `json:"full,omitempty"`
}

// Merge adds what another process has seen. What all of them know begins with the one that began last.
func (s *Seen) Merge(o *Seen) {
	if s.Since.Before(o.Since) {
		s.Since = o.Since
	}
	if s.Kinds == nil {
		s.Kinds = map[string]map[string]int64{}
	}
	for kind, names := range o.Kinds {
		if s.Kinds[kind] == nil {
			s.Kinds[kind] = map[string]int64{}
		}
		for name, at := range names {
			s.Kinds[kind][name] = max(at, s.Kinds[kind][name])
		}
	}
	for _, kind := range o.Full {
		if !slices.Contains(s.Full, kind) {
			s.Full = append(s.Full, kind)
		}
	}
	slices.Sort(s.Full)
}

// Census takes note of what records there are. It looks at the attributes that the records of a batch share and not at each of them. It is safe for
// concurrent use; each goroutine counts with a [Counter] of its own.
type Census struct {
	now  func() time.Time
	full [record.Alert + 1]atomic.Bool

	mu    sync.Mutex
	since time.Time
	seen  [record.Alert + 1]map[string]int64
	saved time.Time
	dirty bool
}

// NewCensus returns an empty census. now is the clock.
func NewCensus(now func() time.Time) *Census {
	c := &Census{now: now, since: now().UTC()}
	for k := range c.seen {
		c.seen[k] = map[string]int64{}
	}
	return c
}

// Counter counts for one goroutine.
type Counter struct {
	census *Census
	noted  [record.Alert + 1]map[string]int64 // what the census knows from this one, and since when
}

// Counter returns a counter of the census.
func (c *Census) Counter() *Counter {
	n := &Counter{census: c}
	for k := range n.noted {
		n.noted[k] = map[string]int64{}
	}
	return n
}

// Count takes note of the records of a batch.
func (n *Counter) Count(b *record.Batch) {
	if b.Len() == 0 {
		return
	}
	now := n.census.now().Unix()
	var lastKind record.Kind
	var last string
	for j := range b.Sets() {
		kind, name := nameOf(b.Set(j))
		if kind == lastKind && name == last {
			continue
		}
		lastKind, last = kind, name
		if at, known := n.noted[kind][name]; known && now-at < censusGrain {
			continue
		}
		if !n.census.note(kind, name, now) {
			continue
		}
		if len(name) <= maxNameBytes {
			n.noted[kind][strings.Clone(name)] = now
		}
	}
}

// nameOf tells by a record's attributes of which kind it is, and its name.
func nameOf(set record.Attrs) (record.Kind, string) {
	kind, name := record.Log, ""
	object := ""
	for i := range set { // in the order of their keys
		switch set[i].Key {
		case record.AlertName:
			return record.Alert, set[i].Value
		case record.ChangePath:
			kind = record.Change
		case record.EventReason:
			return record.Event, set[i].Value
		case record.ObjectKind:
			if object = set[i].Value; kind == record.Change {
				return kind, object
			}
		case record.MetricName:
			return record.Sample, set[i].Value
		case record.Component:
			name = set[i].Value
		}
	}
	if kind == record.Change {
		return kind, object
	}
	return kind, name
}

// note remembers a name, and reports whether there was room for it.
func (c *Census) note(kind record.Kind, name string, now int64) bool {
	if len(name) > maxNameBytes {
		name = name[:maxNameBytes]
	}
	if c.full[kind].Load() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, known := c.seen[kind][name]; known {
			c.seen[kind][name], c.dirty = now, true
			return true
		}
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.seen[kind][name]; !known && len(c.seen[kind]) >= maxNames {
		c.full[kind].Store(true)
		return false
	}
	c.seen[kind][strings.Clone(name)], c.dirty = now, true
	return true
}

// Seen returns what was seen.
func (c *Census) Seen() *Seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &Seen{Since: c.since, Kinds: map[string]map[string]int64{}}
	for _, k := range record.Kinds() {
		if len(c.seen[k]) > 0 {
			s.Kinds[k.String()] = maps.Clone(c.seen[k])
		}
		if c.full[k].Load() {
			s.Full = append(s.Full, k.String())
		}
	}
	return s
}

// take adds what an earlier process has seen.
func (c *Census) take(s *Seen) {
	c.mu.Lock()
	defer c.mu.Unlock()
	oldest := c.now().Add(-censusKeep)
	if s.Since.Before(c.since) && s.Since.After(time.Time{}) {
		c.since = s.Since
		if c.since.Before(oldest) {
			c.since = oldest.UTC()
		}
	}
	for _, k := range record.Kinds() {
		for name, at := range s.Kinds[k.String()] {
			if at < oldest.Unix() || len(name) > maxNameBytes || len(c.seen[k]) >= maxNames {
				continue
			}
			c.seen[k][name] = max(at, c.seen[k][name])
		}
	}
}

// censusBucket is where the census is in the store.
const censusBucket = "seen"

// restore takes up what the store has of the processes before this one. Without it only what comes from now on is known.
func (c *Census) restore(s *store.Store) error {
	b, found, err := s.Bucket(censusBucket).Get([]byte(censusBucket))
	if err != nil || !found {
		return err
	}
	var was Seen
	if err := json.Unmarshal(b, &was); err != nil {
		return nil //nolint:nilerr // it is written anew; what it said comes again or was gone
	}
	c.take(&was)
	return nil
}

// save stores what was seen if that changed, now and then, and at the end.
func (c *Census) save(s *store.Store, last bool) error {
	c.mu.Lock()
	now := c.now()
	if !c.dirty || !last && now.Sub(c.saved) < censusEvery {
		c.mu.Unlock()
		return nil
	}
	c.dirty, c.saved = false, now
	c.mu.Unlock()
	b, err := json.Marshal(c.Seen())
	if err != nil {
		return err
	}
	return s.Bucket(censusBucket).Put([]byte(censusBucket), b, censusKeep)
}
