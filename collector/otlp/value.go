package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	common "go.opentelemetry.io/proto/otlp/common/v1"
)

// valueText writes a value as a person would: a string as it is, arrays and maps as JSON.
func valueText(v *common.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *common.AnyValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
	case *common.AnyValue_BytesValue:
		return base64.StdEncoding.EncodeToString(v.BytesValue)
	case *common.AnyValue_ArrayValue, *common.AnyValue_KvlistValue:
		return string(valueJSON(&common.AnyValue{Value: v}))
	}
	return ""
}

// valueJSON writes a value as JSON, with the keys of maps in order.
func valueJSON(v *common.AnyValue) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(plain(v, 0)); err != nil { // it is made of what JSON has
		return nil
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// maxDepth is how deep values may lie in each other; what is deeper is left out.
const maxDepth = 64

// plain turns a value into what package json writes.
func plain(v *common.AnyValue, depth int) any {
	if depth > maxDepth {
		return "..."
	}
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BoolValue:
		return v.BoolValue
	case *common.AnyValue_IntValue:
		return v.IntValue
	case *common.AnyValue_DoubleValue:
		if math.IsNaN(v.DoubleValue) || math.IsInf(v.DoubleValue, 0) {
			return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
		}
		return v.DoubleValue
	case *common.AnyValue_BytesValue:
		return v.BytesValue
	case *common.AnyValue_ArrayValue:
		list := make([]any, 0, len(v.ArrayValue.GetValues()))
		for _, x := range v.ArrayValue.GetValues() {
			list = append(list, plain(x, depth+1))
		}
		return list
	case *common.AnyValue_KvlistValue:
		m := make(map[string]any, len(v.KvlistValue.GetValues()))
		for _, x := range v.KvlistValue.GetValues() {
			m[x.GetKey()] = plain(x.GetValue(), depth+1)
		}
		return m
	}
	return nil
}

// field returns a member of a map, nil when there is none or v is no map.
func field(v *common.AnyValue, name string) *common.AnyValue {
	for _, x := range v.GetKvlistValue().GetValues() {
		if x.GetKey() == name {
			return x.GetValue()
		}
	}
	return nil
}

// find returns an attribute's text, "" when there is none.
func find(name string, levels ...[]*common.KeyValue) string {
	for _, attrs := range levels {
		for _, a := range attrs {
			if a.GetKey() == name {
				return valueText(a.GetValue())
			}
		}
	}
	return ""
}

// hexID writes a trace or span id as it is known, "" when it is none. From JSON it came as if its digits were base64, of which four are three bytes.
func hexID(id []byte, size int) string {
	switch len(id) {
	case size:
		return hex.EncodeToString(id)
	case size * 2 * 3 / 4:
		digits := base64.StdEncoding.EncodeToString(id)
		if _, err := hex.DecodeString(digits); err == nil {
			return strings.ToLower(digits)
		}
	}
	return ""
}
