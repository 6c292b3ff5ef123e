// Command build makes forewarn's image from the source: it compiles the binary for each architecture and writes an OCI layout in a tar. It needs
// Go alone, and the same source and Go version give the same digest.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/forewarn/forewarn/deploy/image"
)

func main() {
	var o image.Options
	out := flag.String("o", "forewarn-image.tar", "the file to write")
	arches := flag.String("arch", "amd64,arm64", "the architectures, with commas")
	certificates := flag.String("certificates", "/etc/ssl/certs/ca-certificates.crt", "the certificates that servers are checked with, in PEM form; empty for none")
	epoch := flag.Int64("time", 0, "the time of everything in the image, in Unix seconds, such as the commit's")
	flag.StringVar(&o.Name, "name", "ghcr.io/forewarn/forewarn", "the image's name")
	flag.StringVar(&o.Tag, "tag", "dev", "its tag, and the version that the binary tells")
	flag.StringVar(&o.Revision, "revision", "", "the source's commit")
	flag.Parse()
	o.Time = time.Unix(*epoch, 0)
	if err := build(context.Background(), o, *out, strings.Split(*arches, ","), *certificates); err != nil {
		fmt.Fprintln(os.Stderr, "build: "+err.Error())
		os.Exit(1)
	}
}

func build(ctx context.Context, o image.Options, out string, arches []string, certificates string) error {
	dir, err := os.MkdirTemp("", "forewarn-image-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is in the place for what nobody needs
	o.Binaries = map[string][]byte{}
	for _, arch := range arches {
		file := filepath.Join(dir, arch)
		c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.version="+o.Tag, "-o", file, "github.com/forewarn/forewarn/cmd/forewarn")
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=-mod=readonly")
		c.Stderr = os.Stderr
		if err := c.Run(); err != nil {
			return fmt.Errorf("compile for %s: %w", arch, err)
		}
		if o.Binaries[arch], err = os.ReadFile(file); err != nil {
			return err
		}
	}
	if certificates != "" {
		if o.Certificates, err = os.ReadFile(certificates); err != nil {
			return fmt.Errorf("read certificates: %w: name a file with -certificates, or leave them out with -certificates= and mount them", err)
		}
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	digest, err := image.Write(f, o)
	if err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	fmt.Printf("%s@%s in %s\n", o.Name, digest, out)
	return nil
}
