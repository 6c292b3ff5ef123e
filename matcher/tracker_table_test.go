package matcher

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTableFindsWhatIsInIt compares the table with a map, with hashes that collide often.
func TestTableFindsWhatIsInIt(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		d := rand.New(rand.NewPCG(seed, 1))
		table, twin := newTable(), map[uint32]uint32{} // slot -> hash
		hashes := uint32(1) << (4 + seed)
		random := func() uint32 { return d.Uint32N(hashes) * 2654435761 }
		check := func(hash uint32) {
			var found, want []uint32
			for n, place := table.first(hash); n != noSlot; n, place = table.following(hash, place) {
				if table.at(n).hash == hash { // the others only look alike
					found = append(found, n)
				}
			}
			for n, h := range twin {
				if h == hash {
					want = append(want, n)
				}
			}
			require.ElementsMatch(t, want, found)
		}
		for range 1000 {
			if len(twin) > 0 && d.IntN(5) < 2 {
				n := slices.Min(slices.Collect(maps.Keys(twin)))
				table.drop(n)
				delete(twin, n)
			} else {
				hash := random()
				n := table.add(hash)
				table.at(n).block = 1
				require.NotContains(t, twin, n)
				twin[n] = hash
			}
			check(random())
		}
		require.Equal(t, len(twin), table.count)
		require.ElementsMatch(t, slices.Collect(maps.Keys(twin)), slices.Collect(table.each))
	}
}

// TestWheelFiresEachInItsTick compares the wheel with a map.
func TestWheelFiresEachInItsTick(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		d := rand.New(rand.NewPCG(seed, 2))
		table, w, twin := newTable(), wheel{}, map[uint32]uint32{} // slot -> tick
		var idle []uint32
		for range 200 {
			idle = append(idle, table.add(d.Uint32()))
		}
		far := func() uint32 { return min(d.Uint32()>>d.IntN(32), noTick-1) }
		for range 2000 {
			switch {
			case len(idle) > 0 && d.IntN(3) > 0:
				if tick := w.now + far(); tick > w.now && tick != noTick {
					n := idle[len(idle)-1]
					idle = idle[:len(idle)-1]
					w.link(&table, n, tick)
					twin[n] = tick
				}
			case d.IntN(4) == 0 && len(twin) > 0:
				n := slices.Max(slices.Collect(maps.Keys(twin)))
				w.unlink(&table, n)
				delete(twin, n)
				idle = append(idle, n)
			default:
				to := w.now + far()>>8
				if to < w.now {
					continue
				}
				fired := w.advance(&table, to, nil)
				var want []uint32
				for n, tick := range twin {
					if tick <= to {
						want = append(want, n)
						delete(twin, n)
					}
				}
				require.ElementsMatch(t, want, fired)
				idle = append(idle, fired...)
			}
		}
	}
}

// TestBlocksKeepTheirBytes compares blocks with slices.
func TestBlocksKeepTheirBytes(t *testing.T) {
	t.Parallel()
	d := rand.New(rand.NewPCG(3, 3))
	var b blocks
	twin := map[block][]byte{}
	size := func() int {
		if d.IntN(50) == 0 {
			return d.IntN(40_000)
		}
		return d.IntN(300)
	}
	fill := func(at block, to []byte) {
		for i := range to {
			to[i] = byte(d.Uint32())
		}
		twin[at] = bytes.Clone(to)
	}
	var order []block
	for i := range 30_000 {
		switch {
		case len(order) < 100 || i < 10_000:
			at, to := b.alloc(size())
			require.Nil(t, twin[at])
			fill(at, to)
			order = append(order, at)
		default:
			k := d.IntN(len(order))
			old := order[k]
			delete(twin, old)
			if d.IntN(2) == 0 {
				b.release(old)
				order = slices.Delete(order, k, k+1)
				continue
			}
			at, to := b.resize(old, size())
			require.Nil(t, twin[at])
			fill(at, to)
			order[k] = at
		}
	}
	held := 0
	for at, want := range twin {
		require.Equal(t, want, b.bytes(at)[:len(want)])
		require.Len(t, b.bytes(at), len(want))
		if at&largeBlock != 0 {
			held += len(want)
		} else {
			held += int(unitsOf(len(want))) * blockUnit
		}
	}
	require.Equal(t, held, b.held)
}

// TestSeenIDsAreTheNewest compares the ring with a list.
func TestSeenIDsAreTheNewest(t *testing.T) {
	t.Parallel()
	for _, bound := range []int{1, 7, 1000, 3000} {
		d := rand.New(rand.NewPCG(uint64(bound), 4))
		s := newSeenIDs(bound)
		var twin []uint64
		for range 10_000 {
			id := uint64(d.IntN(2*bound)+1) * 0x9e3779b97f4a7c15
			added, forgot := s.add(id)
			require.Equal(t, !slices.Contains(twin, id), added)
			require.Equal(t, added && len(twin) == bound, forgot)
			if added {
				if twin = append(twin, id); len(twin) > bound {
					twin = twin[1:]
				}
			}
		}
		again := newSeenIDs(bound)
		for _, at := range d.Perm(len(s.ring)) { // as Restore gives it, in any order
			again.restore(at, s.ring[at])
		}
		again.next = s.next
		for range 3 * bound {
			id := uint64(d.IntN(2*bound)+1) * 0x9e3779b97f4a7c15
			a, f := s.add(id)
			added, forgot := again.add(id)
			require.Equal(t, []bool{a, f}, []bool{added, forgot})
		}
	}
}

// TestEvidenceIsShedOldestFirst fills the log beyond its bound.
func TestEvidenceIsShedOldestFirst(t *testing.T) {
	t.Parallel()
	l := evidenceLog{next: 1, bound: 3 * evidenceChunk}
	var used []evidence
	text := func(n evidence) []byte { return bytes.Repeat(fmt.Appendf(nil, "%d ", n), 50) }
	for range 20_000 {
		if n := l.put(text(l.next)); n%3 == 0 {
			used = append(used, n)
		}
		if !l.full(true) {
			continue
		}
		shed := l.sweep(used)
		require.LessOrEqual(t, l.bytes, l.bound)
		for i, n := range used {
			if uint64(i) < shed {
				require.Nil(t, l.get(n))
			} else {
				require.Equal(t, text(n), l.get(n))
			}
		}
		used = slices.Clone(used[shed:])
		require.Nil(t, l.get(l.next))
		for n := l.next - 10; n < l.next; n++ {
			require.Equal(t, n%3 == 0, l.get(n) != nil, "what nobody uses goes")
		}
	}
	require.Greater(t, used[0], evidence(1000))
}

func TestNthLeast(t *testing.T) {
	t.Parallel()
	d := rand.New(rand.NewPCG(5, 5))
	for range 1000 {
		list := make([]uint64, d.IntN(50)+1)
		for i := range list {
			list[i] = d.Uint64N(20)
		}
		n := d.IntN(len(list))
		require.Equal(t, slices.Sorted(slices.Values(list))[n], nthLeast(list, n))
	}
}

func TestKeysAreSplitAfterWhatManyShare(t *testing.T) {
	t.Parallel()
	for key, shared := range map[string]string{
		"namespace=a\x1fpod=b\x1f":                             "namespace=a\x1fpod=",
		"cluster=c\x1fnamespace=a\x1fpod=b\x1fcontainer=d\x1f": "cluster=c\x1fnamespace=a\x1fpod=",
		"namespace=a\x1fkind=Deployment\x1fworkload=w\x1f":     "namespace=a\x1fkind=Deployment\x1fworkload=",
		"namespace=a\x1f":                                      "namespace=",
		"node=n\x1f":                                           "node=",
		"stream=/a=b\x1f":                                      "stream=",
		"namespace=a":                                          "namespace=",
		"":                                                     "",
		"x":                                                    "",
	} {
		require.Equal(t, shared, key[:sharedBy([]byte(key))], "%q", key)
	}
	f := newFirsts()
	for i := range maxFirsts + 10 {
		key := fmt.Appendf(nil, "namespace=%d\x1fpod=p\x1f", i)
		number, last := f.split(key, true)
		again, same := f.split(key, false)
		require.Equal(t, number, again)
		require.Equal(t, last, same)
		require.Equal(t, string(key), splitKey{f.list[number], string(last)}.text())
	}
	require.Len(t, f.list, maxFirsts)
}
