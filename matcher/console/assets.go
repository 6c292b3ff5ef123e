package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed web
var web embed.FS

// types are the kinds of files that are served; every other one of web is a template.
var types = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// asset is a file as it is served.
type asset struct {
	plain, packed []byte
	kind, tag     string
}

// assets are the style sheet, the modules and the icon. Their names in pages carry a hash of all of them, so that browsers keep them for ever and modules
// can import one another by their plain names.
type assets struct {
	files map[string]asset
	hash  string
}

func loadAssets(from fs.FS) (*assets, error) {
	a := &assets{files: map[string]asset{}}
	all := sha256.New()
	err := fs.WalkDir(from, "web", func(name string, d fs.DirEntry, err error) error {
		kind, served := types[path.Ext(name)]
		if err != nil || d.IsDir() || !served {
			return err
		}
		plain, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(all, "%s %d ", name, len(plain)) // a hash takes everything
		_, _ = all.Write(plain)
		sum := sha256.Sum256(plain)
		packed, err := pack(plain)
		if err != nil {
			return err
		}
		a.files[path.Base(name)] = asset{plain, packed, kind, `"` + hex.EncodeToString(sum[:10]) + `"`}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the console's files: %w", err)
	}
	a.hash = hex.EncodeToString(all.Sum(nil)[:6])
	return a, nil
}

func pack(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(plain); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// path is where pages find the file.
func (a *assets) path(name string) string { return "/static/" + a.hash + "/" + name }

// ServeHTTP implements http.Handler for /static/{hash}/{name}. A page of an older console finds the new file, and is told not to keep it.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := a.files[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.tag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if r.PathValue("hash") == a.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.packed
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client is gone when this fails
}
