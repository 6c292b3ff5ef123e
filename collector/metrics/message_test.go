package metrics

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// sent is a time series as a sender has it; message writes it in either version.
type sent struct {
	labels     []string // name, value, ...
	samples    []point
	histograms []point // value is the count
	exemplars  int
	metadata   bool
}

func part(b []byte, number protowire.Number, bytes []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), bytes)
}

func double(b []byte, number protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, number, protowire.Fixed64Type), math.Float64bits(v))
}

func varint(b []byte, number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

func sampleBytes(p point) []byte { return varint(double(nil, 1, p.value), 2, uint64(p.at)) }

// histogramBytes is a native histogram with buckets, which nothing here looks at.
func histogramBytes(p point) []byte {
	b := double(varint(nil, 1, uint64(p.value)), 3, p.sum)
	b = varint(b, 4, protowire.EncodeZigZag(3))
	b = part(b, 11, varint(varint(nil, 1, 0), 2, 2))
	b = part(b, 12, protowire.AppendVarint(protowire.AppendVarint(nil, 4), 2))
	return varint(b, 15, uint64(p.at))
}

func message1(list ...sent) []byte {
	var out []byte
	for _, s := range list {
		var b []byte
		for i := 0; i < len(s.labels); i += 2 {
			b = part(b, 1, part(part(nil, 1, []byte(s.labels[i])), 2, []byte(s.labels[i+1])))
		}
		for _, p := range s.samples {
			b = part(b, 2, sampleBytes(p))
		}
		for range s.exemplars {
			b = part(b, 3, double(nil, 2, 1))
		}
		for _, p := range s.histograms {
			b = part(b, 4, histogramBytes(p))
		}
		out = part(out, 1, b)
		if s.metadata {
			out = part(out, 3, varint(part(nil, 2, []byte("family")), 1, 1))
		}
	}
	return out
}

func message2(list ...sent) []byte {
	symbols := []string{""}
	at := map[string]uint64{"": 0}
	symbol := func(s string) uint64 {
		n, ok := at[s]
		if !ok {
			n = uint64(len(symbols))
			at[s], symbols = n, append(symbols, s)
		}
		return n
	}
	var series []byte
	for _, s := range list {
		var b, refs []byte
		for _, l := range s.labels {
			refs = protowire.AppendVarint(refs, symbol(l))
		}
		b = part(b, 1, refs)
		for _, p := range s.samples {
			b = part(b, 2, varint(sampleBytes(p), 3, 5))
		}
		for _, p := range s.histograms {
			b = part(b, 3, histogramBytes(p))
		}
		for range s.exemplars {
			b = part(b, 4, double(nil, 2, 1))
		}
		if s.metadata {
			b = part(b, 5, varint(varint(nil, 1, 1), 3, symbol("what it is")))
		}
		series = part(series, 5, b)
	}
	var out []byte
	for _, s := range symbols {
		out = part(out, 4, []byte(s))
	}
	return append(out, series...)
}
