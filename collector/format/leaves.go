package format

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// leaf is one field of an object.
type leaf struct {
	value string
	at    int64 // since when the element it belongs to has been so, by the object itself; 0 when it does not say
}

// objectDecoder takes an object apart into the fields that are compared: everything under status but noise, and what of spec and
// metadata tells of trouble. The data of ConfigMaps and Secrets is never looked at.
//
// A field's path is its keys joined by dots; a key with a dot or slash stands in brackets: status.used[requests.cpu]. An element of a
// list is named by its type, name or key, else by its number: status.conditions[Ready].status.
type objectDecoder struct {
	leaves map[string]leaf
	stamps *Stamps
	now    int64
	newest int64 // the newest time that status tells of
	due    int64 // when a field changes by time alone; 0 never
	path   []byte
	skip   string // the key that names the element about to be taken apart
}

// noise is left out wherever it stands: identities and times that change without anything having happened, and copies of
// other fields.
func noise(key string) bool {
	switch key {
	case "lastTransitionTime", "lastUpdateTime", "lastHeartbeatTime", "lastProbeTime", "startedAt", "finishedAt", "renewTime",
		"acquireTime", "containerID", "imageID", "uid", "resourceVersion", "machineID", "systemUUID", "images", "podIPs", "hostIPs", "hostIP",
		"declaredFeatures", "daemonEndpoints", "currentMetrics", "volumeMounts", "managedFields", "timeAdded":
		return true
	}
	return false
}

func (d *objectDecoder) object(o *object) {
	d.walk("status", child(o.parts, "status"), 0)
	spec := child(o.parts, "spec")
	for key, v := range spec {
		if specField(o.kind, key) {
			d.member("spec", key, v)
		}
	}
	d.images("spec.containers", spec["containers"])
	d.images("spec.template.spec.containers", child(child(spec, "template"), "spec")["containers"])
	d.kind(o)
	meta := child(o.parts, "metadata")
	for _, key := range [...]string{"generation", "finalizers"} {
		if v, ok := meta[key]; ok {
			d.member("metadata", key, v)
		}
	}
	if t := timeOf(meta["deletionTimestamp"]); !t.IsZero() {
		// It is when the object should be gone: the order to delete it came a grace period earlier.
		grace, _ := strconv.ParseInt(text(meta["deletionGracePeriodSeconds"]), 10, 32)
		at := t.UnixNano() - max(grace, 0)*second
		d.put("metadata.deletionTimestamp", text(meta["deletionTimestamp"]), at)
		d.newest = max(d.newest, at)
	}
}

// sorted returns what was found in order of the paths.
func (d *objectDecoder) sorted() []namedLeaf {
	all := make([]namedLeaf, 0, len(d.leaves))
	for _, path := range slices.Sorted(maps.Keys(d.leaves)) {
		all = append(all, namedLeaf{path, d.leaves[path]})
	}
	return all
}

func (d *objectDecoder) member(parent, key string, v any) {
	d.path = appendKey(append(d.path[:0], parent...), key)
	d.value(v, 0, 0)
}

func (d *objectDecoder) images(path string, containers any) {
	list, _ := containers.([]any)
	for i, c := range list {
		if m, ok := c.(map[string]any); ok {
			d.put(path+"["+firstOf(text(m["name"]), strconv.Itoa(i))+"].image", text(m["image"]), 0)
		}
	}
}

func (d *objectDecoder) walk(root string, m map[string]any, at int64) {
	d.path = append(d.path[:0], root...)
	d.value(m, at, 0)
}

func (d *objectDecoder) put(path, value string, at int64) {
	if value != "" && len(d.leaves) < maxLeaves {
		d.leaves[path] = leaf{cutString(value, maxChangeValue), at}
	}
}

// value takes apart what stands at d.path. at is the time of the element around it.
func (d *objectDecoder) value(v any, at int64, depth int) {
	if depth > 32 {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		if own := d.elementTime(v); own != 0 {
			at = own
		}
		n, skip := len(d.path), d.skip
		d.skip = ""
		for key, x := range v {
			if key == skip || noise(key) || key == "observedGeneration" && depth > 1 {
				continue
			}
			d.path = appendKey(d.path[:n], key)
			d.value(x, at, depth+1)
		}
		d.path = d.path[:n]
	case []any:
		n := len(d.path)
		var named map[string]bool
		for i, x := range v {
			key, name := elementName(x)
			if name == "" || named[name] {
				key, name = "", strconv.Itoa(i)
			} else {
				if named == nil {
					named = map[string]bool{}
				}
				named[name] = true
			}
			d.path = append(append(append(d.path[:n], '['), name...), ']')
			d.skip = key // it says no more than the path
			d.value(x, at, depth+1)
		}
		d.path = d.path[:n]
	default:
		d.put(string(d.path), text(v), at)
	}
}

// elementTime returns since when an element has been what it is, 0 when it does not say.
func (d *objectDecoder) elementTime(m map[string]any) int64 {
	at := int64(0)
	for _, key := range [...]string{"lastTransitionTime", "finishedAt", "startedAt"} {
		if t := timeOf(m[key]); !t.IsZero() {
			at = t.UnixNano()
			break
		}
	}
	if at == 0 && m["restartCount"] != nil {
		// A container's status: it waits since it ended, and it is ready since it was started at the earliest.
		for _, state := range [...]string{"state", "lastState"} {
			for _, s := range child(m, state) {
				if inner, ok := s.(map[string]any); ok {
					at = max(at, d.elementTime(inner))
				}
			}
		}
	}
	if at < earliest || d.stamps.latest != 0 && at > d.stamps.latest {
		return 0
	}
	d.newest = max(d.newest, at)
	return at
}

// elementName returns the key that names an element of a list, and the name.
func elementName(v any) (key, name string) {
	m, _ := v.(map[string]any)
	for _, key := range [...]string{"type", "name", "key"} {
		if s := text(m[key]); s != "" && len(s) < 256 {
			return key, s
		}
	}
	return "", ""
}

func appendKey(path []byte, key string) []byte {
	if strings.ContainsAny(key, "./[]") {
		return append(append(append(path, '['), key...), ']')
	}
	return append(append(path, '.'), key...)
}
