package matcher_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

const year = 365 * 24 * 3600

// marked gives marks to a watermark; a name with a bang ends.
type marked struct {
	*testing.T
	*matcher.Watermark
}

func newMarked(t *testing.T) marked {
	t.Helper()
	w, err := matcher.NewWatermark(matcher.TrackerOptions{Lateness: 5 * time.Second, SilentAfter: time.Minute})
	require.NoError(t, err)
	return marked{t, w}
}

func (m marked) at(seconds int, sources ...string) marked {
	for _, name := range sources {
		x := mark(name, seconds)
		if x.Ended = name[len(name)-1] == '!'; x.Ended {
			x.Source = name[:len(name)-1]
		}
		m.Update(x)
	}
	return m
}

func (m marked) is(watermark, horizon int, silent ...string) {
	m.Helper()
	w, ok := m.Time()
	require.True(m, ok)
	require.Equal(m, watermark, int((w-start)/second), "watermark")
	h, ok := m.Horizon()
	require.True(m, ok)
	require.Equal(m, horizon, int((h-start)/second), "horizon")
	require.Equal(m, silent, m.Silent())
}

func TestWatermark(t *testing.T) {
	t.Parallel()
	m := newMarked(t)
	_, ok := m.Horizon()
	require.False(t, ok, "nothing is known before the first mark")
	m.at(10, "a").is(10, 5)
	m.at(20, "b").is(10, 5)
	m.at(70, "b").is(10, 5)
	m.at(71, "b").is(71, 66, "a")
	m.at(30, "a").is(30, 66)
	m.at(75, "a").is(71, 66)
	m.at(72, "a").is(71, 66) // a mark that comes late
	m.at(76, "b!").is(75, 70)
	m.at(80, "a!").is(80, 75)
}

func TestWatermarkForgetsWhoIsGone(t *testing.T) {
	t.Parallel()
	m := newMarked(t)
	m.at(0, "a", "b", "c!")
	for i := range 24*60 + 2 {
		m.at(i*60, "b")
	}
	m.is(24*3600+60, 24*3600+55)
}

func TestClockThatJumpsAheadSilencesNobody(t *testing.T) {
	t.Parallel()
	m := newMarked(t)
	m.at(0, "a", "b", "c")
	for i := 10; i <= 1000; i += 10 {
		m.at(i, "a", "b")
		m.at(year+i, "c")
		m.is(i, i-5)
	}
	m.at(1010, "a", "b", "c")
	m.is(1010, 1005)
}

func TestClockThatJumpsAheadIsBelievedWhenOthersFollow(t *testing.T) {
	t.Parallel()
	m := newMarked(t)
	m.at(0, "a", "b", "c")
	m.at(3600, "a")
	m.is(0, -5)
	m.at(3600, "b")
	m.is(3600, 3595, "c")
	m.at(7200, "a").at(7210, "b")
	m.is(7200, 7195, "c")
}

func TestLastLivingSourceIsBelieved(t *testing.T) {
	t.Parallel()
	m := newMarked(t)
	m.at(0, "a", "b")
	m.at(600, "a")
	m.is(0, -5)
	m.at(661, "a")
	m.is(661, 656, "b")

	m = newMarked(t)
	m.at(0, "a", "b")
	m.at(600, "a").at(10, "b!")
	m.is(600, 595)
}

func TestClockThatIsSetBackIsBelieved(t *testing.T) {
	t.Parallel()
	m := newMarked(t)
	m.at(year, "a")
	m.is(year, year-5)
	m.at(100, "a", "b")
	m.is(100, year-5)
	require.Empty(t, m.Silent())
}

func TestWatermarkOfHostileMarks(t *testing.T) {
	t.Parallel()
	m := newMarked(t)
	for _, x := range []int64{-1 << 63, 1<<63 - 1, 0, -1, 1} {
		m.Update(matcher.Mark{Source: "a", Time: x})
		m.Update(matcher.Mark{Time: x})
		_, _ = m.Horizon()
	}
	require.Empty(t, m.Silent())
}

// TestWatermarkReadSeldomIsAsOneReadOften: what is found again only when it is asked for must not depend on how often that is.
func TestWatermarkReadSeldomIsAsOneReadOften(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		often, seldom := newMarked(t), newMarked(t)
		clock := 0
		for range 60 {
			for range 1 + r.IntN(8) {
				clock += r.IntN(40)
				at := clock - r.IntN(30)
				switch r.IntN(12) {
				case 0:
					at += 300
				case 1:
					at -= 300
				}
				name := string(rune('a' + r.IntN(5)))
				if r.IntN(15) == 0 {
					name += "!"
				}
				often.at(at, name)
				_, _ = often.Time()
				seldom.at(at, name)
			}
			want, _ := often.Time()
			got, _ := seldom.Time()
			require.Equal(t, want, got, "seed %d", seed)
			require.Equal(t, often.Silent(), seldom.Silent(), "seed %d", seed)
		}
	}
}
