package cluster

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"runtime"
)

// image is a container image of one program and links to it.
type image struct {
	tag        string
	program    string   // path on this machine
	at         string   // path in the image, without the leading slash; its directory exists
	links      []string // paths in the image that are links to the program
	entrypoint []string
}

// write writes the image as an archive that `ctr images import` reads.
func (i image) write(w io.Writer) error {
	content, err := os.ReadFile(i.program)
	if err != nil {
		return err
	}
	var layer bytes.Buffer
	files := tar.NewWriter(&layer)
	for _, dir := range []string{"bin/", "etc/", "tmp/"} {
		if err := files.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o777}); err != nil {
			return err
		}
	}
	if err := add(files, i.at, content, 0o755); err != nil {
		return err
	}
	for _, link := range i.links {
		if err := files.WriteHeader(&tar.Header{Name: link, Typeflag: tar.TypeSymlink, Linkname: "/" + i.at, Mode: 0o777}); err != nil {
			return err
		}
	}
	if err := files.Close(); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Env": []string{"PATH=/bin"}, "Entrypoint": i.entrypoint},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer.Bytes())}},
	})
	if err != nil {
		return err
	}
	configName := digest(config) + ".json"
	manifest, err := json.Marshal([]any{map[string]any{"Config": configName, "RepoTags": []string{i.tag}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	for _, f := range []struct {
		name    string
		content []byte
	}{{configName, config}, {"layer.tar", layer.Bytes()}, {"manifest.json", manifest}} {
		if err := add(archive, f.name, f.content, 0o644); err != nil {
			return err
		}
	}
	return archive.Close()
}

func add(w *tar.Writer, name string, content []byte, mode int64) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
