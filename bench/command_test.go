package bench

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// maxMemory is what `forewarn scan` may use however large the log is. It was measured at some 60 MB.
const maxMemory = 300 << 20

// BenchmarkSmokeCommand runs the real `forewarn scan` on 200 MB with 1,000 mixed signatures and tells its speed a second and a CPU
// second, and the most memory that it had.
func BenchmarkSmokeCommand(b *testing.B) {
	dir := b.TempDir()
	binary := filepath.Join(dir, "forewarn")
	out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "../cmd/forewarn").CombinedOutput()
	require.NoError(b, err, string(out))
	w := Plain{Seed: 3, Signatures: 1000, Bytes: 200 << 20, Planted: 500}
	sigs, log := filepath.Join(dir, "signatures.yaml"), filepath.Join(dir, "big.log")
	planted := 0
	write(b, sigs, func(f *os.File) (err error) { return w.WriteSignatures(f) })
	write(b, log, func(f *os.File) (err error) { planted, err = w.WriteLog(f); return err })
	b.SetBytes(int64(w.Bytes))
	for b.Loop() {
		c := exec.CommandContext(b.Context(), binary, "scan", "--signatures", sigs, "--format", "json", log)
		var found, told bytes.Buffer
		c.Stdout, c.Stderr = &found, &told
		began := time.Now()
		require.NoError(b, c.Run(), told.String())
		took := time.Since(began)
		require.Equal(b, planted, bytes.Count(found.Bytes(), []byte("\n")), told.String())
		cpu := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
		b.ReportMetric(float64(w.Bytes)/1e6/took.Seconds(), "MB/s")
		b.ReportMetric(float64(w.Bytes)/1e6/cpu.Seconds(), "MB/cpu-s")
		if usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok && runtime.GOOS == "linux" {
			b.ReportMetric(float64(usage.Maxrss)/1e3, "MB-rss")
			require.Less(b, usage.Maxrss<<10, int64(maxMemory))
		}
	}
}

func write(b *testing.B, path string, fill func(*os.File) error) {
	b.Helper()
	f, err := os.Create(path)
	require.NoError(b, err)
	require.NoError(b, fill(f))
	require.NoError(b, f.Close())
}
