package notify

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

func stormWarning(i, kinds int, at time.Time) matcher.Warning {
	pod := fmt.Sprintf("pod-%05d", i)
	return matcher.Warning{
		ID: fmt.Sprintf("%016x", i), Revision: 1, Signature: fmt.Sprintf("pod-trouble-%d", i%kinds), Title: "A pod is in trouble", Severity: signatures.High,
		Key: []record.Attr{{Key: "namespace", Value: fmt.Sprintf("ns-%d", i%7)}, {Key: "pod", Value: pod}}, KeyText: fmt.Sprintf("ns-%d/%s", i%7, pod),
		State: matcher.Forming, Stage: "one", Total: 2, Opened: at, Time: at, Reached: []matcher.Reached{{Stage: "one", Time: at}},
		Evidence: []matcher.Evidence{{Time: at, Kind: "event", Text: "it is in trouble", Attrs: map[string]string{record.Node: "worker-1"}, Record: uint64(i + 1)}},
	}
}

// TestAStormIsThreeMessagesAndLosesNothing: the pods of one node are hit within a minute, get worse, and recover.
func TestAStormIsThreeMessagesAndLosesNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		kinds  int
		within time.Duration
		pods   int
	}{
		{"ten thousand pods, one signature, at once", 1, 0, 10_000},
		{"five signatures, at once", 5, 0, 1000},
		{"one signature, over a minute", 1, time.Minute, 1000},
		{"forty signatures, over a minute", 40, time.Minute, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pods := c.pods
				people, tools := &inbox{}, &inbox{}
				topics := []*topic{newTopic(), newTopic()}
				ctx, stop := context.WithCancel(t.Context())
				var running sync.WaitGroup
				kept := &cabinet{}
				var all []*Deliverer
				for i, box := range []*inbox{people, tools} {
					feed := &tap{topic: topics[i]}
					feed.topic.give(feed)
					d := &Deliverer{
						Name: "d", Notifier: box, Feed: feed, Router: NewRouter(RouterOptions{Destination: "d", Person: i == 0}),
						Keeper: &drawer{cabinet: kept}, Instance: "one",
					}
					if i == 1 {
						d.Keeper = &drawer{cabinet: &cabinet{}}
					}
					all = append(all, d)
					running.Go(func() { require.NoError(t, d.Run(ctx)) })
				}
				hit := func(change func(*matcher.Warning)) {
					const steps = 20
					for s := range steps {
						var ws []matcher.Warning
						for i := s * pods / steps; i < (s+1)*pods/steps; i++ {
							w := stormWarning(i, c.kinds, start.Add(time.Duration(i)*c.within/time.Duration(pods)))
							change(&w)
							ws = append(ws, w)
						}
						topics[0].publish(ws...)
						topics[1].publish(ws...)
						time.Sleep(c.within / steps)
					}
				}
				hit(func(*matcher.Warning) {})
				time.Sleep(8 * time.Minute)
				synctest.Wait()
				told := people.notices()
				require.LessOrEqual(t, len(told), 2, "it came upon them")
				total := 0
				for _, n := range told {
					if n.Digest != nil {
						total += n.Digest.Total
						require.NotEmpty(t, n.Digest.Text())
					} else {
						total += len(n.Warnings)
					}
				}
				require.Equal(t, pods, total, "each pod is shown or counted")
				hit(func(w *matcher.Warning) {
					w.Revision, w.State = 2, matcher.Averted
				})
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				told = people.notices()
				require.LessOrEqual(t, len(told), 3)
				last := told[len(told)-1]
				require.NotNil(t, last.Digest)
				require.Equal(t, pods, last.Digest.Total)
				require.Zero(t, last.Digest.Open)
				require.True(t, last.Over, "and it is over")
				require.Len(t, tools.notices(), 2*pods, "tools have every fact, each alone")
				require.Zero(t, all[0].Counts().Waiting)
				require.Less(t, len(kept.value), 4096, "nothing is kept of what is over")
				stop()
				running.Wait()
			})
		})
	}
}
