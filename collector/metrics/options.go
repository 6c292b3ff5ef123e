package metrics

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Options are the section of the configuration.
type Options struct {
	Keep        []string            `yaml:"keep,omitempty" json:"keep,omitempty" doc:"Metrics to keep besides those that a signature looks at; * keeps everything."`
	Scrape      *ScrapeOptions      `yaml:"scrape,omitempty" json:"scrape,omitempty" doc:"Ask targets for their metrics."`
	RemoteWrite *RemoteWriteOptions `yaml:"remote_write,omitempty" json:"remote_write,omitempty" doc:"Take what a Prometheus sends by remote write."`
	Prometheus  []PrometheusOptions `yaml:"prometheus,omitempty" json:"prometheus,omitempty" doc:"Ask a Prometheus for expressions."`
}

// ScrapeOptions say how targets are scraped.
type ScrapeOptions struct {
	Of          string              `yaml:"of,omitempty" json:"of,omitempty" doc:"node: the targets are of the node alone that the process runs on, as an agent's are; cluster, the default: one process scrapes for all."`
	Interval    signatures.Duration `yaml:"interval,omitempty" json:"interval,omitempty" doc:"How often each target is scraped; 30s without it."`
	Timeout     signatures.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty" doc:"How long a scrape may take, at most its interval; 10s without it."`
	Discover    signatures.Duration `yaml:"discover,omitempty" json:"discover,omitempty" doc:"How often targets are looked for; 30s without it."`
	Concurrency int                 `yaml:"concurrency,omitempty" json:"concurrency,omitempty" doc:"How many targets are scraped at once; 16 without it."`
	BodyMB      int                 `yaml:"body_mb,omitempty" json:"body_mb,omitempty" doc:"The largest answer, unpacked, in units of 1024 KB; 64 without it."`
	Samples     int                 `yaml:"samples,omitempty" json:"samples,omitempty" doc:"How many samples of one scrape are kept; 50000 without it. Further ones are counted as lost."`
	Static      []StaticTargets     `yaml:"static,omitempty" json:"static,omitempty" doc:"Targets by their URLs."`
}

// StaticTargets are targets that are named in the configuration.
type StaticTargets struct {
	URLs     []string            `yaml:"urls" json:"urls" doc:"What is scraped, such as http://etcd-0:2381/metrics."`
	Attrs    map[string]string   `yaml:"attrs,omitempty" json:"attrs,omitempty" doc:"Attributes of every sample that says nothing else, such as k8s.node.name."`
	Node     string              `yaml:"node,omitempty" json:"node,omitempty" doc:"The node that the targets speak for: it goes onto every sample, and what they do not tell is unknown of this node alone."`
	Interval signatures.Duration `yaml:"interval,omitempty" json:"interval,omitempty" doc:"How often these are scraped."`
	Access   Access              `yaml:"access,omitempty" json:"access,omitzero" doc:"Credentials and certificates."`
}

// problems collects mistakes with their places.
type problems []error

func (p *problems) add(path string, err error) {
	if err != nil {
		*p = append(*p, fmt.Errorf("%s: %w", path, err))
	}
}

func (p *problems) number(path string, n, most int) {
	if n < 0 || n > most {
		p.add(path, fmt.Errorf("%d is not between 1 and %d: leave it out for the default", n, most))
	}
}

func (p *problems) duration(path string, d signatures.Duration, least time.Duration) {
	if d != 0 && time.Duration(d) < least {
		p.add(path, fmt.Errorf("%s is too short: use %s or more, or leave it out for the default", time.Duration(d), least))
	}
}

// check returns every mistake that can be found without a network.
func (o *Options) check() error {
	var p problems
	if o.Scrape == nil && o.RemoteWrite == nil && len(o.Prometheus) == 0 {
		p = append(p, errors.New("metrics has no source: set scrape, remote_write or prometheus"))
	}
	for i, name := range o.Keep {
		if strings.TrimSpace(name) == "" {
			p.add(fmt.Sprintf("keep[%d]", i), errors.New("a metric's name is empty: leave it out"))
		}
	}
	if o.Scrape != nil {
		o.Scrape.check(&p)
	}
	if o.RemoteWrite != nil {
		o.RemoteWrite.check(&p)
	}
	names := map[string]bool{}
	for i := range o.Prometheus {
		path := fmt.Sprintf("prometheus[%d]", i)
		if name := o.Prometheus[i].Name; names[name] {
			p.add(path+".name", fmt.Errorf("the name %q stands twice: give each Prometheus its own", name))
		}
		names[o.Prometheus[i].Name] = true
		o.Prometheus[i].check(path, &p)
	}
	return errors.Join(p...)
}

// minInterval keeps a slip of the pen from becoming a flood.
const minInterval = time.Second

// Values of ScrapeOptions.Of.
const (
	OfNode    = "node"
	OfCluster = "cluster"
)

func (o *ScrapeOptions) check(p *problems) {
	if o.Of != "" && o.Of != OfNode && o.Of != OfCluster {
		p.add("scrape.of", fmt.Errorf("%q is neither node nor cluster", o.Of))
	}
	p.duration("scrape.interval", o.Interval, minInterval)
	p.duration("scrape.timeout", o.Timeout, time.Millisecond)
	p.duration("scrape.discover", o.Discover, minInterval)
	p.number("scrape.concurrency", o.Concurrency, 1024)
	p.number("scrape.body_mb", o.BodyMB, 1024)
	p.number("scrape.samples", o.Samples, 10_000_000)
	seen := map[string]bool{}
	for i := range o.Static {
		s := &o.Static[i]
		path := fmt.Sprintf("scrape.static[%d]", i)
		p.duration(path+".interval", s.Interval, minInterval)
		if len(s.URLs) == 0 {
			p.add(path+".urls", errors.New("there is no URL: name at least one"))
		}
		for j, u := range s.URLs {
			at := fmt.Sprintf("%s.urls[%d]", path, j)
			p.add(at, checkURL(u))
			if seen[u] {
				p.add(at, errors.New("it stands twice: name each target once"))
			}
			seen[u] = true
		}
		_, err := s.Access.Client()
		p.add(path+".access", err)
		for key, value := range s.Attrs {
			if key == "" || len(key) > record.MaxKey || len(value) > record.MaxValue {
				p.add(path+".attrs", fmt.Errorf("attribute %.40q: the name must be 1 to %d bytes long, the value at most %d", key, record.MaxKey, record.MaxValue))
			}
		}
	}
}

// targets returns the static targets.
func (o *ScrapeOptions) targets() ([]Target, error) {
	var out []Target
	for i := range o.Static {
		s := &o.Static[i]
		client, err := s.Access.Client()
		if err != nil {
			return nil, fmt.Errorf("scrape.static[%d].access: %w", i, err)
		}
		attrs := record.NewAttrs(s.Attrs)
		var scope record.Attrs
		if s.Node != "" {
			scope = record.Attrs{{Key: record.Node, Value: s.Node}}
			attrs = attrs.With(record.Node, s.Node)
		}
		for _, u := range s.URLs {
			out = append(out, Target{Name: u, URL: u, Attrs: attrs, Scope: scope, Interval: time.Duration(s.Interval), Client: client})
		}
	}
	return slices.Clip(out), nil
}

// longer returns d, or without it the default.
func longer(d signatures.Duration, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}
