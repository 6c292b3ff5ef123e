package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func options() Options {
	return Options{
		Binaries: map[string][]byte{"arm64": []byte("\x7fELF arm"), "amd64": []byte("\x7fELF intel")}, Certificates: []byte("-----BEGIN CERTIFICATE-----"),
		Name: "registry.test/forewarn", Tag: "v1", Revision: "abc",
	}
}

func TestTheSameBinaryGivesTheSameDigest(t *testing.T) {
	var first, second, later bytes.Buffer
	a, err := Write(&first, options())
	require.NoError(t, err)
	b, err := Write(&second, options())
	require.NoError(t, err)
	require.Equal(t, a, b)
	require.Equal(t, first.Bytes(), second.Bytes())
	o := options()
	o.Time = time.Unix(1_800_000_000, 0)
	c, err := Write(&later, o)
	require.NoError(t, err)
	require.NotEqual(t, a, c)
}

// untar returns the files of a tar.
func untar(t *testing.T, r io.Reader) (files map[string][]byte, headers map[string]*tar.Header) {
	t.Helper()
	files, headers = map[string][]byte{}, map[string]*tar.Header{}
	for a := tar.NewReader(r); ; {
		h, err := a.Next()
		if err == io.EOF { //nolint:errorlint // tar says so
			return files, headers
		}
		require.NoError(t, err)
		b, err := io.ReadAll(a)
		require.NoError(t, err)
		files[h.Name], headers[h.Name] = b, h
	}
}

func TestAnImageIsALayoutWhoseBlobsAreWhatTheirNamesSay(t *testing.T) {
	var out bytes.Buffer
	digest, err := Write(&out, options())
	require.NoError(t, err)
	files, _ := untar(t, &out)
	blob := func(d descriptor) []byte {
		b, ok := files["blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:")]
		require.True(t, ok, d.Digest)
		require.Equal(t, d.Digest, "sha256:"+sum(b))
		require.Len(t, b, int(d.Size))
		return b
	}
	type manifests struct {
		Manifests []descriptor
		Layers    []descriptor
		Config    descriptor
	}
	parse := func(b []byte) (m manifests) {
		require.NoError(t, json.Unmarshal(b, &m))
		return m
	}
	require.JSONEq(t, `{"imageLayoutVersion":"1.0.0"}`, string(files["oci-layout"]))
	top := parse(files["index.json"])
	require.Equal(t, digest, top.Manifests[0].Digest)
	require.Equal(t, "registry.test/forewarn:v1", top.Manifests[0].Annotations["io.containerd.image.name"])
	index := parse(blob(top.Manifests[0]))
	require.Len(t, index.Manifests, 2)
	for i, want := range []struct{ arch, binary string }{{"amd64", "\x7fELF intel"}, {"arm64", "\x7fELF arm"}} {
		require.Equal(t, &platform{want.arch, "linux"}, index.Manifests[i].Platform)
		m := parse(blob(index.Manifests[i]))
		var config struct {
			Architecture string
			Config       struct {
				User       string
				Entrypoint []string
			}
			RootFS struct {
				DiffIDs []string `json:"diff_ids"`
			}
		}
		require.NoError(t, json.Unmarshal(blob(m.Config), &config))
		require.Equal(t, want.arch, config.Architecture)
		require.Equal(t, "65532:65532", config.Config.User, "a number, so that runAsNonRoot can be checked")
		require.Equal(t, []string{"/forewarn"}, config.Config.Entrypoint)
		z, err := gzip.NewReader(bytes.NewReader(blob(m.Layers[0])))
		require.NoError(t, err)
		plain, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Equal(t, []string{"sha256:" + sum(plain)}, config.RootFS.DiffIDs)
		root, headers := untar(t, bytes.NewReader(plain))
		require.Equal(t, want.binary, string(root["forewarn"]))
		require.Equal(t, int64(0o755), headers["forewarn"].Mode)
		require.Equal(t, "forewarn", headers["kubectl-forewarn"].Linkname)
		require.Equal(t, User, headers["data/"].Uid)
		require.Contains(t, root, "etc/ssl/certs/ca-certificates.crt")
	}
}

func TestAnImageWithoutWhatItNeedsIsRefused(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"no binary":               func(o *Options) { o.Binaries = nil },
		"a name and a tag":        func(o *Options) { o.Tag = "" },
		"is no Linux program":     func(o *Options) { o.Binaries["amd64"] = []byte("MZ") },
		"binary for arm64 is no ": func(o *Options) { o.Binaries["arm64"] = nil },
	} {
		o := options()
		change(&o)
		_, err := Write(io.Discard, o)
		require.ErrorContains(t, err, want)
	}
}
