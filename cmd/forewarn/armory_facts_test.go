package main

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
)

// only is a signature for clusters of some versions.
func only(id, applies string) string {
	return strings.Replace(sig(id, "text of "+id), "by: pod", "by: pod\napplies: "+applies, 1)
}

func armed(p *matcher.Program) string {
	disarmed := p.Disarmed()
	slices.Sort(disarmed)
	return strings.Join(disarmed, " ")
}

func facting(text string) map[string][]byte { return map[string][]byte{"inventory": []byte(text)} }

func TestFactsThatAreFoundDecideWhatApplies(t *testing.T) {
	p := newPlace(t)
	p.write("old.yaml", only("old", `{kubernetes: "<1.30"}`))
	p.write("new.yaml", only("new", `{kubernetes: ">=1.30"}`))
	p.write("etcd.yaml", only("etcd", `{components: {etcd: "<3.6"}}`))
	p.write("cilium.yaml", only("cilium", `{facts: {cni: cilium}}`))
	a := p.armory()
	a.found = &foundFacts{log: a.log}
	program, refused := a.open()
	require.Empty(t, refused)
	require.Empty(t, armed(program), "what is not known disarms nothing")

	var swaps []string
	look := func() { a.look(); swaps = append(swaps, armed(a.program)) }
	for _, x := range []struct{ facts, disarmed string }{
		{`{"kubernetes":"v1.29.3","components":{"etcd":"3.5.12-0"},"facts":{"cni":"calico"}}`, "cilium new"},
		{`{"kubernetes":"v1.30.0","components":{"etcd":"3.6.1"},"facts":{"cni":"cilium"}}`, "etcd old"},
		{`not json`, ""},
		{`{"kubernetes":"v1.30.0"}`, "old"},
	} {
		require.True(t, a.found.take(facting(x.facts)))
		look()
		require.Equal(t, x.disarmed, swaps[len(swaps)-1], x.facts)
		require.False(t, a.found.take(facting(x.facts)), "nothing changed")
	}

	// The next start knows the facts already, and loads the program that was made by them.
	next := p.armory()
	next.found = &foundFacts{log: next.log}
	next.found.take(facting(`{"kubernetes":"v1.30.0"}`))
	program, _ = next.open()
	require.Equal(t, "old", armed(program))
	require.Contains(t, p.log.String(), "signatures loaded from the store")
}

func TestConfiguredFactsWin(t *testing.T) {
	p := newPlace(t)
	p.write("old.yaml", only("old", `{kubernetes: "<1.30"}`))
	p.write("etcd.yaml", only("etcd", `{components: {etcd: "<3.6"}}`))
	a := p.armory()
	a.settings.Applies = facts{Kubernetes: "1.29"}
	a.found = &foundFacts{log: a.log}
	a.found.take(facting(`{"kubernetes":"v1.37.1","components":{"etcd":"3.6.1"}}`))
	program, _ := a.open()
	require.Equal(t, "etcd", armed(program))
}

// TestClustersThatDisagreeAreNotKnown: one matcher may serve several clusters, and what is wrong for one may be right for another.
func TestClustersThatDisagreeAreNotKnown(t *testing.T) {
	a := facts{Kubernetes: "1.30", Components: map[string]string{"etcd": "3.5", "coredns": "1.11"}, Facts: map[string]string{"os": "linux", "cni": "cilium"}}
	b := facts{Kubernetes: "1.31", Components: map[string]string{"etcd": "3.5", "coredns": "1.12"}, Facts: map[string]string{"os": "linux", "cni": "calico"}}
	for _, list := range [][]facts{{a, b}, {b, a}, {a, b, a}, {b, a, a}} {
		got := agreed(list)
		require.Equal(t, facts{Components: map[string]string{"etcd": "3.5"}, Facts: map[string]string{"os": "linux"}}, got)
	}
	one := agreed([]facts{a})
	require.True(t, one.equal(&a))
}

// TestFactsOfTheStreamReachTheArmory, with a real server.
func TestFactsOfTheStreamReachTheArmory(t *testing.T) {
	s, err := stream.Open(t.Context(), stream.Options{DataDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.EnsureStreams(t.Context()))
	require.NoError(t, s.PutFacts(t.Context(), "inventory/prod", []byte(`{"kubernetes":"v1.29.0"}`)))

	p := newPlace(t)
	p.write("new.yaml", only("new", `{kubernetes: ">=1.30"}`))
	a := p.armory()
	a.found = (&process{globals: &globals{log: slog.New(slog.DiscardHandler)}, stream: s}).openFacts(t.Context())
	program, _ := a.open()
	require.Equal(t, "new", armed(program))

	swapped := make(chan *matcher.Program, 10)
	ended := make(chan error, 1)
	ctx := t.Context()
	go func() { ended <- a.watch(ctx, func(p *matcher.Program, _ []string) { swapped <- p }) }()
	require.NoError(t, s.PutFacts(t.Context(), "inventory/prod", []byte(`{"kubernetes":"v1.31.0"}`)))
	select {
	case program = <-swapped:
		require.Empty(t, armed(program))
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("the change was not taken up")
	}
}
