package kube

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

func startOfTrouble() time.Time { return time.Date(2026, 11, 20, 19, 0, 0, 0, time.UTC) }

// TestTrap1UpdatesAreIncreases: an event whose count goes from 1 to 7 happened six times more.
func TestTrap1UpdatesAreIncreases(t *testing.T) {
	t.Parallel()
	f, d := newFakeEvents(t), &downstream{}
	f.count("a", 1, startOfTrouble())
	startEvents(t, f, nil, d.emit)
	d.waitFor(t, map[string]int{"a": 1})
	f.count("a", 7, startOfTrouble().Add(time.Minute))
	d.waitFor(t, map[string]int{"a": 7})
	all := d.all()
	require.Len(t, all, 2)
	require.Equal(t, uint32(6), all[1].Count)
	require.Equal(t, startOfTrouble().Add(time.Minute), all[1].When())
	for key, want := range map[string]string{record.Cluster: "test", record.Namespace: "shop", record.Pod: "web-0", record.Node: "node-1", record.EventReason: "BackOff"} {
		require.Equal(t, want, all[1].Attrs.Value(key), key)
	}
}

// TestTrap2AnOutageOfHoursLosesNothingThatTheServerHas: what happened while the collector was away is not too old, and what it
// gave before is not given again.
func TestTrap2AnOutageOfHoursLosesNothingThatTheServerHas(t *testing.T) {
	t.Parallel()
	for name, watchList := range map[string]bool{"watch that begins with a list": true, "pages": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, d, keep := newFakeEvents(t), &downstream{}, newMemoryCheckpoints()
			f.noList = !watchList
			for i := range 700 {
				f.count(fmt.Sprint("before-", i), 1+i%3, startOfTrouble())
			}
			want := f.wanted()
			stop := startEvents(t, f, keep, d.emit)
			d.waitFor(t, want)
			stop()

			f.count("before-0", 9, startOfTrouble().Add(time.Hour))
			f.remove("before-1")
			for i := range 1200 {
				f.count(fmt.Sprint("during-", i), 1+i%2, startOfTrouble().Add(time.Duration(i)*9*time.Second))
			}
			f.compact()
			startEvents(t, f, keep.other(), d.emit, func(e *events) {
				e.common.Now = func() time.Time { return startOfTrouble().Add(3 * time.Hour) }
			})
			before := want["before-1"]
			want = f.wanted()
			want["before-1"] = before
			d.waitFor(t, want)
			require.Equal(t, 2, map[bool]int{true: f.lists, false: (f.lists + 1) / 3}[watchList])
		})
	}
}

// wanted is how often each event happened that the server has.
func (f *fakeEvents) wanted() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	want := map[string]int{}
	for name, e := range f.events {
		want[name] = e.count
	}
	return want
}

// mortal is a process that dies at some point of its work: nothing that it does after that has any effect.
type mortal struct {
	collector.Checkpoints
	d     *downstream
	lives atomic.Int64 // effects until death
	dead  context.CancelFunc
}

var errDead = errors.New("killed")

// live performs an effect, unless the process is dead or dies before it; it may die after it.
func (m *mortal) live(effect func() error) error {
	switch n := m.lives.Add(-1); {
	case n < 0:
		m.dead()
		return errDead
	case n == 0 && rand.IntN(2) == 0:
		m.dead()
		return errDead
	}
	if err := effect(); err != nil {
		return err
	}
	if m.lives.Load() == 0 {
		m.dead()
		return errDead
	}
	return nil
}

func (m *mortal) Save(name string, b []byte) error {
	return m.live(func() error { return m.Checkpoints.Save(name, b) })
}

func (m *mortal) emit(ctx context.Context, frame []byte) error {
	return m.live(func() error { return m.d.emit(ctx, frame) })
}

// TestTrap3RestartsNeitherRepeatNorLose restarts the collector a hundred times under load, half of them by a kill at any point of its work, and
// the API server ten times, which forgets its history each time.
func TestTrap3RestartsNeitherRepeatNorLose(t *testing.T) {
	t.Parallel()
	f, d, keep := newFakeEvents(t), &downstream{}, newMemoryCheckpoints()
	loading, loaded := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(loaded)
		for i := 0; ; i++ {
			name := fmt.Sprint("e", rand.IntN(60+i/10))
			f.mu.Lock()
			n := f.events[name].count
			f.mu.Unlock()
			f.count(name, n+1+rand.IntN(3), startOfTrouble().Add(time.Duration(i)*time.Second))
			select {
			case <-loading:
				return
			case <-time.After(time.Duration(rand.IntN(300)) * time.Microsecond):
			}
		}
	}()
	for i := range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		m := &mortal{Checkpoints: keep.other(), d: d, dead: cancel}
		m.lives.Store(1 + rand.Int64N(40))
		if i%2 == 0 {
			m.lives.Store(1 << 60) // it is asked to end
			time.AfterFunc(time.Duration(1+rand.IntN(20))*time.Millisecond, cancel)
		}
		x, err := NewEvents(EventsOptions{Probe: signatures.Duration(20 * time.Millisecond)}, f.client(t), collector.Common{Name: "events", Cluster: "test", Checkpoints: m})
		require.NoError(t, err)
		e := x.(*events)
		e.pause, e.quiet, e.backoff = time.Millisecond, time.Millisecond, collector.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond}
		err = x.Run(ctx, m.emit)
		require.Error(t, err)
		cancel()
		if i%10 == 9 {
			f.compact()
			f.endWatches()
		}
	}
	close(loading)
	<-loaded
	startEvents(t, f, keep.other(), d.emit)
	d.waitFor(t, f.wanted())
}

func TestServerThatRestartsLosesNothing(t *testing.T) {
	t.Parallel()
	f, d := newFakeEvents(t), &downstream{}
	startEvents(t, f, newMemoryCheckpoints(), d.emit)
	for i := range 10 {
		f.count("a", 2*i+1, startOfTrouble().Add(time.Duration(i)*time.Second))
		f.endWatches()
		f.count("a", 2*i+2, startOfTrouble().Add(time.Duration(i)*time.Second))
		d.waitFor(t, map[string]int{"a": 2*i + 2})
	}
}

func TestCoreEventsWhereThatIsAllThereIs(t *testing.T) {
	t.Parallel()
	f, d := newFakeEvents(t), &downstream{}
	f.core = true
	f.count("a", 3, startOfTrouble())
	startEvents(t, f, nil, d.emit)
	d.waitFor(t, map[string]int{"a": 3})
}

func TestListThatExpiresBetweenPagesIsReadAtOnce(t *testing.T) {
	t.Parallel()
	f, d := newFakeEvents(t), &downstream{}
	f.noList, f.expire = true, 1
	for i := range 1100 {
		f.count(fmt.Sprintf("e%04d", i), 1, startOfTrouble().Add(time.Duration(i*7919%1100)*time.Second))
	}
	startEvents(t, f, nil, d.emit)
	d.waitFor(t, f.wanted())
	last := time.Time{}
	for _, r := range d.all() {
		require.False(t, r.When().Before(last), "a list is given in order of time")
		last = r.When()
	}
}

// TestDeadServerIsSilent: promises come from answers of the server, and end with them.
func TestDeadServerIsSilent(t *testing.T) {
	t.Parallel()
	f, d := newFakeEvents(t), &downstream{}
	f.count("a", 1, startOfTrouble())
	startEvents(t, f, nil, func(ctx context.Context, frame []byte) error { return d.emit(ctx, frame) })
	began := time.Now()
	n := 1
	require.Eventually(t, func() bool { // a batch carries the newest promise
		n++
		f.count("a", n, startOfTrouble())
		return d.promised().After(began)
	}, patience, 10*time.Millisecond)

	f.do(func() { f.hang = true })
	f.endWatches()
	died := time.Now()
	require.Never(t, func() bool { return d.promised().After(died) }, 300*time.Millisecond, 20*time.Millisecond)
	f.do(func() { f.hang = false })
	f.endWatches()
	require.Eventually(t, func() bool {
		n++
		f.count("a", n, startOfTrouble())
		return d.promised().After(died)
	}, patience, 10*time.Millisecond)
}

// TestServerThatWasRestoredFromABackupIsListedAgain: a watch from a version that the server has not reached yet would be silent for long.
func TestServerThatWasRestoredFromABackupIsListedAgain(t *testing.T) {
	t.Parallel()
	f, d, keep := newFakeEvents(t), &downstream{}, newMemoryCheckpoints()
	f.do(func() { f.revision = 5000 })
	f.count("a", 1, startOfTrouble())
	stop := startEvents(t, f, keep, d.emit)
	d.waitFor(t, map[string]int{"a": 1})
	stop()
	f.do(func() { f.revision, f.history, f.events = 2000, nil, map[string]fakeEvent{} })
	f.count("b", 1, startOfTrouble())
	startEvents(t, f, keep.other(), d.emit)
	d.waitFor(t, map[string]int{"a": 1, "b": 1})
}

// TestLeaderThatWasReplacedEmitsNothing: a process that slept through the loss of its Lease must not repeat what the new leader gave.
func TestLeaderThatWasReplacedEmitsNothing(t *testing.T) {
	t.Parallel()
	f, d, keep := newFakeEvents(t), &downstream{}, newMemoryCheckpoints()
	asleep, woken := make(chan struct{}), make(chan struct{})
	var sleeping atomic.Bool
	old := sleepy{keep, &sleeping, asleep, woken}
	stop := startEvents(t, f, old, d.emit)
	f.count("a", 1, startOfTrouble())
	d.waitFor(t, map[string]int{"a": 1})

	sleeping.Store(true)
	f.count("a", 2, startOfTrouble())
	<-asleep // it is about to save, and would emit next
	startEvents(t, f, keep.other(), d.emit)
	d.waitFor(t, map[string]int{"a": 2})
	f.count("a", 3, startOfTrouble())
	d.waitFor(t, map[string]int{"a": 3})
	sleeping.Store(false)
	close(woken)
	stop()
	d.waitFor(t, map[string]int{"a": 3})
}

// sleepy sleeps before it saves.
type sleepy struct {
	collector.Checkpoints
	sleeping      *atomic.Bool
	asleep, woken chan struct{}
}

func (s sleepy) Save(name string, b []byte) error {
	if s.sleeping.CompareAndSwap(true, false) {
		close(s.asleep)
		<-s.woken
	}
	return s.Checkpoints.Save(name, b)
}

func TestBadOptionsAreToldTogether(t *testing.T) {
	t.Parallel()
	_, err := NewEvents(EventsOptions{Probe: -1, MaxEvents: -1}, nil, collector.Common{})
	for _, want := range []string{"probe", "max_events", "Connect"} {
		require.ErrorContains(t, err, want)
	}
}
