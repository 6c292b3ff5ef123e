package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzDecodeRevision(f *testing.F) {
	r := revision("w1", 3, "body")
	f.Add(r.encode())
	f.Add([]byte{})
	f.Add([]byte{codecVersion, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRevision(b)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		again, err := decodeRevision(r.encode())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}

func FuzzDecodeWrite(f *testing.F) {
	f.Add(write{key: []byte("k"), value: []byte("v"), expires: 7}.encode())
	f.Add(write{key: []byte("k")}.encode())
	f.Add([]byte{codecVersion, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := decodeWrite(b)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		again, err := decodeWrite(w.encode())
		require.NoError(t, err)
		require.Equal(t, w, again)
	})
}

func FuzzDecodePlace(f *testing.F) {
	f.Add(place{1, 2}.encode())
	f.Add([]byte{codecVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePlace(b)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		require.Equal(t, b, p.encode())
	})
}

func FuzzDecodeSet(f *testing.F) {
	set, _, _ := someSet()
	f.Add(set.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		set, err := decodeSet(b)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		again, err := decodeSet(set.encode())
		require.NoError(t, err)
		require.Equal(t, set, again)
	})
}
