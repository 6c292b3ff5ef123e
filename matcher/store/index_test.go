package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/signatures"
)

func etcd() *signatures.Signature {
	return &signatures.Signature{
		ID: "etcd-slow-disk", Title: "etcd loses its leader", Severity: signatures.Critical, By: signatures.Key{"node"},
		Stages: []signatures.Stage{{
			Name: "slow-apply", Count: 5, Within: signatures.Duration(2 * time.Minute),
			When: signatures.Condition{Log: &signatures.LogCondition{Contains: signatures.Text{Any: []string{"apply request took too long"}}}},
		}},
		Incident: &signatures.Incident{When: signatures.Condition{Log: &signatures.LogCondition{Contains: signatures.Text{Any: []string{"lost leader"}}}}},
		Clear:    signatures.Clear{Quiet: signatures.Duration(30 * time.Minute)},
		Remedies: []signatures.Remedy{{Do: "look at the disk", Risk: signatures.Look}},
	}
}

func digest(s *signatures.Signature) string {
	d := s.Digest()
	return hex.EncodeToString(d[:])
}

func someSet() (*Set, []*signatures.Signature, []byte) {
	s := etcd()
	set := &Set{Reader: "test", Index: "one", Files: []SetFile{
		{Path: "etcd.yaml", Size: 7, ModTime: -1, Hash: [32]byte{1, 2}, Signatures: []SetSignature{{ID: s.ID, Digest: s.Digest()}}},
		{Path: "bad.yaml", Unsound: true, Signatures: []SetSignature{}},
	}}
	return set, []*signatures.Signature{s}, []byte("the compiled form")
}

func TestASetComesBackWithoutItsFiles(t *testing.T) {
	s := open(t, t.TempDir())
	_, found, err := s.LoadSet("default")
	require.NoError(t, err)
	require.False(t, found)

	set, bodies, index := someSet()
	require.NoError(t, s.SaveSet("default", set, bodies, index))
	got, found, err := s.LoadSet("default")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, set, got)
	sig, found, err := s.Signature(digest(bodies[0]))
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, bodies[0], sig)
	_, found, err = s.Signature("00ff")
	require.NoError(t, err)
	require.False(t, found)
	_, _, err = s.Signature("not hex")
	require.Error(t, err)
	for _, name := range []string{"defaul", "default\x00", "default2"} {
		_, found, err = s.LoadSet(name)
		require.NoError(t, err)
		require.False(t, found, "%q is another name", name)
	}
}

func TestAnIndexIsKeptUntilAnotherTakesItsPlace(t *testing.T) {
	s := open(t, t.TempDir())
	set, bodies, _ := someSet()
	long := bytes.Repeat([]byte("0123456789abcdef"), 3*largeChunk/16+5)
	require.NoError(t, s.SaveSet("default", set, bodies, long))
	require.NoError(t, s.SaveSet("other", set, nil, []byte("other")))
	got, found, err := s.LoadIndex("default", "one")
	require.NoError(t, err)
	require.True(t, found)
	require.True(t, bytes.Equal(long, got))

	require.NoError(t, s.SaveSet("default", set, nil, nil))
	_, found, err = s.LoadIndex("default", "one")
	require.NoError(t, err)
	require.True(t, found, "the set still names it")

	set.Index = "two"
	require.NoError(t, s.SaveSet("default", set, nil, []byte("short")))
	_, found, err = s.LoadIndex("default", "one")
	require.NoError(t, err)
	require.False(t, found)
	got, found, err = s.LoadIndex("default", "two")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "short", string(got))
	got, _, err = s.LoadIndex("other", "one")
	require.NoError(t, err)
	require.Equal(t, "other", string(got))
}

func TestAnIndexThatWasHalfWrittenIsNotFound(t *testing.T) {
	s := open(t, t.TempDir())
	set, bodies, index := someSet()
	steps := 0
	s.interrupt = func(step string) error {
		if steps++; steps == 4 {
			return errors.New("killed")
		}
		return nil
	}
	require.ErrorContains(t, s.SaveSet("default", set, bodies, index), "killed")
	s.interrupt = nil
	_, found, err := s.LoadIndex("default", "one")
	require.NoError(t, err)
	require.False(t, found)
	_, found, err = s.LoadSet("default")
	require.NoError(t, err)
	require.False(t, found)
}

func TestMaintainRemovesWhatNothingNames(t *testing.T) {
	s := open(t, t.TempDir())
	set, bodies, index := someSet()
	require.NoError(t, s.SaveSet("default", set, bodies, index))
	require.NoError(t, s.Maintain(t.Context()))
	_, found, err := s.Signature(digest(bodies[0]))
	require.NoError(t, err)
	require.True(t, found)

	require.NoError(t, s.SaveSet("default", &Set{}, nil, nil))
	require.NoError(t, s.Maintain(t.Context()))
	_, found, err = s.Signature(digest(bodies[0]))
	require.NoError(t, err)
	require.False(t, found)
}

func TestWhatIsDamagedIsNotArmed(t *testing.T) {
	s := open(t, t.TempDir())
	set, bodies, index := someSet()
	require.NoError(t, s.SaveSet("default", set, bodies, index))
	damage := func(key []byte, value string) {
		t.Helper()
		require.NoError(t, s.atOnce([]write{{key: key, value: []byte(value)}}))
	}
	d := bodies[0].Digest()
	damage(append([]byte{tableBody}, d[:]...), `{"id":"other"}`)
	_, _, err := s.Signature(digest(bodies[0]))
	require.ErrorIs(t, err, ErrCorrupt)

	damage(largeKey(largePrefix(tableIndex, indexName("default", "one")), 1), "the compiled farm")
	_, _, err = s.LoadIndex("default", "one")
	require.ErrorIs(t, err, ErrCorrupt)

	damage(largeKey(largePrefix(tableFiles, "default"), 0), "x")
	_, _, err = s.LoadSet("default")
	require.ErrorIs(t, err, ErrCorrupt)
	require.NoError(t, s.Maintain(t.Context()), "nothing is swept while it is not known what is named")
}

func TestBucketsDoNotSeeEachOther(t *testing.T) {
	s := open(t, t.TempDir())
	a, ab := s.Bucket("a"), s.Bucket("ab")
	require.NoError(t, a.Put([]byte("b1"), []byte("x"), 0))
	require.NoError(t, a.Put([]byte("b2"), nil, 0))
	require.NoError(t, ab.Put([]byte("1"), []byte("y"), 0))
	require.NoError(t, a.Put([]byte("old"), []byte("z"), time.Nanosecond))

	var keys []string
	require.NoError(t, a.Range([]byte("b"), func(k, _ []byte) error { keys = append(keys, string(k)); return nil }))
	require.Equal(t, []string{"b1", "b2"}, keys)
	v, found, err := a.Get([]byte("b2"))
	require.NoError(t, err)
	require.True(t, found)
	require.Empty(t, v)
	require.NoError(t, a.Delete([]byte("b2")))
	_, found, err = a.Get([]byte("b2"))
	require.NoError(t, err)
	require.False(t, found)
	v, _, err = ab.Get([]byte("1"))
	require.NoError(t, err)
	require.Equal(t, "y", string(v))
}
