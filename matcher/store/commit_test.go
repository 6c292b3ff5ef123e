package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func commit(s *Store, partition int, c Commit) error {
	_, err := s.Commit(partition, c)
	return err
}

func revision(id string, n uint32, body string) Revision {
	return Revision{
		ID: id, Revision: n, Signature: "etcd-slow-disk", Severity: "critical", State: "forming",
		Opened: time.Unix(1000, 0).UTC(), Time: time.Unix(1000+int64(n), 0).UTC(), Body: []byte(body),
	}
}

// content is all that a partition has.
type content struct {
	Position uint64
	Progress map[string]string
	Outbox   []string
}

func read(t *testing.T, s *Store, partition int) content {
	t.Helper()
	c := content{Progress: map[string]string{}}
	var err error
	c.Position, err = s.Position(partition)
	require.NoError(t, err)
	require.NoError(t, s.LoadProgress(partition, "", func(k, v []byte) error {
		c.Progress[string(k)] = string(v)
		return nil
	}))
	require.NoError(t, s.Outbox(partition, func(p Pending) error {
		c.Outbox = append(c.Outbox, fmt.Sprintf("%s-%d", p.ID, p.Revision.Revision))
		return nil
	}))
	return c
}

func TestCommitKeepsStateOutboxAndPositionTogether(t *testing.T) {
	s := open(t, t.TempDir())
	require.Equal(t, content{Progress: map[string]string{}}, read(t, s, 3))

	require.NoError(t, commit(s, 3, Commit{
		Position: 7,
		Progress: []Entry{{[]byte("a"), []byte("1")}, {[]byte("b"), []byte{}}},
		Outbox:   []Revision{revision("w1", 1, "one"), revision("w2", 1, "two"), revision("w1", 2, "three")},
	}))
	require.Equal(t, content{7, map[string]string{"a": "1", "b": ""}, []string{"w1-1", "w2-1", "w1-2"}}, read(t, s, 3))
	require.Equal(t, content{Progress: map[string]string{}}, read(t, s, 0), "partitions do not see each other")

	first, err := s.Commit(2, Commit{Position: 1})
	require.NoError(t, err)
	require.Zero(t, first)
	var numbers []uint64
	require.NoError(t, s.Outbox(3, func(p Pending) error { numbers = append(numbers, p.Number); return nil }))
	require.Equal(t, []uint64{0, 1, 2}, numbers)
	first, err = s.Commit(3, Commit{
		Position: 9, Progress: []Entry{{Key: []byte("a")}, {[]byte("c"), []byte("3")}},
		Outbox: []Revision{revision("w3", 1, "four")}, Done: numbers[:1],
	})
	require.NoError(t, err)
	require.EqualValues(t, 3, first)
	require.NoError(t, s.OutboxDone(3, numbers[1]))
	require.Equal(t, content{9, map[string]string{"b": "", "c": "3"}, []string{"w1-2", "w3-1"}}, read(t, s, 3))

	require.NoError(t, commit(s, 3, Commit{Position: 10, Kept: []Revision{revision("w4", 1, "told elsewhere")}}))
	_, found, err := s.Warning("w4")
	require.NoError(t, err)
	require.True(t, found)

	require.NoError(t, commit(s, 3, Commit{Position: 1, Reset: true, Progress: []Entry{{[]byte("c"), []byte("new")}}}))
	require.Equal(t, content{1, map[string]string{"c": "new"}, []string{"w1-2", "w3-1"}}, read(t, s, 3))

	positions := map[int]uint64{}
	require.NoError(t, s.Partitions(func(p int, at uint64) error { positions[p] = at; return nil }))
	require.Equal(t, map[int]uint64{2: 1, 3: 1}, positions)
	require.ErrorContains(t, commit(s, 70000, Commit{}), "partition 70000")
}

// small makes a few hundred KiB a large step.
const small = 1 << 20

// huge is a step of several transactions of a small store: many entries, and large ones among them.
func huge(position uint64) (Commit, content) {
	c := Commit{Position: position}
	want := content{Position: position, Progress: map[string]string{}}
	for i := range 3000 {
		k, v := fmt.Sprintf("key-%06d", i), fmt.Sprintf("value-%d-%d", position, i)
		c.Progress = append(c.Progress, Entry{[]byte(k), []byte(v)})
		want.Progress[k] = v
	}
	for i := range 3 {
		k, v := fmt.Sprintf("large-%d", i), strings.Repeat("x", 60_000)
		c.Progress = append(c.Progress, Entry{[]byte(k), []byte(v)})
		want.Progress[k] = v
	}
	giant := strings.Repeat("y", 1<<20) // goes to the value log
	c.Progress = append(c.Progress, Entry{[]byte("giant"), []byte(giant)})
	want.Progress["giant"] = giant
	for i := range 200 {
		r := revision(fmt.Sprintf("w%04d", i), uint32(position), "body")
		c.Outbox = append(c.Outbox, r)
		want.Outbox = append(want.Outbox, fmt.Sprintf("%s-%d", r.ID, r.Revision))
	}
	return c, want
}

func TestCommitOfAnySize(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, memTable: small})
	require.NoError(t, err)
	c, want := huge(1)
	require.NoError(t, commit(s, 1, c))
	require.Equal(t, want, read(t, s, 1))
	require.NoError(t, s.Close())

	s = open(t, dir)
	require.Equal(t, want, read(t, s, 1))
	var deletes Commit
	deletes.Position = 2
	for _, e := range c.Progress {
		deletes.Progress = append(deletes.Progress, Entry{Key: e.Key})
	}
	require.NoError(t, commit(s, 1, deletes))
	require.Empty(t, read(t, s, 1).Progress)

	err = commit(s, 1, Commit{Position: 3, Progress: []Entry{{[]byte("a"), make([]byte, MaxValueBytes+1)}}})
	require.ErrorContains(t, err, "above the limit")
	require.EqualValues(t, 2, read(t, s, 1).Position)
}

// crash copies a data directory as it is on the disk at this moment, without the lock.
func crash(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	require.NoError(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

func TestAKilledProcessLosesNoCommit(t *testing.T) {
	for _, noSync := range []bool{false, true} {
		t.Run(fmt.Sprintf("noSync=%v", noSync), func(t *testing.T) {
			dir := t.TempDir()
			s, err := Open(Options{Dir: dir, NoSync: noSync, memTable: small})
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()
			want := content{Progress: map[string]string{}}
			for i := range 50 {
				k := fmt.Sprintf("k%d", i%7)
				r := revision("w", uint32(i), "b")
				require.NoError(t, commit(s, 0, Commit{Position: uint64(i), Progress: []Entry{{[]byte(k), fmt.Append(nil, i)}}, Outbox: []Revision{r}}))
				want.Position, want.Progress[k] = uint64(i), fmt.Sprint(i)
				want.Outbox = append(want.Outbox, fmt.Sprintf("w-%d", i))
				if i%10 == 9 {
					require.Equal(t, want, read(t, open(t, crash(t, dir)), 0))
				}
			}
		})
	}
}

func TestALogThatWasJustBegunIsNoObstacle(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, memTable: small})
	require.NoError(t, err)
	require.NoError(t, commit(s, 0, Commit{Position: 7}))
	killed := crash(t, dir)
	require.NoError(t, s.Close())
	for _, name := range []string{"00099.mem", "000099.vlog"} {
		require.NoError(t, os.WriteFile(filepath.Join(killed, "store", name), nil, 0o600))
	}
	require.EqualValues(t, 7, read(t, open(t, killed), 0).Position)
}

func TestAnInterruptedCommitIsThereWhollyOrNotAtAll(t *testing.T) {
	old := Commit{Position: 1, Progress: []Entry{{[]byte("key-000001"), []byte("old")}, {[]byte("other"), []byte("old")}}}
	before := content{Position: 1, Progress: map[string]string{"key-000001": "old", "other": "old"}}
	step, after := huge(2)
	after.Progress = maps.Clone(after.Progress)
	after.Progress["other"] = "old"
	cut := errors.New("cut")

	// Count the steps of an undisturbed commit, then cut the commit before each of them.
	var steps []string
	run := func(t *testing.T, at int) (*Store, string, error) {
		t.Helper()
		dir := t.TempDir()
		s, err := Open(Options{Dir: dir, NoSync: true, memTable: small})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		require.NoError(t, commit(s, 0, old))
		n := 0
		s.interrupt = func(name string) error {
			if at < 0 {
				steps = append(steps, name)
			}
			if n++; n-1 == at {
				return cut
			}
			return nil
		}
		err = commit(s, 0, step)
		s.interrupt = nil
		return s, dir, err
	}
	_, _, err := run(t, -1)
	require.NoError(t, err)
	require.Greater(t, len(steps), 8)
	require.Contains(t, steps, "apply")

	seen := map[bool]int{}
	for at, name := range steps {
		t.Run(fmt.Sprintf("%d-%s", at, name), func(t *testing.T) {
			s, dir, err := run(t, at)
			require.ErrorIs(t, err, cut)
			again := open(t, crash(t, dir))
			got := read(t, again, 0)
			taken := got.Position == 2
			seen[taken]++
			if taken {
				require.Equal(t, after, got)
			} else {
				require.Equal(t, before, got)
			}
			for _, table := range []byte{tableStaged, tableMarker} {
				require.NoError(t, again.keys([]byte{table}, func(key []byte) { t.Errorf("left behind: %x", key) }))
			}
			// The process that lives on sees the same, and can commit the step again.
			require.Equal(t, got, read(t, s, 0))
			require.NoError(t, commit(s, 0, step))
			got = read(t, s, 0)
			got.Outbox = got.Outbox[max(0, len(got.Outbox)-200):] // taken twice, it is told twice
			require.Equal(t, after, got)
		})
	}
	require.NotZero(t, seen[true])
	require.NotZero(t, seen[false])
}

func TestPartitionsCommitAtTheSameTime(t *testing.T) {
	s := open(t, t.TempDir())
	var wg sync.WaitGroup
	for p := range 8 {
		wg.Go(func() {
			for i := range 20 {
				err := commit(s, p, Commit{
					Position: uint64(i), Progress: []Entry{{[]byte("k"), fmt.Append(nil, i)}},
					Outbox: []Revision{revision(fmt.Sprintf("w%d", p), uint32(i), "b")},
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			if err := s.Maintain(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for p := range 8 {
		got := read(t, s, p)
		require.EqualValues(t, 19, got.Position)
		require.Equal(t, map[string]string{"k": "19"}, got.Progress)
		require.Len(t, got.Outbox, 20)
	}
}

func TestAnErrorOfTheCallbackComesBackAsItIs(t *testing.T) {
	s := open(t, t.TempDir())
	require.NoError(t, commit(s, 0, Commit{Position: 1, Progress: []Entry{{[]byte("a"), []byte("1")}}, Outbox: []Revision{revision("w", 1, "")}}))
	stop := errors.New("stop")
	require.Equal(t, stop, s.LoadProgress(0, "", func(_, _ []byte) error { return stop }))
	require.Equal(t, stop, s.Outbox(0, func(Pending) error { return stop }))
	require.Equal(t, stop, s.Warnings(Filter{}, func(Revision) error { return stop }))
}

func TestDamagedStateIsToldWithWhatToDo(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, s.atOnce([]write{{key: partKey(tablePosition, 0), value: []byte("junk")}}))
	_, err = s.Position(0)
	require.ErrorIs(t, err, ErrCorrupt)
	require.NoError(t, commit(s, 1, Commit{Position: 5, Progress: []Entry{{[]byte("k"), bytes.Repeat([]byte("v"), 1000)}}}))
	require.NoError(t, s.Close())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "store", "MANIFEST"), []byte("this is not a manifest at all"), 0o600))
	_, err = Open(Options{Dir: dir})
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, "move "+filepath.Join(dir, "store")+" away")
}

func TestProgressIsLoadedWithoutWhatIsAskedForOneByOne(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	_, err := s.Commit(3, Commit{Position: 1, Progress: []Entry{
		{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("e"), Value: []byte("2")}, {Key: []byte("e\xff\xff"), Value: []byte("3")}, {Key: []byte("f"), Value: []byte("4")},
	}})
	require.NoError(t, err)
	_, err = s.Commit(2, Commit{Position: 1, Progress: []Entry{{Key: []byte("e"), Value: []byte("of another partition")}}})
	require.NoError(t, err)
	for without, want := range map[string]string{"": "1234", "e": "14", "a": "234", "f": "123", "x": "1234"} {
		var got []byte
		require.NoError(t, s.LoadProgress(3, without, func(_, value []byte) error {
			got = append(got, value...)
			return nil
		}))
		require.Equal(t, want, string(got), "without %q", without)
	}
	value, err := s.ProgressEntry(3, []byte("e"))
	require.NoError(t, err)
	require.Equal(t, "2", string(value))
	value, err = s.ProgressEntry(3, []byte("x"))
	require.NoError(t, err)
	require.Nil(t, value)
	require.NoError(t, s.Close())
	_, err = s.ProgressEntry(3, []byte("e"))
	require.ErrorIs(t, err, ErrClosed)
}
