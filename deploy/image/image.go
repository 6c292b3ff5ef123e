// Package image makes the container image of forewarn: one static binary, without a base.
//
// The image holds /forewarn, the link /kubectl-forewarn to it, /etc/passwd with the user it runs as, the directories /tmp and /data, and
// /etc/ssl/certs/ca-certificates.crt if the maker gives one. [Write] makes an OCI layout in a tar, which every registry tool reads. Times, owners and
// orders are fixed, so that the same binary gives the same bytes, and so the same digest, on any machine.
package image

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// User and group that the image runs as. They have no name anywhere else, and no rights.
const User = 65532

// Options of an image.
type Options struct {
	// Binaries by architecture (amd64, arm64): statically linked Linux programs. Required.
	Binaries map[string][]byte
	// Certificates are those that servers are checked with, in PEM form; may be empty: see README.md.
	Certificates []byte
	// Name and Tag are what the image is called where it is loaded, such as ghcr.io/forewarn/forewarn and v1.2.0.
	Name, Tag string
	// Revision is the source's commit, for those who look at the image.
	Revision string
	// Time stands for all times in the image; the zero time is 1970.
	Time time.Time
}

// descriptor refers to a blob.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// layout is an OCI image layout that is being made.
type layout struct {
	blobs map[string][]byte // by digest, without its algorithm
	o     Options
}

// Write writes the image as an OCI layout in a tar, and returns the digest of its index, by which a registry knows it.
func Write(w io.Writer, o Options) (digest string, err error) {
	if len(o.Binaries) == 0 {
		return "", errors.New("make an image: no binary")
	}
	if o.Name == "" || o.Tag == "" {
		return "", errors.New("make an image: it needs a name and a tag")
	}
	o.Time = o.Time.UTC().Truncate(time.Second)
	if o.Time.IsZero() {
		o.Time = time.Unix(0, 0).UTC()
	}
	l := &layout{blobs: map[string][]byte{}, o: o}
	index, err := l.index()
	if err != nil {
		return "", fmt.Errorf("make an image: %w", err)
	}
	top, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": []descriptor{index}})
	if err != nil {
		return "", fmt.Errorf("make an image: %w", err)
	}
	entries := []entry{{name: "blobs/", dir: true}, {name: "blobs/sha256/", dir: true}}
	for digest, b := range l.blobs {
		entries = append(entries, entry{name: "blobs/sha256/" + digest, data: b, mode: 0o644})
	}
	entries = append(entries, entry{name: "index.json", data: top, mode: 0o644}, entry{name: "oci-layout", data: []byte(`{"imageLayoutVersion":"1.0.0"}`), mode: 0o644})
	if err := archive(w, entries, o.Time); err != nil {
		return "", fmt.Errorf("write an image: %w", err)
	}
	return index.Digest, nil
}

// index makes the list of the image's architectures.
func (l *layout) index() (descriptor, error) {
	var list []descriptor
	for arch, binary := range l.o.Binaries {
		if !bytes.HasPrefix(binary, []byte("\x7fELF")) {
			return descriptor{}, fmt.Errorf("the binary for %s is no Linux program", arch)
		}
		m, err := l.manifest(arch, binary)
		if err != nil {
			return descriptor{}, err
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b descriptor) int { return cmp.Compare(a.Platform.Architecture, b.Platform.Architecture) })
	d, err := l.json(typeIndex, map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": list})
	d.Annotations = map[string]string{"io.containerd.image.name": l.o.Name + ":" + l.o.Tag, "org.opencontainers.image.ref.name": l.o.Tag}
	return d, err
}

// manifest makes the image of one architecture.
func (l *layout) manifest(arch string, binary []byte) (descriptor, error) {
	var plain bytes.Buffer
	if err := archive(&plain, l.files(binary), l.o.Time); err != nil {
		return descriptor{}, err
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression) // its header has no time and no name
	if err != nil {
		return descriptor{}, err
	}
	if _, err := z.Write(plain.Bytes()); err != nil {
		return descriptor{}, err
	}
	if err := z.Close(); err != nil {
		return descriptor{}, err
	}
	layer := l.add(typeLayer, packed.Bytes())
	labels := map[string]string{
		"org.opencontainers.image.title": "forewarn", "org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.source": "https://github.com/forewarn/forewarn", "org.opencontainers.image.version": l.o.Tag,
	}
	if l.o.Revision != "" {
		labels["org.opencontainers.image.revision"] = l.o.Revision
	}
	config, err := l.json(typeConfig, map[string]any{
		"architecture": arch, "os": "linux", "created": l.o.Time.Format(time.RFC3339),
		"config": map[string]any{
			"User": fmt.Sprintf("%d:%d", User, User), "Entrypoint": []string{"/forewarn"}, "WorkingDir": "/",
			"Env":    []string{"PATH=/", "XDG_STATE_HOME=/data"},
			"Labels": labels,
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + sum(plain.Bytes())}},
		"history": []any{map[string]any{"created": l.o.Time.Format(time.RFC3339), "created_by": "forewarn deploy/image", "comment": "from scratch"}},
	})
	if err != nil {
		return descriptor{}, err
	}
	d, err := l.json(typeManifest, map[string]any{"schemaVersion": 2, "mediaType": typeManifest, "config": config, "layers": []descriptor{layer}, "annotations": labels})
	d.Platform = &platform{Architecture: arch, OS: "linux"}
	return d, err
}

// files are what the image holds.
func (l *layout) files(binary []byte) []entry {
	all := []entry{
		{name: "data/", dir: true, mode: 0o700, owner: User},
		{name: "etc/", dir: true},
		{name: "etc/passwd", data: fmt.Appendf(nil, "forewarn:x:%d:%d::/data:/\n", User, User), mode: 0o644},
		{name: "forewarn", data: binary, mode: 0o755},
		{name: "kubectl-forewarn", link: "forewarn"},
		{name: "tmp/", dir: true, mode: 0o1777},
	}
	if len(l.o.Certificates) > 0 {
		all = append(all,
			entry{name: "etc/ssl/", dir: true}, entry{name: "etc/ssl/certs/", dir: true},
			entry{name: "etc/ssl/certs/ca-certificates.crt", data: l.o.Certificates, mode: 0o644})
	}
	return all
}

func (l *layout) json(kind string, v any) (descriptor, error) {
	b, err := json.Marshal(v) // keys are sorted
	if err != nil {
		return descriptor{}, err
	}
	return l.add(kind, b), nil
}

func (l *layout) add(kind string, b []byte) descriptor {
	digest := sum(b)
	l.blobs[digest] = b
	return descriptor{MediaType: kind, Digest: "sha256:" + digest, Size: int64(len(b))}
}

func sum(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}

// entry is a file of a tar.
type entry struct {
	name  string // a directory's ends with a slash
	data  []byte
	mode  int64 // 0 is 0755
	owner int
	link  string
	dir   bool
}

// archive writes entries in the order of their names, all of one time.
func archive(w io.Writer, entries []entry, at time.Time) error {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	t := tar.NewWriter(w)
	for _, e := range entries {
		h := &tar.Header{
			Name: e.name, Mode: cmp.Or(e.mode, 0o755), Uid: e.owner, Gid: e.owner, ModTime: at, Format: tar.FormatUSTAR,
			Typeflag: tar.TypeReg, Size: int64(len(e.data)),
		}
		switch {
		case e.dir:
			h.Typeflag = tar.TypeDir
		case e.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		}
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("write %s: %w", e.name, err)
		}
		if _, err := t.Write(e.data); err != nil {
			return fmt.Errorf("write %s: %w", e.name, err)
		}
	}
	return t.Close()
}
