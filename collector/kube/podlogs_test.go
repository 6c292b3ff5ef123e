package kube

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
)

// startLogs runs a collector of logs until the test ends or stop is called.
func startLogs(tb testing.TB, f *fakeLogs, o PodLogsOptions, keep collector.Checkpoints, d *downstream, change ...func(*podLogs)) (stop func()) {
	tb.Helper()
	x, err := NewPodLogs(o, f.client(tb), collector.Common{Name: "pod_logs", Checkpoints: keep, Now: func() time.Time { return startOfTrouble().Add(time.Minute) }})
	require.NoError(tb, err)
	p := x.(*podLogs)
	p.saveEvery, p.settle, p.pause = 10*time.Millisecond, 20*time.Millisecond, time.Millisecond
	p.again = collector.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}
	for _, c := range change {
		c(p)
	}
	return runUntilStopped(tb, x, d.emit)
}

// texts returns what each pod said, in no order.
func (d *downstream) texts() map[string][]string {
	all := map[string][]string{}
	for _, r := range d.all() {
		pod := r.Attrs.Value(record.Pod)
		all[pod] = append(all[pod], string(r.Text))
	}
	for _, texts := range all {
		slices.Sort(texts)
	}
	return all
}

// said is what the pods said, in no order.
func (f *fakeLogs) said() map[string][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string][]string{}
	for name, p := range f.pods {
		for _, run := range p.runs {
			for _, line := range run {
				_, text, _ := strings.Cut(line, " ")
				all[name] = append(all[name], text)
			}
		}
		slices.Sort(all[name])
	}
	return all
}

func (d *downstream) waitForLogs(tb testing.TB, f *fakeLogs) {
	tb.Helper()
	want := f.said()
	n := 0
	for _, texts := range want {
		n += len(texts)
	}
	for end := time.Now().Add(patience); len(d.all()) < n && time.Now().Before(end); {
		<-time.After(5 * time.Millisecond)
	}
	require.Equal(tb, want, d.texts())
	d.requireOnce(tb)
}

func TestPodLogsAreFollowedWithWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	f, d := newFakeLogs(t), &downstream{}
	f.start("web-7d4b9c6f5d-x2k9z")
	f.write("web-7d4b9c6f5d-x2k9z", "one", `{"level":"error","msg":"two"}`)
	startLogs(t, f, PodLogsOptions{}, nil, d)
	d.waitForLogs(t, f)
	f.write("web-7d4b9c6f5d-x2k9z", "three")
	d.waitForLogs(t, f)
	a := d.all()[2].Attrs
	for key, want := range map[string]string{
		record.Namespace: "shop", record.Pod: "web-7d4b9c6f5d-x2k9z", record.PodUID: "uid-web-7d4b9c6f5d-x2k9z", record.Container: "app", record.Component: "app",
		record.Node: "node-1", record.WorkloadName: "web", record.RestartCount: "0", record.Stream: "",
	} {
		require.Equal(t, want, a.Value(key), key)
	}
	require.Equal(t, "error", d.all()[1].Attrs.Value(record.SeverityText))
	require.Equal(t, logTime(0, 2), d.all()[2].When())
}

func TestTracesInPodLogsAreJoined(t *testing.T) {
	t.Parallel()
	f, d := newFakeLogs(t), &downstream{}
	f.start("a")
	f.write("a", "java.lang.OutOfMemoryError: heap", "\tat shop.Cart.add(Cart.java:7)", "\tat shop.Main.main(Main.java:1)", "next")
	startLogs(t, f, PodLogsOptions{}, nil, d)
	require.Eventually(t, func() bool { return len(d.all()) == 2 }, patience, time.Millisecond)
	require.Equal(t, "java.lang.OutOfMemoryError: heap\n\tat shop.Cart.add(Cart.java:7)\n\tat shop.Main.main(Main.java:1)", string(d.all()[0].Text))
}

// TestBrokenConnectionsNeitherRepeatNorLoseLines: the API has no offsets, only seconds.
func TestBrokenConnectionsNeitherRepeatNorLoseLines(t *testing.T) {
	t.Parallel()
	f, d := newFakeLogs(t), &downstream{}
	f.start("a")
	f.start("b")
	startLogs(t, f, PodLogsOptions{}, nil, d)
	for i := range 200 {
		f.write([]string{"a", "b"}[i%2], fmt.Sprint("line ", i), fmt.Sprint("more ", i))
		if rand.IntN(5) == 0 {
			f.breakLogs()
		}
		if rand.IntN(20) == 0 {
			d.waitForLogs(t, f)
		}
	}
	d.waitForLogs(t, f)
}

func TestWhatAContainerSaidBeforeItsRestartIsRead(t *testing.T) {
	t.Parallel()
	f, d := newFakeLogs(t), &downstream{}
	f.start("a")
	startLogs(t, f, PodLogsOptions{}, nil, d)
	for i := range 20 {
		f.write("a", fmt.Sprint("begin ", i))
		if i%2 == 0 {
			d.waitForLogs(t, f)
		}
		if i%3 == 0 {
			f.breakLogs() // nobody follows when it dies
		}
		f.write("a", fmt.Sprint("died of ", i))
		f.restart("a")
		d.waitForLogs(t, f)
	}
	f.write("a", "the end")
	f.finish("a")
	d.waitForLogs(t, f)
	require.Equal(t, "20", d.all()[len(d.all())-1].Attrs.Value(record.RestartCount))
}

func TestRestartsOfTheCollectorNeitherRepeatNorLoseLines(t *testing.T) {
	t.Parallel()
	f, d, keep := newFakeLogs(t), &downstream{}, newMemoryCheckpoints()
	f.start("a")
	f.start("b")
	for i := range 50 {
		stop := startLogs(t, f, PodLogsOptions{}, keep.other(), d)
		f.write("a", fmt.Sprint("a ", i), fmt.Sprint("a more ", i))
		f.write("b", fmt.Sprint("b ", i))
		if i%3 == 0 {
			d.waitForLogs(t, f)
		}
		stop()
		if i%10 == 5 {
			f.restart("b") // while nobody looks
		}
	}
	startLogs(t, f, PodLogsOptions{}, keep.other(), d)
	d.waitForLogs(t, f)
}

// TestMoreLogsThanStreamsTakeTurns: none is left out, and the server is not asked for more at once than it should.
func TestMoreLogsThanStreamsTakeTurns(t *testing.T) {
	t.Parallel()
	f, d := newFakeLogs(t), &downstream{}
	for i := range 3 {
		f.start(fmt.Sprint("p", i))
	}
	startLogs(t, f, PodLogsOptions{Streams: 4}, nil, d)
	f.write("p0", "followed")
	d.waitForLogs(t, f)
	for i := 3; i < 40; i++ {
		f.start(fmt.Sprint("p", i))
	}
	for round := range 5 {
		for i := range 40 {
			f.write(fmt.Sprint("p", i), fmt.Sprint("round ", round))
		}
		d.waitForLogs(t, f)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	require.LessOrEqual(t, f.most, 4)
	least, most := 1<<30, 0
	for i := range 40 {
		least, most = min(least, f.turns[fmt.Sprint("p", i)]), max(most, f.turns[fmt.Sprint("p", i)])
	}
	require.LessOrEqual(t, most-least, 5, "they take turns")
}

func TestPodLogsAreSelected(t *testing.T) {
	t.Parallel()
	f, d := newFakeLogs(t), &downstream{}
	for _, name := range []string{"web-1", "web-2", "db-1"} {
		f.start(name)
		f.write(name, "from "+name)
	}
	startLogs(t, f, PodLogsOptions{
		Include: []PodSelection{{Namespace: "sh*", Pod: "web-*", Container: "app"}, {Labels: map[string]string{"app": "db-?"}}},
		Exclude: []PodSelection{{Labels: map[string]string{"app": "web-2"}}},
	}, nil, d)
	want := map[string][]string{"web-1": {"from web-1"}, "db-1": {"from db-1"}}
	require.Eventually(t, func() bool { return len(d.all()) == 2 }, patience, time.Millisecond)
	require.Equal(t, want, d.texts())
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Zero(t, f.turns["web-2"])
}

// TestLogsThatAreGoneAreCounted: of a run before the last two, of one that the kubelet removed, and of one that the runtime lost.
func TestLogsThatAreGoneAreCounted(t *testing.T) {
	t.Parallel()
	f, d, keep := newFakeLogs(t), &downstream{}, newMemoryCheckpoints()
	registry := prometheus.NewRegistry()
	meters, err := collector.NewMeters(registry)
	require.NoError(t, err)
	meter := func(p *podLogs) { p.common.Meter = meters.For("pod_logs") }
	f.start("skips")
	f.start("forgets")
	f.start("broken")
	f.write("skips", "first")
	f.write("forgets", "first")
	f.do(func() { f.pods["broken"].broken = true })
	stop := startLogs(t, f, PodLogsOptions{}, keep, d, meter)
	d.waitForLogs(t, f)
	stop()
	for range 3 {
		f.restart("skips")
	}
	f.restart("forgets")
	f.do(func() { f.pods["forgets"].forget = true })
	startLogs(t, f, PodLogsOptions{}, keep.other(), d, meter)
	for reason, want := range map[string]float64{"skipped_runs": 2, "previous_logs_gone": 1} {
		require.Eventually(t, func() bool { return lostLogs(t, registry, reason) == want }, patience, time.Millisecond, reason)
	}
	require.Eventually(t, func() bool { return lostLogs(t, registry, "logs_without_stamp") > 0 }, patience, time.Millisecond)
}

// lostLogs returns how much was counted as lost for a reason.
func lostLogs(tb testing.TB, registry *prometheus.Registry, reason string) float64 {
	tb.Helper()
	families, err := registry.Gather()
	require.NoError(tb, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "forewarn_collector_lost_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "reason" && l.GetValue() == reason {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

func TestPositionKnowsEachLineOnce(t *testing.T) {
	t.Parallel()
	for range 50 {
		var p logPosition
		var all []recentLine
		now := startOfTrouble().UnixNano()
		for range 20_000 {
			now += rand.Int64N(int64(time.Millisecond))
			at := now - rand.Int64N(int64(50*time.Millisecond))
			x := recentLine{at, rand.Uint64N(5000)}
			all = append(all, x)
			p.given(x.At, x.Hash)
		}
		from := p.since(time.Time{}).Truncate(time.Second).UnixNano()
		known := p.resume()
		for _, x := range all {
			if x.At >= from {
				require.True(t, known.knows(x.At, x.Hash))
			}
		}
		require.False(t, known.knows(p.Last, 1<<63))
		require.LessOrEqual(t, len(p.Recent), 2*logRecent)
	}
}

func TestPodLogOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := NewPodLogs(PodLogsOptions{Streams: -1, Back: -1, Include: []PodSelection{{}}, Exclude: []PodSelection{{Pod: "[", Labels: map[string]string{"a": "["}}}}, nil, collector.Common{})
	for _, want := range []string{"streams", "back", "include[0] selects everything", "exclude[0].pod", "exclude[0].labels.a", "Connect"} {
		require.ErrorContains(t, err, want)
	}
}
