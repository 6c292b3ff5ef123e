package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// pasted is a record of an input, and the line where it begins; 0 when that is not known.
type pasted struct {
	record record.Record
	line   int
}

// reading is an input that is taken apart.
type reading struct {
	trial   *Trial
	room    int // records that may still come
	records []pasted
	formats []string
	faults  []InputFault
	counts  format.Counts
	refused int // records beyond room
	mixed   int // records that came out of order
}

// maxFaults is how many faults are told; who pasted the wrong thing has one on each line.
const maxFaults = 50

// readInput takes an input apart. Records are in the order of their times.
func readInput(ctx context.Context, t *Trial, room int) *reading {
	in := &reading{trial: t, room: room}
	for _, s := range segmentsOf(t.Input) {
		if ctx.Err() != nil {
			break
		}
		in.segment(ctx, s)
	}
	newest := int64(0)
	for i := range in.records {
		if r := &in.records[i].record; r.Time < newest {
			in.mixed++
		} else {
			newest = r.Time
		}
	}
	slices.SortStableFunc(in.records, func(a, b pasted) int { return cmp.Compare(a.record.Time, b.record.Time) })
	return in
}

// segment is one file of an input.
type segment struct {
	name string
	text string
	line int // of the input, where the text begins
}

// fileHead is what tail and head write before each of several files.
var fileHead = regexp.MustCompile(`(?m)^==> (.{1,1000}) <==\r?$\n?`)

// segmentsOf divides an input at the heads of files. What comes before the first is a file without a name.
func segmentsOf(input string) []segment {
	var list []segment
	at, name, line := 0, "", 1
	add := func(end int) {
		if text := input[at:end]; strings.TrimSpace(text) != "" {
			list = append(list, segment{name, text, line})
		}
	}
	for _, m := range fileHead.FindAllStringSubmatchIndex(input, -1) {
		add(m[0])
		line += strings.Count(input[at:m[1]], "\n")
		at, name = m[1], input[m[2]:m[3]]
	}
	add(len(input))
	return list
}

func (in *reading) segment(ctx context.Context, s segment) {
	sample := []byte(s.text[:min(len(s.text), format.Sample)])
	if isRecords(sample) {
		in.json(ctx, s)
		return
	}
	family := format.Detect(sample)
	in.note(family.Name)
	var attrs record.Attrs
	if s.name != "" {
		attrs = collector.PathAttrs(s.name)
	}
	sink := &pastedSink{reading: in, name: s.name}
	if family.SharesAttrs() { // these give the offset of each entry
		sink.lines, sink.text, sink.line = true, s.text, s.line
	}
	p := family.Open(format.Input{
		Sink: sink, Counts: &in.counts, Attrs: attrs, Identity: record.Identity("pasted", s.name, fmt.Sprint(s.line)), Now: in.trial.Now,
		Limits: format.Limits{ItemBytes: 1 << 20, Objects: 5000, SortedBytes: 4 << 20, EntryBytes: 64 << 10},
	}, sample)
	const piece = 64 << 10
	for rest := []byte(s.text); len(rest) > 0 && ctx.Err() == nil; {
		n := min(piece, len(rest))
		p.Write(rest[:n])
		rest = rest[n:]
	}
	p.Close()
}

// note tells what an input was taken for.
func (in *reading) note(name string) {
	if !slices.Contains(in.formats, name) {
		in.formats = append(in.formats, name)
	}
}

func (in *reading) fault(line int, message string) {
	switch n := len(in.faults); {
	case n < maxFaults:
		in.faults = append(in.faults, InputFault{line, message})
	case n == maxFaults:
		in.faults = append(in.faults, InputFault{0, "and more of them: mend the ones above first"})
	}
}

// pastedSink keeps what a parser gives.
type pastedSink struct {
	*reading
	name  string
	lines bool // the place of a record is its offset
	text  string
	at    int // line is the one at this offset
	line  int
}

var _ format.Sink = (*pastedSink)(nil)

// Add implements [format.Sink].
func (s *pastedSink) Add(r *record.Record) {
	line := 0
	if s.lines && r.Seq <= uint64(len(s.text)) {
		at := int(r.Seq)
		if at < s.at { // the runtime of a container joins what came earlier
			s.line -= strings.Count(s.text[at:s.at], "\n")
		} else {
			s.line += strings.Count(s.text[s.at:at], "\n")
		}
		s.at, line = at, s.line
	}
	s.take(r.Clone(), line)
}

func (in *reading) take(r record.Record, line int) {
	if len(in.records) >= in.room {
		in.refused++
		return
	}
	for k, v := range in.trial.Attrs {
		if _, said := r.Attrs.Get(k); !said && len(r.Attrs) < record.MaxAttrs {
			r.Attrs = r.Attrs.With(k, v)
		}
	}
	in.records = append(in.records, pasted{r, line})
}

// isRecords reports whether an input is records in their JSON form.
func isRecords(sample []byte) bool {
	sample = bytes.TrimLeft(bytes.TrimPrefix(sample, []byte("\xef\xbb\xbf")), " \t\r\n[")
	if len(sample) == 0 || sample[0] != '{' {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(sample))
	if _, err := d.Token(); err != nil {
		return false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return false
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return false
		}
		if key == "kind" {
			_, err := record.ParseKind(strings.Trim(string(value), `"`))
			return err == nil
		}
	}
	return false
}

// json reads records in their JSON form: one after the other, or a list of them.
func (in *reading) json(ctx context.Context, s segment) {
	in.note("forewarn records")
	text := strings.TrimPrefix(s.text, "\xef\xbb\xbf")
	at, line := 0, s.line
	advance := func(to int) {
		line += strings.Count(text[at:to], "\n")
		at = to
	}
	for ctx.Err() == nil {
		for at < len(text) && strings.IndexByte(" \t\r\n,[]", text[at]) >= 0 {
			advance(at + 1)
		}
		if at == len(text) {
			return
		}
		d := json.NewDecoder(strings.NewReader(text[at:]))
		var raw json.RawMessage
		err := d.Decode(&raw)
		if err != nil { // the next line may be whole again
			in.fault(line, jsonFault(err))
			next := strings.IndexByte(text[at:], '\n')
			if next < 0 {
				return
			}
			advance(at + next + 1)
			continue
		}
		var r record.Record
		if err := record.ParseJSON(raw, &r); err != nil {
			in.fault(line, strings.TrimPrefix(err.Error(), "parse JSON record: "))
		} else {
			in.take(r, line)
		}
		advance(at + int(d.InputOffset()))
	}
}

// jsonFault says what is wrong with JSON in words that fit a line of it.
func jsonFault(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "the record does not end: a bracket or a quote is left open"
	}
	return err.Error()
}
