package signatures

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, text, 0o644))
}

func ids(s *Set) string {
	var out []string
	for _, x := range s.All() {
		out = append(out, x.ID)
	}
	return strings.Join(out, " ")
}

func TestLoadReadsDirectoriesInOrder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "b.yaml"), Template("zeta"))
	write(t, filepath.Join(dir, "sub", "a.yml"), Template("alpha"))
	write(t, filepath.Join(dir, "sub", "notes.txt"), []byte("not read"))
	write(t, filepath.Join(dir, "sub", "a.yaml~"), []byte("not read"))
	write(t, filepath.Join(dir, ".hidden", "c.yaml"), []byte("not read"))
	write(t, filepath.Join(dir, "one.txt"), Template("named"))
	set, problems := Load([]string{dir, filepath.Join(dir, "one.txt"), filepath.Join(dir, "sub")}, Options{Catalogue: true})
	require.Empty(t, render(problems))
	require.Equal(t, "alpha named zeta", ids(set))

	files, problems := List([]string{dir, filepath.Join(dir, "one.txt"), filepath.Join(dir, "sub")})
	require.Empty(t, problems)
	require.Len(t, files, 3, "a file that two paths lead to is read once")

	s, ok := set.Get("named")
	require.True(t, ok)
	require.Equal(t, "named", s.ID)
	_, ok = set.Get("none")
	require.False(t, ok)
}

func TestLoadReportsEveryFileAndKeepsTheSoundOnes(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), Template("a"))
	write(t, filepath.Join(dir, "b.yaml"), []byte("id: [\n"))
	write(t, filepath.Join(dir, "c.yaml"), Template("a"))
	require.NoError(t, os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "d.yaml")))
	require.NoError(t, os.Symlink(dir, filepath.Join(dir, "loop")))
	set, problems := Load([]string{dir, filepath.Join(dir, "missing")}, Options{})
	require.Equal(t, "a", ids(set))
	text := render(problems)
	require.Contains(t, text, "b.yaml:1:")
	require.Contains(t, text, `c.yaml:3:5: the id "a" is taken by `+filepath.Join(dir, "a.yaml")+":3")
	require.Contains(t, text, "d.yaml: stat: no such file")
	require.Contains(t, text, "missing: stat: no such file")
	require.Contains(t, text, "nested deeper than")
}

func TestLoadFSReadsAnEmbeddedCatalogue(t *testing.T) {
	fsys := fstest.MapFS{
		"b.yaml": {Data: Template("b")}, "sub/a.yaml": {Data: Template("a")}, "README.md": {Data: []byte("x")}, ".x/c.yaml": {Data: []byte("x")},
		"bad.yaml": {Data: []byte("nothing")},
	}
	set, problems := LoadFS(fsys, Options{})
	require.Equal(t, "a b", ids(set))
	require.Len(t, problems, 1)
	require.Equal(t, "bad.yaml", problems[0].File)
}

func TestForeignFilesLieBesideSignatures(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), Template("a"))
	write(t, filepath.Join(dir, "rules.yaml"), []byte("rules: []\n"))
	foreign := func(file string, src []byte) ([]*Signature, []Problem, bool) {
		if !strings.HasPrefix(string(src), "rules:") {
			return nil, nil, false
		}
		return []*Signature{{ID: "from-" + filepath.Base(file)}}, nil, true
	}
	set, problems := Load([]string{dir}, Options{Foreign: foreign})
	require.Empty(t, problems)
	require.Equal(t, "a from-rules.yaml", ids(set))
}

func TestMergeLetsTheLaterReplace(t *testing.T) {
	mine := sound(t, "mine.yaml", []byte(strings.Replace(string(Template("b")), "severity: high", "severity: low", 1)))
	shipped, problems := NewSet(append(sound(t, "x.yaml", Template("b")), sound(t, "x.yaml", Template("a"))...))
	require.Empty(t, problems)
	own, problems := NewSet(mine)
	require.Empty(t, problems)
	both := Merge(shipped, nil, own)
	require.Equal(t, "a b", ids(both))
	b, _ := both.Get("b")
	require.Equal(t, Low, b.Severity)
	require.Zero(t, (*Set)(nil).Len())
}

// seen collects what Load gives whenever Follow says that something changed.
type seen struct {
	mu       sync.Mutex
	set      *Set
	problems []Problem
}

func (s *seen) take(set *Set, problems []Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set, s.problems = set, problems
}

func (s *seen) now() (string, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ids(s.set), render(s.problems)
}

func watching(t *testing.T, path string, opts WatchOptions) *seen {
	t.Helper()
	var s seen
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Follow(ctx, []string{path}, opts, func() { s.take(Load([]string{path}, Options{})) }) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
	return &s
}

func (s *seen) wait(t *testing.T, want string) {
	t.Helper()
	require.Eventually(t, func() bool { got, _ := s.now(); return got == want }, 10*time.Second, 5*time.Millisecond, "want %q", want)
}

func TestFollowSeesHoweverFilesChange(t *testing.T) {
	fast := WatchOptions{Debounce: 10 * time.Millisecond, Interval: time.Hour}

	t.Run("written in place and removed", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a.yaml"), Template("a"))
		s := watching(t, dir, fast)
		s.wait(t, "a")
		write(t, filepath.Join(dir, "b.yaml"), Template("b"))
		s.wait(t, "a b")
		write(t, filepath.Join(dir, "new", "deep", "c.yaml"), Template("c"))
		s.wait(t, "a b c")
		write(t, filepath.Join(dir, "new", "deep", "d.yaml"), Template("d"))
		s.wait(t, "a b c d")
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "new")))
		s.wait(t, "a b")
	})
	t.Run("renamed over, as editors do", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "a.yaml")
		write(t, file, Template("a"))
		s := watching(t, file, fast)
		s.wait(t, "a")
		for _, id := range []string{"b", "c"} {
			write(t, file+".tmp", Template(id))
			require.NoError(t, os.Rename(file+".tmp", file))
			s.wait(t, id)
		}
	})
	t.Run("swapped by a link, as a ConfigMap is", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "..1", "a.yaml"), Template("one"))
		require.NoError(t, os.Symlink("..1", filepath.Join(dir, "..data")))
		require.NoError(t, os.Symlink("..data/a.yaml", filepath.Join(dir, "a.yaml")))
		s := watching(t, dir, fast)
		s.wait(t, "one")
		for i, id := range []string{"two", "three"} {
			next := "..next" + strings.Repeat("x", i)
			write(t, filepath.Join(dir, next, "a.yaml"), Template(id))
			require.NoError(t, os.Symlink(next, filepath.Join(dir, "..data_tmp")))
			require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
			s.wait(t, id)
		}
	})
	t.Run("by the interval alone", func(t *testing.T) {
		dir, target := t.TempDir(), t.TempDir()
		write(t, filepath.Join(target, "x.yaml"), Template("x"))
		s := watching(t, filepath.Join(dir, "absent"), WatchOptions{Debounce: time.Millisecond, Interval: 10 * time.Millisecond})
		s.wait(t, "")
		require.NoError(t, os.Symlink(target, filepath.Join(dir, "absent")))
		s.wait(t, "x")
	})
	t.Run("a bad version is told", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a.yaml"), Template("a"))
		s := watching(t, dir, fast)
		s.wait(t, "a")
		write(t, filepath.Join(dir, "a.yaml"), []byte("id: a\nseverity: worst\n"))
		require.Eventually(t, func() bool { _, told := s.now(); return strings.Contains(told, "worst") }, 10*time.Second, 5*time.Millisecond)
	})
}
