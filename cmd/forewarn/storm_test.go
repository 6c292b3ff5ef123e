package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

var (
	headline = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  `) // of a message that tells one warning
	several  = regexp.MustCompile(`(?m)^(\d+) warnings: `)                 // of one that tells several
)

// TestAStormOfTenThousandPodsThroughNATS: ten thousand pods of one node are hit at once, and the process that delivers is killed in the middle of it.
// A person gets at most three messages that account for all of them, and a tool gets each warning.
func TestAStormOfTenThousandPodsThroughNATS(t *testing.T) {
	t.Parallel()
	const pods = 10_000
	eventually := func(what string, holds func() bool) { // ten thousand requests take their time under the race detector
		t.Helper()
		require.Eventually(t, holds, 4*time.Minute, 50*time.Millisecond, what)
	}
	home := t.TempDir()
	s, err := stream.Open(t.Context(), stream.Options{DataDir: home})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.EnsureStreams(t.Context()))
	nats, err := stream.FindURL(home)
	require.NoError(t, err)

	r := newReceiver(t)
	config := file(t, "forewarn.yaml", fmt.Sprintf(`
notify:
  - {name: screen, type: terminal}
  - {name: hook, type: webhook, urls: [%q]}
routes:
  - {to: [screen], group_interval: 10s, continue: true}
  - {to: [hook]}
`, r.URL+"/hook"))
	first := start(t, "notify", "-c", config, "--nats", nats, "--data-dir", t.TempDir())
	first.logged("msg=running")

	out, err := s.Publisher(stream.PublisherConfig{})
	require.NoError(t, err)
	at := time.Now().UTC()
	for i := range pods {
		pod := fmt.Sprintf("cart-%05d", i)
		w := matcher.Warning{
			ID: fmt.Sprintf("%016x", i), Revision: 1, Signature: fmt.Sprintf("pod-trouble-%d", i%3), Title: "A pod is in trouble", Severity: "high",
			Key: []record.Attr{{Key: "namespace", Value: "shop"}, {Key: "pod", Value: pod}}, KeyText: "shop/" + pod,
			State: matcher.Forming, Stage: "one", Total: 2, Opened: at, Time: at, Reached: []matcher.Reached{{Stage: "one", Time: at}},
			Evidence: []matcher.Evidence{{Time: at, Stage: "one", Kind: "event", Text: "Evicted", Attrs: map[string]string{record.Node: "worker-1"}, Record: uint64(i + 1)}},
		}
		body, err := pipeline.EncodeWarning(&matcher.Change{Warning: w})
		require.NoError(t, err)
		require.NoError(t, out.PublishWarning(t.Context(), pipeline.WarningID(w.ID, 1), body))
	}
	require.NoError(t, out.Close(t.Context()))
	eventually("the storm is on its way", func() bool {
		return len(r.got()) > pods/20 && (headline.MatchString(first.out.String()) || several.MatchString(first.out.String()))
	})
	first.kill()
	second := start(t, "notify", "-c", config, "--nats", nats, "--data-dir", t.TempDir())
	eventually("the tool has every warning", func() bool {
		ids := map[string]bool{}
		for _, w := range r.got() {
			ids[w.ID] = true
		}
		return len(ids) == pods
	})
	said := func() string { return first.out.String() + second.out.String() }
	told := func() int {
		n := len(headline.FindAllString(said(), -1))
		for _, m := range several.FindAllStringSubmatch(said(), -1) {
			all, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			n += all
		}
		return n
	}
	eventually("the person knows of all", func() bool { return told() >= pods })
	require.Equal(t, pods, told())
	messages := len(headline.FindAllString(said(), -1)) + len(several.FindAllString(said(), -1))
	require.LessOrEqual(t, messages, 3, "%.3000s", said())
	require.Contains(t, said(), "nodes: worker-1 ")
	require.Contains(t, said(), "forewarn status")

	eventually("the status accounts for them", func() bool {
		status := cli(t, "status", "--nats", nats)
		return regexp.MustCompile(`(?m)^screen +\S+ +serving +[23] +99\d\d +0 +0 +0 `).MatchString(status.out) &&
			strings.Contains(status.out, fmt.Sprintf("%d warnings open", pods))
	})
	require.Zero(t, second.stop(), second.errs.String())
	require.NotContains(t, second.errs.String(), "level=ERROR")
}
