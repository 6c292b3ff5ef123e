package otlp

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// TestDamagedRequestsHarmNothing is the fuzz targets' short run: each example, with a few bytes of it changed.
func TestDamagedRequestsHarmNothing(t *testing.T) {
	t.Parallel()
	d := rand.New(rand.NewPCG(1, 2))
	for which, file := range []string{"testdata/logs.json", "testdata/metrics.json"} {
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		m, err := (&Collector{}).exports()[which].decodeJSON(src)
		require.NoError(t, err)
		body, err := proto.Marshal(m)
		require.NoError(t, err)
		for range 500 {
			for _, inJSON := range []bool{false, true} {
				good := body
				if inJSON {
					good = src
				}
				bad := append([]byte(nil), good...)
				for range 1 + d.IntN(4) {
					bad[d.IntN(len(bad))] = byte(d.IntN(256))
				}
				if d.IntN(8) == 0 {
					bad = bad[:d.IntN(len(bad))]
				}
				fuzzed(t, which, bad, inJSON)
			}
		}
	}
}
