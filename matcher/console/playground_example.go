package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Example is an input that a signature's test makes.
type Example struct {
	Signature string              `json:"signature"`
	Test      string              `json:"test"`
	Input     string              `json:"input"` // records in their JSON form, one a line
	After     signatures.Duration `json:"after"` // how long time goes on after the last of them
}

// ExampleOf makes an input of a signature's test, which may begin at start. It is an error when the signature has no such test, or one that
// the playground does not take.
func ExampleOf(s *signatures.Signature, test int, start time.Time) (*Example, error) {
	if test < 0 || test >= len(s.Tests) {
		return nil, fmt.Errorf("signature %s has no test %d: it has %d", s.ID, test+1, len(s.Tests))
	}
	t := &s.Tests[test]
	bounds := Bounds{}.withDefaults()
	n := 0
	for i := range t.Records {
		if n += max(t.Records[i].Repeat, 1); n > bounds.Records {
			return nil, fmt.Errorf("the test %q of signature %s makes more records than the playground takes: use `forewarn signature test`", t.Name, s.ID)
		}
	}
	records, err := t.Build(start)
	if err != nil {
		return nil, fmt.Errorf("make an example of signature %s: %w", s.ID, err)
	}
	var b bytes.Buffer
	last := start
	seen := make(map[string]bool, len(records))
	for i := range records {
		r := &records[i]
		line, err := shortRecord(r, 0)
		if err == nil && seen[string(line)] { // a repeat of the same instant is another record
			line, err = shortRecord(r, r.Seq)
		}
		if err != nil {
			return nil, fmt.Errorf("make an example of signature %s: %w", s.ID, err)
		}
		seen[string(line)] = true
		b.Write(line)
		b.WriteByte('\n')
		if r.When().After(last) {
			last = r.When()
		}
	}
	if b.Len() > bounds.Input {
		return nil, fmt.Errorf("the test %q of signature %s is larger than the playground takes: use `forewarn signature test`", t.Name, s.ID)
	}
	e := &Example{Signature: s.ID, Test: t.Name, Input: b.String()}
	if rest := start.Add(time.Duration(t.Until)).Sub(last); rest > 0 {
		e.After = signatures.Duration(rest)
	}
	return e, nil
}

// shortRecord is a record's JSON form without what a person who writes one leaves out.
func shortRecord(r *record.Record, seq uint64) ([]byte, error) {
	short := struct {
		Kind  string            `json:"kind"`
		Time  time.Time         `json:"time"`
		Seq   uint64            `json:"seq,omitempty"`
		Count uint32            `json:"count,omitempty"`
		Value any               `json:"value,omitempty"`
		Text  string            `json:"text,omitempty"`
		Attrs map[string]string `json:"attrs,omitempty"`
	}{Kind: r.Kind.String(), Time: r.When(), Seq: seq, Text: string(r.Text), Attrs: map[string]string{}}
	if r.Kind == record.Event && r.Count > 1 {
		short.Count = r.Count
	}
	if r.Kind == record.Sample {
		short.Value = r.Value
		if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
			short.Value = fmt.Sprintf("%+g", r.Value)
			if math.IsNaN(r.Value) {
				short.Value = "NaN"
			}
		}
	}
	for _, a := range r.Attrs {
		short.Attrs[a.Key] = a.Value
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(short); err != nil {
		return nil, fmt.Errorf("encode a record: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
