package kube

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// loggedPod is what of a pod matters to its logs.
type loggedPod struct {
	Metadata struct {
		Name, Namespace, UID string
		Labels               map[string]string
	}
	Spec   struct{ NodeName string }
	Status struct {
		ContainerStatuses, InitContainerStatuses, EphemeralContainerStatuses []loggedContainer
	}
}

type loggedContainer struct {
	Name         string
	RestartCount int
	ContainerID  string
	State        struct {
		Running    *struct{}
		Terminated *logEnded
	}
	LastState struct{ Terminated *logEnded }
}

type logEnded struct{ FinishedAt time.Time }

// logKey is one container of one pod.
type logKey struct{ uid, container string }

// podLog is the log of one container. Its fields but the position are the desk's, under its mutex.
type podLog struct {
	key            logKey
	namespace, pod string
	attrs          record.Attrs // without the number of restarts
	restarts       int
	running        bool // the container is, as far as we were told
	previous       bool // it restarted: what it said before is to be read first
	done           bool // it does not run, and everything that it said was read
	gone           bool // the pod is
	list           uint32

	busy    bool // it is being read
	cancel  context.CancelCauseFunc
	served  time.Time // when it was read last
	notYet  time.Time // it is not read before
	wait    collector.Backoff
	follows bool
	turn    int // how much is read in one turn while others wait

	reading  sync.Mutex   // held while a line is taken
	complete time.Time    // up to when everything was read
	open     time.Time    // since when it is followed; zero while it is not
	position logPosition  // of the line that was taken last
	settled  logPosition  // of the last one before which nothing is held back
	broken   *logPosition // where a connection broke: what came later may be of another run of the container
	parser   format.Parser
}

// logDesk knows all logs that are to be read, and gives them to readers in turns.
type logDesk struct {
	p     *podLogs
	start time.Time // what was written before is not read, where no position is known

	mu    sync.Mutex
	logs  map[logKey]*podLog
	known map[logKey]logPosition // of an earlier process, until the log is found
	lists uint32
	ready bool // all pods were told once
	shed  bool // more logs are to be read than there are readers, and that was told
	wake  chan struct{}
}

var _ follower = (*logDesk)(nil)

func newLogDesk(p *podLogs, known []logPosition) *logDesk {
	d := &logDesk{
		p: p, start: p.common.Clock()().Add(-time.Duration(p.o.Back)), logs: map[logKey]*podLog{}, known: map[logKey]logPosition{}, wake: make(chan struct{}, 1),
	}
	for _, x := range known {
		d.known[logKey{x.UID, x.Container}] = x
	}
	return d
}

func (d *logDesk) listing() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lists++
}

func (d *logDesk) listed(object []byte, _ string) error { return d.happened("ADDED", object) }

func (d *logDesk) complete(_ string, unreadable bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ready = true
	if unreadable {
		return nil
	}
	d.known = map[logKey]logPosition{} // their pods are gone
	for _, l := range d.logs {
		if l.list != d.lists {
			d.leave(l)
		}
	}
	d.p.common.Meter.Connected(true)
	return nil
}

func (d *logDesk) happened(verb string, object []byte) error {
	var pod loggedPod
	if err := json.Unmarshal(object, &pod); err != nil || pod.Metadata.UID == "" {
		d.p.common.Meter.Lost("bad_items", 1)
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, list := range [...][]loggedContainer{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for i := range list {
			d.container(&pod, &list[i], verb == "DELETED")
		}
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return nil
}

// container takes what is known of a container.
func (d *logDesk) container(pod *loggedPod, c *loggedContainer, deleted bool) {
	key := logKey{pod.Metadata.UID, c.Name}
	l := d.logs[key]
	switch {
	case l == nil && (deleted || c.ContainerID == "" || !d.p.selected(pod, c.Name)): // without an id it never ran
		return
	case l == nil:
		l = d.enter(pod, c, key)
	case deleted:
		d.leave(l)
		return
	}
	l.list = d.lists
	if more := c.RestartCount - l.restarts; more > 0 {
		d.p.common.Meter.Lost("skipped_runs", more-1)
		l.previous, l.restarts, l.done = true, c.RestartCount, false
		l.notYet = time.Time{}
		if l.cancel != nil { // it may be reading the new run already
			l.cancel(errGiveWay)
		}
	}
	if l.running = c.State.Running != nil; l.running {
		l.done = false
	}
}

func (d *logDesk) enter(pod *loggedPod, c *loggedContainer, key logKey) *podLog {
	m := &pod.Metadata
	l := &podLog{key: key, namespace: m.Namespace, pod: m.Name, restarts: c.RestartCount, wait: d.p.again, turn: logTurn}
	attrs := map[string]string{
		record.Namespace: m.Namespace, record.Pod: m.Name, record.PodUID: m.UID, record.Container: c.Name, record.Component: c.Name, record.Node: pod.Spec.NodeName,
	}
	if kind, name, ok := format.WorkloadOfPod(m.Name); ok {
		attrs[record.WorkloadKind], attrs[record.WorkloadName] = kind, name
	}
	l.attrs = record.NewAttrs(attrs)
	l.position = logPosition{UID: key.uid, Container: key.container, Restarts: c.RestartCount}
	if was, ok := d.known[key]; ok {
		l.position, l.restarts = was.clone(), was.Restarts
		delete(d.known, key)
	} else {
		l.previous = c.LastState.Terminated != nil && c.LastState.Terminated.FinishedAt.After(d.start)
		l.done = c.State.Terminated != nil && c.State.Terminated.FinishedAt.Before(d.start)
	}
	l.settled = l.position.clone()
	d.logs[key] = l
	return l
}

// leave takes note that a pod is gone.
func (d *logDesk) leave(l *podLog) {
	l.gone = true
	if !l.done && l.served.IsZero() {
		d.p.common.Meter.Lost("unread_logs", 1)
	}
	if !l.busy {
		delete(d.logs, l.key)
	}
}

// dispatch gives the logs to readers: the one first that was not read for the longest time. While there are more logs than readers, those that
// are followed are ended, and everyone reads what there is and gives way.
func (d *logDesk) dispatch(ctx context.Context, tasks chan<- *podLog) error {
	for {
		l := d.next(time.Now())
		if l == nil {
			t := time.NewTimer(min(d.p.pause, 100*time.Millisecond))
			select {
			case <-ctx.Done():
			case <-d.wake:
			case <-t.C:
			}
			t.Stop()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case tasks <- l:
		}
	}
}

// errGiveWay ends the reading of a log because another one waits, or an earlier part of the same.
var errGiveWay = errors.New("something else is to be read first")

// next takes the log whose turn it is; nil when none has to be read now. It is busy from then on.
func (d *logDesk) next(now time.Time) *podLog {
	d.mu.Lock()
	defer d.mu.Unlock()
	var first *podLog
	active := 0
	for _, l := range d.logs {
		if l.done {
			continue
		}
		active++
		if !l.busy && !l.notYet.After(now) && (first == nil || l.served.Before(first.served)) {
			first = l
		}
	}
	crowded := active > d.p.o.Streams
	if crowded != d.shed {
		d.shed = crowded
		if crowded {
			d.p.common.Log().Warn("more logs are selected than are read at once: they take turns, and come later", "logs", active, "streams", d.p.o.Streams)
		}
	}
	if first == nil {
		return nil
	}
	first.busy = true
	first.follows = !crowded && first.running && !first.previous
	if crowded {
		for _, l := range d.logs {
			if l.follows && l.cancel != nil {
				l.cancel(errGiveWay)
			}
		}
	}
	return first
}

// back takes a log back from its reader. end is whether its end was reached while the container did not run.
func (d *logDesk) back(l *podLog, end bool, err error, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.busy, l.follows, l.cancel, l.served = false, false, nil, now
	switch {
	case l.gone:
		delete(d.logs, l.key)
	case err != nil && !errors.Is(err, errGiveWay):
		l.notYet = now.Add(l.wait.Next())
	default:
		l.wait.Reset()
		l.notYet = now.Add(d.p.pause)
		l.done = end && !l.running && !l.previous
	}
}

// settled returns the positions before which nothing is held back, and up to when all logs were read.
func (d *logDesk) settled(now time.Time) (positions []logPosition, upTo time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range d.known {
		positions = append(positions, x)
	}
	if d.ready {
		upTo = now.Add(-unsure)
	}
	for _, l := range d.logs {
		l.reading.Lock()
		if l.parser != nil {
			l.parser.Flush()
			l.settled = l.position.clone()
		}
		positions = append(positions, l.settled)
		complete := l.complete
		if !l.open.IsZero() {
			complete = now.Add(-unsure)
			if l.open.Before(complete) { // if the container had restarted before, we would have been told by now
				l.broken = nil
			}
		}
		l.reading.Unlock()
		if !l.done && complete.Before(upTo) {
			upTo = complete
		}
	}
	return positions, upTo
}

// selected reports whether the log of a container is wanted.
func (p *podLogs) selected(pod *loggedPod, container string) bool {
	some := func(list []PodSelection) bool {
		for i := range list {
			if list[i].selects(pod, container) {
				return true
			}
		}
		return false
	}
	return !some(p.o.Exclude) && (len(p.o.Include) == 0 || some(p.o.Include))
}

// run returns the attributes of a container's run.
func (l *podLog) run(restarts int) record.Attrs {
	return l.attrs.With(record.RestartCount, strconv.Itoa(restarts))
}
