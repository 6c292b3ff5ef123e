package matcher_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// storedHeader is the size of what comes before the tables: a mark, the format, the checksum.
const storedHeader = 24

// forge gives a stored program a checksum that fits.
func forge(b []byte) []byte {
	b = slices.Clone(b)
	if len(b) >= storedHeader {
		binary.LittleEndian.PutUint64(b[storedHeader-8:], xxhash.Sum64(b[storedHeader:]))
	}
	return b
}

// storedProgram compiles signatures with all kinds of conditions, and gives records that many of them look at.
func storedProgram(tb testing.TB) (stored []byte, records []record.Record) {
	tb.Helper()
	d := newDice(7)
	var sigs []*signatures.Signature
	for i := range 40 {
		sigs = append(sigs, d.scanSignature(i))
	}
	p, _ := matcher.Compile(sigs, matcher.CompileOptions{})
	require.Greater(tb, p.Len(), 10)
	for i := range 60 {
		records = append(records, d.scanRecord(i).record)
	}
	return p.AppendTo(nil), records
}

// use does with a program what a process does.
func use(tb testing.TB, p *matcher.Program, b *record.Batch) {
	tb.Helper()
	for _, h := range p.Scan(b, &matcher.Scratch{}) {
		if c := p.Lookup(h.Signature); c != nil {
			require.Equal(tb, h.Signature, c.Digest)
		}
	}
	tracker, err := matcher.NewTracker(p, matcher.TrackerOptions{})
	require.NoError(tb, err)
	for _, h := range p.Scan(b, &matcher.Scratch{}) {
		tracker.Observe(&h)
	}
	tracker.Advance()
	next, _ := p.With([]*signatures.Signature{one("more", logText("something more"))}, slices.Collect(p.Digests())[:p.Len()/2])
	next.Scan(b, &matcher.Scratch{})
}

func TestADamagedProgramIsRefused(t *testing.T) {
	stored, records := storedProgram(t)
	b := batch(t, records...)
	p, err := matcher.LoadProgram(stored, matcher.CompileOptions{}, nil)
	require.NoError(t, err)
	use(t, p, b)
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		bad := slices.Clone(stored)
		bad[random.IntN(len(bad))] ^= byte(1 + random.IntN(255))
		_, err := matcher.LoadProgram(bad, matcher.CompileOptions{}, nil)
		require.Error(t, err)
		_, err = matcher.LoadProgram(stored[:random.IntN(len(stored))], matcher.CompileOptions{}, nil)
		require.Error(t, err)
	}
}

func TestAForgedProgramDoesNoHarm(t *testing.T) {
	stored, records := storedProgram(t)
	b := batch(t, records...)
	random := rand.New(rand.NewPCG(5, 6))
	loaded := 0
	for range 700 {
		bad := slices.Clone(stored)
		for range 1 + random.IntN(3) {
			at := storedHeader + random.IntN(len(bad)-storedHeader)
			bad[at] = []byte{0, 1, 255, bad[at] + 1, byte(random.Uint32())}[random.IntN(5)]
		}
		p, err := matcher.LoadProgram(forge(bad), matcher.CompileOptions{}, nil)
		if err != nil {
			continue
		}
		loaded++
		use(t, p, b)
	}
	require.NotZero(t, loaded, "no change was accepted, so nothing was tried")
}

func FuzzLoadProgram(f *testing.F) {
	stored, records := storedProgram(f)
	b := batch(f, records...)
	f.Add(stored)
	small, _ := matcher.Compile([]*signatures.Signature{one("s", logText("abc", "a longer literal"))}, matcher.CompileOptions{})
	f.Add(small.AppendTo(nil))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		p, err := matcher.LoadProgram(forge(bytes), matcher.CompileOptions{}, nil)
		if err == nil {
			use(t, p, b)
		}
	})
}
