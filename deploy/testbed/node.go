package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// insideNode is what node runs itself as, as the first process of the node's own namespaces.
const insideNode = "node-inside"

type nodeOptions struct {
	plane    string // directory of the control plane, from up -dir
	name     string
	dir      string
	packages string // where Debian's containerd, runc and containernetworking-plugins were unpacked; empty is the system's own
	images   list
	address  string
	port     int
	eviction list
	diskMB   int
}

func parseNode(args []string) (nodeOptions, error) {
	var o nodeOptions
	fs := flag.NewFlagSet("node", flag.ContinueOnError)
	fs.StringVar(&o.plane, "controlplane", "", "directory of a control plane that was started with -dir and -node NAME (required)")
	fs.StringVar(&o.name, "name", "", "name of the node (required)")
	fs.StringVar(&o.dir, "dir", "", "directory for everything of this node (required)")
	fs.StringVar(&o.packages, "packages", "/", "where containerd, runc and the CNI plugins are, as their packages lay them out")
	fs.Var(&o.images, "image", "archive of images that are there from the start; may be given many times")
	fs.StringVar(&o.address, "address", "198.18.0.1", "the node's address; it is added to the loopback device while the node runs")
	fs.IntVar(&o.port, "port", 10250, "port of the kubelet")
	fs.Var(&o.eviction, "eviction-hard", "signal=threshold at which the kubelet evicts, such as memory.available=100Mi; may be given many times")
	fs.IntVar(&o.diskMB, "disk", 0, "megabytes of the file system that holds the pods' volumes; 0 leaves it on the file system of -dir")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if o.plane == "" || o.name == "" || o.dir == "" {
		return o, errors.New("-controlplane, -name and -dir are required")
	}
	var err error
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return o, err
	}
	if o.plane, err = filepath.Abs(o.plane); err != nil {
		return o, err
	}
	if o.packages, err = filepath.Abs(o.packages); err != nil {
		return o, err
	}
	for _, f := range []string{o.program("bin/containerd"), o.program("bin/ctr"), o.program("sbin/runc"), o.plugins(), o.kubeconfig()} {
		if _, err := os.Stat(f); err != nil {
			return o, fmt.Errorf("a node needs %w", err)
		}
	}
	return o, nil
}

func (o nodeOptions) program(path string) string { return filepath.Join(o.packages, "usr", path) }
func (o nodeOptions) plugins() string            { return filepath.Join(o.packages, "usr/lib/cni") }
func (o nodeOptions) kubeconfig() string {
	return filepath.Join(o.plane, "pki", "node-"+o.name+".kubeconfig")
}

// node runs one node until ctx is done. containerd, the kubelet and every container live in a mount and a process namespace of
// their own, so that nothing of them is left on the machine; only the address and the cgroups are outside, and are taken away.
func node(ctx context.Context, args []string) error {
	o, err := parseNode(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("a node needs root, for its namespaces, cgroups and address")
	}
	cidr := o.address + "/32"
	if out, err := exec.CommandContext(ctx, "ip", "addr", "replace", cidr, "dev", "lo").CombinedOutput(); err != nil {
		return fmt.Errorf("add the node's address: %w: %s", err, out)
	}
	// Not ctx: it is done by then.
	defer func() { _ = exec.Command("ip", "addr", "del", cidr, "dev", "lo").Run() }()
	defer removeCgroups()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	inside := exec.CommandContext(ctx, self, append([]string{insideNode}, args...)...)
	inside.Stdout, inside.Stderr = os.Stdout, os.Stderr
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, // when its first process goes, the kernel kills all the others
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := inside.Run(); ctx.Err() == nil {
		return fmt.Errorf("the node ended by itself: %w; its logs are in %s", err, filepath.Join(o.dir, "logs"))
	}
	return nil
}

// removeCgroups takes away what the kubelet made. A cgroup stays busy for a moment after its last process went.
func removeCgroups() {
	const tries = 50
	for range tries {
		left := false
		for _, pattern := range []string{"/sys/fs/cgroup/kubepods", "/sys/fs/cgroup/*/kubepods"} {
			roots, _ := filepath.Glob(pattern) // the pattern is a good one
			for _, root := range roots {
				var dirs []string
				_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
					if err == nil && d.IsDir() {
						dirs = append(dirs, path)
					}
					return nil
				})
				for i := len(dirs) - 1; i >= 0; i-- {
					left = syscall.Rmdir(dirs[i]) != nil || left
				}
			}
		}
		if !left {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// thresholds gives the evictions that a test asked for, or values that a full disk of a busy machine does not reach.
func (o nodeOptions) thresholds() (map[string]string, error) {
	all := map[string]string{"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "50Mi"}
	for _, e := range o.eviction {
		signal, threshold, ok := strings.Cut(e, "=")
		if !ok {
			return nil, fmt.Errorf("-eviction-hard %q is not signal=threshold", e)
		}
		all[signal] = threshold
	}
	return all, nil
}
