package main

import (
	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/kube"
)

// collectSettings say what is collected besides files. What stands there is collected, `{}` with the defaults.
type collectSettings struct {
	Events *kube.EventsOptions `yaml:"events,omitempty" json:"events,omitempty" doc:"The events of a Kubernetes cluster, from its API server."`
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
	return all
}
