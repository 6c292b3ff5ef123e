package crd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/forewarn/forewarn/signatures"
)

// soon is how long a condition may take on a machine that does other things.
const soon = 30 * time.Second

// spec is a small signature.
func spec(contains string) string {
	return fmt.Sprintf(`{"title":"A case","severity":"low","by":"pod","stages":[{"name":"seen","when":{"log":{"contains":%q}}}],"clear":{"quiet":"1h"}}`, contains)
}

// follow runs a watcher until the test ends.
func follow(t *testing.T, s *server) *Watcher {
	t.Helper()
	w, err := NewWatcher(Options{Config: s.config, MinDelay: time.Millisecond, MaxDelay: 20 * time.Millisecond, MissingAfter: 200 * time.Millisecond})
	require.NoError(t, err)
	run(t, func(ctx context.Context) error { return w.Run(ctx, func() {}) })
	return w
}

func run(t *testing.T, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	stop = func() {
		cancel()
		if ended != nil {
			require.NoError(t, <-ended)
			ended = nil
		}
	}
	t.Cleanup(stop)
	return stop
}

// known is what the watcher has: the id of each signature, with ! for one that is refused, sorted.
func known(w *Watcher) string {
	all, complete := w.Resources()
	var out []string
	for _, r := range all {
		text := r.Ref.String()
		if r.Signature == nil {
			text = "!" + text
		} else if r.Signature.ID != r.Ref.ID() {
			text = "?" + text
		}
		out = append(out, text)
	}
	if !complete {
		return "incomplete"
	}
	return strings.Join(out, ", ")
}

func becomes(t *testing.T, w *Watcher, want string) {
	t.Helper()
	require.Eventually(t, func() bool { return known(w) == want }, soon, 5*time.Millisecond, "want %q", want)
}

var (
	cart  = Ref{Namespaced, "shop", "cart"}
	till  = Ref{Namespaced, "shop", "till"}
	nodes = Ref{Kind: ClusterWide, Name: "nodes"}
)

func TestResourcesAreFollowedThroughWhatAnAPIServerDoes(t *testing.T) {
	s := newServer(t)
	s.put(cart, spec("slow"))
	w := follow(t, s)
	becomes(t, w, "Signature shop/cart")

	s.put(nodes, spec("no space"))
	s.put(till, `{"title":"bad"}`)
	becomes(t, w, "ClusterSignature nodes, Signature shop/cart, !Signature shop/till")

	s.put(till, spec("mended"))
	s.remove(cart)
	becomes(t, w, "ClusterSignature nodes, Signature shop/till")

	t.Run("a watch that ends goes on where it was", func(t *testing.T) {
		s.set(func() { s.cut = s.watches })
		s.put(cart, spec("slow"))
		becomes(t, w, "ClusterSignature nodes, Signature shop/cart, Signature shop/till")
	})
	t.Run("a watch from a version that is gone begins with a list", func(t *testing.T) {
		s.set(func() { s.cut, s.compacted = s.watches, s.version+2 })
		s.remove(till)
		s.put(nodes, `{"title":"worse"}`)
		becomes(t, w, "!ClusterSignature nodes, Signature shop/cart")
	})
	t.Run("kinds that are gone for a while are still there", func(t *testing.T) {
		s.set(func() { s.absent, s.cut = true, s.watches })
		s.set(func() { s.absent = false })
		s.put(nodes, spec("no space"))
		becomes(t, w, "ClusterSignature nodes, Signature shop/cart")
	})
	t.Run("kinds that stay away are gone", func(t *testing.T) {
		s.set(func() { s.absent, s.cut = true, s.watches })
		becomes(t, w, "")
	})
}

func TestMoreResourcesThanOnePageHolds(t *testing.T) {
	s := newServer(t)
	for i := range 2*pageSize + 7 {
		s.put(Ref{Kind: ClusterWide, Name: fmt.Sprintf("many-%d", i)}, spec("x"))
	}
	w := follow(t, s)
	require.Eventually(t, func() bool {
		all, complete := w.Resources()
		return complete && len(all) == 2*pageSize+7
	}, soon, 5*time.Millisecond)
}

// judge gives every resource the verdict that an armory without other signatures would.
func judge(w *Watcher) map[Ref]Verdict {
	out := map[Ref]Verdict{}
	all, _ := w.Resources()
	for _, r := range all {
		v := Verdict{Hash: r.Hash, State: Armed}
		if r.Signature == nil {
			v.State = Refused
		}
		out[r.Ref] = v
	}
	return out
}

func TestAStatusTellsWhatBecameOfAResourceAndIsWrittenOnlyWhenItChanged(t *testing.T) {
	s := newServer(t)
	s.put(cart, spec("slow"))
	s.put(till, `{"title":"bad","severity":"awful","by":"pod","stages":[{"name":"seen","when":{"log":{"regex":"("}}}],"clear":{"quiet":"1h"}}`)
	s.set(func() { s.refuse = 2 })
	w := follow(t, s)
	becomes(t, w, "Signature shop/cart, !Signature shop/till")

	asked := make(chan struct{}, 1000)
	warned := time.Date(2026, 11, 20, 19, 8, 48, 5, time.UTC)
	r, err := NewReporter(ReporterOptions{
		Watcher: w, Interval: 5 * time.Millisecond, MinDelay: time.Millisecond,
		Warnings: func(context.Context) (map[string]LastWarning, error) {
			asked <- struct{}{}
			if len(asked) == 1 {
				return nil, errors.New("not yet")
			}
			return map[string]LastWarning{"shop/cart": {ID: "0f", State: "imminent", Key: "shop/cart-1", Time: warned}}, nil
		},
	})
	require.NoError(t, err)
	r.Judge(judge(w))
	run(t, r.Run)
	require.Eventually(t, func() bool { return s.status(cart).LastWarning != nil && s.status(till).State == Refused }, soon, 5*time.Millisecond)

	armed := s.status(cart)
	require.Equal(t, Armed, armed.State)
	require.Equal(t, "shop/cart", armed.SignatureID)
	require.Equal(t, int64(1), armed.ObservedGeneration)
	require.Equal(t, "imminent", armed.LastWarning.State)
	require.Equal(t, metav1.ConditionTrue, armed.Conditions[0].Status)

	refused := s.status(till)
	require.Equal(t, metav1.ConditionFalse, refused.Conditions[0].Status)
	require.Contains(t, refused.Reason, "spec.s")
	var errs []string
	for _, p := range refused.Problems {
		if p.Severity == signatures.LevelError {
			errs = append(errs, p.Path)
		}
	}
	require.ElementsMatch(t, []string{"spec.severity", "spec.stages[0].when.log.regex"}, errs)

	before := s.patched(cart) + s.patched(till)
	for range 20 { // as many looks as that give no other patch
		<-asked
	}
	require.Equal(t, before, s.patched(cart)+s.patched(till))

	s.put(till, spec("mended"))
	becomes(t, w, "Signature shop/cart, Signature shop/till")
	r.Judge(judge(w))
	require.Eventually(t, func() bool { return s.status(till).State == Armed }, soon, 5*time.Millisecond)
	require.Equal(t, int64(2), s.status(till).ObservedGeneration)
	require.Empty(t, s.status(till).Reason, "what is no longer wrong is taken away")
}

func TestAVerdictOfAnOlderSpecIsNotWritten(t *testing.T) {
	s := newServer(t)
	s.put(cart, spec("slow"))
	w := follow(t, s)
	becomes(t, w, "Signature shop/cart")
	old := judge(w)
	s.put(cart, spec("slower"))
	require.Eventually(t, func() bool { all, _ := w.Resources(); return all[0].Generation == 2 }, soon, 5*time.Millisecond)
	r, err := NewReporter(ReporterOptions{Watcher: w})
	require.NoError(t, err)
	r.Judge(old)
	require.Zero(t, r.write(t.Context()))
	require.Zero(t, s.patched(cart))
	r.Judge(judge(w))
	require.Zero(t, r.write(t.Context()))
	require.Equal(t, 1, s.patched(cart))
}
