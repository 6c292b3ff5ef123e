package matcher

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// snapshotVersion is the first byte of every stored value. A reader refuses others.
const snapshotVersion = 1

// The first byte of a storage key says what is stored.
const (
	keyProgress = 'p' // the digest (8 bytes, big endian) and the correlation key: one progress
	keyMeta     = 'm' // the horizon and the counters that go on
	keySource   = 's' // a source's name: its mark
	keySeen     = 'i' // the number of a segment (4 bytes, big endian): ids of hits
)

func (p *progress) storageKey() []byte {
	return append(binary.BigEndian.AppendUint64([]byte{keyProgress}, p.plan.Digest), p.key...)
}

// Dirty gives everything that changed since the last call as key and value; a nil value means that the key is to be removed.
// Both are valid during fn only. Changes must be taken and stored together with it: what was told is part of the state.
func (t *Tracker) Dirty(fn func(key, value []byte)) {
	t.ready()
	var w writer
	for _, p := range t.dirty {
		if !p.dirty || p.plan == nil { // given already, or removed
			continue
		}
		p.dirty = false
		w.b = append(w.b[:0], snapshotVersion)
		w.progress(p)
		key := p.storageKey()
		delete(t.removed, string(key))
		fn(key, w.b)
	}
	clear(t.dirty)
	t.dirty = t.dirty[:0]
	for _, key := range slices.Sorted(maps.Keys(t.removed)) {
		fn([]byte(key), nil)
	}
	clear(t.removed)
	for _, name := range slices.Sorted(maps.Keys(t.water.changed)) {
		key := append([]byte{keySource}, name...)
		s := t.water.sources[name]
		if s == nil {
			fn(key, nil)
			continue
		}
		w.b = append(w.b[:0], snapshotVersion)
		w.source(s)
		fn(key, w.b)
	}
	clear(t.water.changed)
	for _, i := range slices.Sorted(maps.Keys(t.seen.dirty)) {
		w.b = append(w.b[:0], snapshotVersion)
		list(&w, t.seen.segment(i), w.fixed)
		fn(binary.BigEndian.AppendUint32([]byte{keySeen}, uint32(i)), w.b)
	}
	clear(t.seen.dirty)
	meta := metaState{t.horizon, t.seen.next, t.touches}
	if meta != t.metaTold {
		t.metaTold = meta
		w.b = append(w.b[:0], snapshotVersion)
		w.int(meta.horizon)
		w.uint(meta.seen)
		w.uint(meta.touches)
		w.uint(uint64(t.options.MaxSeen))
		fn([]byte{keyMeta}, w.b)
	}
}

// metaState is what is stored beside progresses, sources and ids.
type metaState struct {
	horizon       int64
	seen, touches uint64
}

// Restore takes a key and value that Dirty gave, in any order, before anything else is asked of a new tracker. It copies
// both. On an error the tracker must not be used.
func (t *Tracker) Restore(key, value []byte) error {
	if err := t.restore(key, value); err != nil {
		return fmt.Errorf("restore tracker state %q: %w; move the data directory away to begin without history", key, err)
	}
	return nil
}

func (t *Tracker) restore(key, value []byte) error {
	if t.stats.Hits > 0 || t.horizon != longAgo && !t.restored {
		return errors.New("the tracker is in use already")
	}
	t.restored = true
	r := &reader{b: value}
	if v := r.byte(); r.err == nil && v != snapshotVersion {
		return fmt.Errorf("it is of format %d, this program reads %d: use the version that wrote it", v, snapshotVersion)
	}
	if len(key) == 0 {
		return errors.New("the key is empty")
	}
	name := string(key[1:])
	switch {
	case key[0] == keyProgress && len(name) >= 8:
		t.restoreProgress(r, binary.BigEndian.Uint64(key[1:9]), name[8:])
	case key[0] == keyMeta && name == "":
		m := metaState{r.int(), r.uint(), r.uint()}
		if bound := r.uint(); bound == uint64(t.options.MaxSeen) {
			t.seen.next = m.seen
		}
		t.horizon, t.touches = m.horizon, max(t.touches, m.touches)
		t.water.horizon = max(t.water.horizon, m.horizon)
	case key[0] == keySource && name != "":
		s := r.source()
		s.Source = name
		t.water.sources[name] = s
		t.water.stale = true
		if s.doubted {
			t.water.doubted = append(t.water.doubted, s)
		}
	case key[0] == keySeen && len(name) == 4:
		t.restoreSeen(int(binary.BigEndian.Uint32(key[1:])), items(r, 8, r.fixed))
	default:
		return errors.New("it is no key of a tracker")
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail()
	}
	return r.err
}

// restoreSeen puts a segment where it was. Segments may come in any order; gaps are filled later.
func (t *Tracker) restoreSeen(segment int, ids []uint64) {
	for i, id := range ids {
		at := segment*seenSegment + i
		if at >= t.seen.bound {
			return // the bound is smaller now
		}
		if at >= len(t.seen.ring) {
			t.seen.ring = append(t.seen.ring, make([]uint64, at+1-len(t.seen.ring))...)
		}
		t.seen.ring[at] = id
		t.seen.known[id] = struct{}{}
	}
}

func (w *writer) source(s *source) {
	w.byte(s.Kinds)
	w.int(s.Time)
	w.bool(s.Ended)
	w.bool(s.doubted)
	w.int(s.leapt)
	list(w, s.Scope, func(a record.Attr) {
		w.text(a.Key)
		w.text(a.Value)
	})
}

func (r *reader) source() *source {
	s := &source{Mark: Mark{Kinds: r.byte(), Time: r.int(), Ended: r.bool()}, doubted: r.bool(), leapt: r.int()}
	s.Scope = items(r, 2, func() record.Attr { return record.Attr{Key: r.text(), Value: r.text()} })
	return s
}

func (w *writer) progress(p *progress) {
	w.uint(p.touched)
	w.int(p.floor)
	w.fold(&p.settled)
	list(w, p.pending, w.kept)
	list(w, p.told, func(x told) {
		w.fixed(x.id)
		w.uint(uint64(x.revision))
		w.bool(x.retracted)
		w.episode(x.episode)
	})
	if len(p.told) > 0 {
		w.stub(p.plan.Compiled)
	}
}

// stub appends what a closing revision says when the signature is not there any more.
func (w *writer) stub(c *Compiled) {
	s := c.Signature
	for _, x := range []string{s.ID, s.Title, string(s.Severity), s.Impact, c.DigestText} {
		w.text(x)
	}
	w.uint(uint64(c.Need))
	w.uint(uint64(c.Tell))
	w.bool(c.InOrder)
	rung := func(r Rung) {
		w.text(r.Name)
		w.text(r.Title)
	}
	list(w, c.Stages, rung)
	w.bool(c.Incident != nil)
	if c.Incident != nil {
		rung(*c.Incident)
	}
}

func (r *reader) stub(digest uint64) *Compiled {
	s := Label{ID: r.text(), Title: r.text(), Severity: signatures.Severity(r.text()), Impact: r.text()}
	c := &Compiled{Signature: s, Digest: digest, DigestText: r.text(), Need: int(r.uint()), Tell: int(r.uint()), InOrder: r.bool()}
	rung := func() Rung { return Rung{Name: r.text(), Title: r.text()} }
	c.Stages = items(r, 2, rung)
	if r.bool() {
		in := rung()
		c.Incident = &in
	}
	if len(c.Stages) > MaxStages {
		r.fail()
	}
	return c
}

func (t *Tracker) restoreProgress(r *reader, digest uint64, key string) {
	p := &progress{key: key, hash: progressHash(digest, []byte(key)), due: never, place: -1, touched: r.uint(), floor: r.int()}
	p.settled = r.fold()
	p.pending = items(r, 50, r.kept)
	p.told = items(r, 10, func() told {
		return told{id: r.fixed(), revision: uint32(r.uint()), retracted: r.bool(), episode: r.episode()}
	})
	known := t.plan(digest)
	p.plan = known
	if len(p.told) > 0 {
		if stub := r.stub(digest); known == nil {
			p.plan = newPlan(stub, t.options.Lateness)
			p.plan.stub = true
			p.settled.frame = nil // without its signature nothing can complete it
		}
	}
	if r.err != nil || p.plan == nil {
		if r.err == nil { // its signature is gone, and nobody was told of it
			t.removed[string(append(binary.BigEndian.AppendUint64([]byte{keyProgress}, digest), key...))] = true
		}
		return
	}
	if !p.fits() {
		r.fail()
		return
	}
	t.progress[progressKey{digest, key}] = p
}

// fits reports whether the state is one of its signature's: damaged bytes must not make a fold look beyond its rungs.
func (p *progress) fits() bool {
	pl, f := p.plan, &p.settled
	role := func(x uint8) bool { return x == RoleIncident && pl.Incident != nil || int(x) < len(pl.Stages) }
	ok := func(e *episode) bool {
		return e == nil || !slices.ContainsFunc(e.path, func(t turn) bool { return t.role != noRole && !role(t.role) }) &&
			!slices.ContainsFunc(e.met, func(m met) bool { return !role(m.role) })
	}
	switch {
	case !f.frame.fits(pl),
		!ok(f.open) || f.open != nil && (f.open.state().final() || f.open.number != f.episodes || f.episodes == 0),
		f.windows != nil && len(f.windows) != pl.slots(),
		f.windows == nil && (f.open != nil || f.waiting != nil),
		f.waiting != nil && (f.waiting.stage < 0 || f.waiting.stage >= len(pl.Stages)),
		slices.ContainsFunc(f.holds, func(h hold) bool { return !role(h.role) || !pl.stub && pl.held&(1<<h.role) == 0 }),
		slices.ContainsFunc(f.series, func(s series) bool { return !role(s.role) || !pl.stub && pl.sampled&(1<<s.role) == 0 }),
		slices.ContainsFunc(f.deferred, func(s step) bool { return s.roles&^pl.rungs != 0 }),
		slices.ContainsFunc(f.holds, func(h hold) bool { return h.step.roles&^pl.rungs != 0 }),
		slices.ContainsFunc(f.verdicts, func(v verdict) bool { return v.role != noRole && !role(v.role) }),
		slices.ContainsFunc(p.told, func(x told) bool { return !ok(x.episode) }):
		return false
	}
	return slices.IsSortedFunc(p.pending, (*kept).compare)
}

// ready links what was restored. It is called before anything else.
func (t *Tracker) ready() {
	if !t.restored {
		return
	}
	t.restored = false
	list := make([]*progress, 0, len(t.progress))
	for _, p := range t.progress {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *progress) int {
		return cmp.Or(cmp.Compare(a.touched, b.touched), cmp.Compare(a.plan.Digest, b.plan.Digest), cmp.Compare(a.key, b.key))
	})
	if n := len(t.seen.ring); n < t.seen.bound || t.seen.next < uint64(n) {
		t.seen.next = uint64(n)
	}
	t.metaTold = metaState{t.horizon, t.seen.next, t.touches}
	var gone []*progress
	for _, p := range list {
		t.recent.touch(p)
		t.stats.Pending += len(p.pending)
		if t.plan(p.plan.Digest) == nil {
			gone = append(gone, p)
			continue
		}
		p.refold()
		t.schedule(p)
	}
	t.closeGone(gone)
	for len(t.progress) > t.options.MaxProgress {
		t.evict(t.recent.oldest)
	}
}
