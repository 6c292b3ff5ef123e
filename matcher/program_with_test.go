package matcher_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// sameHits scans with a program that should be as good as another one, and says what differs.
func sameHits(name string, p *matcher.Program, records []sourced, want []matcher.Hit) string {
	got, wrong := scanAll(p, records)
	if wrong != "" {
		return name + ": " + wrong
	}
	text := func(h matcher.Hit) string {
		return fmt.Sprintf("%016x %q %016x on %x off %x", h.Signature, h.Key, h.Record.ID, h.On, h.Off)
	}
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			return name + " lacks " + text(want[i])
		case i >= len(want):
			return name + " has too much: " + text(got[i])
		case text(got[i]) != text(want[i]):
			return name + " has " + text(got[i]) + " in place of " + text(want[i])
		}
	}
	return ""
}

// othersDiffer compares the hits of a compiled program with those of the same set that was loaded, and that was put together one
// by one.
func othersDiffer(program *matcher.Program, sigs []*signatures.Signature, records []sourced, want []matcher.Hit) string {
	loaded, err := matcher.LoadProgram(program.AppendTo(nil), matcher.CompileOptions{}, nil)
	if err != nil {
		return err.Error()
	}
	if wrong := sameHits("the loaded program", loaded, records, want); wrong != "" {
		return wrong
	}
	random := rand.New(rand.NewPCG(uint64(len(sigs)), uint64(len(records))))
	for _, base := range []*matcher.Program{program, loaded} {
		grown := wander(random, base, sigs)
		if grown.Digest() != program.Digest() {
			return "the digest depends on how the program was put together"
		}
		if wrong := sameHits("the program that grew", grown, records, want); wrong != "" {
			return wrong
		}
	}
	return sameHits("the program that others grew from", loaded, records, want)
}

// wander takes signatures out of a program and adds them again, in random steps, until all are back.
func wander(random *rand.Rand, p *matcher.Program, sigs []*signatures.Signature) *matcher.Program {
	var out []*signatures.Signature
	for step := range 6 {
		var add []*signatures.Signature
		var remove []uint64
		for _, i := range random.Perm(len(sigs)) {
			switch s := sigs[i]; {
			case slices.Contains(out, s):
				if step == 5 || random.IntN(2) == 0 {
					add = append(add, s)
				}
			case step < 5 && random.IntN(2) == 0:
				remove = append(remove, s.ShortDigest())
			}
		}
		next, _ := p.With(add, remove)
		if random.IntN(3) == 0 { // a sibling that nobody uses must not get in the way
			_, _ = p.With(sigs, nil)
		}
		p = next
		out = slices.DeleteFunc(out, func(s *signatures.Signature) bool { return slices.Contains(add, s) })
		for _, s := range sigs {
			if slices.Contains(remove, s.ShortDigest()) {
				out = append(out, s)
			}
		}
	}
	return p
}

func TestWithReplacesOneOfManySignatures(t *testing.T) {
	w := newWorkload(2000)
	p := mustCompile(t, w.sigs...)
	was := w.sigs[17]
	now := one(was.ID, logText("an entirely different text"))
	refused, problems := p.With([]*signatures.Signature{now}, nil)
	require.Len(t, problems, 1)
	require.ErrorContains(t, problems[0], "another signature with the id")
	require.Equal(t, p.Digest(), refused.Digest())

	next, problems := p.With([]*signatures.Signature{now}, []uint64{was.ShortDigest()})
	require.Empty(t, problems)
	require.Equal(t, 2000, next.Len())
	require.Equal(t, 2, next.Drift())
	require.Nil(t, next.Lookup(was.ShortDigest()))
	require.Equal(t, now.ID, next.Lookup(now.ShortDigest()).Signature.ID)
	require.NotNil(t, p.Lookup(was.ShortDigest()), "the program that it came from stays as it was")
	require.Nil(t, p.Lookup(now.ShortDigest()))
	body, err := next.Body(now.ShortDigest())
	require.NoError(t, err)
	require.Equal(t, now, body)
	require.Empty(t, next.AppendTo(nil), "what grew is not stored")

	w.sigs[17] = now
	require.Equal(t, mustCompile(t, w.sigs...).Digest(), next.Digest())
	back, problems := next.With([]*signatures.Signature{was}, []uint64{now.ShortDigest()})
	require.Empty(t, problems)
	require.Equal(t, p.Digest(), back.Digest())
}

func TestLoadedProgramTellsWhatTheTrackerNeeds(t *testing.T) {
	for i := range 300 {
		s := newDice(uint64(i)).signature(i)
		p, problems := matcher.Compile([]*signatures.Signature{s}, matcher.CompileOptions{})
		if len(problems) > 0 {
			continue
		}
		want := matcher.NewCompiled(s)
		require.Equal(t, want, p.Lookup(want.Digest))
		loaded, err := matcher.LoadProgram(p.AppendTo(nil), matcher.CompileOptions{}, bodyList{s})
		require.NoError(t, err)
		require.Equal(t, want, loaded.Lookup(want.Digest))
		body, err := loaded.Body(want.Digest)
		require.NoError(t, err)
		require.Equal(t, s, body)
		require.True(t, loaded.Has(s.ID))
		require.Equal(t, p.Digest(), loaded.Digest())
	}
}

// bodyList is a source of bodies.
type bodyList []*signatures.Signature

var _ matcher.Bodies = bodyList{}

func (l bodyList) Signature(digest string) (*signatures.Signature, bool, error) {
	i := slices.IndexFunc(l, func(s *signatures.Signature) bool { return fmt.Sprintf("%x", s.Digest()) == digest })
	if i < 0 {
		return nil, false, nil
	}
	return l[i], true, nil
}

func TestLoadedProgramHasItsFrames(t *testing.T) {
	for seed := range uint64(100) {
		c := newFrameCase(seed)
		require.NoError(t, c.compile())
		var err error
		c.program, err = matcher.LoadProgram(c.program.AppendTo(nil), matcher.CompileOptions{}, bodyList(c.sigs))
		require.NoError(t, err)
		for _, s := range c.sigs {
			require.Equal(t, matcher.NewCompiled(s), c.program.Lookup(s.ShortDigest()))
		}
		got, err := c.run(slices.Clone(c.lines), false)
		require.NoError(t, err)
		require.Empty(t, c.compare(got, c.lines))
	}
}
