package matcher

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFindField(t *testing.T) {
	for _, c := range []struct {
		line, name, want string
		missing          bool
	}{
		{line: `{"level":"warn","took":"1.2s"}`, name: "took", want: "1.2s"},
		{line: ` { "a" : { "b" : 12.50 } } `, name: "a.b", want: "12.50"},
		{line: `{"a.b":true,"a":{"b":false}}`, name: "a.b", want: "true"},
		{line: `{"a":{"b.c":1}}`, name: "a.b.c", want: "1"},
		{line: `{"a":1,"a":2}`, name: "a", want: "2"},
		{line: `{"a":{"b":1},"a":{"c":2}}`, name: "a.b", missing: true},
		{line: `{"a":null}`, name: "a", missing: true},
		{line: `{"a":[1,{"b":2}]}`, name: "b", missing: true},
		{line: `{"a":[1,{"b":2}]}`, name: "a", want: `[1,{"b":2}]`},
		{line: `{"x":"}\"{","a":"b"}`, name: "a", want: "b"},
		{line: `{"\u0061b":"\u00e9\ud83d\ude00\ud800 \n\/"}`, name: "ab", want: "é😀\ufffd \n/"},
		{line: `{"a":"b","cut":"of`, name: "a", want: "b"},
		{line: `{"a":"b","cut":"of`, name: "cut", missing: true},
		{line: `{"a":{"b":1,"c`, name: "a.b", want: "1"},
		{line: `{`, name: "a", missing: true},
		{line: `{}`, name: "a", missing: true},
		{line: `level=warn took=1.2s, msg="a b=c \"d\"" last=x`, name: "took", want: "1.2s"},
		{line: `level=warn msg="a took=5 \"d\"" last=x`, name: "took", missing: true},
		{line: `msg="a \"d\" e"`, name: "msg", want: `a "d" e`},
		{line: `I0314 1 file.go:2] "took=1 things" took="2s"`, name: "took", want: "2s"},
		{line: `a=1 a=2`, name: "a", want: "1"},
		{line: `a= b=2`, name: "a", want: ""},
		{line: `msg="not closed`, name: "msg", want: "not closed"},
		{line: `{not json} a=1`, name: "a", want: "1"},
		{line: "", name: "a", missing: true},
		{line: "\x00\xff=\x01 a=1", name: "a", want: "1"},
	} {
		got, _, found := findField([]byte(c.line), c.name, nil)
		require.Equal(t, !c.missing, found, "%s in %s", c.name, c.line)
		require.Equal(t, c.want, string(got), "%s in %s", c.name, c.line)
	}
}

func TestFieldNumber(t *testing.T) {
	for text, want := range map[string]float64{
		"1": 1, "-2.5": -2.5, "1e3": 1000, "1.2s": 1.2, "100ms": 0.1, "1m30s": 90, "2h": 7200, "15µs": 15e-6,
		"": math.NaN(), "x": math.NaN(), "inf": math.NaN(), "nan": math.NaN(), "0x10": math.NaN(), "1_000": math.NaN(),
		"12%": math.NaN(), "s": math.NaN(), "1.2.3": math.NaN(), "1e999": math.NaN(), strings.Repeat("9", 99): math.NaN(),
	} {
		got, ok := fieldNumber([]byte(text))
		require.Equal(t, !math.IsNaN(want), ok, text)
		if ok {
			require.InDelta(t, want, got, 1e-12, text)
		}
	}
}

// jsonTwin finds a field with encoding/json.
func jsonTwin(line []byte, name string) (string, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(line, &object) != nil {
		return "", false
	}
	raw, ok := object[name]
	if !ok {
		head, rest, dotted := strings.Cut(name, ".")
		if inner, has := object[head]; has && dotted && len(inner) > 0 && inner[0] == '{' {
			return jsonTwin(inner, rest)
		}
		return "", false
	}
	switch {
	case raw == nil || string(raw) == "null":
		return "", false
	case raw[0] == '"':
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err == nil
	}
	return string(raw), true
}

func FuzzFindField(f *testing.F) {
	for _, line := range []string{
		`{"a":1}`, `{"a":{"b":"c"}}`, `{"a.b":"\u0061\ud800"}`, `{"a":"` + "\xff" + `"}`, `{"a":1,"a":{"b":2}}`, `{"\u0061":[]}`,
		`{"a":null,"b":{"a":1}}`, `a="b" c=d`, `{"a":{"b":1},"a":3}`, `{"b":"{","a":"}"}`,
	} {
		f.Add([]byte(line), "a")
		f.Add([]byte(line), "a.b")
	}
	f.Fuzz(func(t *testing.T, line []byte, name string) {
		got, _, found := findField(line, name, nil)
		_, _ = fieldNumber(got)
		if !json.Valid(line) || line[skipSpace(line, 0)] != '{' {
			return
		}
		want, has := jsonTwin(line, name)
		require.Equal(t, has, found, "%q in %s", name, line)
		require.Equal(t, want, string(got), "%q in %s", name, line)
	})
}
