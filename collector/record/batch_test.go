package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden frames in testdata")

// twin is the obvious form of a batch: what goes in must come out.
type twin struct {
	header  Header
	records []Record
}

func randomTwin(r *rand.Rand) twin {
	word := func(n int) string {
		b := make([]byte, r.IntN(n))
		for i := range b {
			b[i] = byte(r.UintN(256))
		}
		return string(b)
	}
	attrs := func() Attrs {
		m := map[string]string{}
		for range r.IntN(6) {
			m[fmt.Sprintf("key.%d", r.IntN(8))] = word(12)
		}
		if a := NewAttrs(m); len(a) > 0 {
			return a
		}
		return nil
	}
	t := twin{header: Header{
		Source: "logs/node-" + word(4), Scope: attrs(), Kinds: 1 << (1 + r.IntN(5)),
		Mark: r.Int64() * int64(r.IntN(2)), Ended: r.IntN(2) == 0,
	}}
	spread := r.UintN(65)
	num := func() uint64 {
		if spread == 0 {
			return 7
		}
		return r.Uint64() >> (64 - spread)
	}
	for range r.IntN(40) {
		rec := Record{
			Kind: Kind(1 + r.IntN(5)), Time: int64(num()) - 1000, Observed: int64(num()), Seq: num(), ID: num(),
			Count: uint32(num()>>32) + 1, Text: []byte(word(60)), Attrs: attrs(),
		}
		if rec.Kind == Sample {
			rec.Value = math.Float64frombits(num())
			if math.IsNaN(rec.Value) {
				rec.Value = math.Inf(-1)
			}
		}
		t.records = append(t.records, rec)
	}
	return t
}

func (t *twin) frame(tb testing.TB, b *Builder) []byte {
	tb.Helper()
	require.NoError(tb, b.Reset(t.header))
	for i := range t.records {
		require.NoError(tb, b.Add(&t.records[i]))
	}
	require.Equal(tb, len(t.records), b.Len())
	size := b.Size()
	wire := b.AppendTo([]byte("kept"))
	require.Equal(tb, "kept", string(wire[:4]))
	if !b.Compress {
		require.LessOrEqual(tb, len(wire)-4, size, "Size must be an upper bound")
	}
	require.Zero(tb, b.Len())
	return wire[4:]
}

func (t *twin) requireEqual(tb testing.TB, b *Batch) {
	tb.Helper()
	require.Equal(tb, t.header, *b.Header())
	require.Equal(tb, len(t.records), b.Len())
	require.Len(tb, b.TextEnds(), b.Len())
	var text []byte
	for i, want := range t.records {
		text = append(append(text, want.Text...), '\n')
		got := b.At(i)
		require.Equal(tb, want, sameEmpty(got, want))
		require.Equal(tb, want.Kind, b.Kind(i))
		require.Equal(tb, want.Time, b.Time(i))
		require.Equal(tb, want.Attrs, b.Set(b.AttrSet(i)))
		start, end := b.TextRange(i)
		require.Equal(tb, string(want.Text), string(b.Text()[start:end]))
	}
	require.Equal(tb, string(text), string(b.Text()))
	require.Equal(tb, make([]byte, Padding), b.Text()[len(text):len(text)+Padding])
	seen := map[string]bool{}
	for j := range b.Sets() {
		s := fmt.Sprintf("%q", b.Set(j))
		require.False(tb, seen[s], "set %d is there twice", j)
		seen[s] = true
	}
}

// sameEmpty gives an empty text the form that want has: nil and empty are the same record.
func sameEmpty(r, want Record) Record {
	if len(r.Text) == 0 && len(want.Text) == 0 {
		r.Text = want.Text
	}
	return r
}

func TestBatchGivesBackWhatWentIn(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var plain Builder
	packed := Builder{Compress: true}
	var batch Batch
	for range 2000 {
		tw := randomTwin(r)
		require.NoError(t, batch.Decode(tw.frame(t, &plain)))
		tw.requireEqual(t, &batch)
		require.NoError(t, batch.Decode(tw.frame(t, &packed)))
		tw.requireEqual(t, &batch)
	}
}

func TestBatchKeepsTheExtremes(t *testing.T) {
	tw := twin{header: Header{Source: "s", Mark: math.MinInt64}}
	for _, v := range []int64{math.MinInt64, -1, 0, 1, math.MaxInt64} {
		tw.records = append(tw.records, Record{
			Kind: Sample, Time: v, Observed: -v, Seq: uint64(v), ID: ^uint64(v),
			Count: math.MaxUint32, Value: math.Inf(1), Text: []byte("a\nb\x00\xff\n"),
		})
	}
	var b Builder
	var batch Batch
	require.NoError(t, batch.Decode(tw.frame(t, &b)))
	tw.requireEqual(t, &batch)
}

func TestBatchOfAHeartbeatHasNoRecords(t *testing.T) {
	var b Builder
	require.Empty(t, b.AppendTo(nil), "a builder without a header makes nothing")
	require.NoError(t, b.Reset(Header{Source: "events", Kinds: 1 << Event}))
	b.SetMark(42, true)
	var batch Batch
	require.NoError(t, batch.Decode(b.AppendTo(nil)))
	require.Zero(t, batch.Len())
	require.Zero(t, batch.Sets())
	require.Equal(t, Header{Source: "events", Kinds: 1 << Event, Mark: 42, Ended: true}, *batch.Header())

	require.NoError(t, batch.Decode(b.AppendTo(nil)), "the header stays")
	require.Equal(t, Header{Source: "events", Kinds: 1 << Event}, *batch.Header(), "but the mark was said once")
}

func TestBuilderCopiesWhatItIsGiven(t *testing.T) {
	var b, again Builder
	var batch, second Batch
	tw := randomTwin(rand.New(rand.NewPCG(3, 3)))
	wire := tw.frame(t, &b)
	require.NoError(t, batch.Decode(wire))
	require.NoError(t, again.Reset(*batch.Header()))
	for i := range batch.Len() {
		r := batch.At(i)
		require.NoError(t, again.Add(&r))
	}
	want := bytes.Clone(wire)
	clear(wire) // what the records alias is gone
	require.NoError(t, second.Decode(again.AppendTo(nil)))
	require.NoError(t, batch.Decode(want))
	tw.requireEqual(t, &second)
}

func TestBuilderRefuses(t *testing.T) {
	long := strings.Repeat("x", MaxValue+1)
	many := Attrs{}
	for i := range MaxAttrs + 1 {
		many = append(many, Attr{fmt.Sprintf("k%03d", i), "v"})
	}
	for name, tc := range map[string]struct {
		header Header
		record Record
		want   string
	}{
		"no source":         {Header{}, Record{}, "no source"},
		"long source":       {Header{Source: long}, Record{}, "16385 bytes"},
		"unknown kinds":     {Header{Source: "s", Kinds: 1 << 7}, Record{}, "no such kind"},
		"unsorted scope":    {Header{Source: "s", Scope: Attrs{{"b", "1"}, {"a", "1"}}}, Record{}, "must be sorted"},
		"no kind":           {Header{Source: "s"}, Record{}, "invalid kind 0"},
		"unknown kind":      {Header{Source: "s"}, Record{Kind: 9}, "invalid kind 9"},
		"long text":         {Header{Source: "s"}, Record{Kind: Log, Text: make([]byte, MaxText+1)}, "at most 524288"},
		"repeated key":      {Header{Source: "s"}, Record{Kind: Log, Attrs: Attrs{{"a", "1"}, {"a", "2"}}}, "each once"},
		"no key":            {Header{Source: "s"}, Record{Kind: Log, Attrs: Attrs{{"", "1"}}}, "has no key"},
		"long key":          {Header{Source: "s"}, Record{Kind: Log, Attrs: Attrs{{long, "1"}}}, "at most 256"},
		"long value":        {Header{Source: "s"}, Record{Kind: Log, Attrs: Attrs{{"a", long}}}, "at most 16384"},
		"too many":          {Header{Source: "s"}, Record{Kind: Log, Attrs: many}, "65 attributes"},
		"record, no header": {Header{}, Record{Kind: Log}, "call Reset first"},
	} {
		t.Run(name, func(t *testing.T) {
			var b Builder
			err := b.Reset(tc.header)
			if err == nil || name == "record, no header" {
				err = b.Add(&tc.record)
			}
			require.ErrorContains(t, err, tc.want)
			require.Zero(t, b.Len())
		})
	}
}

func TestBuilderIsFullBeforeAFrameIsTooLarge(t *testing.T) {
	for name, text := range map[string]int{"large": MaxText, "small": 9, "none": 0} {
		t.Run(name, func(t *testing.T) {
			var b Builder
			scope := Attrs{{"a", strings.Repeat("v", MaxValue)}}
			require.NoError(t, b.Reset(Header{Source: "s", Scope: scope}))
			n := 0
			for ; ; n++ {
				r := Record{Kind: Log, Time: int64(n) << 40, Text: make([]byte, text)}
				if n%3 == 0 {
					r.Attrs = Attrs{{"n", fmt.Sprint(n)}}
				}
				if err := b.Add(&r); err != nil {
					require.ErrorIs(t, err, ErrFull)
					break
				}
			}
			require.Equal(t, n, b.Len())
			wire := b.AppendTo(nil)
			require.LessOrEqual(t, len(wire), MaxFrame)
			var batch Batch
			require.NoError(t, batch.Decode(wire))
			require.Equal(t, n, batch.Len())
			require.NoError(t, b.Add(&Record{Kind: Log, Text: make([]byte, text)}), "there is room again")
		})
	}
}

func TestLargestRecordFits(t *testing.T) {
	var many Attrs
	for i := range MaxAttrs {
		many = append(many, Attr{fmt.Sprintf("%0*d", MaxKey, i), strings.Repeat(fmt.Sprint(i%10), MaxValue-i)})
	}
	var b Builder
	require.NoError(t, b.Reset(Header{Source: strings.Repeat("s", MaxValue), Scope: many}))
	for i := range many {
		many[i].Key = "o" + many[i].Key[1:]
		many[i].Value = "other" + many[i].Value[5:]
	}
	require.NoError(t, b.Add(&Record{Kind: Log, Text: make([]byte, MaxText), Attrs: many}))
	wire := b.AppendTo(nil)
	require.LessOrEqual(t, len(wire), MaxFrame)
	require.NoError(t, new(Batch).Decode(wire))
}

func TestDecodeRefusesEveryTruncationAndExtension(t *testing.T) {
	for _, compress := range []bool{false, true} {
		tw := randomTwin(rand.New(rand.NewPCG(5, 5)))
		wire := tw.frame(t, &Builder{Compress: compress})
		var batch Batch
		for n := range wire {
			require.Error(t, batch.Decode(wire[:n]), "cut at %d", n)
			require.Zero(t, batch.Len())
			// With a checksum that fits, the length must still be noticed.
			if n >= headerSize {
				require.Error(t, batch.Decode(sealed(wire[:n])), "cut at %d and sealed", n)
			}
		}
		require.Error(t, batch.Decode(append(bytes.Clone(wire), 0)))
		require.Zero(t, batch.Sum(), "what was refused has no checksum")
		require.NoError(t, batch.Decode(wire))
		require.Equal(t, binary.LittleEndian.Uint64(wire[offSum:]), batch.Sum())
	}
}

func TestDecodeNoticesEveryFlippedBit(t *testing.T) {
	tw := randomTwin(rand.New(rand.NewPCG(6, 6)))
	wire := tw.frame(t, &Builder{})
	var batch Batch
	for i := range len(wire) * 8 {
		wire[i/8] ^= 1 << (i % 8)
		require.Error(t, batch.Decode(wire), "bit %d", i)
		wire[i/8] ^= 1 << (i % 8)
	}
	require.NoError(t, batch.Decode(wire))
}

// sealed returns a copy of a frame with the checksum that its bytes have.
func sealed(wire []byte) []byte {
	c := bytes.Clone(wire)
	if len(c) >= offFlags {
		binary.LittleEndian.PutUint64(c[offSum:], xxhash.Sum64(c[offFlags:]))
	}
	return c
}

func TestDecodeRefusesHostileFrames(t *testing.T) {
	var b Builder
	require.NoError(t, b.Reset(Header{Source: "s"}))
	for i := range 3 {
		require.NoError(t, b.Add(&Record{Kind: Kind(i + 1), Count: uint32(i + 1), Text: []byte("ab"), Attrs: Attrs{{"k", fmt.Sprint(i)}}}))
	}
	good := b.AppendTo(nil)
	le := binary.LittleEndian
	// Strings are k 0 1 2 s: 5 ends, 5 bytes; then 4 set ends, 3 pairs, the columns kind, count and set, 3 text ends.
	const setEnds = headerSize + 5*4 + 5
	const pairs = setEnds + 4*4
	const kinds = pairs + 3*8
	const ends = kinds + 3*3
	const texts = ends + 3*4
	for name, tc := range map[string]struct {
		change func(w []byte)
		want   string
	}{
		"future version":  {func(w []byte) { w[3] = 2 }, "version 2"},
		"unknown flag":    {func(w []byte) { w[offFlags] = 8 }, "unknown flags"},
		"unknown kinds":   {func(w []byte) { w[offKinds] = 1 }, "unknown kinds"},
		"huge body":       {func(w []byte) { le.PutUint32(w[offBody:], math.MaxUint32) }, "at most 4194304"},
		"huge records":    {func(w []byte) { le.PutUint32(w[offRecords:], math.MaxUint32) }, "header claims parts of"},
		"huge sets":       {func(w []byte) { le.PutUint32(w[offSets:], math.MaxUint32) }, "header claims parts of"},
		"not compressed":  {func(w []byte) { w[offFlags] |= flagCompressed }, "compressed body"},
		"odd width":       {func(w []byte) { w[offWidths] = 3 }, "column kind has a width of 3"},
		"wide width":      {func(w []byte) { w[offWidths] = 16 }, "column kind has a width of 16"},
		"other widths":    {func(w []byte) { w[offWidths], w[offWidths+1] = 0, 2 }, "header claims parts of"},
		"source":          {func(w []byte) { le.PutUint32(w[offSource:], 5) }, "names no source"},
		"string back":     {func(w []byte) { le.PutUint32(w[headerSize+4:], 0) }, "string 1 of 5 ends at byte 0"},
		"string far":      {func(w []byte) { le.PutUint32(w[headerSize:], 6) }, "string 0 of 5 ends at byte 6"},
		"string leftover": {func(w []byte) { le.PutUint32(w[headerSize+16:], 4) }, "1 bytes after the last string"},
		"set far":         {func(w []byte) { le.PutUint32(w[setEnds:], 4) }, "set 0 of 3 ends at 4"},
		"set leftover":    {func(w []byte) { le.PutUint32(w[setEnds+8:], 2); le.PutUint32(w[setEnds+12:], 2) }, "1 attributes after"},
		"set repeats key": {func(w []byte) { le.PutUint32(w[setEnds:], 2) }, "must be sorted"},
		"pair":            {func(w []byte) { le.PutUint32(w[pairs:], 9) }, "names string 9 of 5"},
		"kind":            {func(w []byte) { w[kinds] = 200 }, "record 0 has an invalid kind 201"},
		"count":           {func(w []byte) { le.PutUint64(w[offBases+8*colCount:], 0) }, "record 0 has an invalid count 0"},
		"set index":       {func(w []byte) { w[kinds+8] = 3 }, "record 2 has attribute set 3 of 3"},
		"text back":       {func(w []byte) { le.PutUint32(w[ends+4:], 2) }, "text of record 1"},
		"text far":        {func(w []byte) { le.PutUint32(w[ends+8:], 9) }, "text of record 2"},
		"text leftover":   {func(w []byte) { le.PutUint32(w[ends+8:], 7); w[texts+7] = '\n' }, "1 bytes after the last text"},
		"no separator":    {func(w []byte) { w[texts+2] = ' ' }, "record 0 of 3 has no new line"},
		"padding":         {func(w []byte) { w[len(w)-1] = 1 }, "padding"},
	} {
		t.Run(name, func(t *testing.T) {
			w := bytes.Clone(good)
			tc.change(w)
			require.ErrorContains(t, new(Batch).Decode(sealed(w)), tc.want)
		})
	}
	require.ErrorContains(t, new(Batch).Decode(make([]byte, headerSize)), "not a batch")
	require.NoError(t, new(Batch).Decode(good))
}

func TestStoredFramesStillOpen(t *testing.T) {
	want := twin{
		header: Header{Source: "logs/node-1", Scope: Attrs{{Node, "node-1"}}, Kinds: 1<<Log | 1<<Event, Mark: 1_760_000_000_000_000_000},
		records: []Record{
			{
				Kind: Log, Time: 1_760_000_000_000_000_001, Observed: 1_760_000_000_100_000_000, Seq: 1, ID: 11, Count: 1,
				Text: []byte("disk full\n\tat line two"), Attrs: Attrs{{Namespace, "shop"}, {Pod, "web-0"}},
			},
			{
				Kind: Event, Time: 1_760_000_001_000_000_000, Observed: 1_760_000_001_100_000_000, Seq: 2, ID: math.MaxUint64, Count: 7,
				Text: []byte("Back-off restarting failed container"), Attrs: Attrs{{EventReason, "BackOff"}, {Pod, "web-0"}},
			},
			{Kind: Sample, Time: 1_760_000_002_000_000_000, Seq: 3, Count: 1, Value: 0.5, Attrs: Attrs{{MetricName, "up"}}},
			{Kind: Log, Time: 1_760_000_003_000_000_000, Seq: 4, Count: 1, Text: bytes.Repeat([]byte("again "), 50)},
		},
	}
	for name, compress := range map[string]bool{"v1.frame": false, "v1-s2.frame": true} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name)
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(path, want.frame(t, &Builder{Compress: compress}), 0o644))
			}
			wire, err := os.ReadFile(path)
			require.NoError(t, err)
			var batch Batch
			require.NoError(t, batch.Decode(wire))
			want.requireEqual(t, &batch)
		})
	}
}

func TestDecodeAndIterateAllocateNothing(t *testing.T) {
	for _, compress := range []bool{false, true} {
		wire := benchFrame(t, &Builder{Compress: compress})
		var batch Batch
		var r Record
		sum := 0
		allocs := testing.AllocsPerRun(50, func() {
			if err := batch.Decode(wire); err != nil {
				t.Error(err)
			}
			for i := range batch.Len() {
				batch.Get(i, &r)
				at := batch.At(i)
				sum += len(r.Text) + len(at.Attrs) + batch.AttrSet(i)
			}
			for j := range batch.Sets() {
				sum += len(batch.Set(j))
			}
		})
		require.Zero(t, allocs, "compressed: %t", compress)
		require.NotZero(t, sum)
	}
}

func TestBuilderAllocatesNothingOnceGrown(t *testing.T) {
	records := benchRecords(512)
	for _, compress := range []bool{false, true} {
		b := Builder{Compress: compress}
		require.NoError(t, b.Reset(Header{Source: "s"}))
		buf := make([]byte, 0, 1<<20)
		allocs := testing.AllocsPerRun(50, func() {
			for i := range records {
				if err := b.Add(&records[i]); err != nil {
					t.Error(err)
				}
			}
			buf = b.AppendTo(buf[:0])
		})
		require.Zero(t, allocs, "compressed: %t", compress)
	}
}

func FuzzBatchDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(8, 8))
	for range 6 {
		tw := randomTwin(r)
		f.Add(tw.frame(f, &Builder{}))
		f.Add(tw.frame(f, &Builder{Compress: true}))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, wire []byte) {
		var batch Batch
		_ = batch.Decode(wire)
		// The checksum would keep the fuzzer outside: seal what it made.
		if err := batch.Decode(sealed(wire)); err != nil {
			require.Zero(t, batch.Len())
			return
		}
		tw := twin{header: *batch.Header()}
		for i := range batch.Len() {
			require.NotEmpty(t, batch.Text()[:len(batch.Text())+Padding])
			tw.records = append(tw.records, batch.At(i))
		}
		var b Builder
		require.NoError(t, b.Reset(tw.header))
		for i := range tw.records {
			err := b.Add(&tw.records[i])
			if errors.Is(err, ErrFull) {
				return // a narrow frame may hold more records than the wide bound lets in
			}
			require.NoError(t, err)
		}
		var again Batch
		require.NoError(t, again.Decode(b.AppendTo(nil)))
		require.Equal(t, batch.Len(), again.Len())
		require.True(t, bytes.Equal(batch.Text(), again.Text()))
	})
}

func benchRecords(n int) []Record {
	r := rand.New(rand.NewPCG(9, 9))
	var sets []Attrs
	for i := range 4 {
		sets = append(sets, NewAttrs(map[string]string{
			FilePath: "/var/log/pods/x", Namespace: "shop", Container: "web", Node: "node-1", Pod: fmt.Sprintf("web-%d", i), Stream: "stderr",
		}))
	}
	records := make([]Record, n)
	for i := range records {
		text := []byte(strings.Repeat(fmt.Sprintf("level=info ts=%d msg=%q ", r.Uint32(), "request done"), 6))
		records[i] = Record{
			Kind: Log, Time: 1_760_000_000_000_000_000 + int64(i)*1e6, Observed: 1_760_000_000_500_000_000, Seq: uint64(i) * 183,
			ID: r.Uint64(), Count: 1, Text: text[:183], Attrs: sets[i/8%4],
		}
	}
	return records
}

func benchFrame(tb testing.TB, b *Builder) []byte {
	tb.Helper()
	tw := twin{header: Header{Source: "logs/node-1"}, records: benchRecords(512)}
	return tw.frame(tb, b)
}

func BenchmarkEncode(b *testing.B) {
	records := benchRecords(512)
	for _, compress := range []bool{false, true} {
		b.Run(fmt.Sprintf("compress=%t", compress), func(b *testing.B) {
			builder := Builder{Compress: compress}
			require.NoError(b, builder.Reset(Header{Source: "logs/node-1"}))
			var buf []byte
			b.SetBytes(512 * 183) // of text
			b.ReportAllocs()
			for b.Loop() {
				for i := range records {
					_ = builder.Add(&records[i])
				}
				buf = builder.AppendTo(buf[:0])
			}
			b.ReportMetric(float64(len(buf))/(512*183), "size/text")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, compress := range []bool{false, true} {
		b.Run(fmt.Sprintf("compress=%t", compress), func(b *testing.B) {
			wire := benchFrame(b, &Builder{Compress: compress})
			var batch Batch
			b.SetBytes(512 * 183)
			b.ReportAllocs()
			for b.Loop() {
				if err := batch.Decode(wire); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIterate(b *testing.B) {
	var batch Batch
	require.NoError(b, batch.Decode(benchFrame(b, &Builder{})))
	var r Record
	b.SetBytes(512 * 183)
	for b.Loop() {
		for i := range batch.Len() {
			batch.Get(i, &r)
		}
	}
}

func TestSharedAttributesMakeTheSameFrames(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(3, 4))
	sets := make([]Attrs, 5)
	for i := range sets {
		sets[i] = NewAttrs(map[string]string{"a": fmt.Sprint(i / 2), "b": "x"}) // some are equal in other memory
	}
	for range 100 {
		var plain, sharing Builder
		require.NoError(t, plain.Reset(Header{Source: "x"}))
		require.NoError(t, sharing.Reset(Header{Source: "x"}))
		for range 50 {
			r := Record{Kind: Log, Text: []byte("text"), Attrs: sets[dice.IntN(len(sets))]}
			if dice.IntN(5) == 0 {
				r.Attrs = nil
			}
			require.NoError(t, plain.Add(&r))
			if dice.IntN(4) == 0 {
				r.Attrs = r.Attrs.Clone()
				require.NoError(t, sharing.Add(&r))
				clear(r.Attrs)
				continue
			}
			require.NoError(t, sharing.AddShared(&r))
			if dice.IntN(20) == 0 {
				require.Equal(t, plain.AppendTo(nil), sharing.AppendTo(nil))
			}
		}
		require.Equal(t, plain.AppendTo(nil), sharing.AppendTo(nil))
	}
}
