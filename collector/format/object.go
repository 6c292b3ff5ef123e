package format

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// maxChangeValue is the most bytes of a field's value that are kept.
const maxChangeValue = 4 << 10

// maxLeaves is the most fields of one object that are compared.
const maxLeaves = 5000

// leaf is one field of an object.
type leaf struct {
	value string
	at    int64 // since when the element it belongs to has been so, by the object itself; 0 when it does not say
}

// objectState is what is remembered of an object.
type objectState struct {
	leaves map[string]leaf
	last   int64 // the time of the last change
}

// object compares an object with what is remembered of it.
func (k *kubernetes) object(value []byte, kind, api, verb string) {
	var o map[string]any
	if err := decodeObject(value, &o); err != nil {
		k.in.Counts.Add(BadItem, 1)
		return
	}
	meta := child(o, "metadata")
	name, namespace, uid := text(meta["name"]), text(meta["namespace"]), text(meta["uid"])
	if name == "" {
		k.other(value)
		return
	}
	id := firstOf(uid, kind+"/"+namespace+"/"+name)
	attrs := objectAttrs(o, kind, api, namespace, name, uid)
	if verb == "DELETED" {
		k.deleted(o, id, attrs)
		return
	}
	d := objectDecoder{leaves: map[string]leaf{}, stamps: k.stamps}
	d.object(o)
	was, known := k.objects.get(id)
	if !known {
		was = &objectState{}
	}
	at := k.objectTime(meta, &d, was, known)
	k.objects.put(id, &objectState{leaves: d.leaves, last: max(at, was.last)}, k.in.Counts)

	c := change{id: id, attrs: attrs, verb: "modified"}
	if !known {
		c.verb = "added"
	}
	before := k.seq
	told := make(map[int64]bool, 8) // element times that were known before: what is new now happened after them
	for _, l := range was.leaves {
		told[l.at] = true
	}
	for _, path := range slices.Sorted(maps.Keys(d.leaves)) {
		now, old := d.leaves[path], was.leaves[path]
		if now.value == old.value {
			continue
		}
		c.path, c.from, c.to, c.at = path, old.value, now.value, at
		switch {
		case now.at != 0 && (!told[now.at] && now.at >= was.last || !known):
			c.at = now.at
		case !known && !strings.HasPrefix(path, "status."):
			c.at = firstOf(k.trusted(timeOf(meta["creationTimestamp"])), at)
		}
		k.addChange(c)
	}
	for _, path := range slices.Sorted(maps.Keys(was.leaves)) {
		if _, still := d.leaves[path]; !still {
			c.path, c.from, c.to, c.at = path, was.leaves[path].value, "", at
			k.addChange(c)
		}
	}
	switch {
	case k.seq != before:
	case known:
		k.in.Counts.Add(RepeatedItem, 1)
	default: // none of its fields is compared: that it is there is all there is to tell
		c.path, c.from, c.to, c.at = "", "", "", at
		k.addChange(c)
	}
}

// objectTime says when the object became what it is: when it was last written, by its managed fields; without them the newest
// time in its status, if it is newer than what was seen before.
func (k *kubernetes) objectTime(meta map[string]any, d *objectDecoder, was *objectState, known bool) int64 {
	newest := int64(0)
	if fields, ok := meta["managedFields"].([]any); ok {
		for _, f := range fields {
			if m, ok := f.(map[string]any); ok {
				newest = max(newest, k.trusted(timeOf(m["time"])))
			}
		}
	}
	switch {
	case newest != 0:
		return newest
	case d.newest > was.last:
		return d.newest
	case known && !k.in.Live:
		return was.last
	case known:
		return firstOf(k.in.now(), was.last)
	}
	return firstOf(k.trusted(timeOf(meta["creationTimestamp"])), k.in.written())
}

func (k *kubernetes) deleted(o map[string]any, id string, attrs attrSet) {
	was, known := k.objects.get(id)
	if !known {
		was = &objectState{}
	}
	meta := child(o, "metadata")
	d := objectDecoder{leaves: map[string]leaf{}, stamps: k.stamps}
	d.object(o)
	at := max(k.objectTime(meta, &d, was, known), k.trusted(timeOf(meta["deletionTimestamp"])))
	k.objects.remove(id)
	k.addChange(change{id: id, attrs: attrs, verb: "deleted", at: at})
}

// change is one field that became another value.
type change struct {
	id, path, from, to, verb string
	at                       int64
	attrs                    attrSet
}

func (k *kubernetes) addChange(c change) {
	a := maps.Clone(c.attrs)
	a.set(record.ChangePath, c.path)
	a.set(record.ChangeFrom, c.from)
	a.set(record.ChangeTo, c.to)
	a.set(record.ChangeVerb, c.verb)
	if rest, ok := strings.CutPrefix(c.path, "status."); ok && a[record.ObjectKind] == "Pod" {
		if list, element, ok := strings.Cut(rest, "["); ok && strings.HasSuffix(list, "ontainerStatuses") {
			name, _, _ := strings.Cut(element, "]")
			a.set(record.Container, name)
		}
	}
	text := c.path + ": " + c.from + " -> " + c.to
	if c.path == "" {
		text = c.verb
	}
	k.add(record.Record{
		Kind: record.Change, Time: c.at, Text: []byte(text), Attrs: a.over(k.in.Attrs),
		ID: record.Identity("change", c.id, c.verb, c.path, c.from, c.to, strconv.FormatInt(c.at, 36)),
	})
}

// objectAttrs says what the object is and where it belongs.
func objectAttrs(o map[string]any, kind, api, namespace, name, uid string) attrSet {
	a := attrSet{}
	a.object(kind, namespace, name)
	a.set(record.ObjectUID, uid)
	a.set(record.ObjectAPI, api)
	meta, spec := child(o, "metadata"), child(o, "spec")
	hash := text(child(meta, "labels")["pod-template-hash"])
	if owners, ok := meta["ownerReferences"].([]any); ok {
		for _, x := range owners {
			owner, _ := x.(map[string]any)
			if owner["controller"] != true {
				continue
			}
			a.owner(text(owner["kind"]), text(owner["name"]), hash)
		}
	}
	switch kind {
	case "Pod":
		a.set(record.PodUID, uid)
		a.set(record.Node, text(spec["nodeName"]))
	case "PersistentVolumeClaim":
		a.set(record.Volume, text(spec["volumeName"]))
	case "PersistentVolume":
		claim := child(spec, "claimRef")
		a.set(record.VolumeClaim, text(claim["name"]))
		a.set(record.Namespace, text(claim["namespace"]))
	case "HorizontalPodAutoscaler":
		target := child(spec, "scaleTargetRef")
		a.workload(text(target["kind"]), text(target["name"]))
	case "VolumeAttachment":
		a.set(record.Node, text(spec["nodeName"]))
		a.set(record.Volume, text(child(spec, "source")["persistentVolumeName"]))
	case "Lease":
		if namespace == "kube-node-lease" {
			a.set(record.Node, name)
		}
	}
	return a
}

// owner puts an object under the top of its owner chain, as far as that can be told from here.
func (a attrSet) owner(kind, name, hash string) {
	switch kind {
	case "Node": // a static pod; it is no workload
		return
	case "ReplicaSet":
		if top, ok := strings.CutSuffix(name, "-"+hash); ok && hash != "" {
			kind, name = "Deployment", top
		} else if top, owner, ok := WorkloadOfReplicaSet(name); ok {
			kind, name = top, owner
		}
	case "Job":
		kind, name = workloadOfJob(name)
	}
	a.workload(kind, name)
}

func child(m map[string]any, key string) map[string]any {
	c, _ := m[key].(map[string]any)
	return c
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func timeOf(v any) time.Time {
	s, _ := v.(string)
	if len(s) < 20 || s[4] != '-' {
		return time.Time{}
	}
	t, _ := time.Parse(time.RFC3339Nano, s)
	return t
}
