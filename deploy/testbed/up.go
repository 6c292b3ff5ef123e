package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	readyTimeout   = 3 * time.Minute // a start takes 3 s on two idle cores
	requestTimeout = 5 * time.Second
)

// ready is what up prints, as one line of JSON, when everything serves.
type ready struct {
	Kubeconfig        string `json:"kubeconfig"` // the administrator's
	APIServer         string `json:"apiserver"`
	ControllerManager string `json:"controllerManager"`
	Scheduler         string `json:"scheduler"`
	Etcd              string `json:"etcd"`
	Dir               string `json:"dir"`
	StartMillis       int64  `json:"startMillis"`
}

type upOptions struct {
	dir                               string
	nodes                             list
	kwok, stdin                       bool
	apiserver, controllers, scheduler list
}

// list is a flag that may be given many times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func parseUp(args []string) (upOptions, error) {
	var o upOptions
	fs := flag.NewFlagSet("up", flag.ContinueOnError)
	fs.StringVar(&o.dir, "dir", "", "directory for state, certificates and logs (default: a new temporary one)")
	fs.Var(&o.nodes, "node", "issue a kubelet's identity, DIR/pki/node-NAME.kubeconfig; may be given many times")
	fs.BoolVar(&o.kwok, "kwok", false, "simulate the nodes annotated kwok.x-k8s.io/node=fake and their pods")
	fs.BoolVar(&o.stdin, "stdin", false, "obey lines of standard input (stop|start|pause|resume COMPONENT), and end when it closes")
	fs.Var(&o.apiserver, "apiserver-flag", "one more flag for kube-apiserver; may be given many times")
	fs.Var(&o.controllers, "controller-manager-flag", "one more flag for kube-controller-manager; may be given many times")
	fs.Var(&o.scheduler, "scheduler-flag", "one more flag for kube-scheduler; may be given many times")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("up takes flags only, not %q", fs.Args())
	}
	var err error
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "controlplane-"); err != nil {
			return o, err
		}
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return o, err
	}
	for _, d := range []string{"pki", "logs", "etcd"} {
		if err := os.MkdirAll(filepath.Join(o.dir, d), 0o700); err != nil {
			return o, err
		}
	}
	return o, nil
}

// plane is one control plane while it starts and runs.
type plane struct {
	*processes
	o     upOptions
	pki   *authority
	admin *http.Client
	ready ready
}

func up(ctx context.Context, args []string) error {
	begin := time.Now()
	o, err := parseUp(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p := &plane{o: o, processes: newProcesses(o.dir)}
	defer p.stopAll()
	if err := p.begin(ctx); err != nil {
		return err
	}
	p.ready.StartMillis = time.Since(begin).Milliseconds()
	line, err := json.Marshal(p.ready)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	if o.stdin {
		go func() {
			p.obey()
			stop()
		}()
	}
	select {
	case err := <-p.died:
		return err
	case <-ctx.Done():
		return nil
	}
}

// obey answers each line of standard input with ok or with one line that says why not.
func (p *plane) obey() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		verb, name, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if err := p.act(verb, name); err != nil {
			fmt.Printf("%s %s: %v\n", verb, name, err)
			continue
		}
		fmt.Println("ok")
	}
}

// begin starts everything and returns when it serves.
func (p *plane) begin(ctx context.Context) error {
	ports, err := freePorts(ctx, 6)
	if err != nil {
		return err
	}
	p.ready.Dir = p.dir
	p.ready.APIServer = "https://127.0.0.1:" + ports[0]
	p.ready.ControllerManager = "https://127.0.0.1:" + ports[1]
	p.ready.Scheduler = "https://127.0.0.1:" + ports[2]
	p.ready.Etcd = "http://127.0.0.1:" + ports[3]
	if p.pki, err = newAuthority(filepath.Join(p.dir, "pki"), p.ready.APIServer); err != nil {
		return err
	}
	for _, n := range p.o.nodes {
		if err := p.pki.issue("node-"+n, "system:node:"+n, []string{"system:nodes"}, []net.IP{net.IPv4(127, 0, 0, 1)}); err != nil {
			return err
		}
		if _, err := p.pki.kubeconfig("node-" + n); err != nil {
			return err
		}
	}
	if p.ready.Kubeconfig, err = p.pki.kubeconfig("admin"); err != nil {
		return err
	}
	if p.admin, err = p.pki.client(); err != nil {
		return err
	}
	if err := p.beginStorage(ctx, ports[0], "http://127.0.0.1:"+ports[4]); err != nil {
		return err
	}
	if err := p.beginControllers(ports[1], ports[2]); err != nil {
		return err
	}
	if p.o.kwok {
		flags, err := kwokArgs(p.dir, p.ready.Kubeconfig)
		if err != nil {
			return err
		}
		if err := p.start("kwok", append(flags, "--server-address=127.0.0.1:"+ports[5], "--node-port="+ports[5])...); err != nil {
			return err
		}
	}
	// The serving certificates of the controllers are their own.
	stranger := &http.Client{Timeout: requestTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if err := p.wait(ctx, stranger, p.ready.ControllerManager+"/healthz"); err != nil {
		return err
	}
	if err := p.wait(ctx, stranger, p.ready.Scheduler+"/readyz"); err != nil {
		return err
	}
	// Until it exists no pod can be made.
	return p.wait(ctx, p.admin, p.ready.APIServer+"/api/v1/namespaces/default/serviceaccounts/default")
}

func (p *plane) beginStorage(ctx context.Context, port, peer string) error {
	if err := p.start("etcd", "--name=testbed", "--data-dir="+filepath.Join(p.dir, "etcd"),
		"--listen-client-urls="+p.ready.Etcd, "--advertise-client-urls="+p.ready.Etcd,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=testbed="+peer,
		"--unsafe-no-fsync", // a process that is killed loses nothing by it; only a machine would
		"--log-level=warn"); err != nil {
		return err
	}
	if err := p.start("kube-apiserver", append([]string{
		"--etcd-servers=" + p.ready.Etcd, "--bind-address=127.0.0.1", "--secure-port=" + port,
		"--endpoint-reconciler-type=none", // a loopback address is refused as an endpoint
		"--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged=true",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction,PodSecurity",
		"--client-ca-file=" + p.pki.file("ca.crt"),
		"--tls-cert-file=" + p.pki.file("apiserver.crt"), "--tls-private-key-file=" + p.pki.file("apiserver.key"),
		"--kubelet-client-certificate=" + p.pki.file("kubelet-client.crt"), "--kubelet-client-key=" + p.pki.file("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + p.pki.file("sa.key"), "--service-account-signing-key-file=" + p.pki.file("sa.key"),
		"--requestheader-client-ca-file=" + p.pki.file("ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + p.pki.file("proxy.crt"), "--proxy-client-key-file=" + p.pki.file("proxy.key"),
	}, p.o.apiserver...)...); err != nil {
		return err
	}
	return p.wait(ctx, p.admin, p.ready.APIServer+"/readyz")
}

// beginControllers starts the controller manager and the scheduler, with a node lost after 8 s rather than 40.
func (p *plane) beginControllers(controllersPort, schedulerPort string) error {
	common := func(name, port string) ([]string, error) {
		conf, err := p.pki.kubeconfig(name)
		return []string{
			"--kubeconfig=" + conf, "--authentication-kubeconfig=" + conf, "--authorization-kubeconfig=" + conf,
			"--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics", "--leader-elect=false",
			"--kube-api-qps=500", "--kube-api-burst=1000", // with 20 a second a controller manager takes 5 s to begin
			"--bind-address=127.0.0.1", "--secure-port=" + port,
		}, err
	}
	flags, err := common("kube-controller-manager", controllersPort)
	if err != nil {
		return err
	}
	flags = append(flags,
		"--root-ca-file="+p.pki.file("ca.crt"), "--service-account-private-key-file="+p.pki.file("sa.key"),
		"--cluster-signing-cert-file="+p.pki.file("ca.crt"), "--cluster-signing-key-file="+p.pki.file("ca.key"),
		"--use-service-account-credentials=true", "--flex-volume-plugin-dir="+filepath.Join(p.dir, "flex"),
		"--node-monitor-period=1s", "--node-monitor-grace-period=8s", "--node-startup-grace-period=20s",
		"--horizontal-pod-autoscaler-sync-period=3s")
	if err := p.start("kube-controller-manager", append(flags, p.o.controllers...)...); err != nil {
		return err
	}
	if flags, err = common("kube-scheduler", schedulerPort); err != nil {
		return err
	}
	return p.start("kube-scheduler", append(flags, p.o.scheduler...)...)
}

// wait returns when url answers 200, and why it never will.
func (p *plane) wait(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("%s is not ready after %v; the logs are in %s", url, readyTimeout, filepath.Join(p.dir, "logs")))
	defer cancel()
	for {
		if answers(ctx, client, url) {
			return nil
		}
		select {
		case err := <-p.died:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func answers(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	r, err := client.Do(req)
	if err != nil {
		return false
	}
	defer r.Body.Close()
	_, _ = io.Copy(io.Discard, r.Body) // so that the connection is used again
	return r.StatusCode == http.StatusOK
}
