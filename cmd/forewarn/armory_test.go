package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
	"github.com/forewarn/forewarn/signatures"
)

// place is a directory of signatures and a store for an armory.
type place struct {
	testing.TB
	dir   string
	store *store.Store
	log   bytes.Buffer
}

func newPlace(tb testing.TB) *place {
	tb.Helper()
	s, err := store.Open(store.Options{Dir: tb.TempDir(), NoSync: true})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return &place{TB: tb, dir: tb.TempDir(), store: s}
}

// armory returns one that has seen nothing yet, as after a start.
func (p *place) armory() *armory {
	p.log.Reset()
	g := &globals{log: slog.New(slog.NewTextHandler(&p.log, nil))}
	return &armory{globals: g, store: p.store, settings: &settings{Signatures: []string{p.dir}, NoCatalog: true}}
}

// write writes a file that has not been touched for a while.
func (p *place) write(name, text string) {
	p.Helper()
	path := filepath.Join(p.dir, name)
	require.NoError(p, os.WriteFile(path, []byte(text), 0o600))
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	require.NoError(p, os.Chtimes(path, old, old))
}

func sig(id, contains string) string {
	return fmt.Sprintf("id: %s\ntitle: A case\nseverity: low\nby: pod\nstages:\n  - name: seen\n    when: {log: {contains: %q}}\nclear: {quiet: 1h}\n", id, contains)
}

// many gives signatures: 70 % literals, 25 % expressions with a literal, 5 % expressions that only their component anchors.
func many(n int) (list []string) {
	parts := strings.Fields("kubelet etcd coredns containerd scheduler ingress postgres redis kafka")
	for i := range n {
		text := sig(fmt.Sprintf("many-%06d", i), fmt.Sprintf("could not attach volume %x to node %d: timed out", i*7919, i%97))
		switch {
		case i%20 == 0:
			text = strings.Replace(text, "contains", fmt.Sprintf(`component: %s, regex: '\b[g-z]{%d}[0-9]{%d}[a-f]{%d}\b', contains`, parts[i/20%9], 4+i/20%7, 2+i/140%7, 2+i/980%7), 1)
			text = text[:strings.Index(text, ", contains")] + "}}\nclear: {quiet: 1h}\n"
		case i%4 == 1:
			text = strings.Replace(text, "contains: \"could", "regex: \"(error|warning): could", 1)
		}
		list = append(list, text)
	}
	return list
}

// compiled is what a fresh process without a store would make of the directory.
func (p *place) compiled() *matcher.Program {
	p.Helper()
	set, problems := signatures.Load([]string{p.dir}, signatures.Options{})
	require.Empty(p, signatures.Errors(problems))
	program, more := matcher.Compile(set.All(), matcher.CompileOptions{})
	require.Empty(p, more)
	return program
}

func TestAStartReadsNoFileThatLooksAsItDid(t *testing.T) {
	p := newPlace(t)
	p.write("a.yaml", sig("a", "first text"))
	p.write("b.yaml", sig("b", "second text"))
	before, refused := p.armory().open()
	require.Empty(t, refused)
	require.Equal(t, p.compiled().Digest(), before.Digest())

	p.write("a.yaml", strings.Repeat("#", len(sig("a", "first text")))) // size and time are the same
	after, refused := p.armory().open()
	require.Empty(t, refused)
	require.Equal(t, before.Digest(), after.Digest())
	require.Contains(t, p.log.String(), "signatures loaded from the store")
	for digest := range after.Digests() {
		body, err := after.Body(digest)
		require.NoError(t, err)
		require.Equal(t, "A case", body.Title)
	}
}

func TestAFileThatWasTouchedOnlyIsKnownByItsHash(t *testing.T) {
	p := newPlace(t)
	p.write("a.yaml", sig("a", "first text"))
	before, _ := p.armory().open()
	now := time.Now()
	require.NoError(t, os.Chtimes(filepath.Join(p.dir, "a.yaml"), now, now))
	a := p.armory()
	after, _ := a.open()
	require.Equal(t, before.Digest(), after.Digest())
	require.Zero(t, a.seen, "it may be written again without looking different, so the next look reads it again")

	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "a.yaml"), []byte(sig("a", "other text")), 0o600))
	require.NoError(t, os.Chtimes(filepath.Join(p.dir, "a.yaml"), now, now))
	a.look()
	require.Equal(t, p.compiled().Digest(), a.program.Digest())
}

func TestALargeSetTakesUpWhatChangedAndCompilesNothingElse(t *testing.T) {
	p := newPlace(t)
	p.write("many.yaml", strings.Join(many(smallSet+100), "---\n"))
	p.write("few.yaml", sig("one", "an old text")+"---\n"+sig("two", "another old text"))
	a := p.armory()
	a.look()
	require.Zero(t, a.program.Drift())

	p.write("few.yaml", sig("one", "a new text"))
	p.write("more.yaml", sig("three", "a third text"))
	a.look()
	require.Equal(t, 4, a.program.Drift(), "two came and two went")
	require.Equal(t, p.compiled().Digest(), a.program.Digest())

	again := p.armory()
	again.look()
	require.Equal(t, 4, again.program.Drift(), "the index was loaded, and the same came and went")
	require.Equal(t, a.program.Digest(), again.program.Digest())

	require.NoError(t, os.Remove(filepath.Join(p.dir, "many.yaml")))
	again.look()
	require.Zero(t, again.program.Drift(), "too much went, so it was compiled anew")
	require.Equal(t, p.compiled().Digest(), again.program.Digest())
}

func TestAFileThatBecomesBadGoesOnWithItsLastGoodVersionEvenAfterAStart(t *testing.T) {
	p := newPlace(t)
	p.write("a.yaml", sig("a", "first text"))
	p.write("b.yaml", sig("b", "second text"))
	a := p.armory()
	good, _ := a.open()
	p.write("a.yaml", "id: a\ntitle: broken\n")
	for range 2 {
		a.look()
		require.NotEmpty(t, a.refused)
		require.Contains(t, a.refused[0], "a.yaml")
		require.Equal(t, good.Digest(), a.program.Digest())
		refused := a.refused
		a = p.armory()
		a.look()
		require.Equal(t, refused, a.refused, "the next start says the same")
	}
	p.write("a.yaml", sig("a", "third text"))
	a.look()
	require.Empty(t, a.refused)
	require.Equal(t, p.compiled().Digest(), a.program.Digest())
}

func TestOfSeveralSignaturesOfOneIdTheFirstIsUsedAndTheNextTakesItsPlace(t *testing.T) {
	p := newPlace(t)
	p.write("a.yaml", sig("same", "first text"))
	p.write("b.yaml", sig("same", "second text"))
	a := p.armory()
	first, refused := a.open()
	require.Len(t, refused, 1)
	require.Contains(t, refused[0], `the id "same" is taken`)
	require.NoError(t, os.Remove(filepath.Join(p.dir, "a.yaml")))
	a.look()
	require.Empty(t, a.refused)
	require.NotEqual(t, first.Digest(), a.program.Digest())
	require.Equal(t, p.compiled().Digest(), a.program.Digest())
}

func TestAnArmoryWhoseStoreLostSomethingReadsTheFiles(t *testing.T) {
	p := newPlace(t)
	p.write("a.yaml", sig("a", "first text"))
	a := p.armory()
	before, _ := a.open()
	set, found, err := p.store.LoadSet(setName)
	require.NoError(t, err)
	require.True(t, found)
	set.Files[0].Signatures[0].Digest[31]++ // a body that is not there
	set.Index = "lost"
	require.NoError(t, p.store.SaveSet(setName, set, nil, nil))
	again := p.armory()
	after, refused := again.open()
	require.Empty(t, refused)
	require.Equal(t, before.Digest(), after.Digest())
	require.Contains(t, p.log.String(), "their files are read")
}

func TestTheCatalogueIsReplacedByTheUsersOwnSignatures(t *testing.T) {
	p := newPlace(t)
	a := p.armory()
	a.settings.NoCatalog = false
	shipped, _ := a.open()
	require.NotZero(t, shipped.Len())
	id := shipped.Signatures()[0].Signature.ID
	p.write("own.yaml", sig(id, "my own text"))
	for range 2 {
		a.look()
		require.Empty(t, a.refused)
		require.Equal(t, shipped.Len(), a.program.Len())
		i := slices.IndexFunc(a.program.Signatures(), func(c *matcher.Compiled) bool { return c.Signature.ID == id })
		require.Equal(t, "A case", a.program.Signatures()[i].Signature.Title)
		a = p.armory()
		a.settings.NoCatalog = false
	}
}

// BenchmarkArmoryStart starts with 100,000 signatures in the store, in one file and in a file each.
func BenchmarkArmoryStart(b *testing.B) {
	const size = 100_000
	all := many(size)
	for name, files := range map[string][]string{"one-file": {strings.Join(all, "---\n")}, "a-file-each": all} {
		b.Run(name, func(b *testing.B) {
			p := newPlace(b)
			for i, text := range files {
				p.write(fmt.Sprintf("s%06d.yaml", i), text)
			}
			began := time.Now()
			cold, _ := p.armory().open()
			b.ReportMetric(time.Since(began).Seconds(), "s-cold")
			require.Equal(b, size, cold.Len())
			for b.Loop() {
				warm, refused := p.armory().open()
				require.Empty(b, refused)
				require.Equal(b, size, warm.Len())
			}
		})
	}
}

func TestASignatureWithManyMistakesIsRefusedOnce(t *testing.T) {
	a := &armory{globals: &globals{log: slog.New(slog.DiscardHandler)}}
	_, broken := signatures.Parse("a.yaml", []byte("id: broken\ntitle: x\nstages: []\n"))
	_, other := signatures.Parse("b.yaml", []byte("id: other\n"))
	a.told(append(broken, other...))
	require.Len(t, a.refused, 2)
	require.Contains(t, a.refused[0], `"clear" is missing`)
	require.Contains(t, a.refused[0], `"stages" is empty`)
	require.Contains(t, a.refused[1], "b.yaml")
}
