package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	nodes "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	pods "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	"sigs.k8s.io/kwok/pkg/log"
)

func kwokCommand() *cobra.Command {
	// cobra adds pflag.CommandLine, where component-base has put a --version of its own.
	pflag.CommandLine = pflag.NewFlagSet("kwok", pflag.ExitOnError)
	global := pflag.NewFlagSet("global", pflag.ContinueOnError)
	global.ParseErrorsAllowlist.UnknownFlags = true
	global.Usage = func() {}
	ctx, _ := log.InitFlags(context.Background(), global)
	ctx, err := config.InitFlags(ctx, global)
	if err != nil {
		panic(err)
	}
	cmd := kwok.NewCommand(ctx)
	cmd.PersistentFlags().AddFlagSet(global)
	cmd.SetContext(ctx) // it carries what --config said
	return cmd
}

// kwokArgs writes the stages that make a simulated node ready and its pods run, complete and go, and returns the flags that
// use them for nodes annotated kwok.x-k8s.io/node=fake.
func kwokArgs(dir, kubeconfig string) ([]string, error) {
	stages := strings.Join([]string{
		nodes.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease,
		pods.DefaultPodReady, pods.DefaultPodComplete, pods.DefaultPodDelete,
	}, "\n---\n")
	path := filepath.Join(dir, "kwok.yaml")
	return []string{
		"--kubeconfig=" + kubeconfig, "--config=" + path,
		"--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
		"--node-lease-duration-seconds=8", // the controller manager waits as long before it calls a node lost
		"--cidr=10.99.0.0/16", "--node-ip=198.18.0.2",
	}, os.WriteFile(path, []byte(stages), 0o600)
}
