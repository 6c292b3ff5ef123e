package kube

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// fakeLogs is an API server of pods of one container each, and of their logs.
type fakeLogs struct {
	*httptest.Server

	mu      sync.Mutex
	change  *sync.Cond
	version int
	history []string // lines of a watch, by version
	pods    map[string]*fakePod
	cut     int // raised to break all logs in the middle
	open    int
	most    int
	turns   map[string]int
}

type fakePod struct {
	name, labels string
	restarts     int
	running      bool
	runs         [][]string // lines with their stamps, by restarts
	forget       bool       // the log of the run before is gone
	broken       bool       // the runtime has lost the log
}

func newFakeLogs(tb testing.TB) *fakeLogs {
	tb.Helper()
	f := &fakeLogs{pods: map[string]*fakePod{}, version: 10, turns: map[string]int{}}
	f.change = sync.NewCond(&f.mu)
	f.Server = httptest.NewServer(f)
	tb.Cleanup(func() {
		f.CloseClientConnections()
		f.do(func() { f.cut++ })
		f.Close()
	})
	return f
}

func (f *fakeLogs) do(what func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what()
	f.change.Broadcast()
}

func (p *fakePod) json(version int) string {
	state, last := `{"running":{"startedAt":"2026-11-20T10:00:00Z"}}`, `{}`
	if !p.running {
		state = fmt.Sprintf(`{"terminated":{"finishedAt":%q}}`, logTime(p.restarts, 1<<20).Format(time.RFC3339))
	}
	if p.restarts > 0 {
		last = fmt.Sprintf(`{"terminated":{"finishedAt":%q}}`, logTime(p.restarts, 0).Format(time.RFC3339))
	}
	return fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":%q,"namespace":"shop","uid":"uid-%s","resourceVersion":"%d","labels":{%s}},"spec":{"nodeName":"node-1"},`+
		`"status":{"containerStatuses":[{"name":"app","containerID":"containerd://%d","restartCount":%d,"state":%s,"lastState":%s}]}}`,
		p.name, p.name, version, p.labels, p.restarts, p.restarts, state, last)
}

// tell tells of a pod. The mutex is held.
func (f *fakeLogs) tell(verb string, p *fakePod) {
	f.version++
	f.history = append(f.history, fmt.Sprintf(`{"type":%q,"object":%s}`+"\n", verb, p.json(f.version)))
}

func (f *fakeLogs) start(name string) {
	f.do(func() {
		p := &fakePod{name: name, running: true, runs: [][]string{nil}, labels: fmt.Sprintf(`"app":%q`, name)}
		f.pods[name] = p
		f.tell("ADDED", p)
	})
}

// logTime is when a line is written. Lines of one run are 10 ms apart, runs an hour.
func logTime(run, i int) time.Time {
	return startOfTrouble().Add(time.Duration(run) * time.Hour).Add(time.Duration(i) * 10 * time.Millisecond)
}

func (f *fakeLogs) write(name string, lines ...string) {
	f.do(func() {
		p := f.pods[name]
		for _, l := range lines {
			run := p.runs[p.restarts]
			at := logTime(p.restarts, len(run))
			if len(run)%7 == 3 {
				at = at.Add(-25 * time.Millisecond) // the two streams of a program are a little out of order
			}
			p.runs[p.restarts] = append(run, at.Format(time.RFC3339Nano)+" "+l)
		}
	})
}

func (f *fakeLogs) restart(name string) {
	f.do(func() {
		p := f.pods[name]
		p.restarts++
		p.runs = append(p.runs, nil)
		f.tell("MODIFIED", p)
	})
}

func (f *fakeLogs) finish(name string) {
	f.do(func() {
		f.pods[name].running = false
		f.tell("MODIFIED", f.pods[name])
	})
}

func (f *fakeLogs) breakLogs() {
	f.do(func() { f.cut++ })
}

func (f *fakeLogs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-r.Context().Done():
			f.do(func() {})
		case <-stop:
		}
	}()
	q := r.URL.Query()
	name, isLog := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/shop/pods/"), "/log")
	switch {
	case isLog && f.pods[name] != nil:
		f.log(w, r, f.pods[name])
	case r.URL.Path != "/api/v1/pods":
		status(w, http.StatusNotFound, "NotFound", r.URL.Path)
	case q.Get("watch") != "":
		from, _ := strconv.Atoi(q.Get("resourceVersion"))
		for i := max(from-10, 0); r.Context().Err() == nil; {
			for ; i < len(f.history); i++ {
				_, _ = io.WriteString(w, f.history[i])
			}
			w.(http.Flusher).Flush()
			f.change.Wait()
		}
	default:
		var items []string
		for _, name := range slices.Sorted(maps.Keys(f.pods)) {
			items = append(items, f.pods[name].json(f.version))
		}
		_, _ = fmt.Fprintf(w, `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"%d"},"items":[%s]}`, f.version, strings.Join(items, ","))
	}
}

// log answers as the kubelet does. The mutex is held.
func (f *fakeLogs) log(w http.ResponseWriter, r *http.Request, p *fakePod) {
	q := r.URL.Query()
	f.turns[p.name]++
	run, follow := p.restarts, q.Get("follow") == "true"
	if q.Get("previous") == "true" {
		if run--; run < 0 || p.forget {
			status(w, http.StatusBadRequest, "BadRequest", `previous terminated container "app" in pod "`+p.name+`" not found`)
			return
		}
	}
	if p.broken {
		_, _ = io.WriteString(w, "unable to retrieve container logs for containerd://1119cf55341a84ba992d8352d004bda6159b5b245a2cb0762185dfc25da23e04")
		return
	}
	since, err := time.Parse(time.RFC3339, q.Get("sinceTime"))
	if err != nil || q.Get("timestamps") != "true" || q.Get("container") != "app" {
		status(w, http.StatusBadRequest, "BadRequest", r.URL.RawQuery)
		return
	}
	f.open++
	f.most = max(f.most, f.open)
	defer func() { f.open-- }()
	cut := f.cut
	w.(http.Flusher).Flush()
	for i := 0; r.Context().Err() == nil; {
		for lines := p.runs[run]; i < len(lines); i++ {
			stamp, _, _ := strings.Cut(lines[i], " ")
			if at, _ := time.Parse(time.RFC3339Nano, stamp); !at.Before(since) {
				_, _ = io.WriteString(w, lines[i]+"\n")
			}
		}
		w.(http.Flusher).Flush()
		if f.cut != cut && follow {
			_, _ = io.WriteString(w, "2026-11-20T19:00:00.000000000Z half of a li")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		if !follow || !p.running || p.restarts != run {
			return
		}
		f.change.Wait()
	}
}

func (f *fakeLogs) client(tb testing.TB) *Client {
	tb.Helper()
	c, err := newClient(&rest.Config{Host: f.URL, QPS: -1}, 10*time.Second)
	require.NoError(tb, err)
	return c
}
