package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func ids(t *testing.T, s *Store, f Filter) []string {
	t.Helper()
	got := []string{}
	require.NoError(t, s.Warnings(f, func(r Revision) error { got = append(got, r.ID); return nil }))
	return got
}

func TestWarningsComeNewestFirst(t *testing.T) {
	s := open(t, t.TempDir())
	at := func(sec int64) time.Time { return time.Unix(sec, 0).UTC() }
	for _, r := range []Revision{
		{ID: "middle", Revision: 1, Signature: "a", Opened: at(200)},
		{ID: "newest", Revision: 1, Signature: "b", Opened: at(300), Final: true},
		{ID: "oldest", Revision: 1, Signature: "a", Opened: at(100)},
		{ID: "before-1970", Revision: 1, Signature: "a", Opened: at(-100), Final: true},
	} {
		require.NoError(t, s.PutWarning(r))
	}
	for name, c := range map[string]struct {
		filter Filter
		want   []string
	}{
		"all":       {Filter{}, []string{"newest", "middle", "oldest", "before-1970"}},
		"open":      {Filter{Open: true}, []string{"middle", "oldest"}},
		"finished":  {Filter{Finished: true}, []string{"newest", "before-1970"}},
		"signature": {Filter{Signature: "a"}, []string{"middle", "oldest", "before-1970"}},
		"limit":     {Filter{Signature: "a", Limit: 1}, []string{"middle"}},
		"since":     {Filter{Since: at(200)}, []string{"newest", "middle"}},
		"until":     {Filter{Until: at(200)}, []string{"oldest", "before-1970"}},
		"between":   {Filter{Since: at(100), Until: at(300)}, []string{"middle", "oldest"}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, ids(t, s, c.filter)) })
	}
}

func TestAnOlderRevisionChangesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	require.NoError(t, s.PutWarning(revision("w", 2, "two")))
	require.NoError(t, s.PutWarning(revision("w", 1, "one")))
	r, found, err := s.Warning("w")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, revision("w", 2, "two"), r)
	_, found, err = s.Warning("other")
	require.NoError(t, err)
	require.False(t, found)
}

func TestACorrectedOpeningTimeLeavesOneWarning(t *testing.T) {
	s := open(t, t.TempDir())
	r := revision("w", 1, "one")
	require.NoError(t, s.PutWarning(r))
	r.Revision, r.Opened = 2, r.Opened.Add(-time.Minute)
	require.NoError(t, commit(s, 0, Commit{Position: 1, Outbox: []Revision{r}}))
	require.Equal(t, []string{"w"}, ids(t, s, Filter{}))

	require.NoError(t, s.Maintain(t.Context()))
	entries := 0
	require.NoError(t, s.keys([]byte{tableNewest}, func([]byte) { entries++ }))
	require.Equal(t, 1, entries)
	require.Equal(t, []string{"w"}, ids(t, s, Filter{}))
}

func TestFinishedWarningsAreForgottenAfterTheRetention(t *testing.T) {
	now := time.Now()
	s, err := Open(Options{InMemory: true, Retention: time.Hour, Now: func() time.Time { return now }})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	now = now.Add(-2 * time.Hour) // written two hours ago
	final := revision("finished", 2, "")
	final.Final = true
	require.NoError(t, commit(s, 0, Commit{Position: 1, Outbox: []Revision{final, revision("open", 1, "")}}))
	require.Equal(t, []string{"open"}, ids(t, s, Filter{}))
	require.Len(t, read(t, s, 0).Outbox, 2, "what was not told yet is still told")

	now = now.Add(90 * time.Minute)
	require.NoError(t, s.PutWarning(final))
	require.Equal(t, []string{"finished", "open"}, ids(t, s, Filter{}))
}
