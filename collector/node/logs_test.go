package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// logDir is a directory as the kubelet makes it.
type logDir struct {
	t    *testing.T
	root string
}

// write appends lines of a container, and returns the path of its log.
func (d logDir) write(pod, container string, lines ...string) string {
	d.t.Helper()
	path := filepath.Join(d.root, "pods", pod, container, "0.log")
	require.NoError(d.t, os.MkdirAll(filepath.Dir(path), 0o700))
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(d.t, err)
	for _, line := range lines {
		_, err := fmt.Fprintf(f, "2026-11-25T21:59:00Z stdout F %s\n", line)
		require.NoError(d.t, err)
	}
	require.NoError(d.t, f.Close())
	return path
}

func (d logDir) options() LogOptions {
	return LogOptions{Paths: []string{filepath.Join(d.root, "pods")}, Wait: signatures.Duration(5 * time.Millisecond)}
}

func TestLogsOfANodeAreOneSourceWithTheAttributesOfTheirPaths(t *testing.T) {
	t.Parallel()
	d, r := logDir{t, t.TempDir()}, newRig(t)
	d.write("shop_cart-7d4b9c6f5-x2x9z_0f1e2d3c", "app", "one")
	c, err := NewLogs(d.options(), nil, r.common("logs"))
	stop := r.run(t, c, err)
	r.expect(t, "one")
	d.write("shop_cart-7d4b9c6f5-x2x9z_0f1e2d3c", "app", "two")
	r.expect(t, "one", "two")
	stop()
	x := r.records[0]
	for key, want := range map[string]string{
		record.Cluster: "prod", record.Node: "node-1", record.Namespace: "shop", record.Pod: "cart-7d4b9c6f5-x2x9z", record.PodUID: "0f1e2d3c",
		record.Container: "app", record.RestartCount: "0", record.WorkloadKind: "Deployment", record.WorkloadName: "cart", record.Stream: "stdout",
	} {
		require.Equal(t, want, x.Attrs.Value(key), key)
	}
	h := r.headers[0]
	require.Equal(t, "logs/node-1", h.Source)
	require.Equal(t, record.Attrs{{Key: record.Cluster, Value: "prod"}, {Key: record.Node, Value: "node-1"}}, h.Scope)
	require.Equal(t, uint8(1<<record.Log), h.Kinds)

	r.run(t, c, nil)
	d.write("shop_cart-7d4b9c6f5-x2x9z_0f1e2d3c", "app", "three")
	r.expect(t, "one", "two", "three")
}

func TestLinksToLogsGiveTheAttributesOfWhatTheyLeadTo(t *testing.T) {
	t.Parallel()
	d, r := logDir{t, t.TempDir()}, newRig(t)
	path := d.write("shop_cart-0_0f1e2d3c", "app", "one")
	links := filepath.Join(d.root, "containers")
	require.NoError(t, os.Mkdir(links, 0o700))
	require.NoError(t, os.Symlink(path, filepath.Join(links, "cart-0_shop_app-"+strings.Repeat("0a", 32)+".log")))
	o := d.options()
	o.Paths = append([]string{links}, o.Paths...) // the same files twice
	c, err := NewLogs(o, nil, r.common("logs"))
	r.run(t, c, err)
	r.expect(t, "one")
	require.NoError(t, os.Rename(path, path+".20261125-220000"))
	d.write("shop_cart-0_0f1e2d3c", "app", "two")
	r.expect(t, "one", "two")
	for i := range 2 {
		require.Equal(t, "0f1e2d3c", r.records[i].Attrs.Value(record.PodUID))
		require.Equal(t, path, r.records[i].Attrs.Value(record.FilePath))
	}
}

// podList knows some pods.
type podList map[string]map[string]string

var _ Pods = podList{}

func (p podList) Pod(namespace, name, _ string) (map[string]string, record.Attrs, bool) {
	labels, ok := p[namespace+"/"+name]
	return labels, record.Attrs{{Key: record.Image, Value: "image-of-" + name}}, ok
}

func TestLogsAreSelected(t *testing.T) {
	t.Parallel()
	pods := podList{
		"shop/cart-0": {"tier": "front"}, "shop/db-0": {"tier": "back"}, "kube-system/dns-0": nil, "test/cart-0": {"tier": "front"},
	}
	for _, c := range []struct {
		name             string
		include, exclude []Selection
		want             []string
	}{
		{"everything", nil, nil, []string{"dns", "cart app", "cart proxy", "db", "test"}},
		{"a namespace", []Selection{{Namespace: "shop"}}, nil, []string{"cart app", "cart proxy", "db"}},
		{"namespaces but one", nil, []Selection{{Namespace: "kube-*"}, {Namespace: "test"}}, []string{"cart app", "cart proxy", "db"}},
		{"a container nowhere", nil, []Selection{{Container: "proxy"}}, []string{"dns", "cart app", "db", "test"}},
		{"a container of a namespace", []Selection{{Namespace: "shop", Container: "app"}}, nil, []string{"cart app", "db"}},
		{"a label", []Selection{{Labels: map[string]string{"tier": "fr*"}}}, []Selection{{Namespace: "test"}}, []string{"cart app", "cart proxy"}},
		{"a path", []Selection{{Path: "*/pods/test_*/*/0.log"}, {Pod: "db-?"}}, nil, []string{"db"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, r := logDir{t, t.TempDir()}, newRig(t)
			o := d.options()
			o.Include, o.Exclude = c.include, c.exclude
			d.write("shop_cart-0_1", "app", "cart app")
			d.write("shop_cart-0_1", "proxy", "cart proxy")
			d.write("shop_db-0_2", "app", "db")
			d.write("kube-system_dns-0_3", "dns", "dns")
			d.write("test_cart-0_4", "app", "test")
			x, err := NewLogs(o, pods, r.common("logs"))
			r.run(t, x, err)
			require.Eventually(t, func() bool { return len(r.texts()) >= len(c.want) }, patience, time.Millisecond)
			require.ElementsMatch(t, c.want, r.texts())
			require.Contains(t, r.records[0].Attrs.Value(record.Image), "image-of-")
		})
	}
}

func TestSelectionsAndLimitsThatCannotBeMeantAreRefusedTogether(t *testing.T) {
	t.Parallel()
	_, err := NewLogs(LogOptions{
		Zone: "Mars/Base", Include: []Selection{{}, {Namespace: "[a"}}, Exclude: []Selection{{Labels: map[string]string{"a": "b"}}},
		Limit: Limit{Lines: -1, Apiece: "node"}, Open: -2,
	}, nil, newRig(t).common("logs"))
	for _, want := range []string{
		"zone:", "include[0] selects everything", `include[1].namespace: the pattern "[a" is broken`, "exclude[0].labels: nothing here knows",
		"limit.lines_per_second: -1", `limit.apiece: "node"`, "open: -2",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = NewLogs(LogOptions{Limit: Limit{Burst: 3}}, nil, newRig(t).common("logs"))
	require.ErrorContains(t, err, "nothing is limited")
}

func TestALogBeyondItsLimitIsCutDownAndTold(t *testing.T) {
	t.Parallel()
	d, r := logDir{t, t.TempDir()}, newRig(t)
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf("line %d", i))
	}
	d.write("shop_loud-0_1", "app", many...)
	d.write("shop_quiet-0_2", "app", "one")
	o := d.options()
	o.Limit = Limit{Lines: 10, Burst: 3}
	c, err := NewLogs(o, nil, r.common("logs"))
	stop := r.run(t, c, err)
	require.Eventually(t, func() bool { return r.lost("logs")["rate_limited"] == 470 }, patience, time.Millisecond)
	require.Eventually(t, func() bool { return len(r.texts()) == 31 }, patience, time.Millisecond)
	stop()
	require.Positive(t, r.lost("logs")["rate_limited_bytes"])
	require.Contains(t, r.logged(), "of=shop/loud-0/app entries=470")
	require.NotContains(t, r.logged(), "quiet-0")
}

func TestLimitsCountByTheTimeOfTheRecords(t *testing.T) {
	t.Parallel()
	at := int64(1e18)
	for _, c := range []struct {
		name  string
		limit Limit
		every time.Duration
		size  int
		want  int // of 100
	}{
		{"within", Limit{Lines: 10}, 100 * time.Millisecond, 10, 100},
		{"twice too many", Limit{Lines: 10, Burst: 1}, 50 * time.Millisecond, 10, 10 + 49},
		{"all at once", Limit{Lines: 10, Burst: 2}, 0, 10, 20},
		{"going back", Limit{Lines: 10, Burst: 2}, -time.Second, 10, 20},
		{"too many bytes", Limit{Bytes: 100, Burst: 1}, 0, 10, 10},
		{"larger than all", Limit{Bytes: 100, Burst: 1}, time.Second, 5000, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			common := newRig(t).common("logs")
			keep := newLimits(c.limit, &common).filter(record.Attrs{{Key: record.Pod, Value: "p"}})
			kept := 0
			for i := range 100 {
				if keep(&record.Record{Time: at + int64(i)*int64(c.every), Text: make([]byte, c.size)}) {
					kept++
				}
			}
			require.Equal(t, c.want, kept)
		})
	}
	common := newRig(t).common("logs")
	require.Nil(t, newLimits(Limit{}, &common))
}
