package kube

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// Topology knows where pods belong: their node, the top of their chain of owners, their images and claims. It is fed by the
// changes collector, or follows pods by itself, and completes records of any collector. It is safe for concurrent use; a lookup takes about a
// microsecond.
//
// A pod that is gone is known for some more minutes, for its last records come late.
type Topology struct {
	now  func() time.Time
	keep time.Duration
	most int
	held bool // labels are

	mu     sync.RWMutex
	uids   map[string]*place // pods by uid, and static pods by that of their manifest too
	pods   map[podName]*place
	owners map[string]owned   // by uid
	claims map[podName]volume // by claim
	gone   []parting          // in the order in which they went
	lists  uint32             // so far
}

var _ collector.Enricher = (*Topology)(nil)

// text is a text that many have in common: it is held once, as long as any has it.
type text = unique.Handle[string]

// podName names an object of a namespace.
type podName struct {
	namespace text
	name      string
}

// owner is an object that controls another. The zero owner is none.
type owner struct{ kind, name, uid string }

// owned is what is known of an object that may own pods: who controls it.
type owned struct {
	by unique.Handle[owner]
	seen
}

type volume struct {
	name string
	seen
}

// seen is which list of which kind had something last, and when it went; 0 while it is there.
type seen struct {
	kind   text
	list   uint32
	goneAt int64
}

// place is where a pod belongs.
type place struct {
	podName
	seen
	uid, alias string
	node       text
	owner      unique.Handle[owner]
	hash       text // its label pod-template-hash
	containers text // name, image, name, image..., with a zero byte after each
	claims     text // with commas between them
	labels     text // as the server wrote them, in JSON; empty when they are not held
}

// TopologyOptions bound a [Topology].
type TopologyOptions struct {
	// Keep is how long a pod is known after it went: 10 minutes.
	Keep time.Duration
	// Gone is how many such pods are known at most: 20,000. Those that went first are forgotten first.
	Gone int
	// Labels holds the labels of pods too, for [Topology.Pod].
	Labels bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// NewTopology returns a topology that knows nothing.
func NewTopology(o TopologyOptions) *Topology {
	if o.Keep <= 0 {
		o.Keep = 10 * time.Minute
	}
	if o.Gone <= 0 {
		o.Gone = 20_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Topology{
		now: o.Now, keep: o.Keep, most: o.Gone, held: o.Labels, uids: map[string]*place{}, pods: map[podName]*place{}, owners: map[string]owned{},
		claims: map[podName]volume{},
	}
}

// Lookup returns what is known of a pod by its names: the one that is there, or else the one of that name that went last. The attributes are
// those that Enrich gives to a record of the pod that names no container.
func (t *Topology) Lookup(namespace, pod string) (record.Attrs, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.describe(t.pods[podName{unique.Make(namespace), pod}])
}

// LookupUID is [Topology.Lookup] by uid.
func (t *Topology) LookupUID(uid string) (record.Attrs, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.describe(t.uids[uid])
}

// Pod returns what [Topology.LookupUID] does, or without a uid [Topology.Lookup], and the pod's labels if they are held. ok is false while the pod is
// not known. It is what collectors of a node's files ask, once a file.
func (t *Topology) Pod(namespace, name, uid string) (labels map[string]string, attrs record.Attrs, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	p := t.uids[uid]
	if uid == "" {
		p = t.pods[podName{unique.Make(namespace), name}]
	}
	if attrs, ok = t.describe(p); ok && p.labels.Value() != "" {
		_ = json.Unmarshal([]byte(p.labels.Value()), &labels) // what of it can be read is
	}
	return labels, attrs, ok
}

func (t *Topology) describe(p *place) (record.Attrs, bool) {
	if p == nil {
		return nil, false
	}
	a := record.Attrs{{Key: record.Namespace, Value: p.namespace.Value()}, {Key: record.Pod, Value: p.name}, {Key: record.PodUID, Value: p.uid}}
	return t.complete(a, p), true
}

// Enrich completes the attributes of a record that is about a pod, by its uid or else its names, or about a claim. What the record says of itself
// stays, but for the workload: names are guessed from, and owners are known. The result shares a's memory when nothing is added.
func (t *Topology) Enrich(a record.Attrs) record.Attrs {
	uid, namespace, pod := "", "", ""
	claim := false
	for i := range a {
		switch a[i].Key {
		case record.PodUID:
			uid = a[i].Value
		case record.Namespace:
			namespace = a[i].Value
		case record.Pod:
			pod = a[i].Value
		case record.VolumeClaim:
			claim = true
		}
	}
	if uid == "" && pod == "" && !claim {
		return a
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	p := t.uids[uid]
	if p == nil && uid == "" {
		p = t.pods[podName{unique.Make(namespace), pod}]
	}
	if p == nil {
		return t.volume(a, namespace)
	}
	return t.complete(a, p)
}

// complete adds what is known of a pod. a is not written to.
func (t *Topology) complete(a record.Attrs, p *place) record.Attrs {
	kind, name := t.top(p)
	facts := [...]record.Attr{ // sorted by key
		{Key: record.Image, Value: p.image(a.Value(record.Container))},
		{Key: record.Namespace, Value: p.namespace.Value()},
		{Key: record.Node, Value: p.node.Value()},
		{Key: record.VolumeClaim, Value: p.claims.Value()},
		{Key: record.Pod, Value: p.name},
		{Key: record.PodUID, Value: p.uid},
		{Key: record.WorkloadKind, Value: kind},
		{Key: record.WorkloadName, Value: name},
	}
	slices.SortFunc(facts[:], func(a, b record.Attr) int { return strings.Compare(a.Key, b.Key) })
	out := make(record.Attrs, 0, len(a)+len(facts)+1)
	for i, j := 0, 0; i < len(a) || j < len(facts); {
		switch {
		case j == len(facts) || i < len(a) && a[i].Key < facts[j].Key:
			out = append(out, a[i])
			i++
		case i == len(a) || facts[j].Key < a[i].Key:
			if facts[j].Value != "" {
				out = append(out, facts[j])
			}
			j++
		default:
			known := facts[j]
			if known.Value == "" || known.Key != record.WorkloadKind && known.Key != record.WorkloadName {
				known = a[i]
			}
			out = append(out, known)
			i, j = i+1, j+1
		}
	}
	return t.volume(out, p.namespace.Value())
}

// volume adds the volumes that claims are bound to.
func (t *Topology) volume(a record.Attrs, namespace string) record.Attrs {
	claims, ok := a.Get(record.VolumeClaim)
	if !ok || a.Value(record.Volume) != "" {
		return a
	}
	var volumes []string
	for claim := range strings.SplitSeq(claims, ",") {
		if v := t.claims[podName{unique.Make(namespace), claim}]; v.name != "" {
			volumes = append(volumes, v.name)
		}
	}
	if len(volumes) == 0 {
		return a
	}
	return a.With(record.Volume, strings.Join(volumes, ","))
}

// image returns the image of a container, and without one all images of the pod.
func (p *place) image(name string) string {
	var all []string
	for rest := p.containers.Value(); rest != ""; {
		var container, image string
		container, rest, _ = strings.Cut(rest, "\x00")
		image, rest, _ = strings.Cut(rest, "\x00")
		if container == name {
			return image
		}
		if !slices.Contains(all, image) {
			all = append(all, image)
		}
	}
	if name != "" {
		return ""
	}
	return strings.Join(all, ",")
}

// top follows a pod's owners to the last that is known.
func (t *Topology) top(p *place) (kind, name string) {
	o := p.owner.Value()
	for range 8 { // owners that own each other do not go on for ever
		up, known := t.owners[o.uid]
		if !known {
			break
		}
		if up.by.Value() == (owner{}) {
			return o.kind, o.name
		}
		o = up.by.Value()
	}
	if o.kind == "" {
		return "", ""
	}
	return format.TopOwner(o.kind, o.name, p.hash.Value())
}
