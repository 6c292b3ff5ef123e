package kube

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPromises: what a kind is known up to, step by step.
func TestPromises(t *testing.T) {
	t.Parallel()
	sec := func(s float64) time.Time { return at(0).Add(time.Duration(s * float64(time.Second))) }
	never := time.Time{}
	type step struct {
		do   func(u *upTo)
		now  float64
		want time.Time
	}
	list := func(s float64) func(*upTo) { return func(u *upTo) { u.listed(sec(s)) } }
	open := func(u *upTo) { u.opened() }
	wait := func(s float64) func(*upTo) { return func(u *upTo) { u.reading(sec(s)) } }
	read := func(s float64) func(*upTo) { return func(u *upTo) { u.read(sec(s)) } }
	closed := func(u *upTo) { u.closed(nil) }
	resume := func(u *upTo) { u.resumed() }
	for name, steps := range map[string][]step{
		"nothing is known before the first list": {{nil, 1, never}, {open, 2, never}, {wait(3), 10, never}},
		"a list is known up to when it began, and a silent watch is believed for a while": {
			{list(5), 9, sec(5)}, {open, 10, sec(5)}, {wait(10), 10.5, sec(5)}, {nil, 11, sec(10)}, {nil, 20, sec(10)}, {nil, 40, sec(25)},
		},
		"what came while nobody listened comes first": {
			{list(5), 6, sec(5)},
			{closed, 100, sec(5)},
			{open, 100, sec(5)},
			{wait(100), 100.1, sec(5)},
			{read(100.1), 100.2, sec(5)},
			{wait(101), 101.5, sec(5)},
			{read(101.5), 101.6, sec(5)},
			{wait(102), 103.1, sec(102)},
		},
		"a busy watch is known up to when it had to be waited for": {
			{list(5), 6, sec(5)},
			{open, 6, sec(5)},
			{wait(6), 8, sec(6)},
			{read(8), 8, sec(6)},
			{wait(8.1), 8.1, sec(6)},
			{read(8.2), 8.3, sec(8.1)},
			{wait(9), 9, sec(8.1)},
			{read(9), 9, sec(8.1)},
			{wait(20), 20, sec(8.1)},
			{read(20.01), 21, sec(20)},
		},
		"a connection that is lost is known up to its last sign": {
			{list(5), 6, sec(5)}, {open, 6, sec(5)}, {wait(6), 30, sec(15)}, {read(30), 30, sec(6)}, {closed, 100, sec(6)},
		},
		"after a restart what came meanwhile comes first": {{resume, 1, never}, {open, 1, never}, {wait(1), 1.5, never}, {nil, 2.5, sec(1)}},
	} {
		var u upTo
		for i, s := range steps {
			if s.do != nil {
				s.do(&u)
			}
			got, ok, counts := u.at(sec(s.now))
			require.True(t, counts)
			require.Equal(t, s.want != never, ok, "%s, step %d", name, i)
			if ok {
				require.Equal(t, s.want, got, "%s, step %d", name, i)
			}
		}
	}
}

// TestPromiseIsThatOfTheSlowestKind but of those that cannot be watched.
func TestPromiseIsThatOfTheSlowestKind(t *testing.T) {
	t.Parallel()
	kinds := []*kindChanges{{reflector: &reflector{}}, {reflector: &reflector{}}, {reflector: &reflector{}}}
	promise := func() (time.Time, bool) { return knownUpTo(at(9), kinds) }
	kinds[0].reflector.known.listed(at(5))
	kinds[1].reflector.known.listed(at(3))
	_, ok := promise()
	require.False(t, ok, "of one nothing is known yet")
	kinds[2].reflector.known.deny(true)
	got, ok := promise()
	require.True(t, ok)
	require.Equal(t, at(3), got)
	kinds[2].reflector.known.deny(false)
	_, ok = promise()
	require.False(t, ok)
	for _, k := range kinds {
		k.reflector.known.deny(true)
	}
	_, ok = promise()
	require.False(t, ok, "who sees nothing promises nothing")
}

func TestWhatIsNotWatchedIsTold(t *testing.T) {
	t.Parallel()
	kinds := []*kindChanges{{resource: resource{name: "a"}, reflector: &reflector{}}, {resource: resource{name: "b"}, reflector: &reflector{}}}
	lost, begun := missing(kinds)
	require.Nil(t, lost)
	require.False(t, begun)
	for _, k := range kinds {
		k.reflector.known.opened()
	}
	lost, begun = missing(kinds)
	require.Nil(t, lost)
	require.True(t, begun)
	kinds[0].reflector.known.listed(at(1))
	kinds[0].reflector.known.closed(nil) // as planned
	kinds[1].reflector.known.closed(errStop)
	lost, _ = missing(kinds)
	require.Equal(t, "b", lost.resource.String())
	require.ErrorIs(t, lost.cause, errStop)
	kinds[1].reflector.known.deny(true)
	lost, begun = missing(kinds)
	require.Nil(t, lost)
	require.True(t, begun)
}
