package metrics

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// PrometheusOptions say what a Prometheus is asked for.
type PrometheusOptions struct {
	Name     string              `yaml:"name" json:"name" doc:"What it is called in the names of sources; it stays the same."`
	URL      string              `yaml:"url" json:"url" doc:"Its URL without /api/v1, such as http://prometheus:9090."`
	Access   Access              `yaml:"access,omitempty" json:"access,omitzero" doc:"Credentials and certificates."`
	Interval signatures.Duration `yaml:"interval,omitempty" json:"interval,omitempty" doc:"How often each expression is evaluated; 1m without it."`
	Timeout  signatures.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty" doc:"How long an evaluation may take; 30s without it."`
	Backfill signatures.Duration `yaml:"backfill,omitempty" json:"backfill,omitempty" doc:"How much of the past is asked for at most when the collector was not running; without it as much as the signatures look at. What arrives later than the matcher's allowed lateness counts as late there."`
	Queries  []Query             `yaml:"queries" json:"queries" doc:"The expressions."`
}

// Query is an expression whose results become samples of a metric.
type Query struct {
	Metric string `yaml:"metric" json:"metric" doc:"The metric's name in signatures. An expression whose metric no signature looks at is not evaluated."`
	Expr   string `yaml:"expr" json:"expr" doc:"The PromQL expression; it gives a vector or a number."`
}

func (o *PrometheusOptions) check(path string, p *problems) {
	if o.Name == "" || strings.ContainsAny(o.Name, "/ \t\n") || len(o.Name) > 64 {
		p.add(path+".name", errors.New("use 1 to 64 characters without blanks and slashes"))
	}
	p.add(path+".url", checkURL(o.URL))
	_, err := o.Access.Client()
	p.add(path+".access", err)
	p.duration(path+".interval", o.Interval, minInterval)
	p.duration(path+".timeout", o.Timeout, time.Millisecond)
	p.duration(path+".backfill", o.Backfill, 0)
	if len(o.Queries) == 0 {
		p.add(path+".queries", errors.New("there is none: add one with metric and expr"))
	}
	seen := map[string]bool{}
	for i, q := range o.Queries {
		at := fmt.Sprintf("%s.queries[%d]", path, i)
		if strings.TrimSpace(q.Metric) == "" || len(q.Metric) > record.MaxKey {
			p.add(at+".metric", fmt.Errorf("use 1 to %d characters", record.MaxKey))
		}
		if strings.TrimSpace(q.Expr) == "" {
			p.add(at+".expr", errors.New("the expression is empty: write it in PromQL"))
		}
		if seen[q.Metric] {
			p.add(at+".metric", fmt.Errorf("%q stands twice: join the expressions with `or`, or give them metrics of their own", q.Metric))
		}
		seen[q.Metric] = true
	}
}
