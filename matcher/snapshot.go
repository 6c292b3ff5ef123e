package matcher

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// snapshotVersion is the first byte of every stored value. A reader takes this one and the one before.
const snapshotVersion = 2

// The first byte of a storage key says what is stored.
const (
	keyProgress = 'p' // the digest (8 bytes, big endian) and the correlation key: one progress
	keyMeta     = 'm' // the horizon and the counters that go on
	keySource   = 's' // a source's name: its mark
	keySeen     = 'i' // the number of a segment (4 bytes, big endian): ids of hits
	keyEvidence = 'e' // its number (8 bytes, big endian): a record to be shown; see [DetailPrefix]
)

func (p *progress) storageKey() []byte {
	return append(append(binary.BigEndian.AppendUint64([]byte{keyProgress}, p.plan.Digest), p.key.first...), p.key.last...)
}

// DetailPrefix begins the keys that a tracker with Details asks for when it needs them. Such a tracker need not be given them
// by Restore, and at a start they would be most of what there is to read.
const DetailPrefix = string(rune(keyEvidence))

// Dirty gives everything that changed since the last call as key and value; a nil value means that the key is to be removed.
// Both are valid during fn only. Changes must be taken and stored together with it: what was told is part of the state.
func (t *Tracker) Dirty(fn func(key, value []byte)) {
	t.ready()
	var w writer
	var used []evidence
	use := func(n evidence) {
		if !slices.Contains(used, n) {
			used = append(used, n)
		}
	}
	for i := range t.dirty {
		d := &t.dirty[i] // takeInRefresh writes to it
		used = used[:0]
		if s := t.table.at(d.slot); s.live&slotDirty != 0 { // else it was removed
			if p := t.takeInRefresh(d.slot, i); p != nil {
				p.eachEvidence(use)
				p.pending = nil
			} else {
				t.evidenceOf(d.slot, use)
			}
			s.live &^= slotDirty | slotCaptured
			w.b = append(w.b[:0], snapshotVersion)
			t.appendProgress(&w, d.slot)
			if len(t.removed) > 0 {
				delete(t.removed, string(t.storedKey))
			}
			fn(t.storedKey, w.b)
		}
		t.dirtyEvidence(used, t.replaced[d.from:d.to], fn)
	}
	for _, n := range t.dropped {
		fn(n.storageKey(), nil)
	}
	t.dirty, t.replaced, t.dropped = t.dirty[:0], t.replaced[:0], t.dropped[:0]
	t.evidence.base = t.evidence.next
	if t.options.Details != nil {
		t.evidence.forget()
	}
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
	t.seen.soiled = -1
	meta := metaState{t.horizon, t.seen.next, t.touches, t.evidence.next}
	if meta != t.metaTold {
		t.metaTold = meta
		w.b = append(w.b[:0], snapshotVersion)
		w.int(meta.horizon)
		w.uint(meta.seen)
		w.uint(meta.touches)
		w.uint(uint64(t.options.MaxSeen))
		w.uint(uint64(meta.evidence))
		fn([]byte{keyMeta}, w.b)
	}
}

// dirtyEvidence gives the evidence that is new of what a progress uses, and removes what was stored and is not used any more.
func (t *Tracker) dirtyEvidence(used, stored []evidence, fn func(key, value []byte)) {
	w := &t.packed
	for _, n := range stored {
		if !slices.Contains(used, n) {
			t.storedKey = n.appendStorageKey(t.storedKey[:0])
			fn(t.storedKey, nil)
		}
	}
	for _, n := range used {
		if n < t.evidence.base {
			continue
		}
		if text := t.evidence.get(n); text != nil {
			w.b = append(append(w.b[:0], snapshotVersion), text...)
			t.storedKey = n.appendStorageKey(t.storedKey[:0])
			fn(t.storedKey, w.b)
		}
	}
}

// appendProgress writes the progress of a slot, and its key into storedKey.
func (t *Tracker) appendProgress(w *writer, n uint32) {
	s := t.table.at(n)
	h := t.head(n)
	x, body := openFacts(h.rest)
	plan := t.numbers[h.plan]
	told, floor := x.told, int64(longAgo)
	var pending []*kept
	var awake *progress
	if s.live&slotLive != 0 {
		p := t.rouse(n)
		floor, pending = p.floor, p.pending
		if !p.asleep {
			awake, told = p, len(p.told) > 0
		}
	}
	w.uint(s.touched)
	w.int(floor)
	w.bool(told)
	if told {
		w.stub(plan.Compiled)
	}
	w.base, w.ref = 0, 0
	list(w, pending, w.kept)
	if awake != nil {
		w.body(awake)
	} else {
		w.b = append(w.b, body...)
	}
	t.storedKey = binary.BigEndian.AppendUint64(append(t.storedKey[:0], keyProgress), plan.Digest)
	t.storedKey = append(append(t.storedKey, t.firsts.list[h.first]...), h.last...)
}

// metaState is what is stored beside progresses, sources and ids.
type metaState struct {
	horizon       int64
	seen, touches uint64
	evidence      evidence
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
	if r.version = r.byte(); r.err == nil && (r.version == 0 || r.version > snapshotVersion) {
		return fmt.Errorf("it is of format %d, this program reads %d: use the version that wrote it", r.version, snapshotVersion)
	}
	r.keep = t.evidence.put
	if len(key) == 0 {
		return errors.New("the key is empty")
	}
	name := string(key[1:])
	switch {
	case key[0] == keyProgress && len(name) >= 8:
		t.restoreProgress(r, binary.BigEndian.Uint64(key[1:9]), name[8:])
	case key[0] == keyMeta && name == "":
		m := metaState{horizon: r.int(), seen: r.uint(), touches: r.uint()}
		if bound := r.uint(); bound == uint64(t.options.MaxSeen) {
			t.seen.next = m.seen
		}
		if r.version > 1 {
			t.evidence.next = max(t.evidence.next, min(evidence(r.uint()), maxEvidence))
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
	case key[0] == keyEvidence && len(name) == 8:
		t.restoreEvidence(r, evidence(binary.BigEndian.Uint64(key[1:])))
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
		t.seen.restore(at, id)
	}
}

// restoreEvidence keeps evidence for [Tracker.ready], if it is not found elsewhere.
func (t *Tracker) restoreEvidence(r *reader, n evidence) {
	text := r.b
	if r.skipEvidence(); r.err != nil || len(r.b) > 0 || n == 0 || n >= maxEvidence {
		r.fail()
		return
	}
	if t.options.Details == nil {
		if t.details == nil {
			t.details = map[evidence][]byte{}
		}
		t.details[n] = slices.Clone(text)
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
	p := t.fresh()
	p.plan, p.key = t.plan(digest), splitKey{last: key}
	known := p.plan != nil
	var touched uint64
	var stub *Compiled
	if r.version == 1 {
		touched = r.oldProgress(p)
		if len(p.told) > 0 {
			stub = r.stub(digest)
		}
	} else {
		touched, p.floor = r.uint(), r.int()
		if r.bool() {
			stub = r.stub(digest)
		}
	}
	if stub != nil && !known && r.err == nil {
		p.plan = newPlan(stub, t.options.Lateness)
		p.plan.stub = true
		p.settled.frame = nil // without its signature nothing can complete it
	}
	if r.err != nil || p.plan == nil {
		if r.err == nil { // its signature is gone, and nobody was told of it
			t.removed[string(append(binary.BigEndian.AppendUint64([]byte{keyProgress}, digest), key...))] = true
			r.b = nil
		}
		return
	}
	if r.version > 1 {
		r.base = 0
		p.pending = items(r, 50, r.kept)
		r.body(p)
	}
	if r.err != nil || !p.fits() || t.find(p.plan, []byte(key), progressHash(digest, []byte(key))) != noSlot {
		r.fail()
		return
	}
	t.settleIn(p, touched, r.version)
}

// settleIn gives a progress that was restored its slot. It rests, if it can.
func (t *Tracker) settleIn(p *progress, touched uint64, version byte) {
	key := []byte(p.key.last)
	hash := progressHash(p.plan.Digest, key)
	if p.plan.stub {
		t.number(p.plan)
	}
	p.slot = t.table.add(uint32(hash >> 32))
	s := t.table.at(p.slot)
	s.touched = touched
	w := t.pack(p, key)
	at, b := t.blocks.alloc(len(w))
	copy(b, w)
	s.block = at
	p.key = t.keyOf(t.head(p.slot))
	t.enliven(p)
	if version == 1 {
		t.old = true
		t.soil(p) // so that it is stored in the new format, with its evidence apart
	}
	if p.plan.stub {
		return
	}
	if due, gone := t.dueOf(p); !gone {
		t.rest(p, due)
	}
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
	if n := len(t.seen.ring); n < t.seen.bound || t.seen.next < uint64(n) {
		t.seen.next = uint64(n)
	}
	t.readyEvidence()
	t.metaTold = metaState{t.horizon, t.seen.next, t.touches, t.evidence.next}
	var gone []*progress
	for n := range t.table.each {
		if t.table.at(n).live&slotLive == 0 {
			continue
		}
		p := t.rouse(n)
		t.wake(p)
		t.stats.Pending += len(p.pending)
		if p.plan.stub {
			gone = append(gone, p)
			continue
		}
		p.refold()
		t.schedule(p)
	}
	t.closeGone(gone)
	for i, p := range t.numbers {
		if p != nil && p.stub {
			t.numbers[i] = nil
		}
	}
	for t.table.count > t.options.MaxProgress {
		t.evict()
	}
}

// readyEvidence puts the evidence that was restored in order.
func (t *Tracker) readyEvidence() {
	next := t.evidence.next
	for _, n := range slices.Sorted(maps.Keys(t.details)) {
		t.evidence.next = n
		t.evidence.put(t.details[n])
	}
	t.evidence.next = max(next, t.evidence.next)
	t.details = nil
	if !t.old { // what came in the older format has yet to be stored apart
		t.evidence.base = t.evidence.next
	}
}
