package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// PackagesEnv names the environment variable that says where the packages of a real node were unpacked.
const PackagesEnv = "FOREWARN_NODE_PACKAGES"

// BusyboxImage is the image that a real node has from the start: Debian's busybox, with a link for each of its commands.
const BusyboxImage = "registry.test/busybox:1"

const (
	pauseImage       = "registry.test/pause:1" // what holds a pod's namespaces; containerd's configuration names it
	nodeReadyTimeout = 2 * time.Minute         // 2 s on two idle cores
	nodeStopTimeout  = 30 * time.Second
)

// NodeOptions say which real node to start.
type NodeOptions struct {
	Name     string            // one of Options.Nodes
	DiskMB   int               // size of the file system that holds the pods' volumes; 0 is the machine's own
	Eviction map[string]string // signals and thresholds at which the kubelet evicts
}

// Node is a real kubelet with containerd.
type Node struct {
	Dir  string // its logs are in logs/, those of its pods in podlogs/
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// WhyNoNode says why this machine cannot run a real node, or "" when it can. When it can, a node that does not start is a
// failure.
func WhyNoNode() string {
	if runtime.GOOS != "linux" {
		return "a real node needs Linux, and this is " + runtime.GOOS
	}
	if os.Geteuid() != 0 {
		return "a real node needs root, for namespaces, cgroups and a network address"
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return "a real node needs the command ip of the package iproute2"
	}
	if _, err := packages(); err != nil {
		return err.Error()
	}
	return ""
}

// packages finds a root below which containerd, runc, the CNI plugins and a static busybox are as Debian lays them out.
func packages() (string, error) {
	if dir := os.Getenv(PackagesEnv); dir != "" {
		return dir, complete(dir)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		if fetched := filepath.Join(dir, ".cache", "node"); complete(fetched) == nil {
			return fetched, nil
		}
	}
	if err := complete("/"); err != nil {
		return "", fmt.Errorf("a real node needs containerd, runc, containernetworking-plugins and busybox-static: `make e2e` fetches them where apt-get does, and %s names another place: %w", PackagesEnv, err)
	}
	return "/", nil
}

func complete(root string) error {
	var errs []error
	for _, f := range []string{"usr/bin/containerd", "usr/bin/ctr", "usr/sbin/runc", "usr/lib/cni/ptp"} {
		_, err := os.Stat(filepath.Join(root, f))
		errs = append(errs, err)
	}
	_, err := busybox(root)
	return errors.Join(append(errs, err)...)
}

func busybox(root string) (string, error) {
	path := filepath.Join(root, "bin/busybox")
	_, err := os.Stat(path)
	if err != nil {
		path = filepath.Join(root, "usr/bin/busybox")
		if _, other := os.Stat(path); other == nil {
			return path, nil
		}
	}
	return path, err
}

// StartNode starts a real node and returns when it is ready. It stops after the test.
func (c *Cluster) StartNode(tb testing.TB, o NodeOptions) *Node {
	tb.Helper()
	n := &Node{Dir: filepath.Join(c.Dir, "node-"+o.Name), done: make(chan struct{})}
	if err := n.start(tb.Context(), c, o); err != nil {
		tb.Fatalf("start node %s: %v", o.Name, err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			n.logTails(tb)
		}
		n.Stop()
		for _, big := range []string{"containerd", "kubelet", "images"} {
			_ = os.RemoveAll(filepath.Join(n.Dir, big)) // as New does with etcd
		}
	})
	ctx, cancel := context.WithTimeoutCause(tb.Context(), nodeReadyTimeout, fmt.Errorf("after %v", nodeReadyTimeout))
	defer cancel()
	go func() { // so that a node that ends is not waited for
		select {
		case <-n.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := c.NodeReady(ctx, o.Name); err != nil {
		tb.Fatalf("start a real node: %v\n%s", err, n.Log("node"))
	}
	return n
}

func (n *Node) start(ctx context.Context, c *Cluster, o NodeOptions) error {
	root, err := packages()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(n.Dir, "logs"), 0o700); err != nil {
		return err
	}
	images, err := writeImages(ctx, root, filepath.Join(n.Dir, "images"))
	if err != nil {
		return err
	}
	args := []string{"node", "-controlplane", c.Dir, "-name", o.Name, "-dir", n.Dir, "-packages", root}
	if o.DiskMB > 0 {
		args = append(args, fmt.Sprintf("-disk=%d", o.DiskMB))
	}
	for signal, threshold := range o.Eviction {
		args = append(args, "-eviction-hard="+signal+"="+threshold)
	}
	for _, i := range images {
		args = append(args, "-image", i)
	}
	log, err := os.Create(filepath.Join(n.Dir, "logs", "node.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()      // the process has its own
	n.cmd = exec.Command(c.binary, args...) //nolint:noctx // Stop asks it to end, so that it takes its cgroups and address away
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := n.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = n.cmd.Wait() // its log says why it ended
		close(n.done)
	}()
	return nil
}

// writeImages writes the archives of the images that a node starts with.
func writeImages(ctx context.Context, root, dir string) ([]string, error) {
	program, err := busybox(root)
	if err != nil {
		return nil, err
	}
	list, err := exec.CommandContext(ctx, program, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("ask busybox for its commands: %w", err)
	}
	var links []string
	for name := range strings.FieldsSeq(string(list)) {
		if name != "busybox" {
			links = append(links, "bin/"+name)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var paths []string
	for name, i := range map[string]image{
		"busybox.tar": {tag: BusyboxImage, program: program, at: "bin/busybox", links: links},
		"pause.tar":   {tag: pauseImage, program: program, at: "bin/busybox", entrypoint: []string{"/bin/busybox", "sleep", "2147483647"}},
	} {
		var archive bytes.Buffer
		if err := i.write(&archive); err != nil {
			return nil, err
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, archive.Bytes(), 0o600); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// Stop stops the node as a power cut would: no pod is told, no status is sent.
func (n *Node) Stop() {
	_ = n.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-n.done:
	case <-time.After(nodeStopTimeout):
		_ = n.cmd.Process.Kill()
		<-n.done
	}
}

// Log returns the end of the log of containerd, of the kubelet, or of node, which starts both.
func (n *Node) Log(program string) string {
	b, err := os.ReadFile(filepath.Join(n.Dir, "logs", program+".log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-logTail):])
}

func (n *Node) logTails(tb testing.TB) {
	tb.Helper()
	for _, name := range []string{"node", "containerd", "kubelet"} {
		tb.Logf("the end of %s's log:\n%s", name, n.Log(name))
	}
}
