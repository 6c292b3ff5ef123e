// Command controlplane holds etcd, the Kubernetes control plane, kubelet, kubectl, kwok and metrics-server in one file, and
// starts them for tests:
//
//	controlplane up            etcd, API server, controller manager and scheduler on loopback, and kwok when asked
//	controlplane node          containerd and a real kubelet that join such a cluster; needs root
//	controlplane COMPONENT     that component alone, with its own flags
//
// A link to it that has a component's name is that component, so that a directory of links serves as the binaries of
// controller-runtime's envtest.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"k8s.io/component-base/cli"
)

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	table := components()
	if table[name] == nil && name != "etcd" {
		if len(args) == 0 {
			usage(table)
		}
		name, args = args[0], args[1:]
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	switch name {
	case "up":
		err = up(ctx, args)
	case "node":
		err = node(ctx, args)
	case insideNode:
		err = runInside(ctx, args)
	case "etcd":
		stop() // etcd and the components handle signals themselves
		etcd(args)
	default:
		component, ok := table[name]
		if !ok {
			usage(table)
		}
		stop()
		os.Args = append([]string{name}, args...)
		os.Exit(cli.Run(component()))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "controlplane %s: %v\n", name, err)
		os.Exit(1)
	}
}

func usage(table map[string]component) {
	names := []string{"up", "node", "etcd"}
	for name := range table {
		names = append(names, name)
	}
	slices.Sort(names[3:])
	fmt.Fprintln(os.Stderr, "usage: controlplane", strings.Join(names, "|"), "[flags]")
	os.Exit(2)
}
