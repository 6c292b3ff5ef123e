package notify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

var (
	_ Notifier = (*inbox)(nil)
	_ Feed     = (*tap)(nil)
	_ Keeper   = (*drawer)(nil)
)

// inbox is a destination with bad days: it keeps what it took, and drops repeats by their identity, as it may.
type inbox struct {
	mu      sync.Mutex
	answer  func(now time.Time) error // what a try comes to; nil takes all
	lost    func() bool               // reports whether the answer to what was taken is lost
	order   []Notice
	ids     map[string]bool
	repeats int
}

func (b *inbox) Notify(ctx context.Context, n Notice) error {
	err := b.take(n)
	if errors.Is(err, context.DeadlineExceeded) {
		<-ctx.Done() // without the lock, for the test looks while it waits
		return ctx.Err()
	}
	return err
}

func (b *inbox) take(n Notice) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer != nil {
		if err := b.answer(time.Now()); err != nil {
			return err
		}
	}
	if b.ids == nil {
		b.ids = map[string]bool{}
	}
	if b.ids[n.ID] {
		b.repeats++
	} else {
		b.ids[n.ID] = true
		b.order = append(b.order, n)
	}
	if b.lost != nil && b.lost() {
		return errors.New("the connection went before the answer")
	}
	return nil
}

func (b *inbox) notices() []Notice {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.order)
}

// topic is a stream of warnings with one position, which one process at a time is given.
type topic struct {
	mu     sync.Mutex
	list   []matcher.Warning
	acked  int
	owner  *tap
	change chan struct{} // closed at each change
}

func newTopic() *topic { return &topic{change: make(chan struct{})} }

func (p *topic) changed() {
	close(p.change)
	p.change = make(chan struct{})
}

func (p *topic) publish(ws ...matcher.Warning) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, ws...)
	p.changed()
}

// tap is one process's end of a topic.
type tap struct {
	topic *topic
	next  int
	dead  func() bool
}

// give makes a process the one that is given the warnings: from what was acknowledged on.
func (p *topic) give(t *tap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owner, t.next = t, p.acked
	p.changed()
}

func (t *tap) Next(ctx context.Context) (matcher.Warning, uint64, func() error, error) {
	for {
		t.topic.mu.Lock()
		if t.topic.owner == t && t.next < len(t.topic.list) {
			w, at := t.topic.list[t.next], t.next+1
			t.next = at
			t.topic.mu.Unlock()
			return w, uint64(at), func() error {
				t.topic.mu.Lock()
				defer t.topic.mu.Unlock()
				if t.dead != nil && t.dead() {
					return errors.New("dead")
				}
				t.topic.acked = max(t.topic.acked, at)
				return nil
			}, nil
		}
		change := t.topic.change
		t.topic.mu.Unlock()
		select {
		case <-ctx.Done():
			return matcher.Warning{}, 0, nil, ctx.Err()
		case <-change:
		}
	}
}

// cabinet keeps states for all processes; drawer is one process's view of it.
type cabinet struct {
	mu    sync.Mutex
	value []byte
	at    int
	saves int
}

type drawer struct {
	*cabinet
	seen int
	dead func() bool
	fail func() error // nil never fails
}

func (d *drawer) Load(string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead != nil && d.dead() {
		return nil, errors.New("dead")
	}
	d.seen = d.at
	return d.value, nil
}

func (d *drawer) Save(_ string, b []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead != nil && d.dead() {
		return errors.New("dead")
	}
	if d.seen != d.at {
		return errors.New("another process has saved it since")
	}
	if d.fail != nil {
		if err := d.fail(); err != nil {
			return err
		}
	}
	d.at++
	d.saves++
	d.seen, d.value = d.at, slices.Clone(b)
	return nil
}

// revision is one of several warnings of different signatures.
func revision(id string, n uint32, state matcher.State) matcher.Warning {
	return matcher.Warning{
		ID: id, Revision: n, Signature: "sig-" + id, Title: id, KeyText: id, Severity: signatures.High, State: state, Total: 2, Opened: start, Time: time.Now(),
		Reached: []matcher.Reached{{Stage: "one", Time: start}}, Key: []record.Attr{{Key: "namespace", Value: "ns-" + id}},
	}
}

// TestEveryWarningArrivesOnceAndInOrderAfterAnOutage: whatever a destination of either class answers for two hours.
func TestEveryWarningArrivesOnceAndInOrderAfterAnOutage(t *testing.T) {
	for name, failure := range map[string]error{
		"429 with Retry-After": after{errors.New("status 429"), 5 * time.Minute},
		"503":                  errors.New("status 503"),
		"timeout":              context.DeadlineExceeded,
		"reset":                syscall.ECONNRESET,
	} {
		for _, person := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, person %v", name, person), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					began := time.Now()
					box := &inbox{answer: func(now time.Time) error {
						if now.Sub(began) < 2*time.Hour {
							return failure
						}
						return nil
					}}
					healthy := &inbox{}
					p, other := newTopic(), newTopic()
					ctx, stop := context.WithCancel(t.Context())
					var running sync.WaitGroup
					var deliverers []*Deliverer
					for i, n := range []*inbox{box, healthy} {
						feed := &tap{topic: []*topic{p, other}[i]}
						feed.topic.give(feed)
						d := &Deliverer{
							Name: "d", Notifier: n, Feed: feed, Keeper: &drawer{cabinet: &cabinet{}}, Instance: "one",
							Router: NewRouter(RouterOptions{Destination: "d", Person: person}),
						}
						deliverers = append(deliverers, d)
						running.Go(func() { require.NoError(t, d.Run(ctx)) })
					}
					states := []matcher.State{matcher.Forming, matcher.Imminent, matcher.InIncident, matcher.Resolved}
					var want []string
					for i := range 6 {
						for n, s := range states {
							w := revision(fmt.Sprintf("w%d", i), uint32(n+1), s)
							p.publish(w)
							other.publish(w)
							want = append(want, w.ID+" "+string(s))
							time.Sleep(4 * time.Minute)
						}
					}
					synctest.Wait()
					require.Empty(t, box.notices(), "it is away")
					require.Equal(t, want, tellings(healthy.notices()), "and the other destination has everything")
					time.Sleep(3 * time.Hour)
					synctest.Wait()
					if person {
						requireAllTold(t, want, tellings(box.notices()))
					} else {
						require.Equal(t, want, tellings(box.notices()))
					}
					require.Zero(t, box.repeats, "nothing was sent that was taken")
					require.Zero(t, deliverers[0].Counts().Waiting)
					stop()
					running.Wait()
				})
			})
		}
	}
}

func tellings(ns []Notice) (all []string) {
	for _, n := range ns {
		for _, w := range n.Warnings {
			all = append(all, w.ID+" "+string(w.State))
		}
	}
	return all
}

// requireAllTold: what waited longest may have become one message by its latest state, in the order of each warning.
func requireAllTold(t *testing.T, want, got []string) {
	t.Helper()
	last := map[string]string{}
	for _, g := range got {
		i := slices.Index(want, g)
		require.GreaterOrEqual(t, i, 0, g)
		id := g[:2]
		require.Greater(t, i, slices.Index(want, last[id]), "%s after %s", g, last[id])
		last[id] = g
	}
	for i := 3; i < len(want); i += 4 { // the last revision of each
		require.Equal(t, want[i], last[want[i][:2]], "what it came to is told")
	}
}

// TestProcessesThatAreKilledLoseNothing: several processes serve a destination, each may be killed at any moment, the destination
// has bad moments, and the state cannot always be stored.
func TestProcessesThatAreKilledLoseNothing(t *testing.T) {
	for seed := range uint64(20) {
		for _, person := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) { surviveKills(t, seed, person) })
			if t.Failed() {
				t.Logf("seed %d, person %v", seed, person)
				return
			}
		}
	}
}

type victim struct {
	cancel context.CancelFunc
	killed chan struct{}
	ended  chan struct{}
	tap    *tap
}

func surviveKills(t *testing.T, seed uint64, person bool) {
	t.Helper()
	var mu sync.Mutex
	rng, luck := rand.New(rand.NewPCG(seed, 9)), rand.New(rand.NewPCG(seed, 10))
	chance := func(n int) bool {
		mu.Lock()
		defer mu.Unlock()
		return luck.IntN(n) == 0
	}
	box := &inbox{
		answer: func(time.Time) error {
			if chance(4) {
				return errors.New("status 500")
			}
			return nil
		},
		lost: func() bool { return chance(12) },
	}
	p, kept := newTopic(), &cabinet{}
	begin := func(name string) *victim {
		ctx, cancel := context.WithCancel(t.Context())
		v := &victim{cancel: cancel, killed: make(chan struct{}), ended: make(chan struct{})}
		dead := func() bool {
			select {
			case <-v.killed:
				return true
			default:
				return false
			}
		}
		v.tap = &tap{topic: p, dead: dead}
		fail := func() error {
			if chance(15) {
				return errors.New("no server answers")
			}
			return nil
		}
		d := &Deliverer{
			Name: "d", Notifier: box, Feed: v.tap, Keeper: &drawer{cabinet: kept, dead: dead, fail: fail}, Instance: name,
			Router: NewRouter(RouterOptions{Destination: "d", Person: person}),
		}
		go func() {
			defer close(v.ended)
			_ = d.Run(ctx) // a killed one returns nothing
		}()
		return v
	}
	kill := func(v *victim) {
		close(v.killed)
		v.cancel()
		<-v.ended
	}
	a, b := begin("a0"), begin("b0")
	p.give(a.tap)
	ws := lives(rng, 12)
	for i, w := range ws {
		p.publish(w)
		time.Sleep(time.Duration(rng.IntN(20_000)) * time.Millisecond)
		if rng.IntN(6) == 0 {
			kill(a)
			a, b = b, begin(fmt.Sprintf("p%d", i))
			time.Sleep(time.Duration(rng.IntN(12)) * time.Second) // the server moves the feed later
			p.give(a.tap)
		}
	}
	time.Sleep(2 * time.Hour)
	synctest.Wait()
	kill(a)
	kill(b)

	told := map[string]matcher.Warning{}
	listed := map[string]string{}
	for _, n := range box.notices() {
		for _, w := range n.Warnings {
			require.Greater(t, w.Revision, told[w.ID].Revision, "%s is told again, or goes back", w.ID)
			told[w.ID] = w
		}
		if n.Digest != nil {
			for _, k := range n.Digest.Keys {
				listed[k] = k
			}
		}
	}
	last := map[string]matcher.Warning{}
	for _, w := range ws {
		last[w.ID] = w
	}
	for id, w := range last {
		if _, counted := listed[w.Signature+" "+id+" ("+string(w.State)+")"]; counted || w.Retracted && told[id].ID == "" {
			continue
		}
		require.Equal(t, w.State, told[id].State, "%s ends untold", id)
	}
}

func TestASilenceHoldsBackAndTellsAtItsEnd(t *testing.T) {
	for _, person := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			box, p := &inbox{}, newTopic()
			feed := &tap{topic: p}
			p.give(feed)
			silence, err := NewSilence(Silence{Match: []string{"namespace=ns-a"}, End: time.Now().Add(time.Hour), By: "me", Comment: "new disks"}, time.Now())
			require.NoError(t, err)
			list := []Silence{silence}
			d := &Deliverer{
				Name: "d", Notifier: box, Feed: feed, Keeper: &drawer{cabinet: &cabinet{}}, Instance: "one",
				Router: NewRouter(RouterOptions{Destination: "d", Person: person}), Silences: func() []Silence { return list },
			}
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { require.NoError(t, d.Run(ctx)) })
			p.publish(revision("a", 1, matcher.Forming), revision("b", 1, matcher.Forming))
			time.Sleep(30 * time.Minute)
			gone := revision("c", 1, matcher.Forming)
			gone.Key = revision("a", 1, "").Key
			p.publish(gone, revision("a", 2, matcher.Imminent))
			gone.Revision, gone.State = 2, matcher.Averted
			p.publish(gone)
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			require.Equal(t, []string{"b forming"}, tellings(box.notices()))
			require.Equal(t, 1, d.Counts().Held, "of the two, one came and went")
			require.Equal(t, uint64(2), d.Counts().Router.Silenced)
			time.Sleep(time.Hour)
			synctest.Wait()
			require.Equal(t, []string{"b forming", "a imminent"}, tellings(box.notices()), "what is open is told when the silence ends")
			require.Zero(t, d.Counts().Held)
			p.publish(revision("a", 3, matcher.Averted))
			time.Sleep(time.Hour)
			synctest.Wait()
			require.Equal(t, []string{"b forming", "a imminent", "a averted"}, tellings(box.notices()))
			stop()
			running.Wait()
		})
	}
}
