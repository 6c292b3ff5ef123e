package metrics

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/forewarn/forewarn/collector/format"
)

// The messages of remote write. Only what samples are made of is decoded; all of it is checked.
//
//	1.0  prometheus.WriteRequest: 1 timeseries {1 labels {1 name, 2 value}, 2 samples, 3 exemplars, 4 histograms}, 3 metadata
//	2.0  io.prometheus.write.v2.Request: 4 symbols, 5 timeseries {1 label refs, 2 samples, 3 histograms, 4 exemplars, 5 metadata}
//
// Samples {1 value, 2 timestamp in ms} and histograms {1 or 2 count, 3 sum, 15 timestamp} are the same in both.
const (
	maxSymbols      = 1 << 20
	maxSeriesLabels = 1000
	staleBits       = 0x7ff0000000000002 // the NaN that says that a series has ended
)

// request is a decoded message, or what is left of it: the needed series. What it holds aliases the message.
type request struct {
	view   *view
	latest int64 // the newest time of the present that is believed, in ms

	symbols [][]byte
	refs    []uint32
	labels  []format.Label
	needed  []wanted

	samples, histograms, exemplars int   // of sound series, needed or not
	used                           int   // histograms of which the count or the sum is needed
	newest, oldest                 int64 // their times, in ms; 0 when there are none
	refused                        []error
	bad                            int // samples and histograms of series that are refused
}

// wanted is a needed series: its labels and where its samples are.
type wanted struct {
	name   string
	labels []format.Label
	body   []byte
	v2     bool
	// sum and count are how a native histogram is kept: as the series that a histogram of the older kind has.
	samples, sum, count bool
}

// decode reads a message into q, reusing its memory. After an error nothing of the message may be used. Series that are unsound for themselves
// are in refused; the others stand.
func (q *request) decode(b []byte, v2 bool) error {
	q.refs, q.symbols, q.needed, q.refused = q.refs[:0], q.symbols[:0], q.needed[:0], nil
	q.samples, q.histograms, q.exemplars, q.used, q.newest, q.oldest, q.bad = 0, 0, 0, 0, 0, 0, 0
	if v2 {
		if err := q.readSymbols(b); err != nil {
			return err
		}
	}
	w := walk{rest: b}
	for w.next() {
		switch n := w.number; {
		case !v2 && n == 1, v2 && n == 5:
			if w.must(protowire.BytesType) {
				if err := q.series(w.bytes, v2); err != nil {
					return err
				}
			}
		case !v2 && (n == 4 || n == 5):
			return errors.New("this is a message of remote write 2.0: send its content type, or send 1.0")
		case v2 && n <= 3:
			return errors.New("this is a message of remote write 1.0: send its content type, or send 2.0")
		}
	}
	return w.err()
}

func (q *request) readSymbols(b []byte) error {
	w := walk{rest: b}
	for w.next() {
		switch {
		case w.number != 4:
		case !w.must(protowire.BytesType) || !utf8.Valid(w.bytes):
			return errWire
		case len(q.symbols) == maxSymbols:
			return fmt.Errorf("more than %d symbols: send smaller requests", maxSymbols)
		case len(q.symbols) == 0 && len(w.bytes) > 0:
			return errors.New("the first symbol is not empty, as remote write 2.0 asks for")
		default:
			q.symbols = append(q.symbols, w.bytes)
		}
	}
	return w.err()
}

// refuse notes that a series is unsound, with the samples that it would have had.
func (q *request) refuse(samples int, format string, args ...any) {
	q.bad += max(samples, 1)
	if len(q.refused) < 10 { // what is told is an answer to one request
		q.refused = append(q.refused, fmt.Errorf(format, args...))
	}
}

// series takes one time series. An error refuses the whole message.
func (q *request) series(body []byte, v2 bool) error {
	name, bad, err := q.readLabels(body, v2)
	if err != nil {
		return err
	}
	c := contents{latest: q.latest}
	if err := c.read(body, v2); err != nil {
		return err
	}
	switch {
	case bad != nil:
		q.refuse(c.samples+c.histograms, "series %.100q: %w", name, bad)
		return nil
	case c.beyond > 0:
		q.refuse(c.beyond, "series %.100q: %d of its samples have times that are not believed", name, c.beyond)
	}
	q.samples += c.samples - c.samplesBeyond
	q.histograms += c.histograms - (c.beyond - c.samplesBeyond)
	q.exemplars += c.exemplars
	if c.newest != 0 {
		q.newest = max(q.newest, c.newest)
		if q.oldest == 0 || c.oldest < q.oldest {
			q.oldest = c.oldest
		}
	}
	q.keep(name, body, v2, &c)
	return nil
}

// keep remembers the series if it is needed.
func (q *request) keep(name []byte, body []byte, v2 bool, c *contents) {
	keeps := func(name []byte) bool {
		m := q.view.find(name)
		return m != nil && m.keeps(q.labels)
	}
	w := wanted{body: body, v2: v2, samples: c.samples > 0 && keeps(name)}
	if c.histograms > 0 {
		long := append(append(make([]byte, 0, len(name)+6), name...), "_count"...)
		w.count = keeps(long)
		w.sum = keeps(append(long[:len(name)], "_sum"...))
	}
	if !w.samples && !w.count && !w.sum {
		return
	}
	if w.count || w.sum {
		q.used += c.histograms - (c.beyond - c.samplesBeyond)
	}
	w.name = string(name)
	w.labels = make([]format.Label, len(q.labels))
	for i, l := range q.labels {
		w.labels[i] = format.Label{Name: strings.Clone(l.Name), Value: strings.Clone(l.Value)}
	}
	slices.SortFunc(w.labels, func(a, b format.Label) int { return strings.Compare(a.Name, b.Name) })
	q.needed = append(q.needed, w)
}

// readLabels reads the labels of a series into q.labels, but for its name. bad says what is wrong with them, if the message is sound otherwise.
func (q *request) readLabels(body []byte, v2 bool) (name []byte, bad, err error) {
	q.labels, q.refs = q.labels[:0], q.refs[:0]
	r := labelReader{q: q}
	if v2 {
		err = r.references(body)
	} else {
		err = r.messages(body)
	}
	switch {
	case err != nil || r.bad != nil:
	case len(r.name) == 0:
		r.bad = errors.New("it has no name: the label __name__ is missing")
	default:
		r.bad = repeated(q.labels)
	}
	return r.name, r.bad, err
}

// labelReader takes the labels of one series.
type labelReader struct {
	q     *request
	n     int
	named bool
	name  []byte
	bad   error
}

func (r *labelReader) add(key, value []byte) {
	r.n++
	switch {
	case r.bad != nil:
	case r.n > maxSeriesLabels:
		r.bad = fmt.Errorf("more than %d labels", maxSeriesLabels)
	case len(key) == 0:
		r.bad = errors.New("a label has no name")
	case string(key) == "__name__":
		if r.named {
			r.bad = errors.New("it has two names")
		}
		r.name, r.named = value, true
	case len(value) > 0: // a label without a value is none
		r.q.labels = append(r.q.labels, format.Label{Name: aliased(key), Value: aliased(value)})
	}
}

// repeated refuses a name that stands twice. Senders sort labels, so neighbours are looked at first.
func repeated(labels []format.Label) error {
	for i := 1; i < len(labels); i++ {
		if labels[i-1].Name >= labels[i].Name {
			slices.SortStableFunc(labels, func(a, b format.Label) int { return strings.Compare(a.Name, b.Name) })
			break
		}
	}
	for i := 1; i < len(labels); i++ {
		if labels[i-1].Name == labels[i].Name {
			return fmt.Errorf("the label %.100q stands twice", labels[i].Name)
		}
	}
	return nil
}

// messages reads the labels of 1.0.
func (r *labelReader) messages(body []byte) error {
	w := walk{rest: body}
	for w.next() {
		if w.number != 1 || !w.must(protowire.BytesType) {
			continue
		}
		var key, value []byte
		l := walk{rest: w.bytes}
		for l.next() {
			if l.number > 2 {
				continue
			}
			if !l.must(protowire.BytesType) || !utf8.Valid(l.bytes) {
				return errWire
			}
			if l.number == 1 {
				key = l.bytes
			} else {
				value = l.bytes
			}
		}
		if l.broken {
			return errWire
		}
		r.add(key, value)
	}
	return w.err()
}

// references reads the labels of 2.0, which are pairs of places in the table of symbols.
func (r *labelReader) references(body []byte) error {
	q := r.q
	const most = 2*maxSeriesLabels + 2 // beyond it the series is refused for having too many
	w := walk{rest: body}
	for w.next() {
		if w.number != 1 {
			continue
		}
		if w.kind == protowire.VarintType {
			if len(q.refs) < most {
				q.refs = append(q.refs, ref(w.value))
			}
			continue
		}
		if !w.must(protowire.BytesType) {
			break
		}
		for packed := w.bytes; len(packed) > 0; {
			v, n := protowire.ConsumeVarint(packed)
			if n < 0 {
				return errWire
			}
			packed = packed[n:]
			if len(q.refs) < most {
				q.refs = append(q.refs, ref(v))
			}
		}
	}
	if w.broken {
		return errWire
	}
	if len(q.refs)%2 != 0 {
		r.bad = fmt.Errorf("%d label references, which are no pairs", len(q.refs))
		return nil
	}
	for i := 0; i+1 < len(q.refs); i += 2 {
		key, value := q.refs[i], q.refs[i+1]
		if int(max(key, value)) >= len(q.symbols) {
			r.bad = fmt.Errorf("a label names symbol %d of %d", max(key, value), len(q.symbols))
			return nil
		}
		r.add(q.symbols[key], q.symbols[value])
	}
	return nil
}

// ref keeps what is out of range out of range.
func ref(v uint64) uint32 { return uint32(min(v, math.MaxUint32)) }

// contents count what a series has besides its labels, and check it.
type contents struct {
	latest                         int64
	samples, histograms, exemplars int
	beyond, samplesBeyond          int // with times that can't be; of them samples
	newest, oldest                 int64
}

func (c *contents) read(body []byte, v2 bool) error {
	w := walk{rest: body}
	for w.next() {
		what := partOf(w.number, v2)
		if what == partOther || !w.must(protowire.BytesType) {
			continue
		}
		var err error
		var p point
		switch what {
		case partSample:
			if p, err = readSample(w.bytes); err == nil {
				c.samples++
				if !c.at(p.at) {
					c.samplesBeyond++
				}
			}
		case partHistogram:
			if p, err = readHistogram(w.bytes); err == nil {
				c.histograms++
				c.at(p.at)
			}
		case partExemplar:
			c.exemplars++
			err = checkMessage(w.bytes)
		}
		if err != nil {
			return err
		}
	}
	return w.err()
}

// at notes a time in ms, and reports whether it is believed.
func (c *contents) at(ms int64) bool {
	if ms <= 0 || ms > c.latest {
		c.beyond++
		return false
	}
	c.newest = max(c.newest, ms)
	if c.oldest == 0 || ms < c.oldest {
		c.oldest = ms
	}
	return true
}

// each calls f for every point of a needed series, under the name of the series that conditions know.
func (s *wanted) each(latest int64, f func(name string, value float64, ms int64) error) error {
	count, sum := s.name+"_count", s.name+"_sum"
	w := walk{rest: s.body}
	for w.next() {
		var err error
		switch partOf(w.number, s.v2) {
		case partSample:
			if p, _ := readSample(w.bytes); s.samples && p.at > 0 && p.at <= latest { // it was read before without an error
				err = f(s.name, p.value, p.at)
			}
		case partHistogram:
			p, _ := readHistogram(w.bytes)
			if p.at <= 0 || p.at > latest {
				continue
			}
			if math.Float64bits(p.sum) == staleBits { // that is how a native histogram says that it has ended
				p.value = p.sum
			}
			if s.count {
				err = f(count, p.value, p.at)
			}
			if err == nil && s.sum {
				err = f(sum, p.sum, p.at)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
