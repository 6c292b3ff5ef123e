package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// runInside is the first process of the node's namespaces: it lays out the mounts, then keeps containerd and the kubelet
// running. When one of them ends, so does the node.
func runInside(ctx context.Context, args []string) error {
	o, err := parseNode(args)
	if err != nil {
		return err
	}
	if err := o.mounts(); err != nil {
		return err
	}
	if err := o.configure(); err != nil {
		return err
	}
	if err := os.Setenv("PATH", o.program("bin")+":"+o.program("sbin")+":"+os.Getenv("PATH")); err != nil {
		return err
	}
	ended := make(chan error, 2)
	if err := o.run(ended, "containerd", o.program("bin/containerd"), "--config", o.path("containerd.toml")); err != nil {
		return err
	}
	if err := o.loadImages(ctx, ended); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := o.run(ended, "kubelet", self, "kubelet", "--config="+o.path("kubelet.json"), "--kubeconfig="+o.kubeconfig(),
		"--hostname-override="+o.name, "--node-ip="+o.address, "--root-dir="+o.path("kubelet"), "--cert-dir="+o.path("pki"),
		"--v=2"); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}

func (o nodeOptions) path(name string) string { return filepath.Join(o.dir, name) }

// mounts makes a file system in which the node can write where its programs insist to, and none of it is the machine's.
func (o nodeOptions) mounts() error {
	for _, d := range []string{"cni", "kubelet", "logs", "static", "pki", "sysctl", "podlogs"} {
		if err := os.MkdirAll(o.path(d), 0o700); err != nil {
			return err
		}
	}
	type mount struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}
	all := []mount{
		{"", "/", "", syscall.MS_REC | syscall.MS_PRIVATE, ""}, // from here on the machine sees no mount of ours
		{"proc", "/proc", "proc", 0, ""},                       // of the new process namespace
		{o.dir, o.dir, "", syscall.MS_BIND, ""},
		{"tmpfs", "/run", "tmpfs", 0, ""},
		{"tmpfs", "/var/log", "tmpfs", 0, ""},
		{"tmpfs", "/var/lib", "tmpfs", 0, ""},
	}
	if o.diskMB > 0 {
		all = append(all, mount{"tmpfs", o.path("kubelet"), "tmpfs", 0, "size=" + strconv.Itoa(o.diskMB) + "m"})
	}
	for _, s := range []struct{ name, value string }{
		// The kubelet refuses to run with others, and may not set them here.
		{"vm/overcommit_memory", "1"}, {"vm/panic_on_oom", "0"}, {"kernel/panic", "10"}, {"kernel/panic_on_oops", "1"},
	} {
		shown := o.path("sysctl/" + strings.ReplaceAll(s.name, "/", "."))
		if err := os.WriteFile(shown, []byte(s.value+"\n"), 0o600); err != nil {
			return err
		}
		all = append(all, mount{shown, "/proc/sys/" + s.name, "", syscall.MS_BIND, ""})
	}
	// A volume that is mounted later has to be seen by the containers.
	all = append(all, mount{"", "/", "", syscall.MS_REC | syscall.MS_SHARED, ""})
	for _, m := range all {
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	return nil
}

func (o nodeOptions) configure() error {
	thresholds, err := o.thresholds()
	if err != nil {
		return err
	}
	network := map[string]any{
		"cniVersion": "0.4.0", "name": "testbed",
		"plugins": []any{map[string]any{
			"type": "ptp",
			"ipam": map[string]any{"type": "host-local", "dataDir": o.path("ipam"), "ranges": []any{[]any{map[string]any{"subnet": "10.88.0.0/24"}}}},
		}},
	}
	kubelet := map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"failCgroupV1": false, "cgroupDriver": "cgroupfs", "cgroupRoot": "/", "enforceNodeAllocatable": []string{"pods"},
		"containerRuntimeEndpoint": "unix://" + containerdSocket,
		"staticPodPath":            o.path("static"), "podLogsDir": o.path("podlogs"), "volumePluginDir": o.path("plugins"),
		"address": o.address, "port": o.port, "readOnlyPort": 0, "healthzPort": 0,
		"oomScoreAdj": 0, "failSwapOn": false, "protectKernelDefaults": true, "resolvConf": "", "clusterDNS": []string{"10.96.0.10"},
		"authentication": map[string]any{
			"x509":    map[string]any{"clientCAFile": filepath.Join(o.plane, "pki/ca.crt")},
			"webhook": map[string]any{"enabled": true}, "anonymous": map[string]any{"enabled": false},
		},
		"authorization":             map[string]any{"mode": "Webhook"},
		"nodeStatusUpdateFrequency": "2s", "nodeLeaseDurationSeconds": 8, "syncFrequency": "10s", "volumeStatsAggPeriod": "5s",
		"evictionHard": thresholds, "evictionPressureTransitionPeriod": "5s", "imageGCHighThresholdPercent": 100,
		"kubeAPIQPS": 100, "kubeAPIBurst": 200,
	}
	for name, content := range map[string]any{"cni/10-testbed.conflist": network, "kubelet.json": kubelet} {
		b, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.path(name), b, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(o.path("containerd.toml"), fmt.Appendf(nil, containerdConfig, o.dir, o.plugins(), o.program("sbin/runc")), 0o600)
}

// containerdSocket is on the node's own /run: below a test's directory its name would be longer than a socket's may be.
const containerdSocket = "/run/containerd/containerd.sock"

const containerdConfig = `version = 2
root = "%[1]s/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.test/pause:1"
  restrict_oom_score_adj = true # a container of CI may not raise it
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "%[2]s"
  conf_dir = "%[1]s/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "%[3]s"
  SystemdCgroup = false
`

// run starts a program of the node; its end goes to ended.
func (o nodeOptions) run(ended chan<- error, name, path string, args ...string) error {
	log, err := os.OpenFile(o.path("logs/"+name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() { ended <- fmt.Errorf("%s ended: %v", name, cmd.Wait()) }()
	return nil
}

// loadImages waits for containerd and gives it the images.
func (o nodeOptions) loadImages(ctx context.Context, ended <-chan error) error {
	ctr := func(args ...string) ([]byte, error) {
		args = append([]string{"--address", containerdSocket, "--namespace", "k8s.io"}, args...)
		return exec.CommandContext(ctx, o.program("bin/ctr"), args...).CombinedOutput()
	}
	for deadline := time.Now().Add(time.Minute); ; {
		out, err := ctr("version")
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("containerd does not answer: %w: %s", err, out)
		}
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	for _, image := range o.images {
		if out, err := ctr("images", "import", image); err != nil {
			return fmt.Errorf("import %s: %w: %s", image, err, out)
		}
	}
	return nil
}
