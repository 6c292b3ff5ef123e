package format

import (
	"bytes"
	"math"
	"strconv"

	"github.com/forewarn/forewarn/collector/record"
)

// exposition reads what a Prometheus endpoint answers, in the text format or OpenMetrics. A sample without a time is of the
// time of the scrape: the newest time that samples near the beginning have, else when the input was written.
type exposition struct {
	in     Input
	scrape int64 // 0 when no sample has a time
	split  splitter
	one    Series
}

// Series is one line of a scrape: a sample of one series. Its memory serves the next line as well.
type Series struct {
	// Name is the metric's name.
	Name string
	// Labels are in the order of the line.
	Labels []Label
	Value  float64
	// Time is in Unix nanoseconds; 0 when the line has none.
	Time int64

	value []byte
}

// Label is a label of a series.
type Label struct{ Name, Value string }

func newExposition(in Input, sample []byte) Parser {
	e := &exposition{in: in}
	each(sample, func(line []byte) bool {
		if e.one.Parse(line) && (in.now() == 0 || e.one.Time <= in.now()+day) {
			e.scrape = max(e.scrape, e.one.Time)
		}
		return true
	})
	e.split = splitter{counts: in.Counts, max: in.Limits.LineBytes, offset: in.Offset, line: e.line}
	return e
}

func (e *exposition) Kinds() uint8   { return sampleKinds }
func (e *exposition) Write(p []byte) { e.split.write(p) }
func (e *exposition) Flush()         {}
func (e *exposition) Close()         { e.split.close() }

// detectExposition reports whether one of the first lines is a comment that only exposition has, or all are samples.
func detectExposition(sample []byte) bool {
	var e Series
	n, samples, found := 0, 0, false
	each(sample, func(line []byte) bool {
		n++
		if bytes.HasPrefix(line, []byte("# HELP ")) || bytes.HasPrefix(line, []byte("# TYPE ")) {
			found = true
			return false
		}
		if e.Parse(line) && bytes.IndexByte(line, '{') > 0 {
			samples++
		}
		return n < 5
	})
	return found || samples > 0 && samples == n
}

func (e *exposition) line(line []byte, offset uint64) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] == '#' {
		return
	}
	if !e.one.Parse(line) {
		e.in.Counts.Add(BadItem, 1)
		return
	}
	if math.IsNaN(e.one.Value) {
		e.in.Counts.Add(SkippedSample, 1)
		return
	}
	at := e.one.Time
	if at == 0 {
		at = e.scrape
	}
	if at < earliest {
		at = e.in.written()
	}
	e.in.Sink.Add(&record.Record{
		Kind: record.Sample, Time: at, Observed: e.in.now(), Seq: offset, ID: e.in.id(offset), Count: 1, Value: e.one.Value,
		Attrs: SeriesAttrs(e.one.Name, e.one.Labels, e.in.Attrs),
	})
}

// Parse reads name{label="value",...} value [time], in the text format or OpenMetrics; what comes after it is an exemplar. It reports whether the
// line is a sample; what s holds is of no use when it is none. A time below 1e11 is in seconds, as OpenMetrics has it, else in milliseconds.
func (s *Series) Parse(line []byte) bool {
	s.Labels = s.Labels[:0]
	i := nameEnd(line, 0)
	s.Name = string(line[:i])
	switch {
	case i == len(line):
		return false
	case line[i] == '{':
		if i = s.labelSet(line, i+1); i < 0 {
			return false
		}
	case !isBlank(line[i]):
		return false
	}
	if s.Name == "" {
		return false
	}
	rest := line[i:]
	if hash := bytes.Index(rest, []byte(" # ")); hash >= 0 { // an exemplar
		rest = rest[:hash]
	}
	fields := bytes.Fields(rest)
	if len(fields) == 0 || len(fields) > 2 {
		return false
	}
	value, err := strconv.ParseFloat(string(fields[0]), 64)
	if err != nil && !math.IsInf(value, 0) {
		return false
	}
	s.Value, s.Time = value, 0
	if len(fields) == 2 {
		v, err := strconv.ParseFloat(string(fields[1]), 64)
		if err != nil || math.IsNaN(v) {
			return false
		}
		if v < 1e11 {
			v *= 1000
		}
		if math.Abs(v) < 9e15/1000 {
			s.Time = int64(v*1000) * 1000
		}
	}
	return true
}

// nameEnd returns the index after the name that begins at i.
func nameEnd(b []byte, i int) int {
	for i < len(b) && (isLetter(b[i]) || isDigit(b[i]) || b[i] == '_' || b[i] == ':' || b[i] == '.' || b[i] == '-') {
		i++
	}
	return i
}

// labelSet reads labels up to the closing brace and returns the index after it, -1 when they are broken. A string
// without a label's name is the metric's name: {"my.metric",...}.
func (s *Series) labelSet(b []byte, i int) int {
	for {
		for i < len(b) && (isBlank(b[i]) || b[i] == ',') {
			i++
		}
		if i >= len(b) {
			return -1
		}
		if b[i] == '}' {
			return i + 1
		}
		start := i
		var key string
		if b[i] == '"' {
			end := stringEnd(b, i)
			if end < 0 {
				return -1
			}
			key, i = string(unescaped(&s.value, b[i+1:end-1])), end
		} else {
			i = nameEnd(b, i)
			key = string(b[start:i])
		}
		for i < len(b) && isBlank(b[i]) {
			i++
		}
		if i < len(b) && b[i] != '=' && b[start] == '"' {
			if s.Name != "" {
				return -1
			}
			s.Name = key
			continue
		}
		if i+1 >= len(b) || b[i] != '=' || b[i+1] != '"' || key == "" {
			return -1
		}
		end := stringEnd(b, i+1)
		if end < 0 {
			return -1
		}
		s.Labels = append(s.Labels, Label{key, string(unescaped(&s.value, b[i+2:end-1]))})
		i = end
	}
}

// unescaped resolves \n, \" and \\ in buf.
func unescaped(buf *[]byte, v []byte) []byte {
	if bytes.IndexByte(v, '\\') < 0 {
		return v
	}
	*buf = (*buf)[:0]
	for i := 0; i < len(v); i++ {
		c := v[i]
		if c == '\\' && i+1 < len(v) {
			i++
			if c = v[i]; c == 'n' {
				c = '\n'
			}
		}
		*buf = append(*buf, c)
	}
	return *buf
}
