package store

import (
	"encoding/hex"
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

func someSet() (Set, []*signatures.Signature, []Posting) {
	s := etcd()
	set := Set{Reader: "test", Files: []SetFile{
		{Path: "etcd.yaml", Hash: "h1", Signatures: []string{digest(s)}, Problems: []string{"etcd.yaml:3:1: no tests"}},
		{Path: "bad.yaml", Hash: "h2", Problems: []string{"bad.yaml:1:1: no id"}, Refused: true},
	}}
	return set, []*signatures.Signature{s}, []Posting{
		{Anchor: "apply request took too long", Field: "text", Signature: digest(s), Role: 0},
		{Anchor: "lost leader", Field: "text", Signature: digest(s), Role: 40},
	}
}

func TestASetComesBackWithoutItsFiles(t *testing.T) {
	s := open(t, t.TempDir())
	_, found, err := s.LoadSet("default")
	require.NoError(t, err)
	require.False(t, found)

	set, bodies, postings := someSet()
	require.NoError(t, s.SaveSet("default", set, bodies, postings))
	got, found, err := s.LoadSet("default")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, set, got)
	require.Equal(t, &got.Files[0], got.File("etcd.yaml", "h1"))
	require.Nil(t, got.File("etcd.yaml", "changed"))
	require.Nil(t, got.File("other.yaml", "h1"))

	sig, found, err := s.Signature(got.Files[0].Signatures[0])
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, bodies[0], sig)
	_, found, err = s.Signature("00ff")
	require.NoError(t, err)
	require.False(t, found)
	_, _, err = s.Signature("not hex")
	require.ErrorContains(t, err, "load signature not hex")

	require.ErrorContains(t, s.SaveSet("default", set, nil, nil), "its body is not given")
}

func TestPostingsLeadFromAnchorsToConditions(t *testing.T) {
	s := open(t, t.TempDir())
	set, bodies, postings := someSet()
	require.NoError(t, s.SaveSet("default", set, bodies, postings))

	got, err := s.Postings("default", "lost leader")
	require.NoError(t, err)
	require.Equal(t, postings[1:], got)
	got, err = s.Postings("default", "nothing")
	require.NoError(t, err)
	require.Empty(t, got)
	got, err = s.Postings("defaul", "lost leader")
	require.NoError(t, err)
	require.Empty(t, got, "a name that begins like another one")

	var all []Posting
	require.NoError(t, s.Anchors("default", digest(bodies[0]), func(p Posting) error { all = append(all, p); return nil }))
	require.ElementsMatch(t, postings, all)
	require.NoError(t, s.Anchors("default", "other", func(Posting) error { t.Error("not of this signature"); return nil }))

	require.NoError(t, s.SaveSet("default", set, bodies, postings[:1]))
	got, err = s.Postings("default", "lost leader")
	require.NoError(t, err)
	require.Empty(t, got, "a saved set replaces the postings of the one before")
}

func TestMaintainRemovesWhatNothingNames(t *testing.T) {
	s := open(t, t.TempDir())
	set, bodies, postings := someSet()
	require.NoError(t, s.SaveSet("default", set, bodies, postings))
	require.NoError(t, s.Maintain(t.Context()))
	_, found, err := s.Signature(digest(bodies[0]))
	require.NoError(t, err)
	require.True(t, found)

	require.NoError(t, s.SaveSet("default", Set{}, nil, nil))
	require.NoError(t, s.Maintain(t.Context()))
	_, found, err = s.Signature(digest(bodies[0]))
	require.NoError(t, err)
	require.False(t, found)
}

func TestADamagedBodyIsNotArmed(t *testing.T) {
	s := open(t, t.TempDir())
	set, bodies, _ := someSet()
	require.NoError(t, s.SaveSet("default", set, bodies, nil))
	d := bodies[0].Digest()
	require.NoError(t, s.atOnce([]write{{key: append([]byte{tableBody}, d[:]...), value: []byte(`{"id":"other"}`)}}))
	_, _, err := s.Signature(digest(bodies[0]))
	require.ErrorIs(t, err, ErrCorrupt)

	require.NoError(t, s.atOnce([]write{{key: setKey("default"), value: []byte(`{`)}}))
	_, _, err = s.LoadSet("default")
	require.ErrorIs(t, err, ErrCorrupt)
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
