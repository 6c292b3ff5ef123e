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
	labels []label
	value  []byte
}

type label struct{ name, value string }

func newExposition(in Input, sample []byte) Parser {
	e := &exposition{in: in}
	each(sample, func(line []byte) bool {
		if _, _, at, ok := e.sample(line); ok && (in.now() == 0 || at <= in.now()+day) {
			e.scrape = max(e.scrape, at)
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
	var e exposition
	n, samples, found := 0, 0, false
	each(sample, func(line []byte) bool {
		n++
		if bytes.HasPrefix(line, []byte("# HELP ")) || bytes.HasPrefix(line, []byte("# TYPE ")) {
			found = true
			return false
		}
		if _, _, _, ok := e.sample(line); ok && bytes.IndexByte(line, '{') > 0 {
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
	name, value, at, ok := e.sample(line)
	if !ok {
		e.in.Counts.Add(BadItem, 1)
		return
	}
	if math.IsNaN(value) {
		e.in.Counts.Add(SkippedSample, 1)
		return
	}
	if at == 0 {
		at = e.scrape
	}
	if at < earliest {
		at = e.in.written()
	}
	a := attrSet{}
	a.set(record.MetricName, name)
	for _, l := range e.labels {
		a.set(record.LabelPrefix+l.name, l.value)
		switch l.name {
		case "namespace", "exported_namespace":
			a.set(record.Namespace, l.value)
		case "pod", "exported_pod", "pod_name":
			a.set(record.Pod, l.value)
			if kind, name, ok := WorkloadOfPod(l.value); ok {
				a.workload(kind, name)
			}
		case "container", "exported_container", "container_name":
			a.set(record.Container, l.value)
		case "node":
			a.set(record.Node, l.value)
		case "persistentvolumeclaim":
			a.set(record.VolumeClaim, l.value)
		case "persistentvolume":
			a.set(record.Volume, l.value)
		case "deployment":
			a.workload("Deployment", l.value)
		case "statefulset":
			a.workload("StatefulSet", l.value)
		case "daemonset":
			a.workload("DaemonSet", l.value)
		}
	}
	e.in.Sink.Add(&record.Record{
		Kind: record.Sample, Time: at, Observed: e.in.now(), Seq: offset, ID: e.in.id(offset), Count: 1, Value: value,
		Attrs: a.over(e.in.Attrs),
	})
}

// sample reads name{label="value",...} value [time]. The labels are in e.labels until the next call.
func (e *exposition) sample(line []byte) (name string, value float64, at int64, ok bool) {
	e.labels = e.labels[:0]
	i := nameEnd(line, 0)
	name = string(line[:i])
	if i < len(line) && line[i] == '{' {
		if i = e.labelSet(line, i+1, &name); i < 0 {
			return "", 0, 0, false
		}
	}
	if name == "" {
		return "", 0, 0, false
	}
	rest := line[i:]
	if hash := bytes.Index(rest, []byte(" # ")); hash >= 0 { // an exemplar
		rest = rest[:hash]
	}
	fields := bytes.Fields(rest)
	if len(fields) == 0 || len(fields) > 2 {
		return "", 0, 0, false
	}
	value, err := strconv.ParseFloat(string(fields[0]), 64)
	if err != nil && !math.IsInf(value, 0) {
		return "", 0, 0, false
	}
	if len(fields) == 2 {
		v, err := strconv.ParseFloat(string(fields[1]), 64)
		if err != nil || math.IsNaN(v) {
			return "", 0, 0, false
		}
		if v < 1e11 { // OpenMetrics has seconds, the older format milliseconds
			v *= 1000
		}
		if math.Abs(v) < 9e15/1000 {
			at = int64(v*1000) * 1000
		}
	}
	return name, value, at, true
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
func (e *exposition) labelSet(b []byte, i int, name *string) int {
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
			key, i = string(unescaped(&e.value, b[i+1:end-1])), end
		} else {
			i = nameEnd(b, i)
			key = string(b[start:i])
		}
		for i < len(b) && isBlank(b[i]) {
			i++
		}
		if i < len(b) && b[i] != '=' && b[start] == '"' {
			*name = key
			continue
		}
		if i+1 >= len(b) || b[i] != '=' || b[i+1] != '"' || key == "" {
			return -1
		}
		end := stringEnd(b, i+1)
		if end < 0 {
			return -1
		}
		e.labels = append(e.labels, label{key, string(unescaped(&e.value, b[i+2:end-1]))})
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
