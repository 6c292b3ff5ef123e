// Package kube reads what the API server of a Kubernetes cluster says: events, changes of objects, an inventory, and the logs of pods where
// nothing may run on the nodes.
//
// [Connect] reaches the API server. A collector names what it must be allowed to do as [Needs], from which RBAC is made. What one
// process a cluster must do alone runs under a Lease ([Led]).
package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/forewarn/forewarn/signatures"
)

// Needs are what a collector must be allowed to do in the cluster: no more, and no less.
type Needs []rbacv1.PolicyRule

// ConnectOptions say how to reach an API server. The zero value does as kubectl does, and inside a pod uses its service account.
type ConnectOptions struct {
	Kubeconfig string              `yaml:"kubeconfig,omitempty" json:"kubeconfig,omitempty" doc:"A kubeconfig file. Without it: the service account inside a pod, else $KUBECONFIG, else ~/.kube/config."`
	Context    string              `yaml:"context,omitempty" json:"context,omitempty" doc:"The context of the kubeconfig; its current one without it."`
	QPS        float64             `yaml:"qps,omitempty" json:"qps,omitempty" doc:"How many requests a second are made at most; 20 without it. A watch is one request."`
	Burst      int                 `yaml:"burst,omitempty" json:"burst,omitempty" doc:"How many requests may be made at once; 40 without it."`
	Timeout    signatures.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty" doc:"How long the answer to a request may take; 60s without it. Watches and logs that are followed have no limit."`
	UserAgent  string              `yaml:"-" json:"-"` // what audit logs show; "forewarn" without it
}

// Client reaches one API server. It is safe for concurrent use.
type Client struct {
	// Config is for those of client-go's own clients that are needed besides. It must not be written to: copy it (rest.CopyConfig).
	Config *rest.Config

	rest      rest.Interface
	timeout   time.Duration
	namespace string // of the pod, or of the kubeconfig's context
}

// Connect makes a client without asking the server anything, so that it succeeds while the server is away. Its error says what is wrong with
// the options, the kubeconfig or the service account, and what mends it.
func Connect(o ConnectOptions) (*Client, error) {
	var problems []error
	if o.QPS < 0 {
		problems = append(problems, fmt.Errorf("qps %g: it cannot be negative; leave it out for 20", o.QPS))
	}
	if o.Burst < 0 {
		problems = append(problems, fmt.Errorf("burst %d: it cannot be negative; leave it out for 40", o.Burst))
	}
	if o.Timeout < 0 {
		problems = append(problems, fmt.Errorf("timeout %s: it cannot be negative; leave it out for 60s", time.Duration(o.Timeout)))
	}
	config, namespace, err := o.access()
	if err = errors.Join(append(problems, err)...); err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	config.QPS, config.Burst = float32(cmp.Or(o.QPS, 20)), cmp.Or(o.Burst, 40)
	config.UserAgent = cmp.Or(o.UserAgent, "forewarn")
	config.WarningHandlerWithContext = rest.NoWarnings{}
	config.Dial = (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	config.Timeout = 0 // it would end watches; each request has a limit of its own
	c, err := newClient(config, cmp.Or(time.Duration(o.Timeout), time.Minute))
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w", advise(err))
	}
	c.namespace = namespace
	return c, nil
}

func newClient(config *rest.Config, timeout time.Duration) (*Client, error) {
	plain := rest.CopyConfig(config)
	plain.ContentType = runtime.ContentTypeJSON
	plain.GroupVersion, plain.APIPath = &schema.GroupVersion{}, "/"
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // Status, in which the server puts errors
	plain.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.UnversionedRESTClientFor(plain)
	if err != nil {
		return nil, err
	}
	return &Client{Config: config, rest: client, timeout: timeout, namespace: metav1.NamespaceDefault}, nil
}

// namespaceFile is where a pod finds its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// access finds the server, the credentials and the namespace that we are at home in.
func (o ConnectOptions) access() (*rest.Config, string, error) {
	if o.Kubeconfig == "" && o.Context == "" {
		config, err := rest.InClusterConfig()
		if err == nil {
			namespace, _ := os.ReadFile(namespaceFile) // it is beside the token, which was read
			return config, cmp.Or(strings.TrimSpace(string(namespace)), metav1.NamespaceDefault), nil
		}
		if !errors.Is(err, rest.ErrNotInCluster) {
			return nil, "", fmt.Errorf("use the pod's service account: %w: set automountServiceAccountToken in the pod, or name a kubeconfig", err)
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.WarnIfAllMissing = false
	if o.Kubeconfig != "" {
		rules = &clientcmd.ClientConfigLoadingRules{ExplicitPath: o.Kubeconfig}
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context})
	config, err := loader.ClientConfig()
	if raw, bad := loader.RawConfig(); bad == nil && o.Context != "" && raw.Contexts[o.Context] == nil {
		return nil, "", fmt.Errorf("kubeconfig has no context %q: kubectl config get-contexts lists those there are", o.Context)
	}
	switch {
	case err == nil:
		namespace, _, err := loader.Namespace()
		if err != nil {
			return nil, "", fmt.Errorf("kubeconfig: %w", err)
		}
		return config, namespace, nil
	case clientcmd.IsEmptyConfig(err) && o.Kubeconfig == "":
		return nil, "", errors.New("this is no pod, and neither $KUBECONFIG nor ~/.kube/config names a cluster: name a kubeconfig")
	case clientcmd.IsEmptyConfig(err):
		return nil, "", fmt.Errorf("kubeconfig %s names no cluster: name another, or write one with kubectl config", o.Kubeconfig)
	case errors.Is(err, os.ErrNotExist):
		return nil, "", fmt.Errorf("read kubeconfig: %w: check the path, and that the volume with it is mounted", err)
	case errors.Is(err, os.ErrPermission):
		return nil, "", fmt.Errorf("read kubeconfig: %w: the process must be allowed to read it", err)
	}
	return nil, "", fmt.Errorf("kubeconfig: %w", err)
}

// Host is where the API server is, for messages.
func (c *Client) Host() string { return c.Config.Host }

// Namespace is where we are at home: the pod's namespace, or that of the kubeconfig's context.
func (c *Client) Namespace() string { return c.namespace }

// Get asks for path, such as /version, and returns the answer's body, JSON unless path is for something else. It takes the client's timeout at most.
// Errors are those of package k8s.io/apimachinery/pkg/api/errors, with what mends them.
func (c *Client) Get(ctx context.Context, path string, params url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	b, err := c.request(path, params).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", path, advise(err))
	}
	return b, nil
}

// Open asks for path and returns the answer's body to read from, for watches, logs that are followed, and lists too long to be held. It ends
// when ctx is done; the caller closes it. The answer must begin within the client's timeout.
func (c *Client) Open(ctx context.Context, path string, params url.Values) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	began := time.AfterFunc(c.timeout, func() { cancel(fmt.Errorf("no answer within %s", c.timeout)) })
	body, err := c.request(path, params).Stream(ctx)
	if !began.Stop() && err == nil {
		_ = body.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		cancel(nil)
		return nil, fmt.Errorf("open %s: %w", path, advise(err))
	}
	return &openBody{body, cancel}, nil
}

func (c *Client) request(path string, params url.Values) *rest.Request {
	r := c.rest.Verb(http.MethodGet).AbsPath(path)
	for key, values := range params {
		for _, v := range values {
			r.Param(key, v)
		}
	}
	return r
}

// openBody lets go of its request's context when it is closed.
type openBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *openBody) Close() error {
	b.cancel(nil)
	return b.ReadCloser.Close()
}
