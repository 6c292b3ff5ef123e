package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/forewarn/forewarn/collector/format"
)

// maxLine is the most bytes of a line of a scrape that are looked at. The longest ones of real components have some 2 KiB.
const maxLine = 64 << 10

var (
	errTooLarge = errors.New("the answer is larger than body_mb allows: raise it, or scrape less")
	errEndless  = errors.New("the answer ended early: its last line is not whole")
)

// text reads scrapes, in the text format and OpenMetrics, and gives out the samples of needed series. All other lines are passed over by their
// metric's name, which costs neither an allocation nor a look at the rest of them. A text belongs to one goroutine.
type text struct {
	view *view
	// limit is the most bytes that are read.
	limit int64
	// openMetrics says that the last line must be # EOF.
	openMetrics bool

	buf     []byte
	last    []byte  // the name of the line before
	found   *metric // what the filter said of it
	series  format.Series
	ended   bool // # EOF was read
	skipped textCounts
}

// textCounts say what a scrape had.
type textCounts struct {
	bytes                 int64
	lines, bad, nan, long int
}

// read reads all of r and calls give for each sample, which is valid only during the call. The samples that it gave before an error are sound: a
// line whose end did not come is never one of them, for the number at its end may be cut.
func (t *text) read(r io.Reader, give func(*format.Series) error) error {
	if t.buf == nil {
		t.buf = make([]byte, maxLine)
	}
	t.last, t.found, t.ended, t.skipped = t.last[:0], nil, false, textCounts{}
	held, skipping := 0, false
	for {
		n, err := r.Read(t.buf[held:])
		if t.skipped.bytes += int64(n); t.skipped.bytes > t.limit {
			return errTooLarge
		}
		data := t.buf[:held+n]
		for {
			end := bytes.IndexByte(data, '\n')
			if end < 0 {
				break
			}
			if !skipping {
				if err := t.line(data[:end], give); err != nil {
					return err
				}
			}
			skipping, data = false, data[end+1:]
		}
		if skipping {
			data = nil
		}
		held = copy(t.buf, data)
		if held == len(t.buf) { // a line that does not fit is none that was asked for
			t.skipped.long++
			held, skipping = 0, true
		}
		switch {
		case errors.Is(err, io.EOF):
			return t.end(held > 0 || skipping)
		case err != nil:
			return fmt.Errorf("read the answer: %w", err)
		}
	}
}

func (t *text) end(rest bool) error {
	if rest || t.openMetrics && !t.ended {
		return errEndless
	}
	return nil
}

func (t *text) line(line []byte, give func(*format.Series) error) error {
	if len(line) == 0 || line[0] == '#' {
		t.ended = t.ended || bytes.HasPrefix(line, []byte("# EOF"))
		return nil
	}
	t.skipped.lines++
	m := t.lookUp(line)
	if m == nil {
		return nil
	}
	if !t.series.Parse(bytes.TrimSuffix(line, []byte("\r"))) {
		t.skipped.bad++
		return nil
	}
	if !m.keeps(t.series.Labels) {
		return nil
	}
	if math.IsNaN(t.series.Value) {
		t.skipped.nan++
		return nil
	}
	return give(&t.series)
}

// lookUp returns the metric of a line. Lines of one metric follow each other, so most of them are known by the name of the line before.
func (t *text) lookUp(line []byte) *metric {
	if n := len(t.last); n > 0 && len(line) > n && (line[n] == '{' || line[n] == ' ') && bytes.Equal(line[:n], t.last) {
		return t.found
	}
	n := 0
	for n < len(line) && line[n] != '{' && line[n] != ' ' && line[n] != '\t' {
		n++
	}
	if n == 0 { // blanks before it, or the name is among the labels: {"my.metric"}
		if !t.series.Parse(line) {
			t.skipped.bad++
			return nil
		}
		return t.view.find([]byte(t.series.Name))
	}
	t.last = append(t.last[:0], line[:n]...)
	t.found = t.view.find(t.last)
	return t.found
}
