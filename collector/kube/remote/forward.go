package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/forewarn/forewarn/collector/kube"
)

// Forward runs use with the base URL of an HTTP server on a port of the pod, as `kubectl port-forward` does: through the API server and the
// pod's node. The server sees a client on its own loopback. The URL is valid while use runs.
func Forward(ctx context.Context, client *kube.Client, pod Pod, port int, use func(ctx context.Context, base string) error) error {
	fail := func(err error) error {
		return fmt.Errorf("forward port %d of pod %s/%s: %w", port, pod.Namespace, pod.Name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := make(chan struct{})
	var trouble bytes.Buffer // read when the forwarder has ended
	f, err := forwarder(client.Config, pod, port, ctx.Done(), ready, &trouble)
	if err != nil {
		return fail(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- f.ForwardPorts() }()
	select {
	case err := <-ended:
		return fail(errors.Join(err, problem(&trouble)))
	case <-ready:
	}
	ports, err := f.GetPorts()
	if err == nil {
		err = use(ctx, fmt.Sprintf("http://127.0.0.1:%d", ports[0].Local))
	}
	cancel()
	if lost := <-ended; err != nil { // else it ended because it was asked to
		return errors.Join(err, lost, problem(&trouble))
	}
	return nil
}

func problem(b *bytes.Buffer) error {
	if text := strings.TrimSpace(b.String()); text != "" {
		return errors.New(text)
	}
	return nil
}

// forwarder reaches the port by a web socket, and by SPDY where the API server knows no other way.
func forwarder(config *rest.Config, pod Pod, port int, stop <-chan struct{}, ready chan struct{}, trouble io.Writer) (*portforward.PortForwarder, error) {
	base, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	at := base.JoinPath("api", "v1", "namespaces", pod.Namespace, "pods", pod.Name, "portforward")
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	socket, err := portforward.NewSPDYOverWebsocketDialer(at, config)
	if err != nil {
		return nil, err
	}
	old := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, at)
	dialer := portforward.NewFallbackDialer(socket, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	return portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, stop, ready, io.Discard, trouble)
}
