package collector

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/format"
)

func TestRotatedFilesAreToldByTheirNames(t *testing.T) {
	t.Parallel()
	there := map[string]bool{"0.log": true, "app.log": true, "app": true, "messages": true, "kube-apiserver.log": true}
	exists := func(name string) bool { return there[name] }
	for name, want := range map[string]string{
		"0.log": "", "app.log": "", "1.log": "", "web.log": "", "app.log.err": "", "app-1.log": "", "appendix.1": "", ".1": "", "": "",
		"0.log.20261125-221900": "0.log", "0.log.20261125-221900.gz": "0.log", "0.log.20261125-221900.tmp": "0.log",
		"app.log.1": "app.log", "app.log.12.gz": "app.log", "app.log-20261125": "app.log", "app.log-20261125.zst": "app.log", "app.log.old": "app.log",
		"app-20261125.log": "app.log", "app-2026-11-25T22-19-00.000.log": "app.log", "messages-20261125": "messages", "messages.1": "messages",
		"kube-apiserver-2026-11-25T22-19-00.000.log": "kube-apiserver.log",
	} {
		require.Equal(t, want, rotatedFrom(name, exists), name)
	}
}

func TestACheckpointThatCannotBeReadIsAnErrorThatSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"{": "delete it to begin anew", `{"version":9}`: "its version is 9, and this build reads 1"} {
		a := &archive{kept: map[string][]byte{"files": []byte(text)}}
		f, err := Open(Options{Paths: []string{t.TempDir()}, Follow: true, Checkpoints: a, Checkpoint: "files", Now: present})
		require.NoError(t, err)
		err = f.Run(t.Context(), a.emit)
		require.ErrorContains(t, err, "load checkpoint files")
		require.ErrorContains(t, err, want)
	}
}

func TestFilesThatVanishWhileNothingReadsAreCounted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var a archive
	w := &watching{t: t, dir: dir}
	w.append("a.log", stamp+"one\n")
	w.append("b.log", stamp+"two\n")
	_, stop := a.begin(t, Options{Paths: []string{dir}})
	require.Eventually(t, func() bool { return len(a.lines()) == 2 }, patience, time.Millisecond)
	stop()
	require.NoError(t, os.Remove(filepath.Join(dir, "a.log")))
	w.append("b.log", stamp+"three\n")
	f, stop := a.begin(t, Options{Paths: []string{dir}})
	require.Eventually(t, func() bool { return len(a.lines()) == 3 }, patience, time.Millisecond)
	stop()
	st := f.Stats()
	require.Equal(t, uint64(1), st.Counts.Get(format.VanishedFile))
	require.Zero(t, a.repeats, "a checkpoint is saved at the end")
	_, stop = a.begin(t, Options{Paths: []string{dir}})
	stop()
}

func TestAFileThatIsCutWithoutACopyCountsWhatWasNotRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := &watching{t: t, dir: dir}
	w.append("a.log", stamp+"one\n")
	f, err := Open(Options{Paths: []string{dir}, Follow: true, Now: present})
	require.NoError(t, err)
	fw, err := f.newFollower((&archive{}).emit)
	require.NoError(t, err)
	defer fw.close()
	require.NoError(t, fw.look(t.Context()))
	require.NoError(t, fw.pump(t.Context()))
	w.append("a.log", stamp+"two, which a look sees and nobody reads\n")
	require.NoError(t, fw.look(t.Context()))
	require.NoError(t, os.Truncate(filepath.Join(dir, "a.log"), 0))
	require.NoError(t, fw.look(t.Context()))
	st := f.Stats()
	require.Equal(t, uint64(len(stamp+"two, which a look sees and nobody reads\n")), st.Counts.Get(format.UnreadBytes))
}

func TestFilesAreOpenedFromTheirEndOnlyAtTheVeryFirstStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var a archive
	w := &watching{t: t, dir: dir}
	w.append("old.log", stamp+"before the first start\n")
	f, stop := a.begin(t, Options{Paths: []string{dir}, FromEnd: true})
	require.Eventually(t, func() bool { return f.Stats().Formats["lines"] == 1 }, patience, time.Millisecond)
	w.append("old.log", stamp+"after it\n")
	require.Eventually(t, func() bool { return len(a.lines()) == 1 }, patience, time.Millisecond)
	stop()
	w.append("old.log", stamp+"between\n")
	w.append("new.log", stamp+"new between\n")
	_, stop = a.begin(t, Options{Paths: []string{dir}, FromEnd: true})
	require.Eventually(t, func() bool { return len(a.lines()) == 3 }, patience, time.Millisecond)
	stop()
	require.NotContains(t, a.lines(), stamp+"before the first start")
}

func TestALineInTwoPartsGoesOnInTheFileAfterARotation(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		dir := t.TempDir()
		var a archive
		w := &watching{t: t, dir: dir}
		o := Options{Paths: []string{dir}}
		w.append("0.log", "2026-11-20T10:00:00Z stdout F first\n2026-11-20T10:00:01Z stdout P half a \n")
		_, stop := a.begin(t, o)
		require.Eventually(t, func() bool { return a.lines()["first"] == 1 }, patience, time.Millisecond)
		if restart {
			a.kill(100)
			stop()
		}
		require.NoError(t, os.Rename(filepath.Join(dir, "0.log"), filepath.Join(dir, "0.log.20261120-100001")))
		w.append("0.log", "2026-11-20T10:00:01Z stdout F line\n2026-11-20T10:00:02Z stdout F last\n")
		if restart {
			_, stop = a.begin(t, o)
		}
		require.Eventually(t, func() bool { return a.lines()["last"] == 1 }, patience, time.Millisecond)
		stop()
		lines := a.lines()
		require.Len(t, lines, 3, "%v", lines)
		require.Equal(t, 1, lines["half a line"], "restart %t: %v", restart, lines)
	}
}

func TestOneFileUnderTwoNamesIsReadOnce(t *testing.T) {
	t.Parallel()
	dir, links := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "a.log")
	require.NoError(t, os.WriteFile(path, []byte(stamp+"one\n"), 0o600))
	require.NoError(t, os.Link(path, filepath.Join(dir, "b.log")))
	require.NoError(t, os.Symlink(path, filepath.Join(links, "c.log")))
	var a archive
	_, stop := a.begin(t, Options{Paths: []string{links, dir, path, filepath.Join(dir, "*.log")}})
	require.Eventually(t, func() bool { return len(a.lines()) == 1 }, patience, time.Millisecond)
	w := &watching{t: t, dir: dir}
	w.append("a.log", stamp+"two\n")
	require.Eventually(t, func() bool { return len(a.lines()) == 2 }, patience, time.Millisecond)
	stop()
	for line, n := range a.lines() {
		require.Equal(t, 1, n, line)
	}
	require.Zero(t, a.repeats)
}
