package format

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// object is what is read of an object: metadata without its managed fields, status, and what of spec and the rest is compared.
type object struct {
	id, uid       string // id is the uid, and what else is unique where there is none
	kind, version string
	attrs         attrSet
	parts         map[string]any
	written       int64         // when its fields were written last, in Unix nanoseconds; 0 when it does not say
	certificate   *certificates // of a Secret of type kubernetes.io/tls
}

// seq orders an object's records, by its resource version and their order.
func (o *object) seq(n int) uint64 {
	v, err := strconv.ParseUint(o.version, 10, 52)
	if err != nil {
		return 0
	}
	return v<<12 | uint64(min(n, 1<<12-1))
}

// read decodes an object. Without one it returns whether that was counted.
func (x *Objects) read(value []byte, kind, api string) (o *object, counted bool) {
	if x.in.Live {
		x.stamps.advance(x.in.now())
	}
	if !json.Valid(value) {
		x.in.Counts.Add(BadItem, 1)
		return nil, true
	}
	o = &object{kind: kind, parts: map[string]any{}}
	for m := newMembers(value); ; {
		key, v, ok := m.next()
		if !ok {
			break
		}
		switch key := string(key); {
		case key == "metadata":
			o.parts[key] = o.metadata(v, x.trusted)
		case key == "spec":
			o.parts[key] = pruned(v, func(key string) bool { return specPart(kind, key) })
		case key == "status" || rootPart(kind, key):
			o.parts[key] = decoded(v)
		}
	}
	if kind == "Secret" {
		o.certificate = certificateOf(value)
	}
	meta := o.meta()
	name, namespace := text(meta["name"]), text(meta["namespace"])
	if name == "" {
		return nil, false
	}
	o.uid, o.version = text(meta["uid"]), text(meta["resourceVersion"])
	o.id = firstOf(o.uid, kind+"/"+namespace+"/"+name)
	o.attrs = objectAttrs(o.parts, kind, api, namespace, name, o.uid)
	return o, true
}

func (o *object) meta() map[string]any { return child(o.parts, "metadata") }

// metadata decodes what is needed of the metadata. What each manager wrote is often longer than all the rest: only when it did is read.
func (o *object) metadata(v []byte, trusted func(time.Time) int64) map[string]any {
	if managers, ok := member(v, "managedFields"); ok {
		elements(managers, func(m []byte) {
			if at, ok := member(m, "time"); ok {
				o.written = max(o.written, trusted(timeOf(string(unquoted(at)))))
			}
		})
	}
	return pruned(v, func(key string) bool {
		switch key {
		case "name", "namespace", "uid", "resourceVersion", "generation", "labels", "ownerReferences", "finalizers", "creationTimestamp",
			"deletionTimestamp", "deletionGracePeriodSeconds":
			return true
		}
		return false
	})
}

// pruned decodes the members of a JSON object that are wanted.
func pruned(v []byte, wanted func(key string) bool) map[string]any {
	parts := map[string]any{}
	for m := newMembers(v); ; {
		key, v, ok := m.next()
		if !ok {
			return parts
		}
		if key := string(key); wanted(key) {
			parts[key] = decoded(v)
		}
	}
}

// decoded decodes a JSON value that is known to be valid.
func decoded(v []byte) any {
	var a any
	if decodeObject(v, &a) != nil {
		return nil
	}
	return a
}

// member returns the member of a JSON object that is called name, as it is written.
func member(v []byte, name string) (value []byte, ok bool) {
	for m := newMembers(v); ; {
		key, v, more := m.next()
		switch {
		case !more:
			return nil, false
		case string(key) == name:
			return v, true
		}
	}
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
	if kind, name = TopOwner(kind, name, hash); kind != "" {
		a.workload(kind, name)
	}
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
