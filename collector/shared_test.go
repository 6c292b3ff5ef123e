package collector

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

func TestSharedAttributesLoseTheirSecretsOnEveryRecord(t *testing.T) {
	t.Parallel()
	o := Options{}.withDefaults()
	var counts format.Counts
	b := newBatcher(&o, &counts)
	require.NoError(t, b.builder.Reset(record.Header{Source: "x", Kinds: 1 << record.Log}))
	plain := record.Attrs{{Key: "label.tier", Value: "front"}}
	secret := record.Attrs{{Key: "label.password", Value: "correct-horse-battery"}}
	for _, a := range []record.Attrs{plain, plain, secret, secret, plain, nil, secret} {
		shared{b}.Add(&record.Record{Kind: record.Log, Text: []byte("password=correct-horse-battery"), Attrs: a})
	}
	b.cut(false)
	var batch record.Batch
	require.NoError(t, batch.Decode(b.take()))
	require.Equal(t, 7, batch.Len())
	for i := range batch.Len() {
		r := batch.At(i)
		require.Equal(t, "password=[removed]", string(r.Text))
		require.NotContains(t, r.Attrs.Value("label.password"), "horse")
	}
	tier := batch.At(4)
	require.Equal(t, "front", tier.Attrs.Value("label.tier"))
	require.Equal(t, uint64(7+3), counts.Get(format.RemovedSecret))
}
