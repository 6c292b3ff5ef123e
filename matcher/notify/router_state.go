package notify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/forewarn/forewarn/matcher"
)

// stateFormat is the format of a stored routerState; another one is refused.
const stateFormat = 1

// routerState is what a Router must not forget.
type routerState struct {
	Format   int               `json:"format"`
	Position uint64            `json:"position"` // of the feed: up to here everything is decided
	Owner    string            `json:"owner,omitempty"`
	Beat     uint64            `json:"beat"` // grows with every save
	Serial   uint64            `json:"serial"`
	Items    map[string]*item  `json:"items,omitempty"`
	Groups   map[string]*group `json:"groups,omitempty"`
	Lanes    map[string]*lane  `json:"lanes,omitempty"`
	Sources  map[string][]bond `json:"sources,omitempty"` // open warnings that explain others, by id
	Outbox   []Notice          `json:"outbox,omitempty"`
	Counts   RouterCounts      `json:"counts"`
}

// item is a warning that the destination was told of and is not over, or is to be told of.
type item struct {
	Warning matcher.Warning `json:"warning"`
	Places  Labels          `json:"places,omitempty"` // labels that came from evidence
	Group   string          `json:"group,omitempty"`
	Told    told            `json:"told,omitzero"`
	News    time.Time       `json:"news,omitzero"` // since when there is something to tell
	Quiet   bool            `json:"quiet,omitempty"`
	Held    string          `json:"held,omitempty"` // what holds it back
	Route   int             `json:"-"`
}

// told is what a person knows of a warning.
type told struct {
	State  matcher.State `json:"state,omitempty"`
	Rungs  int           `json:"rungs,omitempty"`
	Digest bool          `json:"digest,omitempty"` // it was counted, not shown
}

func (t *told) ever() bool { return t.State != "" }

// news reports whether a revision says something that the person does not know: that it is, a state, or a further rung.
func (t *told) news(w *matcher.Warning) bool { return w.State != t.State || len(w.Reached) > t.Rungs }

// group is what is told together.
type group struct {
	Thread   string    `json:"thread,omitempty"`
	Messages int       `json:"messages,omitempty"`
	Digested bool      `json:"digested,omitempty"` // it was told in a digest
	Over     bool      `json:"over,omitempty"`     // it waits for a digest
	Last     time.Time `json:"last,omitzero"`      // the last message
	Flush    time.Time `json:"flush,omitzero"`     // when there is something to tell
	Calm     bool      `json:"calm,omitempty"`     // it waits until no more comes
	Opened   time.Time `json:"opened,omitzero"`    // the latest opening in it

	route   int
	members map[string]*item
	open    int
}

// lane is what shares a budget.
type lane struct {
	Spent     spent       `json:"spent,omitempty"`
	First     []time.Time `json:"first,omitempty"`  // of late: first messages of groups
	Storm     time.Time   `json:"storm,omitzero"`   // until then new groups are told in digests
	Thread    string      `json:"thread,omitempty"` // of the storm's digests
	Open      bool        `json:"open,omitempty"`   // something that the thread told is not over
	Digest    time.Time   `json:"digest,omitzero"`  // the last one
	Due       time.Time   `json:"due,omitzero"`     // the next one
	Since     time.Time   `json:"since,omitzero"`   // since when something waits for it
	Uncounted uncounted   `json:"uncounted,omitzero"`
}

// uncounted are warnings that there was no room to keep, for the next digest.
type uncounted struct {
	Total      int              `json:"total,omitempty"`
	Example    *matcher.Warning `json:"example,omitempty"` // one of them
	States     tally            `json:"states,omitempty"`
	Signatures tally            `json:"signatures,omitempty"`
	Namespaces tally            `json:"namespaces,omitempty"`
	Nodes      tally            `json:"nodes,omitempty"`
}

// bond is why an open warning explains others: the inhibition rule, and the values that they share.
type bond struct {
	Rule   int    `json:"rule"`
	Values string `json:"values,omitempty"`
	Both   bool   `json:"both,omitempty"` // it is a target of the rule, too
}

// RouterCounts say what a destination was told, and what was held back, since its state was made.
type RouterCounts struct {
	Messages  uint64 `json:"messages"`  // notices
	Digests   uint64 `json:"digests"`   // of these, digests
	Digested  uint64 `json:"digested"`  // warnings that were counted in a notice instead of shown
	Silenced  uint64 `json:"silenced"`  // warnings that a silence or a maintenance window held back
	Inhibited uint64 `json:"inhibited"` // warnings that another one explained
	Folded    uint64 `json:"folded"`    // revisions with nothing new for a person
	Unrouted  uint64 `json:"unrouted"`  // revisions that go elsewhere
	Crowded   uint64 `json:"crowded"`   // warnings of which only the number was kept, or what was told of them forgotten, because there were too many
}

// maxState bounds what a stored state may unpack to.
const maxState = 256 << 20

// Encode returns the state to be stored. Beat grows, so that no two are the same.
func (r *Router) Encode() ([]byte, error) {
	r.st.Beat++
	b, err := json.Marshal(&r.st)
	if err != nil {
		return nil, fmt.Errorf("encode the delivery state of %s: %w", r.o.Destination, err)
	}
	if r.encoder == nil {
		r.encoder, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, fmt.Errorf("encode the delivery state of %s: %w", r.o.Destination, err)
		}
	}
	return r.encoder.EncodeAll(b, nil), nil
}

// Restore replaces the state by a stored one; nil is that of a new destination. An error leaves it as it was.
func (r *Router) Restore(stored []byte) error {
	st := newState()
	if stored != nil {
		fail := func(err error) error {
			return fmt.Errorf("read the delivery state of %s: %w", r.o.Destination, err)
		}
		if r.decoder == nil {
			d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxState), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
			if err != nil {
				return fail(err)
			}
			r.decoder = d
		}
		b, err := r.decoder.DecodeAll(stored, nil)
		if err != nil {
			return fail(err)
		}
		if err := json.Unmarshal(b, &st); err != nil {
			return fail(err)
		}
		if st.Format != stateFormat {
			return fail(fmt.Errorf("it has format %d, and this forewarn reads %d: use one forewarn version for all processes", st.Format, stateFormat))
		}
	}
	if r.direct {
		st.Counts = r.st.Counts // they are stored now and then only: each process counts what it did
	}
	r.st = st
	r.rebuild()
	r.dirty = false
	return nil
}

func newState() routerState {
	return routerState{
		Format: stateFormat, Items: map[string]*item{}, Groups: map[string]*group{}, Lanes: map[string]*lane{}, Sources: map[string][]bond{},
	}
}

// rebuild makes what follows from the state.
func (r *Router) rebuild() {
	r.keyed, r.within, r.records = map[string]string{}, map[string]string{}, map[uint64]string{}
	r.bonds = map[bond]map[string]bool{}
	for id, bonds := range r.st.Sources {
		for _, b := range bonds {
			r.bind(id, b)
		}
	}
	for _, g := range r.st.Groups {
		g.members, g.open, g.route = map[string]*item{}, 0, everything
	}
	for _, it := range slices.SortedFunc(maps.Values(r.st.Items), byOpening) {
		id, l := it.Warning.ID, it.labels()
		if it.Route = r.o.Routes.follow(r.o.Destination, &it.Warning, l); it.Route == noRoute {
			it.Route = everything // the routes changed: it keeps its place
		}
		switch {
		case r.direct:
			r.alone(it)
			continue
		case it.Group == "":
			r.place(id, it, l) // it was told alone before the routes changed
			continue
		}
		g := r.st.Groups[it.Group]
		if g == nil { // it was not stored with what is in it: the state is not ours, or damaged
			g = &group{members: map[string]*item{}}
			r.st.Groups[it.Group] = g
		}
		g.route = it.Route
		r.join(id, it, g, l)
	}
	if r.direct {
		clear(r.st.Groups)
		clear(r.st.Lanes)
	}
	r.held = 0
	for _, it := range r.st.Items {
		if it.Held != "" {
			r.held++
		}
	}
	r.recheck = true
}

// alone makes an item that of a destination which is told of each warning alone. The routes may have changed: what was gathered is told now.
func (r *Router) alone(it *item) {
	it.Group = ""
	if it.Held != "" && !it.News.IsZero() {
		return
	}
	if !it.News.IsZero() {
		r.put(Single(it.Warning))
	}
	delete(r.st.Items, it.Warning.ID)
}

// labels are those of the item's warning as it is now.
func (it *item) labels() Labels {
	l := LabelsOf(&it.Warning)
	for k, v := range it.Places {
		if l[k] == "" {
			l[k] = v
		}
	}
	return l
}

func byOpening(a, b *item) int {
	return cmp.Or(a.Warning.Opened.Compare(b.Warning.Opened), cmp.Compare(a.Warning.ID, b.Warning.ID))
}
