package metrics

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// schemas describes both messages as far as they are decoded here, for protobuf's own decoder.
func schemas(tb testing.TB) (v1, v2 protoreflect.MessageDescriptor) {
	tb.Helper()
	type f = descriptorpb.FieldDescriptorProto_Type
	const (
		text, double, integer, unsigned = descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_DOUBLE,
			descriptorpb.FieldDescriptorProto_TYPE_INT64, descriptorpb.FieldDescriptorProto_TYPE_UINT64
		ref, message = descriptorpb.FieldDescriptorProto_TYPE_UINT32, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	)
	field := func(name string, number int32, kind f, of string) *descriptorpb.FieldDescriptorProto {
		x := &descriptorpb.FieldDescriptorProto{
			Name: new(name), Number: new(number), Type: kind.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if of != "" || kind == ref || name == "symbols" {
			x.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}
		if of != "" {
			x.TypeName = new(".t." + of)
		}
		return x
	}
	m := func(name string, fields ...*descriptorpb.FieldDescriptorProto) *descriptorpb.DescriptorProto {
		return &descriptorpb.DescriptorProto{Name: new(name), Field: fields}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("t.proto"), Package: new("t"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			m("Label", field("name", 1, text, ""), field("value", 2, text, "")),
			m("Sample", field("value", 1, double, ""), field("at", 2, integer, "")),
			m("Histogram", field("count", 1, unsigned, ""), field("float", 2, double, ""), field("sum", 3, double, ""), field("at", 15, integer, "")),
			m("Exemplar"),
			m("Series1", field("labels", 1, message, "Label"), field("samples", 2, message, "Sample"), field("exemplars", 3, message, "Exemplar"), field("histograms", 4, message, "Histogram")),
			m("Request1", field("series", 1, message, "Series1")),
			m("Series2", field("refs", 1, ref, ""), field("samples", 2, message, "Sample"), field("histograms", 3, message, "Histogram"), field("exemplars", 4, message, "Exemplar")),
			m("Request2", field("symbols", 4, text, ""), field("series", 5, message, "Series2")),
		},
	}, nil)
	require.NoError(tb, err)
	return file.Messages().ByName("Request1"), file.Messages().ByName("Request2")
}

// plainly decodes a message with protobuf's own decoder, and gives its sound samples in words. sure says that nothing of the message was unknown to it.
func plainly(b []byte, schema protoreflect.MessageDescriptor, latest int64) (samples []string, bad int, sure bool, err error) {
	x := dynamicpb.NewMessage(schema)
	if err := proto.Unmarshal(b, x); err != nil {
		return nil, 0, false, err
	}
	get := func(m protoreflect.Message, name string) protoreflect.Value {
		return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
	}
	sure = len(x.GetUnknown()) == 0
	v2 := schema.Name() == "Request2"
	list := get(x, "series").List()
	for i := range list.Len() {
		s := list.Get(i).Message()
		sure = sure && len(s.GetUnknown()) == 0
		labels, ok := [][2]string{}, true
		if v2 {
			symbols, refs := get(x, "symbols").List(), get(s, "refs").List()
			ok = refs.Len()%2 == 0
			for j := 0; j+1 < refs.Len() && ok; j += 2 {
				k, v := refs.Get(j).Uint(), refs.Get(j+1).Uint()
				if ok = k < uint64(symbols.Len()) && v < uint64(symbols.Len()); ok {
					labels = append(labels, [2]string{symbols.Get(int(k)).String(), symbols.Get(int(v)).String()})
				}
			}
		} else {
			pairs := get(s, "labels").List()
			for j := range pairs.Len() {
				l := pairs.Get(j).Message()
				sure = sure && len(l.GetUnknown()) == 0
				labels = append(labels, [2]string{get(l, "name").String(), get(l, "value").String()})
			}
		}
		name, seen := "", map[string]bool{}
		var words []string
		ok = ok && len(labels) <= maxSeriesLabels
		for _, l := range labels {
			switch {
			case l[0] == "__name__":
				ok, name = ok && !seen["__name__"], l[1]
				seen["__name__"] = true
			case l[0] == "":
				ok = false
			case l[1] != "":
				ok = ok && !seen[l[0]]
				seen[l[0]] = true
				words = append(words, l[0]+"="+l[1])
			}
		}
		slices.Sort(words)
		add := func(suffix string, v float64, at int64) {
			if ok && name != "" && at > 0 && at <= latest {
				samples = append(samples, fmt.Sprintf("%s%s{%s} %x %d", name, suffix, strings.Join(words, ","), math.Float64bits(v), at))
			}
		}
		points := get(s, "samples").List()
		for j := range points.Len() {
			p := points.Get(j).Message()
			sure = sure && len(p.GetUnknown()) == 0
			add("", get(p, "value").Float(), get(p, "at").Int())
		}
		if !ok || name == "" {
			bad++
		}
		sure = sure && get(s, "histograms").List().Len() == 0
	}
	return samples, bad, sure, nil
}

// FuzzRemoteWrite decodes any bytes as either message. What protobuf's own decoder refuses is refused; what it reads without a doubt is read, and to the same samples.
func FuzzRemoteWrite(f *testing.F) {
	list := []sent{
		{labels: []string{"__name__", "a", "pod", "web-0"}, samples: []point{{value: 1, at: 1000}, {value: math.NaN(), at: 2000}}, exemplars: 1, metadata: true},
		{labels: []string{"__name__", "h"}, histograms: []point{{value: 3, sum: 4, at: 1000}}},
		{labels: []string{"b", "c"}, samples: []point{{value: 1, at: -5}}},
	}
	f.Add(message1(list...), false)
	f.Add(message2(list...), true)
	f.Add(message1(list[0], list[0]), false)
	f.Add(message2(sent{labels: []string{"__name__", "a", "x"}, samples: []point{{at: 1}}}), true)
	v1, v2 := schemas(f)
	const latest = 1 << 50
	f.Fuzz(func(t *testing.T, b []byte, second bool) {
		schema := v1
		if second {
			schema = v2
		}
		want, bad, sure, plainErr := plainly(b, schema, latest)
		q := request{view: viewOf(nil, "*"), latest: latest}
		err := q.decode(b, second)
		if plainErr != nil {
			require.Error(t, err)
			return
		}
		if err != nil {
			if sure && !strings.Contains(err.Error(), "first symbol") {
				require.NoError(t, err)
			}
			return
		}
		var got []string
		for i := range q.needed {
			w := &q.needed[i]
			var words []string
			for _, l := range w.labels {
				words = append(words, l.Name+"="+l.Value)
			}
			slices.Sort(words)
			require.NoError(t, w.each(latest, func(name string, v float64, at int64) error {
				got = append(got, fmt.Sprintf("%s{%s} %x %d", name, strings.Join(words, ","), math.Float64bits(v), at))
				return nil
			}))
		}
		if !sure {
			return
		}
		require.Equal(t, want, got)
		require.Equal(t, len(want), q.samples)
		require.GreaterOrEqual(t, q.bad, bad)
	})
}
