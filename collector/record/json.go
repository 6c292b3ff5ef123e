package record

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxJSON is the most bytes of a record's JSON form.
const MaxJSON = 2 << 20

// ParseJSON reads one record in its JSON form, as other tools publish it:
//
//	{"kind":"log","time":"2026-03-01T12:00:00.5Z","text":"disk full","attrs":{"k8s.pod.name":"web-0"}}
//
// It is strict: an unknown or repeated key, a wrong type and anything after the object are errors that name the key.
//
//	kind         required: event, log, change, sample or alert
//	time         required: RFC 3339, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970; which of them
//	             follows from its size: below 1e11, 1e14 and 1e17
//	observed     as time
//	text         the text; or text_base64 when it is not valid UTF-8
//	attrs        an object of strings; empty values are left out
//	count        events only: at least 1, which is the default
//	value        samples only, and required there: a number, or "NaN", "+Inf" or "-Inf"
//	seq          a number
//	id           a number below 2^64, 16 hexadecimal digits, or any other string, which is hashed. Without it, the id is
//	             [Identity] of everything but observed, so that the same record published twice counts once
//
// Invalid UTF-8 becomes U+FFFD. After an error into is as it was; else it owns its memory.
func ParseJSON(b []byte, into *Record) error {
	if len(b) > MaxJSON {
		return fmt.Errorf("parse JSON record: %d bytes: at most %d are allowed", len(b), MaxJSON)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	p := parser{dec: d, record: Record{Count: 1}}
	if err := p.parse(); err != nil {
		return fmt.Errorf("parse JSON record: %w", err)
	}
	*into = p.record
	return nil
}

type parser struct {
	dec    *json.Decoder
	record Record
	seen   []string
}

func (p *parser) has(key string) bool { return slices.Contains(p.seen, key) }

func (p *parser) parse() error {
	if err := p.open(); err != nil {
		return err
	}
	for p.dec.More() {
		key, err := p.token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if p.has(name) {
			return fmt.Errorf("key %q is there twice", name)
		}
		p.seen = append(p.seen, name)
		if err := p.field(name); err != nil {
			return fmt.Errorf("key %.80q: %w", name, err)
		}
	}
	if _, err := p.token(); err != nil {
		return err
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("there is more after the object, from byte %d on", p.dec.InputOffset())
	}
	return p.finish()
}

func (p *parser) token() (json.Token, error) {
	t, err := p.dec.Token()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it ends before its object does")
	}
	return t, err
}

func (p *parser) open() error {
	t, err := p.token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return fmt.Errorf("want an object, got %s", describe(t))
	}
	return nil
}

func (p *parser) field(name string) error {
	r := &p.record
	if name == "attrs" {
		return p.attrs()
	}
	if !slices.Contains(jsonKeys, name) {
		return fmt.Errorf("unknown; the keys are %s", strings.Join(jsonKeys, ", "))
	}
	t, err := p.token()
	if err != nil {
		return err
	}
	switch name {
	case "kind":
		var s string
		if s, err = text(t); err == nil {
			r.Kind, err = ParseKind(s)
		}
	case "time":
		r.Time, err = instant(t)
	case "observed":
		r.Observed, err = instant(t)
	case "seq":
		r.Seq, err = whole(t, 64)
	case "id":
		r.ID, err = identity(t)
	case "count":
		var n uint64
		n, err = whole(t, 32)
		if r.Count = uint32(n); err == nil && n == 0 {
			err = errors.New("must be at least 1")
		}
	case "value":
		r.Value, err = float(t)
	case "text", "text_base64":
		if p.has("text") && p.has("text_base64") {
			return errors.New("give only one of text and text_base64")
		}
		var s string
		if s, err = text(t); err != nil {
			return err
		}
		r.Text = []byte(s)
		if name == "text_base64" {
			r.Text, err = base64.StdEncoding.DecodeString(s)
		}
		if len(r.Text) > MaxText {
			return fmt.Errorf("%d bytes: at most %d are allowed", len(r.Text), MaxText)
		}
	}
	return err
}

// jsonKeys are the keys in the order in which they are written.
var jsonKeys = []string{"kind", "time", "observed", "seq", "id", "count", "value", "text", "text_base64", "attrs"}

func (p *parser) attrs() error {
	if err := p.open(); err != nil {
		return err
	}
	m := make(map[string]string)
	for n := 0; p.dec.More(); n++ {
		key, err := p.token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if _, ok := m[name]; ok {
			return fmt.Errorf("key %q is there twice", name)
		}
		if n == MaxAttrs {
			return fmt.Errorf("more than %d attributes", MaxAttrs)
		}
		t, err := p.token()
		if err != nil {
			return err
		}
		if m[name], err = text(t); err != nil {
			return fmt.Errorf("attribute %.80q: %w", name, err)
		}
	}
	if _, err := p.token(); err != nil {
		return err
	}
	p.record.Attrs = NewAttrs(m)
	return p.record.Attrs.check()
}

// finish checks what no key alone can tell, and gives an identity to a record that has none.
func (p *parser) finish() error {
	r := &p.record
	switch {
	case !p.has("kind"):
		return errors.New("kind is missing: use event, log, change, sample or alert")
	case !p.has("time"):
		return errors.New("time is missing: say when it happened, as RFC 3339 or as a number since 1970")
	case r.Kind == Sample && !p.has("value"):
		return errors.New("value is missing: a sample is nothing without one")
	case r.Kind != Sample && p.has("value"):
		return fmt.Errorf("value is only for samples, and this is a record of kind %s", r.Kind)
	case r.Kind != Event && r.Count != 1:
		return fmt.Errorf("count is only for events, and this is a record of kind %s", r.Kind)
	}
	if p.has("id") {
		return nil
	}
	parts := []string{
		r.Kind.String(), strconv.FormatInt(r.Time, 10), strconv.FormatUint(r.Seq, 10),
		strconv.FormatUint(uint64(r.Count), 10), strconv.FormatUint(math.Float64bits(r.Value), 16), string(r.Text),
	}
	for _, a := range r.Attrs {
		parts = append(parts, a.Key, a.Value)
	}
	r.ID = Identity(parts...)
	return nil
}

func describe(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case json.Delim:
		return map[json.Delim]string{'{': "an object", '[': "an array"}[t]
	case string:
		return fmt.Sprintf("the string %.40q", t)
	case bool:
		return fmt.Sprintf("%t", t)
	default:
		return fmt.Sprintf("the number %.40v", t)
	}
}

func text(t json.Token) (string, error) {
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("want a string, got %s", describe(t))
	}
	return s, nil
}

func whole(t json.Token, bits int) (uint64, error) {
	if n, ok := t.(json.Number); ok {
		if v, err := strconv.ParseUint(n.String(), 10, bits); err == nil {
			return v, nil
		}
	}
	return 0, fmt.Errorf("want a whole number from 0 to 2^%d-1, got %s", bits, describe(t))
}

func float(t json.Token) (float64, error) {
	switch t := t.(type) {
	case json.Number:
		if v, err := t.Float64(); err == nil {
			return v, nil
		}
	case string:
		switch t {
		case "NaN":
			return math.NaN(), nil
		case "+Inf":
			return math.Inf(1), nil
		case "-Inf":
			return math.Inf(-1), nil
		}
	}
	return 0, fmt.Errorf(`want a number, "NaN", "+Inf" or "-Inf", got %s`, describe(t))
}

func identity(t json.Token) (uint64, error) {
	s, ok := t.(string)
	switch {
	case !ok:
		return whole(t, 64)
	case s == "":
		return 0, errors.New("must not be empty: leave it out")
	}
	if len(s) == 16 {
		if v, err := strconv.ParseUint(s, 16, 64); err == nil {
			return v, nil
		}
	}
	return Identity(s), nil
}

// instant reads a time stamp as Unix nanoseconds.
func instant(t json.Token) (int64, error) {
	switch t := t.(type) {
	case string:
		at, err := time.Parse(time.RFC3339Nano, t)
		if err != nil {
			return 0, fmt.Errorf("want a time as 2026-03-01T12:00:00.5Z, got %.40q", t)
		}
		if !time.Unix(0, at.UnixNano()).Equal(at) { // more than 64 bits of nanoseconds can hold
			return 0, fmt.Errorf("the year %d is out of range", at.Year())
		}
		return at.UnixNano(), nil
	case json.Number:
		return epoch(t.String())
	}
	return 0, fmt.Errorf("want a time as a string or number, got %s", describe(t))
}

// epoch reads a number since 1970, whose unit follows from its size. Decimals are read as digits: a float64 would lose
// the last hundreds of nanoseconds.
func epoch(s string) (int64, error) {
	digits, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strings.ContainsAny(fraction, "eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.Abs(f) >= 1<<63 {
			return 0, fmt.Errorf("the time %.40s is out of range", s)
		}
		n, fraction = int64(f), ""
	}
	unit := 1
	for _, limit := range []int64{1e17, 1e14, 1e11} {
		if n > -limit && n < limit {
			unit *= 1000
		}
	}
	if n > math.MaxInt64/int64(unit)-1 || n < math.MinInt64/int64(unit)+1 {
		return 0, fmt.Errorf("the time %.40s is out of range", s)
	}
	zeros := len(strconv.Itoa(unit)) - 1
	part, _ := strconv.ParseInt((fraction + "000000000")[:zeros], 10, 64)
	if strings.HasPrefix(s, "-") {
		part = -part
	}
	return n*int64(unit) + part, nil
}
