package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Stop kills a component with SIGKILL and returns when it is gone.
func (c *Cluster) Stop(component string) error { return c.command("stop", component) }

// Start starts a component that was stopped, with the flags and on the port that it had. It does not wait until it serves.
func (c *Cluster) Start(component string) error { return c.command("start", component) }

// Pause freezes a component: its connections stay open and nothing answers on them.
func (c *Cluster) Pause(component string) error { return c.command("pause", component) }

// Resume lets a paused component go on.
func (c *Cluster) Resume(component string) error { return c.command("resume", component) }

func (c *Cluster) command(verb, component string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := fmt.Fprintln(c.in, verb, component); err != nil {
		return fmt.Errorf("%s %s: %w", verb, component, err)
	}
	select {
	case answer, ok := <-c.answers:
		if !ok {
			return errors.New("the control plane has ended")
		}
		if answer != "ok" {
			return errors.New(answer)
		}
		return nil
	case <-time.After(commandTimeout):
		return fmt.Errorf("%s %s: no answer after %v", verb, component, commandTimeout)
	}
}

// RestartAPIServer kills the API server, starts it again and returns when it is ready.
func (c *Cluster) RestartAPIServer(ctx context.Context) error {
	if err := c.Stop(APIServer); err != nil {
		return err
	}
	if err := c.Start(APIServer); err != nil {
		return err
	}
	return c.Ready(ctx)
}

// Ready waits until the API server says that it is, which includes its storage.
func (c *Cluster) Ready(ctx context.Context) error {
	for {
		_, err := c.Client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: the API server is not ready: %w", context.Cause(ctx), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// NodeReady waits until a node is ready.
func (c *Cluster) NodeReady(ctx context.Context, name string) error {
	for {
		n, err := c.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			for _, condition := range n.Status.Conditions {
				if condition.Type == "Ready" && condition.Status == "True" {
					return nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %s is not ready: %w", name, errors.Join(context.Cause(ctx), err))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
