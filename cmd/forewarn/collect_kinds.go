package main

import (
	"os"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/collector/node"
)

// collectSettings say what is collected besides files. What stands there is collected, `{}` with the defaults.
type collectSettings struct {
	Events *kube.EventsOptions `yaml:"events,omitempty" json:"events,omitempty" doc:"The events of a Kubernetes cluster, from its API server."`

	Logs    *node.LogOptions     `yaml:"logs,omitempty" json:"logs,omitempty" doc:"The logs of the containers of the node that this runs on, and any other files."`
	Journal *node.JournalOptions `yaml:"journal,omitempty" json:"journal,omitempty" doc:"The journal of the node that this runs on."`
	Kernel  *node.KernelOptions  `yaml:"kernel,omitempty" json:"kernel,omitempty" doc:"The messages of the kernel of the node that this runs on."`
}

// any reports whether anything is collected.
func (s *collectSettings) any() bool { return *s != (collectSettings{}) }

// kind makes one collector of the configuration.
type kind struct {
	name string
	open func(c collector.Common) (collector.Collector, error)
}

// kinds are the collectors that the configuration asks for, each with its name in metrics, status and the sources of records.
func (s *settings) kinds() []kind {
	var all []kind
	kubernetes := func(open func(client *kube.Client, c collector.Common) (collector.Collector, error)) func(collector.Common) (collector.Collector, error) {
		return func(c collector.Common) (collector.Collector, error) {
			client, err := kube.Connect(s.Kubernetes)
			if err != nil {
				return nil, err
			}
			return open(client, c)
		}
	}
	if o := s.Collect.Events; o != nil {
		all = append(all, kind{"events", kubernetes(func(client *kube.Client, c collector.Common) (collector.Collector, error) {
			return kube.NewEvents(*o, client, c)
		})})
	}
	onNode := func(open func(c collector.Common) (collector.Collector, error)) func(collector.Common) (collector.Collector, error) {
		return func(c collector.Common) (collector.Collector, error) {
			c.Node = s.node()
			return open(c)
		}
	}
	if o := s.Collect.Logs; o != nil {
		all = append(all, kind{"logs", onNode(func(c collector.Common) (collector.Collector, error) { return node.NewLogs(*o, nil, c) })})
	}
	if o := s.Collect.Journal; o != nil {
		all = append(all, kind{"journal", onNode(func(c collector.Common) (collector.Collector, error) { return node.NewJournal(*o, c) })})
	}
	if o := s.Collect.Kernel; o != nil {
		all = append(all, kind{"kernel", onNode(func(c collector.Common) (collector.Collector, error) { return node.NewKernel(*o, c) })})
	}
	return all
}

// node is the name of the node that this runs on.
func (s *settings) node() string {
	if s.Node != "" {
		return s.Node
	}
	if name := os.Getenv("NODE_NAME"); name != "" { // as the manifests set it
		return name
	}
	name, _ := os.Hostname() // without it records name no node
	return name
}
