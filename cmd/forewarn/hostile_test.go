package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// peakFile names the file that a child writes its greatest resident size into. What the system tells of a child that has ended counts
// the process that started it too, whose memory it has until it becomes another program.
const peakFile = "FOREWARN_TEST_PEAK"

func writePeak() {
	name := os.Getenv(peakFile)
	status, err := os.ReadFile("/proc/self/status")
	if name == "" || err != nil {
		return
	}
	if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok {
		_ = os.WriteFile(name, []byte(strings.Fields(rest)[0]), 0o600) // who misses it fails
	}
}

// child runs forewarn as a process of its own, with what is read from in, and returns its answer and its greatest resident size.
func child(tb testing.TB, in io.Reader, args ...string) (answer, int64) {
	tb.Helper()
	exe, err := os.Executable()
	require.NoError(tb, err)
	c := exec.CommandContext(tb.Context(), exe, args...)
	peak := filepath.Join(tb.TempDir(), "peak")
	c.Env = append(os.Environ(), beMain+"=1", peakFile+"="+peak)
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = in, &out, &errs
	err = c.Run()
	if err != nil {
		var exit *exec.ExitError
		require.ErrorAs(tb, err, &exit)
	}
	return answer{c.ProcessState.ExitCode(), out.String(), errs.String()}, peakOf(tb, c.ProcessState, peak)
}

// peakOf returns what the child wrote. Where there is no /proc, the system is asked.
func peakOf(tb testing.TB, p *os.ProcessState, file string) int64 {
	tb.Helper()
	if runtime.GOOS == "linux" {
		text, err := os.ReadFile(file)
		require.NoError(tb, err)
		kib, err := strconv.ParseInt(string(text), 10, 64)
		require.NoError(tb, err)
		return kib << 10
	}
	rusage, ok := p.SysUsage().(*syscall.Rusage)
	require.True(tb, ok)
	unit := int64(1024)
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return rusage.Maxrss * unit
}

// repeated is n bytes of a pattern.
type repeated struct {
	pattern string
	at, n   int64
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), r.n)
	for i := range p[:n] {
		p[i] = r.pattern[r.at%int64(len(r.pattern))]
		r.at++
	}
	r.n -= n
	return int(n), nil
}

const (
	megabyte = 1 << 20
	// memoryLimit is far below the input and the 300 MB that a scan may take.
	memoryLimit = 300 * megabyte
	theStage    = "2026-03-01T12:00:00Z disk quota exceeded\n"
)

func TestHostileInputsOf100MBAreReadInBoundedMemory(t *testing.T) {
	for _, c := range []struct{ name, pattern, want string }{
		{"one line", "abcdefghij ", "1 line too long"},
		{"one JSON value", `[{"a":`, ""},
		{"NULs", "\x00", ""},
		{"opening braces", "{", ""},
		{"one JSON text", `{"msg":"` + strings.Repeat("x", 8000), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := io.MultiReader(strings.NewReader(theStage), &repeated{c.pattern, 0, 100 * megabyte}, strings.NewReader("\n"+theStage))
			a, rss := child(t, in, "scan", "-s", quotaSignature, "-")
			require.Zero(t, a.code, a.err)
			require.Contains(t, a.out, "disk quota exceeded")
			require.Contains(t, a.err, c.want, "the loss is told")
			require.Less(t, rss, int64(memoryLimit))
			t.Logf("%d MB resident; %s", rss/megabyte, a.err)
		})
	}
}

// TestHostileInputsOf100MBOfEveryFormat: the first bytes choose the parser, and then its structure never ends.
func TestHostileInputsOf100MBOfEveryFormat(t *testing.T) {
	for _, c := range []struct{ name, head, pattern string }{
		{"items of a list", `{"kind":"List","apiVersion":"v1","items":[`, `{"kind":"Event","message":"` + strings.Repeat("m", 4000) + `"},`},
		{"one object", `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"`, "x"},
		{"labels without end", "# HELP a b\n# TYPE a gauge\na{b=\"", "x"},
		{"a YAML list", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n", "    a: b\n"},
		{"parts of a container's line", "2026-03-01T12:00:00Z stdout P x\n", "2026-03-01T12:00:00Z stdout P xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"},
		{"journald", `{"__REALTIME_TIMESTAMP":"1772366400000000","MESSAGE":"`, "x"},
		{"nothing but braces", "", "{"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, rss := child(t, io.MultiReader(strings.NewReader(c.head), &repeated{c.pattern, 0, 100 * megabyte}), "scan", "-s", quotaSignature, "-")
			require.Zero(t, a.code, a.err)
			require.Contains(t, a.err, "looked at")
			require.Less(t, rss, int64(memoryLimit))
			t.Logf("%d MB resident; %s", rss/megabyte, a.err)
		})
	}
}

func TestAnArchiveThatUnpacksTo1000TimesItsSizeIsReadInBoundedMemory(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := io.Copy(z, &repeated{"0", 0, 100 * megabyte})
	require.NoError(t, err)
	require.NoError(t, z.Close())
	a, rss := child(t, &zipped, "scan", "-s", quotaSignature, "-")
	require.Zero(t, a.code, a.err)
	require.Contains(t, a.err, "1 line too long, and cut")
	require.Less(t, rss, int64(memoryLimit))
}

// TestHostileInputsEndInAWarningOrAMessage: whatever comes, the stage before and after it is found, or the message says why not.
func TestHostileInputsEndInAWarningOrAMessage(t *testing.T) {
	junk := make([]byte, megabyte)
	r := rand.NewChaCha8([32]byte{7})
	_, _ = r.Read(junk)
	for name, in := range map[string]string{
		"binary junk":       string(junk) + "\n",
		"NULs":              strings.Repeat("\x00\x00\n", 1000),
		"invalid UTF-8":     "\xff\xfe\xc3\x28 \xed\xa0\x80\n",
		"half a rune":       "2026-03-01T12:00:01Z \xe2\x82\n",
		"byte order mark":   "\xef\xbb\xbf2026-03-01T12:00:01Z hello\n",
		"carriage returns":  strings.Repeat("2026-03-01T12:00:01Z hello\r\n", 100),
		"only newlines":     strings.Repeat("\n", 100_000),
		"escape codes":      "\x1b[31m2026-03-01T12:00:01Z hello\x1b[0m\n",
		"deep JSON":         strings.Repeat(`{"a":`, 100_000) + "\n",
		"deep lists":        strings.Repeat("[", 100_000) + "\n",
		"broken events":     `{"kind":"List","items":[{"kind":"Event","count":"many"},` + "\n",
		"absurd stamps":     "9999-99-99T99:99:99Z x\n0000-00-00 00:00:00 x\n99999999999999999999 x\n",
		"clock jumps":       "2036-03-01T12:00:00Z x\n1971-03-01T12:00:00Z x\n2026-03-01T12:00:00Z x\n",
		"a metric of a NaN": "a{b=\"c\"} NaN\na{b=\"\\\n",
		"duplicate lines":   strings.Repeat("2026-03-01T12:00:01Z hello\n", 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			a := cliIn(t, theStage+in+"2026-03-01T12:00:02Z volume is read-only now\n", "scan", "-s", quotaSignature, "-o", "json", "-")
			require.Zero(t, a.code, a.err)
			ws := warnings(t, a.out)
			require.NotEmpty(t, ws, a.err)
			require.Equal(t, "disk-quota", ws[0].Signature)
			require.NotContains(t, a.err, "fault of forewarn")

			a = cliIn(t, in, "scan", "-")
			require.Zero(t, a.code, a.err)
			require.Contains(t, a.err, "looked at")
		})
	}
}

func TestClockJumpsAreNotBelievedAndAreTold(t *testing.T) {
	in := theStage + "2126-03-01T12:00:00Z from the future\n" + "2026-03-01T12:00:02Z volume is read-only now\n"
	a := cliIn(t, in, "scan", "-s", quotaSignature, "-o", "json", "-")
	require.Zero(t, a.code, a.err)
	ws := warnings(t, a.out)
	require.Equal(t, "incident", ws[len(ws)-1].State, "one stamp of the future must not end what is under way: %s", a.err)
	require.Contains(t, a.err, "1 time stamp not believed")
}

func TestDuplicatesCountOnce(t *testing.T) {
	// The same event twice, as two dumps of the same cluster have it.
	events, err := os.ReadFile("../../collector/format/testdata/events-core.in.json")
	require.NoError(t, err)
	once, twice := file(t, "a.json", string(events)), file(t, "b.json", string(events))
	a, b := cli(t, "scan", "-o", "json", once), cli(t, "scan", "-o", "json", once, twice)
	states := func(a answer) (all []string) {
		for _, w := range warnings(t, a.out) {
			all = append(all, w.Signature+" "+w.Key+" "+w.State)
		}
		return all
	}
	require.NotEmpty(t, states(a))
	require.Equal(t, states(a), states(b))
}

func TestTruncatedArchivesAreUsedAsFarAsTheyGo(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := io.WriteString(z, theStage)
	require.NoError(t, err)
	require.NoError(t, z.Flush())
	_, err = io.Copy(z, &repeated{"2026-03-01T12:00:01Z hello\n", 0, 1 << 20})
	require.NoError(t, err)
	require.NoError(t, z.Close())
	path := file(t, "app.log.gz", zipped.String()[:zipped.Len()/2])
	a := cli(t, "scan", "-s", quotaSignature, path)
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.out, "disk quota exceeded")
	require.Contains(t, a.err, "1 warning")
	require.Contains(t, a.err, "forewarn: read "+path)
	require.Contains(t, a.err, "unexpected EOF")

	corrupt := bytes.Clone(zipped.Bytes())
	corrupt[len(corrupt)-5] ^= 0xff // the checksum
	a = cli(t, "scan", "-s", quotaSignature, file(t, "app.log.gz", string(corrupt)))
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.out, "disk quota exceeded")
	require.Contains(t, a.err, "checksum")
}

func TestFilesThatCannotBeRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.log")
	good := file(t, "good.log", theStage)
	a := cli(t, "scan", "-s", quotaSignature, missing, good)
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.err, missing)
	require.Contains(t, a.err, "no such file")

	// An unreadable file among good ones. Root may read everything, so a directory in the place of a file stands in for it there.
	locked := file(t, "locked.log", theStage)
	require.NoError(t, os.Chmod(locked, 0))
	if f, err := os.Open(locked); err == nil {
		require.NoError(t, f.Close())
		locked = filepath.Join(t.TempDir(), "locked.log")
		require.NoError(t, os.Symlink("/proc/self/mem", locked))
	}
	a = cli(t, "scan", "-s", quotaSignature, locked, good)
	require.Equal(t, exitFailure, a.code, a.err)
	require.Contains(t, a.out, "disk quota exceeded", "the good file is used")
	require.Contains(t, a.err, "forewarn: ")

	empty := t.TempDir()
	a = cli(t, "scan", "-s", quotaSignature, empty)
	require.NotContains(t, a.err, "panic")
	require.Contains(t, a.err, "no")
}

func TestHostileSignatures(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	head := "id: x\ntitle: x\nseverity: high\nby: pod\nclear: {quiet: 1m}\nstages:\n  - name: a\n    when: {log: {regex: '"
	for name, text := range map[string]string{
		"YAML bomb":            bomb.String(),
		"bomb in a signature":  "id: x\ntitle: x\nseverity: high\nby: pod\nclear: {quiet: 1m}\nstages: []\n" + bomb.String(),
		"alias of itself":      "id: &a [*a]\n",
		"deep":                 strings.Repeat("[", 100_000),
		"deep maps":            strings.Repeat("{a: ", 50_000),
		"binary":               "\x00\x01\xff\xfe",
		"regex of 1 MB":        head + strings.Repeat("abcdefgh|", 1<<17) + "z'}}\n",
		"regex of repetitions": head + "((a{1,1000}){1,1000}){1,1000}'}}\n",
		"regex of many parens": head + strings.Repeat("(", 100_000) + "'}}\n",
		"empty":                "",
		"a number":             "42\n",
		"a huge scalar":        "id: " + strings.Repeat("x", 5*megabyte) + "\n",
		"huge durations":       "id: x\ntitle: x\nseverity: high\nby: pod\nclear: {quiet: 99999999999999w}\nstages:\n  - {name: a, when: {log: {contains: abcdef}}, count: 99999999999999999999}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t, "hostile.yaml", text)
			a, rss := child(t, nil, "signature", "lint", path)
			require.Contains(t, []int{exitRefused}, a.code, "%.2000s", a.err)
			require.NotEmpty(t, a.out, "the problem is told")
			require.Less(t, len(a.out), 64<<10, "shortly")
			require.Contains(t, a.out, path)
			require.Less(t, rss, int64(memoryLimit))
			require.NotContains(t, a.err, "goroutine ")

			a, _ = child(t, strings.NewReader(theStage), "scan", "-s", path, "-s", quotaSignature, "-")
			require.Equal(t, exitRefused, a.code, "%.2000s", a.err)
			require.Contains(t, a.out, "disk quota exceeded", "the good one still works")
		})
	}
}

func TestHostileConfigurations(t *testing.T) {
	for name, text := range map[string]string{
		"binary": "\x00\x01", "a list": "- a\n", "two documents": "cluster: a\n---\ncluster: b\n", "alias of itself": "files: &a [*a]\n", "a number": "42\n",
	} {
		t.Run(name, func(t *testing.T) {
			a := cli(t, "config", "check", file(t, "forewarn.yaml", text))
			require.Equal(t, exitRefused, a.code)
			require.Regexp(t, `forewarn\.yaml:\d+:\d+: `, a.err)
		})
	}
	a := cli(t, "config", "check", t.TempDir())
	require.NotZero(t, a.code)
	require.Contains(t, a.err, "directory")
}

func TestHostileRecordings(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "a.fwrec")
	require.Zero(t, cli(t, "record", "--out", whole, "testdata/cart.log").code)
	b, err := os.ReadFile(whole)
	require.NoError(t, err)
	a := cli(t, "replay", "-s", cartSignature, file(t, "cut.fwrec", string(b[:len(b)-20])))
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.err, "not whole")
	for name, text := range map[string]string{"empty": "", "junk": "\x00\xff junk", "a log": theStage, "the head": string(b[:12])} {
		t.Run(name, func(t *testing.T) {
			a := cli(t, "replay", file(t, "x.fwrec", text))
			require.Equal(t, exitFailure, a.code)
			require.Contains(t, a.err, "x.fwrec")
		})
	}
	for i := 0; i < len(b); i += max(1, len(b)/64) {
		flipped := bytes.Clone(b)
		flipped[i] ^= 0x55
		a := cli(t, "replay", "-s", cartSignature, file(t, "flipped.fwrec", string(flipped)))
		require.Contains(t, []int{exitOK, exitFailure}, a.code)
	}
}
