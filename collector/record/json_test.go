package record

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestParseJSONReadsEveryKey(t *testing.T) {
	var r Record
	require.NoError(t, ParseJSON([]byte(` {"kind":"event","time":"2026-03-01T12:00:00.5+01:00","observed":1772362800.25,"seq":9,
		"id":"00000000000000ff","count":7,"text":"Back-off","attrs":{"k8s.pod.name":"web-0","a":"b","empty":""}} `), &r))
	at := time.Date(2026, 3, 1, 11, 0, 0, 5e8, time.UTC)
	require.Equal(t, Record{
		Kind: Event, Time: at.UnixNano(), Observed: at.UnixNano() - 25e7, Seq: 9, ID: 255, Count: 7,
		Text: []byte("Back-off"), Attrs: Attrs{{"a", "b"}, {"k8s.pod.name", "web-0"}},
	}, r)
}

func TestParseJSONTellsTheUnitOfANumberBySize(t *testing.T) {
	for in, want := range map[string]int64{
		"0":                     0,
		"1772366400":            1772366400e9,
		"1772366400.123456789":  1772366400123456789,
		"1772366400.1234567899": 1772366400123456789,
		"-1.5":                  -15e8,
		"-0.5":                  -5e8,
		"1772366400123":         1772366400123e6,
		"1772366400123.5":       17723664001235e5,
		"1772366400123456":      1772366400123456e3,
		"1772366400123456789":   1772366400123456789,
		"1.7723664e9":           1772366400e9,
	} {
		t.Run(in, func(t *testing.T) {
			var r Record
			require.NoError(t, ParseJSON([]byte(`{"kind":"log","time":`+in+`}`), &r))
			require.Equal(t, want, r.Time)
		})
	}
}

func TestParseJSONDerivesTheIdentityFromTheContent(t *testing.T) {
	id := func(extra string) uint64 {
		var r Record
		require.NoError(t, ParseJSON([]byte(`{"kind":"log","time":1,"text":"a"`+extra+`}`), &r))
		return r.ID
	}
	first := id("")
	require.Equal(t, first, id(""), "the same content is the same observation")
	require.Equal(t, first, id(`,"observed":5`), "whenever it was read")
	ids := map[uint64]bool{}
	for _, extra := range []string{"", `,"seq":1`, `,"attrs":{"a":"b"}`, `,"attrs":{"ab":"c"}`, `,"attrs":{"a":"bc"}`, `,"id":5`, `,"id":"x"`} {
		ids[id(extra)] = true
	}
	require.Len(t, ids, 7)
	require.Equal(t, uint64(5), id(`,"id":5`))
	require.Equal(t, Identity("uid-1"), id(`,"id":"uid-1"`))
}

func TestParseJSONRefuses(t *testing.T) {
	log := func(rest string) string { return `{"kind":"log","time":1,` + rest + `}` }
	var many strings.Builder
	for i := range MaxAttrs + 1 {
		fmt.Fprintf(&many, `,"k%d":"v"`, i)
	}
	for name, tc := range map[string]struct{ in, want string }{
		"nothing":          {``, "ends before"},
		"no object":        {`[]`, "want an object, got an array"},
		"cut":              {`{"kind":"log"`, "ends before"},
		"junk":             {"\x00\x01", "invalid character"},
		"more":             {log(`"text":"a"`) + `{}`, "more after the object"},
		"unknown key":      {log(`"message":"a"`), `"message": unknown; the keys are kind, time`},
		"other case":       {log(`"Text":"a"`), `"Text": unknown`},
		"repeated key":     {log(`"text":"a","text":"b"`), `"text" is there twice`},
		"no kind":          {`{"time":1}`, "kind is missing"},
		"unknown kind":     {`{"kind":"trace","time":1}`, `"kind": unknown record kind "trace"`},
		"null kind":        {`{"kind":null,"time":1}`, "want a string, got null"},
		"no time":          {`{"kind":"log"}`, "time is missing"},
		"bad time":         {`{"kind":"log","time":"yesterday"}`, `got "yesterday"`},
		"far time":         {`{"kind":"log","time":"9999-01-01T00:00:00Z"}`, "year 9999 is out of range"},
		"huge time":        {`{"kind":"log","time":1e300}`, "out of range"},
		"huger time":       {`{"kind":"log","time":99999999999999999999}`, "out of range"},
		"time object":      {`{"kind":"log","time":{}}`, "got an object"},
		"text number":      {log(`"text":5`), "want a string, got the number 5"},
		"long text":        {log(`"text":"` + strings.Repeat("x", MaxText+1) + `"`), "524289 bytes"},
		"two texts":        {log(`"text":"a","text_base64":"YQ=="`), "only one of"},
		"bad base64":       {log(`"text_base64":"!"`), "illegal base64"},
		"attrs array":      {log(`"attrs":[]`), `"attrs": want an object`},
		"attr number":      {log(`"attrs":{"a":1}`), `attribute "a": want a string`},
		"attr twice":       {log(`"attrs":{"a":"1","a":"2"}`), `"a" is there twice`},
		"attr without key": {log(`"attrs":{"":"1"}`), "has no key"},
		"long attr":        {log(`"attrs":{"a":"` + strings.Repeat("x", MaxValue+1) + `"}`), "16385 bytes"},
		"many attrs":       {log(`"attrs":{"z":"v"` + many.String() + `}`), "more than 64"},
		"count zero":       {`{"kind":"event","time":1,"count":0}`, "at least 1"},
		"count large":      {`{"kind":"event","time":1,"count":4294967296}`, "0 to 2^32-1"},
		"count of a log":   {log(`"count":2`), "count is only for events"},
		"value of a log":   {log(`"value":2`), "value is only for samples"},
		"value bool":       {`{"kind":"sample","time":1,"value":true}`, "got true"},
		"value overflow":   {`{"kind":"sample","time":1,"value":1e999}`, "want a number"},
		"no value":         {`{"kind":"sample","time":1}`, "value is missing"},
		"negative id":      {log(`"id":-1`), "want a whole number"},
		"empty id":         {log(`"id":""`), "leave it out"},
		"large":            {strings.Repeat(" ", MaxJSON+1), "at most 2097152"},
		"deep":             {strings.Repeat(`{"attrs":`, 100_000), "want a string, got an object"},
	} {
		t.Run(name, func(t *testing.T) {
			was := Record{Seq: 77}
			require.ErrorContains(t, ParseJSON([]byte(tc.in), &was), tc.want)
			require.Equal(t, Record{Seq: 77}, was, "an error leaves the record as it was")
		})
	}
}

func TestJSONGivesBackWhatWentIn(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 500 {
		tw := randomTwin(r)
		for _, want := range tw.records {
			if want.Kind != Event {
				want.Count = 1
			}
			for i := range want.Attrs {
				want.Attrs[i].Value = strings.ToValidUTF8(want.Attrs[i].Value, "?")
			}
			line := AppendJSON(nil, &want)
			require.True(t, json.Valid(line), "%s", line)
			require.NotContains(t, string(line), "\n")
			var got Record
			require.NoError(t, ParseJSON(line, &got), "%s", line)
			require.Equal(t, want, sameEmpty(got, want))
		}
	}
}

func TestJSONOfNumbersThatJSONLacks(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.MaxFloat64, math.SmallestNonzeroFloat64, -1.5} {
		line := AppendJSON(nil, &Record{Kind: Sample, Value: v, Count: 1})
		require.True(t, json.Valid(line), "%s", line)
		var got Record
		require.NoError(t, ParseJSON(line, &got))
		require.Equal(t, fmt.Sprint(v), fmt.Sprint(got.Value))
	}
}

func TestJSONKeepsTextThatIsNotUTF8(t *testing.T) {
	r := Record{Kind: Log, Count: 1, Text: []byte("a\xff\x00b"), Attrs: Attrs{{"k", "v\xfe"}}}
	line := AppendJSON(nil, &r)
	require.True(t, utf8.Valid(line))
	var got Record
	require.NoError(t, ParseJSON(line, &got))
	require.Equal(t, r.Text, got.Text)
	require.Equal(t, "v\uFFFD", got.Attrs.Value("k"))

	require.NoError(t, ParseJSON([]byte("{\"kind\":\"log\",\"time\":1,\"text\":\"a\xff\"}"), &got))
	require.Equal(t, "a\uFFFD", string(got.Text), "one bad byte does not lose a record")
}

func TestAppendJSONLooksAsDocumented(t *testing.T) {
	r := Record{
		Kind: Log, Time: 1_772_366_400_500_000_000, ID: 255, Count: 1,
		Text: []byte("a <b> \"c\"\x1b\u2028"), Attrs: Attrs{{"a", "1"}, {"b", "2"}},
	}
	require.JSONEq(t, `{"kind":"log","time":"2026-03-01T12:00:00.5Z","id":"00000000000000ff","text":"a <b> \"c\"\u001b`+"\u2028"+`","attrs":{"a":"1","b":"2"}}`,
		string(AppendJSON(nil, &r)))
}

func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{
		`{"kind":"log","time":1,"text":"a","attrs":{"k":"v"}}`, `{"kind":"sample","time":"2026-03-01T12:00:00Z","value":"NaN"}`,
		`{"kind":"event","time":-1.5e3,"count":3,"id":"x","observed":5,"seq":1}`, `{"kind":"alert","time":1,"text_base64":"/w=="}`, `[`, `{"a":{"b":[`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var r, again Record
		if ParseJSON(in, &r) != nil {
			return
		}
		require.NoError(t, r.Attrs.check())
		line := AppendJSON(nil, &r)
		require.NoError(t, ParseJSON(line, &again), "%s", line)
		require.Equal(t, string(line), string(AppendJSON(nil, &again)))
		var b Builder
		require.NoError(t, b.Reset(Header{Source: "intake"}))
		require.NoError(t, b.Add(&r), "what the intake accepts, a batch takes")
	})
}

func BenchmarkParseJSON(b *testing.B) {
	records := benchRecords(1)
	line := AppendJSON(nil, &records[0])
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		var r Record
		if err := ParseJSON(line, &r); err != nil {
			b.Fatal(err)
		}
	}
}
