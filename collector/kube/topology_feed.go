package kube

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unique"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
)

// feed puts the objects of one kind into a topology. One that follows another of the same kind goes on where that ended.
type feed struct {
	topology *Topology
	resource resource
	kind     text // which tells its objects from those of other feeds
	list     uint32
	meter    *collector.Meter // counts objects that cannot be understood; nil where another counts them
}

var _ follower = (*feed)(nil)

// feed returns what feeds the topology with objects of a kind: pods, claims, and what may own pods.
func (t *Topology) feed(r resource) *feed {
	return &feed{topology: t, resource: r, kind: unique.Make(r.String())}
}

func (f *feed) listing() {
	f.topology.mu.Lock()
	defer f.topology.mu.Unlock()
	f.topology.lists++
	f.list = f.topology.lists
}

func (f *feed) listed(object []byte, _ string) error { return f.happened("ADDED", object) }

func (f *feed) complete(_ string, unreadable bool) error {
	if !unreadable {
		f.topology.sweep(f)
	}
	return nil
}

// shape is what of any object that may be fed is looked at.
type shape struct {
	name, namespace, uid string
	nodeName, volumeName string

	labels []byte // all of them, in JSON
	Labels struct {
		Hash string `json:"pod-template-hash"`
	}
	Annotations struct {
		Manifest string `json:"kubernetes.io/config.hash"`
	}
	OwnerReferences []struct {
		Kind, Name, UID string
		Controller      bool
	}
	InitContainers, Containers []struct{ Name, Image string }
	Volumes                    []struct {
		Name                  string
		Ephemeral             *struct{}
		PersistentVolumeClaim *struct{ ClaimName string }
	}
}

// read decodes of an object what is looked at, which is a small part of most. What has a wrong type is passed over, and the rest is read. It
// returns false when the object has no uid or name.
func (s *shape) read(object []byte) bool {
	meta, spec := format.Member(object, "metadata"), format.Member(object, "spec")
	s.name, s.namespace = string(format.Member(meta, "name")), string(format.Member(meta, "namespace"))
	s.uid, s.labels = string(format.Member(meta, "uid")), format.Member(meta, "labels")
	s.nodeName, s.volumeName = string(format.Member(spec, "nodeName")), string(format.Member(spec, "volumeName"))
	for _, part := range [...]struct {
		of   []byte
		name string
		into any
	}{
		{meta, "labels", &s.Labels},
		{meta, "annotations", &s.Annotations},
		{meta, "ownerReferences", &s.OwnerReferences},
		{spec, "initContainers", &s.InitContainers},
		{spec, "containers", &s.Containers},
		{spec, "volumes", &s.Volumes},
	} {
		if v := format.Member(part.of, part.name); v != nil {
			_ = json.Unmarshal(v, part.into) // what of it can be read is
		}
	}
	return s.uid != "" && s.name != ""
}

func (f *feed) happened(verb string, object []byte) error {
	var s shape
	if !s.read(object) {
		f.meter.Lost(format.BadItem.String(), 1)
		return nil
	}
	f.topology.mu.Lock()
	defer f.topology.mu.Unlock()
	switch deleted := verb == "DELETED"; {
	case f.resource.kind == "Pod" && deleted:
		if p := f.topology.uids[s.uid]; p != nil {
			f.topology.leave(p)
		}
	case f.resource.kind == "Pod":
		f.topology.enter(f, &s)
	case f.resource.kind == "PersistentVolumeClaim":
		claim := podName{unique.Make(s.namespace), s.name}
		if deleted {
			delete(f.topology.claims, claim)
			return nil
		}
		f.topology.claims[claim] = volume{s.volumeName, seen{kind: f.kind, list: f.list}}
	case deleted:
		f.topology.leaveOwner(s.uid)
	default:
		f.topology.owners[s.uid] = owned{unique.Make(s.owner()), seen{kind: f.kind, list: f.list}}
	}
	return nil
}

// owner returns the object's controller.
func (s *shape) owner() owner {
	for _, r := range s.OwnerReferences {
		if r.Controller {
			return owner{r.Kind, r.Name, r.UID}
		}
	}
	return owner{}
}

// enter takes up a pod, or what has become of it.
func (t *Topology) enter(f *feed, s *shape) {
	p := t.uids[s.uid]
	if p == nil {
		p = &place{podName: podName{unique.Make(s.namespace), s.name}, uid: s.uid, alias: s.Annotations.Manifest}
		t.uids[p.uid] = p
		if p.alias != "" {
			t.uids[p.alias] = p
		}
	}
	var containers, claims strings.Builder
	for _, c := range slices.Concat(s.Containers, s.InitContainers) {
		containers.WriteString(c.Name + "\x00" + c.Image + "\x00")
	}
	for _, v := range s.Volumes {
		name := ""
		switch {
		case v.PersistentVolumeClaim != nil:
			name = v.PersistentVolumeClaim.ClaimName
		case v.Ephemeral != nil:
			name = s.name + "-" + v.Name
		default:
			continue
		}
		if claims.Len() > 0 {
			claims.WriteByte(',')
		}
		claims.WriteString(name)
	}
	p.seen = seen{kind: f.kind, list: f.list}
	p.node, p.owner, p.hash = unique.Make(s.nodeName), unique.Make(s.owner()), unique.Make(s.Labels.Hash)
	p.containers, p.claims = unique.Make(containers.String()), unique.Make(claims.String())
	p.labels = unique.Make("")
	if t.held {
		p.labels = unique.Make(string(s.labels))
	}
	t.pods[p.podName] = p
}

// leave notes that a pod is gone. It is known a while longer.
func (t *Topology) leave(p *place) {
	if p.goneAt == 0 {
		p.goneAt = t.now().UnixNano()
		t.part(parting{at: p.goneAt, pod: p})
	}
}

// leaveOwner notes that an owner is gone. Its last pods go after it.
func (t *Topology) leaveOwner(uid string) {
	if o, known := t.owners[uid]; known && o.goneAt == 0 {
		o.goneAt = t.now().UnixNano()
		t.owners[uid] = o
		t.part(parting{at: o.goneAt, owner: uid})
	}
}

// parting is something that is gone and still known.
type parting struct {
	at    int64
	pod   *place // or
	owner string // a uid
}

// part queues what is gone, and forgets what has been gone for long. What came back since it was queued stays.
func (t *Topology) part(x parting) {
	t.gone = append(t.gone, x)
	for len(t.gone) > 0 && (len(t.gone) > t.most || x.at-t.gone[0].at > int64(t.keep)) {
		old := t.gone[0]
		t.gone[0] = parting{}
		t.gone = t.gone[1:]
		switch p := old.pod; {
		case p == nil && t.owners[old.owner].goneAt == old.at:
			delete(t.owners, old.owner)
		case p != nil && p.goneAt == old.at:
			delete(t.uids, p.uid)
			if t.uids[p.alias] == p {
				delete(t.uids, p.alias)
			}
			if t.pods[p.podName] == p {
				delete(t.pods, p.podName)
			}
		}
	}
}

// sweep notes that what a feed's last list did not have is gone.
func (t *Topology) sweep(f *feed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	missing := func(s seen) bool { return s.kind == f.kind && s.list != f.list }
	for _, p := range t.uids {
		if missing(p.seen) {
			t.leave(p)
		}
	}
	for uid, o := range t.owners {
		if missing(o.seen) {
			t.leaveOwner(uid)
		}
	}
	for claim, v := range t.claims {
		if missing(v.seen) {
			delete(t.claims, claim)
		}
	}
}

// FollowNodeNeeds are what [Topology.FollowNode] must be allowed to do.
func FollowNodeNeeds() Needs { return needs([]resource{podsOf("")}) }

// FollowClusterNeeds are what [Topology.FollowCluster] must be allowed to do.
func FollowClusterNeeds() Needs { return needs(placing()) }

func podsOf(node string) resource {
	return resource{version: "v1", name: "pods", kind: "Pod", fields: "spec.nodeName=" + node}
}

// placing are the kinds by which pods are placed.
func placing() []resource {
	return slices.DeleteFunc(resources(), func(r resource) bool { return !r.owners && r.kind != "Pod" })
}

// FollowNode keeps the topology up to date with the pods of one node, until ctx is done, whose cause it returns. It is for agents on nodes: of
// owners and claims it knows what pods themselves say of them.
func (t *Topology) FollowNode(ctx context.Context, client *Client, node string, c *collector.Common) error {
	if node == "" {
		return errors.New("follow the pods of a node: the node has no name: set it, in a pod from spec.nodeName")
	}
	return t.follow(ctx, client, []resource{podsOf(node)}, c)
}

// FollowCluster keeps the topology up to date with all pods, their owners and claims, until ctx is done, whose cause it returns. It is for processes
// that do not collect changes, which does the same besides.
func (t *Topology) FollowCluster(ctx context.Context, client *Client, c *collector.Common) error {
	return t.follow(ctx, client, placing(), c)
}

func (t *Topology) follow(ctx context.Context, client *Client, all []resource, c *collector.Common) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, r := range all {
		f := t.feed(r)
		f.meter = c.Meter
		group.Go(func() error { return newReflector(client, r, f, c).run(ctx) })
	}
	return group.Wait()
}
