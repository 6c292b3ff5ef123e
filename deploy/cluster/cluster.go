// Package cluster starts a real Kubernetes control plane for tests: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler, simulated nodes when asked, and a real node where the machine allows one. All of it comes from the file that
// `make controlplane` builds; it listens on loopback and is gone when the test ends or its process dies.
//
// A test breaks what it needs broken: Stop, Start, Pause and Resume act on one component.
package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The components that a control plane has, as Stop and its kin name them.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kwok              = "kwok"
)

// BinaryEnv names the environment variable that says where the control plane's file is.
const BinaryEnv = "CONTROLPLANE_BIN"

const (
	startTimeout   = 5 * time.Minute // 3 s on two idle cores
	commandTimeout = time.Minute
	logTail        = 4 << 10
)

// Options say what to start. The zero value is a control plane without nodes.
type Options struct {
	Kwok  bool     // simulate the nodes annotated kwok.x-k8s.io/node=fake, and their pods
	Nodes []string // names of real nodes that may join, see StartNode

	APIServerFlags, ControllerManagerFlags []string // further flags, as the components take them
}

// Cluster is a control plane that runs. Its methods may be called concurrently.
type Cluster struct {
	Kubeconfig string       // path of the administrator's
	Config     *rest.Config // the administrator's, without client-side rate limits; copy it before changing it
	Client     *kubernetes.Clientset
	Dynamic    *dynamic.DynamicClient
	Endpoints  Endpoints
	Dir        string // state, certificates in pki/ and logs in logs/

	binary string
	mapper *mapper

	mu      sync.Mutex // one command at a time
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan string // closed when the process closed its output
}

// Endpoints are where the components serve. All but the API server give /metrics to anybody.
type Endpoints struct {
	APIServer         string `json:"apiserver"`
	ControllerManager string `json:"controllerManager"`
	Scheduler         string `json:"scheduler"`
	Etcd              string `json:"etcd"`
}

// Binary finds the file that make controlplane builds: where CONTROLPLANE_BIN says, else in .cache of the repository that the
// working directory is in.
func Binary() (string, error) {
	if path := os.Getenv(BinaryEnv); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", BinaryEnv, err)
		}
		return path, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, ".cache", "bin", "controlplane")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if filepath.Dir(dir) == dir {
			return "", fmt.Errorf("there is no .cache/bin/controlplane here or above: run `make controlplane`, or say in %s where it is", BinaryEnv)
		}
		dir = filepath.Dir(dir)
	}
}

// New starts a control plane and returns when it serves. It is stopped after the test, whose log then has the end of each
// component's log when it failed; `go test -artifacts` keeps them whole.
func New(tb testing.TB, o Options) *Cluster {
	tb.Helper()
	dir := filepath.Join(tb.ArtifactDir(), "cluster")
	ctx, cancel := context.WithTimeout(tb.Context(), startTimeout)
	defer cancel()
	c, err := start(ctx, dir, o)
	if err != nil {
		if c != nil {
			c.logTails(tb)
		}
		tb.Fatalf("start a control plane: %v", err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			c.logTails(tb) // what follows is what components say of each other's end
		}
		c.close()
		// A run keeps what tells why it failed, not hundreds of megabytes of etcd.
		_ = os.RemoveAll(filepath.Join(dir, "etcd"))
	})
	return c
}

func start(ctx context.Context, dir string, o Options) (*Cluster, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	args := []string{"up", "-dir", dir, "-stdin"}
	if o.Kwok {
		args = append(args, "-kwok")
	}
	for _, n := range o.Nodes {
		args = append(args, "-node", n)
	}
	for _, f := range o.APIServerFlags {
		args = append(args, "-apiserver-flag="+f)
	}
	for _, f := range o.ControllerManagerFlags {
		args = append(args, "-controller-manager-flag="+f)
	}
	c := &Cluster{Dir: dir, binary: binary, answers: make(chan string, 1)}
	c.cmd = exec.Command(binary, args...) //nolint:noctx // it ends with its standard input, so that it stops everything in order
	var said strings.Builder
	c.cmd.Stderr = &said
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.answers)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.answers <- lines.Text()
		}
	}()
	var ready struct {
		Kubeconfig string
		Endpoints
	}
	select {
	case line, ok := <-c.answers:
		if !ok {
			c.close()
			return c, errors.New(strings.TrimSpace(said.String()))
		}
		if err := json.Unmarshal([]byte(line), &ready); err != nil {
			c.close()
			return c, fmt.Errorf("read %q: %w", line, err)
		}
	case <-ctx.Done():
		c.close()
		return c, context.Cause(ctx)
	}
	c.Kubeconfig, c.Endpoints = ready.Kubeconfig, ready.Endpoints
	return c, c.connect()
}

func (c *Cluster) connect() error {
	var err error
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig); err != nil {
		return err
	}
	c.Config.QPS = -1
	if c.Client, err = kubernetes.NewForConfig(c.Config); err != nil {
		return err
	}
	if c.Dynamic, err = dynamic.NewForConfig(c.Config); err != nil {
		return err
	}
	c.mapper = newMapper(c.Client.Discovery())
	return nil
}

// close stops everything and returns when it is gone.
func (c *Cluster) close() {
	_ = c.in.Close() // the process may be gone already
	for range c.answers {
	}
	_ = c.cmd.Wait() // how it ended matters to nobody now
}

// Log returns the end of a component's log.
func (c *Cluster) Log(component string) string {
	b, err := os.ReadFile(filepath.Join(c.Dir, "logs", component+".log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-logTail):])
}

func (c *Cluster) logTails(tb testing.TB) {
	tb.Helper()
	logs, _ := filepath.Glob(filepath.Join(c.Dir, "logs", "*.log")) // the pattern is a good one
	for _, path := range logs {
		name := strings.TrimSuffix(filepath.Base(path), ".log")
		tb.Logf("the end of %s's log:\n%s", name, c.Log(name))
	}
}
