package sightings

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

// rig is a cluster: ledgers, a log of warnings, and processes that keep books.
type rig struct {
	t                   *testing.T
	sightings, feedback memory
	history             told
	shared              *memory
	later               atomic.Int64 // by how much the clock of the books is ahead
}

// process starts a keeper; the returned function kills it.
func (r *rig) process() (*Keeper, func()) {
	r.t.Helper()
	k := &Keeper{Book: &Book{Now: func() time.Time { return time.Now().Add(time.Duration(r.later.Load())) }}, Sightings: &r.sightings, Feedback: &r.feedback, History: &r.history, Kubernetes: func() string { return "v1.31.0" }}
	if r.shared != nil {
		k.Shared = func(context.Context) (Ledger, error) { return r.shared, nil }
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	require.NoError(r.t, k.Open(ctx))
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := k.Run(ctx); err != nil {
			r.t.Error(err)
		}
	})
	return k, func() { cancel(); ended.Wait() }
}

func TestAWarningCountsOnceWhateverDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t}
		var kill []func()
		start := func() {
			_, end := r.process()
			kill = append(kill, end)
		}
		start()
		start()
		for i := range 200 {
			r.history.tell(warning(i, []float64{0, 5}, 0, 0), warning(i, []float64{0, 5}, 9, 20))
			if i%7 == 0 {
				time.Sleep(700 * time.Millisecond)
			}
			if i%31 == 0 { // one dies anywhere, and another starts, from the position or from the beginning
				kill[0]()
				kill = kill[1:]
				if i%2 == 0 {
					require.NoError(t, r.sightings.Remove(t.Context(), positionKey))
				}
				start()
			}
		}
		time.Sleep(time.Minute)
		k, end := r.process()
		kill = append(kill, end)
		here, elsewhere := k.Book.Sightings()
		require.Equal(t, uint64(200), here)
		require.Zero(t, elsewhere)
		for _, end := range kill {
			end()
		}
	})
}

func TestACorrectionReplacesWhatWasCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t}
		k, end := r.process()
		defer end()
		w := warning(1, []float64{0, 5}, 0, 20)
		r.history.tell(w)
		time.Sleep(2 * time.Second)
		require.Equal(t, uint64(1), k.Book.Own()[0].Rungs[2].Averted)
		w = warning(1, []float64{0, 5}, 9, 20)
		w.Revision = 2
		r.history.tell(w)
		time.Sleep(2 * time.Second)
		own := k.Book.Own()[0]
		require.Equal(t, Rung{Incident: 1, Next: own.Rungs[2].Next, ToIncident: own.Rungs[2].ToIncident}, own.Rungs[2])
		w.Revision, w.Retracted, w.State = 3, true, matcher.Expired
		r.history.tell(w)
		time.Sleep(2 * time.Second)
		here, _ := k.Book.Sightings()
		require.Zero(t, here)
		require.Greater(t, k.Book.Own()[0].Version, own.Version, "others are told that it is taken back")
	})
}

func TestAMonthThatIsLongOverIsClosedOnceAndKeepsWhatItTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t}
		k, end := r.process()
		_, endOther := r.process()
		r.history.tell(ladders()...)
		time.Sleep(2 * time.Second)
		restart := warning(1, nil, 0, 0).Remedies[1].Name()
		require.NoError(t, k.Book.Give(t.Context(), Feedback{Warning: "00000000000000c8", Verdict: AvertedBy, Remedy: restart, By: "ann"}))
		require.NoError(t, k.Book.Give(t.Context(), Feedback{Warning: "00000000000000c9", Verdict: AvertedBy, Remedy: "asked Bob", By: "ann"}))
		time.Sleep(2 * time.Second)
		open := warning(1, []float64{0}, 0, 0)
		before, own := k.Book.OutlookAt(&open, open.Opened), k.Book.Own()[0]
		r.sightings.mu.Lock()
		many := len(r.sightings.entries)
		r.sightings.mu.Unlock()
		require.Greater(t, many, 30)

		r.later.Store(int64(140 * 24 * time.Hour))
		time.Sleep(5 * time.Second)
		require.Equal(t, before, k.Book.OutlookAt(&open, open.Opened))
		require.Equal(t, own.encoding(), k.Book.Own()[0].encoding())
		left := 0
		r.sightings.mu.Lock()
		for _, e := range r.sightings.entries {
			left += int(b2u(e.Value != nil))
		}
		r.sightings.mu.Unlock()
		require.LessOrEqual(t, left, 3, "origin, position and the month")
		require.Empty(t, k.Book.Feedback("00000000000000c8"), "it is counted in the month")
		end()
		endOther()
		fresh, end := r.process()
		defer end()
		require.Equal(t, before, fresh.Book.OutlookAt(&open, open.Opened), "a new process reads the same")
	})
}

func TestFeedbackReachesEveryProcessAndTheLastOfAPersonCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t}
		a, endA := r.process()
		defer endA()
		b, endB := r.process()
		defer endB()
		give := func(v Verdict, by, remedy string) {
			require.NoError(t, a.Book.Give(t.Context(), Feedback{Warning: "00000000000000c8", Verdict: v, By: by, Remedy: remedy}))
			time.Sleep(time.Second)
		}
		give(Acknowledged, "ann", "")
		give(FalseAlarm, "ann", "")
		give(FalseAlarm, "bob", "")
		give(AvertedBy, "ann", "sat on it")
		got := b.Book.Feedback("00000000000000c8")
		require.Equal(t, []Verdict{Acknowledged, FalseAlarm, AvertedBy}, []Verdict{got[0].Verdict, got[1].Verdict, got[2].Verdict})
		require.Equal(t, "ann", got[2].By)
		require.ErrorIs(t, a.Book.Give(t.Context(), Feedback{Warning: "x", Verdict: FalseAlarm}), ErrBadFeedback)
		r.feedback.refuse = true
		require.ErrorContains(t, a.Book.Give(t.Context(), got[0]), "store feedback")
	})
}

func TestClustersShareWhatTheyCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &memory{}
		var books []*Book
		for range 2 {
			r := &rig{t: t, shared: shared}
			k, end := r.process()
			defer end()
			books = append(books, k.Book)
			r.history.tell(ladders()...)
		}
		time.Sleep(3 * time.Minute)
		open := warning(1, []float64{0}, 0, 0)
		for _, b := range books {
			o := b.OutlookAt(&open, open.Opened)
			require.Equal(t, uint64(30), o.Here.Reached)
			require.Equal(t, uint64(30), o.Elsewhere.Reached)
		}
		puts := shared.seq
		time.Sleep(time.Hour)
		require.Equal(t, puts, shared.seq, "what did not change is not sent again")
		for _, e := range shared.entries {
			_, err := ReadTally(e.Value)
			require.NoError(t, err)
			require.NotContains(t, string(e.Value), "queue-grows")
		}
		// Somebody else's rubbish in the shared bucket harms nobody.
		_, err := shared.Put(t.Context(), "x", []byte("{"))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Equal(t, uint64(30), books[0].OutlookAt(&open, open.Opened).Elsewhere.Reached)
	})
}

func TestImportedSightingsStayAndCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := bookOf(t, start, ladders()...)
		from.origin = "fedcba9876543210"
		r := &rig{t: t}
		k, end := r.process()
		n, err := k.Import(t.Context(), from.Tallies())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		n, err = k.Import(t.Context(), append(from.Tallies(), k.Book.Tallies()...))
		require.NoError(t, err)
		require.Zero(t, n)
		end()
		k, end = r.process()
		defer end()
		_, elsewhere := k.Book.Sightings()
		require.Equal(t, uint64(30), elsewhere)
	})
}

func TestAFileThatIsNotAsItShouldBeIsRefusedWithPlaceAndMend(t *testing.T) {
	good := exported(t, bookOf(t, start, ladders()...).Tallies())
	all, err := Read("good.json", strings.NewReader(string(good)))
	require.NoError(t, err)
	require.Len(t, all, 1)
	for _, c := range []struct{ name, old, with, want string }{
		{"not JSON", "{", "queue", "bad.json:1:2: it is no JSON"},
		{"cut off", "]}\n", "", "it ends early"},
		{"another kind", fileKind, "other", `kind is "other"`},
		{"another version", `"version":1,"tallies"`, `"version":2,"tallies"`, "version is 2"},
		{"an unknown field", `"kind"`, `"name": "cart", "kind"`, `unknown field "name"`},
		{"a name in the digest", digest, "cart", `tallies[0].digest: "cart"`},
		{"a month of no year", "2026-11", "20261-1", "tallies[0].month"},
		{"a text for a number", `"finished":30`, `"finished":"many"`, "finished is a string"},
		{"counts that do not agree", `"finished":30`, `"finished":31`, "was it edited?"},
		{"a version that is none", `"1.31":30`, `"prod":30`, `tallies[0].kubernetes: "prod"`},
		{"a histogram of nothing", `"came":[`, `"came":[[200, 1],`, "buckets rise"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := strings.Replace(string(good), c.old, c.with, 1)
			require.NotEqual(t, string(good), bad)
			_, err := Read("bad.json", strings.NewReader(bad))
			require.ErrorContains(t, err, "bad.json:")
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err = Read("two.json", strings.NewReader(string(good)+"{}"))
	require.ErrorContains(t, err, "something follows")
}

func FuzzRead(f *testing.F) {
	good := exported(f, []*Tally{{
		Origin: "0123456789abcdef", Digest: digest, Month: "2026-11", Version: 3, Finished: 2, Kubernetes: map[string]uint64{"1.31": 2},
		Rungs: []Rung{{}, {Averted: 2, Next: Curve{Came: Histogram{{3, 1}}}}}, Remedies: []Done{{0, 1, 1}}, Lead: Histogram{{9, 1}},
	}})
	f.Add(good)
	f.Add([]byte(`{"kind":"forewarn-sightings","version":1,"tallies":[null]}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := Read("x", strings.NewReader(string(b)))
		if err != nil {
			return
		}
		out := exported(t, all)
		again, err := Read("x", strings.NewReader(string(out)))
		require.NoError(t, err, "what was read is written and read again")
		require.Len(t, again, len(all))
		book := &Book{}
		book.share(all...)
		w := warning(1, []float64{0}, 0, 0)
		for _, x := range all {
			w.Digest = x.Digest
			require.NotPanics(t, func() { book.OutlookAt(&w, start) })
		}
		eachText(mustTree(t, out), func(path, text string) {
			require.Contains(t, []string{".kind", ".tallies.origin", ".tallies.digest", ".tallies.month"}, path, text)
		})
	})
}

func mustTree(t *testing.T, b []byte) (tree any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(b, &tree))
	return tree
}

func TestRemediesAreFoundByWhatPeopleSay(t *testing.T) {
	remedies := warning(1, nil, 0, 0).Remedies
	for words, want := range map[string]string{
		"1": "look: Look at the queue.", "restart": "restart: Restart the consumer.", "Restart the": "restart: Restart the consumer.",
		"restart: Restart the consumer.": "restart: Restart the consumer.", "9": "9", "prayed": "prayed", "  sat   on it ": "sat on it", "": "",
	} {
		require.Equal(t, want, FindRemedy(remedies, words), "%q", words)
	}
	require.Equal(t, "restart", FindRemedy(append(slices.Clone(remedies), remedies[1]), "restart"), "it could be either")
}
