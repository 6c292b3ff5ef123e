package metrics

import (
	"context"
	"net/http"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// Target is one endpoint that is scraped.
type Target struct {
	// Name tells it from all other targets and is the same after a restart, such as node-1/cadvisor.
	Name string
	// URL is what is asked for. It holds no credentials.
	URL string
	// Attrs are put onto every sample that has no attribute of that name, such as the node of a kubelet.
	Attrs record.Attrs
	// Self are attributes of the target itself, such as the pod that answers. They are put onto the samples whose labels name no pod, node, volume or
	// namespace of their own.
	Self record.Attrs
	// Scope is what nobody can tell of while the target does not answer; empty is the whole cluster.
	Scope record.Attrs
	// Interval and Timeout are the scraper's own when they are 0.
	Interval, Timeout time.Duration
	// Client sends the requests; nil is one without credentials.
	Client *http.Client
}

// Discovery finds targets.
type Discovery interface {
	// Run keeps up to date what is known of targets until ctx is done, whose cause it returns.
	Run(ctx context.Context) error
	// Targets returns what is to be scraped now. It is called again and again, by one goroutine. After an error what was found last stays.
	Targets(ctx context.Context) ([]Target, error)
}

// Find is a [Discovery] that looks anew each time.
type Find func(ctx context.Context) ([]Target, error)

var _ Discovery = Find(nil)

// Run implements [Discovery]: there is nothing to keep up to date.
func (f Find) Run(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// Targets implements [Discovery].
func (f Find) Targets(ctx context.Context) ([]Target, error) { return f(ctx) }

// aboutOther reports whether a sample says what it is about.
func aboutOther(a record.Attrs) bool {
	for _, x := range a {
		switch x.Key {
		case record.Namespace, record.Pod, record.Node, record.VolumeClaim, record.Volume:
			return true
		}
	}
	return false
}

// beneath returns a with what base has and a has not.
func beneath(a, base record.Attrs) record.Attrs {
	if len(base) == 0 {
		return a
	}
	out := make(record.Attrs, 0, len(a)+len(base))
	for len(a) > 0 && len(base) > 0 {
		switch {
		case a[0].Key < base[0].Key:
			out, a = append(out, a[0]), a[1:]
		case a[0].Key > base[0].Key:
			out, base = append(out, base[0]), base[1:]
		default:
			out, a, base = append(out, a[0]), a[1:], base[1:]
		}
	}
	return append(append(out, a...), base...)
}
