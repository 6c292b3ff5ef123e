package store

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata anew")

func TestASecondProcessIsRefused(t *testing.T) {
	if dir := os.Getenv("FOREWARN_TEST_OPEN"); dir != "" { // the second process
		_, err := Open(Options{Dir: dir})
		fmt.Println(err)
		return
	}
	dir := t.TempDir()
	s := open(t, dir)
	want := fmt.Sprintf("data directory %s is in use by another forewarn (pid %d): stop it or choose another with --data-dir", dir, os.Getpid())

	_, err := Open(Options{Dir: dir})
	var inUse *InUseError
	require.ErrorAs(t, err, &inUse)
	require.Equal(t, os.Getpid(), inUse.PID)
	require.EqualError(t, err, want)

	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestASecondProcessIsRefused$")
	cmd.Env = append(os.Environ(), "FOREWARN_TEST_OPEN="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), want)

	require.NoError(t, s.Close())
	open(t, dir)
}

func TestCloseIsSafe(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir()})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())

	require.ErrorIs(t, commit(s, 0, Commit{}), ErrClosed)
	_, err = s.Position(0)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, s.LoadProgress(0, nil), ErrClosed)
	require.ErrorIs(t, s.Outbox(0, nil), ErrClosed)
	require.ErrorIs(t, s.OutboxDone(0, 1), ErrClosed)
	require.ErrorIs(t, s.Warnings(Filter{}, nil), ErrClosed)
	require.ErrorIs(t, s.PutWarning(Revision{ID: "w"}), ErrClosed)
	_, _, err = s.LoadSet("s")
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, s.SaveSet("s", &Set{}, nil, nil), ErrClosed)
	_, _, err = s.Bucket("b").Get(nil)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, s.Bucket("b").Put(nil, nil, 0), ErrClosed)
	require.ErrorIs(t, s.Maintain(t.Context()), ErrClosed)
	require.Zero(t, s.Sizes())
}

func TestAFullDiskRefusesWritesAndGivesThemBack(t *testing.T) {
	now := time.Unix(1000, 0)
	s, err := Open(Options{InMemory: true, Now: func() time.Time { return now }})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	left := uint64(10 << 20)
	s.free = func(string) (uint64, bool) { return left, true }
	now = now.Add(time.Second)

	err = commit(s, 0, Commit{Position: 1})
	require.ErrorIs(t, err, ErrDiskFull)
	require.ErrorContains(t, err, "10 MiB are left")
	require.ErrorContains(t, err, "free some space")
	at, err := s.Position(0)
	require.NoError(t, err, "reading goes on")
	require.Zero(t, at)

	left = 1 << 30
	now = now.Add(time.Second)
	require.NoError(t, commit(s, 0, Commit{Position: 1}))

	err = s.explain("commit", fmt.Errorf("write: %w", syscall.ENOSPC))
	require.ErrorIs(t, err, ErrDiskFull)
}

func TestANewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, s.atOnce([]write{{key: formatKey(), value: binary.BigEndian.AppendUint64(nil, Format+1)}}))
	require.NoError(t, s.Close())

	_, err = Open(Options{Dir: dir})
	var newer *NewerFormatError
	require.ErrorAs(t, err, &newer)
	require.EqualValues(t, Format+1, newer.Found)
	require.ErrorContains(t, err, "use the newer forewarn")
	_, err = Open(Options{Dir: dir})
	require.ErrorAs(t, err, &newer, "a refusal gives the lock back")
}

// TestAnOldDirectoryStillOpens reads testdata/format1, which the first version of this package wrote.
// It is never to be written anew, but for a new format beside it: go test -update.
func TestAnOldDirectoryStillOpens(t *testing.T) {
	old := filepath.Join("testdata", fmt.Sprintf("format%d", Format))
	if *update {
		if _, err := os.Stat(old); os.IsNotExist(err) {
			writeOld(t, old)
		}
	}
	for f := 1; f <= Format; f++ {
		dir := t.TempDir()
		require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", fmt.Sprintf("format%d", f)))))
		s := open(t, dir)
		require.Equal(t, content{42, map[string]string{"a": "1", "b": ""}, []string{"w1-2"}}, read(t, s, 3))
		var ids []string
		require.NoError(t, s.Warnings(Filter{}, func(r Revision) error { ids = append(ids, r.ID+" "+string(r.Body)); return nil }))
		require.Equal(t, []string{"w1 two"}, ids)
		_, found, err := s.LoadSet("default")
		require.NoError(t, err)
		require.False(t, found, "its files are read anew, and what it kept of them goes then")
		_, bodies, _ := someSet()
		sig, found, err := s.Signature(digest(bodies[0]))
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, "etcd-slow-disk", sig.ID)
		set, bodies, index := someSet()
		require.NoError(t, s.SaveSet("default", set, bodies, index))
		require.NoError(t, s.keys([]byte{tableOldSet}, func(key []byte) { t.Errorf("%q is left", key) }))
		require.NoError(t, s.keys([]byte{tablePosting}, func(key []byte) { t.Errorf("%q is left", key) }))
		v, found, err := s.Bucket("sightings").Get([]byte("k"))
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, "v", string(v))
	}
}

func writeOld(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(Options{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, commit(s, 3, Commit{
		Position: 42, Progress: []Entry{{[]byte("a"), []byte("1")}, {[]byte("b"), []byte{}}},
		Outbox: []Revision{revision("w1", 1, "one"), revision("w1", 2, "two")},
	}))
	require.NoError(t, s.OutboxDone(3, 0))
	set, bodies, index := someSet()
	require.NoError(t, s.SaveSet("default", set, bodies, index))
	require.NoError(t, s.Bucket("sightings").Put([]byte("k"), []byte("v"), 0))
	require.NoError(t, s.Close())
	for _, f := range []string{"forewarn.lock", "store/DISCARD", "store/LOCK"} { // made again when they are missing
		require.NoError(t, os.RemoveAll(filepath.Join(dir, f)))
	}
}
