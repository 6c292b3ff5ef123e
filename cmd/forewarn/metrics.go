package main

import (
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// String lists the roles, as the metric of the build names them.
func (r roles) String() string {
	var all []string
	for _, x := range []struct {
		name string
		has  bool
	}{{"collect", r.collect}, {"match", r.match}, {"notify", r.notify}, {"console", r.console}} {
		if x.has {
			all = append(all, x.name)
		}
	}
	return strings.Join(all, ",")
}

// newBuildInfo is the metric by which a process is known while it has nothing else to say.
func newBuildInfo(r roles) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "forewarn", Name: "build_info", Help: "Always 1; its labels say what runs here.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version(), "roles": r.String()},
	})
	g.Set(1)
	return g
}
