package matcher

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/forewarn/forewarn/collector/record"
)

// What is kept of a record to be shown.
const (
	maxEvidenceText  = 400
	maxEvidenceAttrs = 32
	maxEvidenceValue = 200
)

// evidence is the number of a record that is kept to be shown; 0 is none. Numbers grow with the order in which hits came. A
// fold copies and stores them often and looks at what is behind them never, so the records themselves lie in an [evidenceLog].
type evidence uint64

// maxEvidence is more than any number.
const maxEvidence = 1 << 62

// Details finds what a tracker gave to be stored: the value that [Tracker.Dirty] gave for key, or nil when there is none. The
// tracker asks for nothing before the call of Dirty that gave it has returned, and not while one runs. The value is valid
// until the next call.
type Details interface {
	Detail(key []byte) ([]byte, error)
}

// evidenceChunk is how many bytes of evidence lie together.
const (
	evidenceChunk   = 256 << 10
	evidenceSpare   = 8       // chunks that are kept for use again
	maxEvidenceSize = 2 << 10 // what one seldom is above
)

// evidenceLog holds records that are shown as evidence, encoded, in the order of their numbers. It has no pointer for a single one.
type evidenceLog struct {
	next   evidence // the number of the next one; never 0
	base   evidence // those before it were given to Dirty
	chunks []evidencePart
	spare  []evidencePart
	bytes  int // of all chunks
	live   int // bytes that were in use when the log was swept last
	bound  int
}

// evidencePart is a run of evidence: text i is data[ends[i-1]:ends[i]].
type evidencePart struct {
	numbers []evidence
	ends    []uint32
	data    []byte
}

// add copies what is shown of a record.
func (l *evidenceLog) add(r *record.Record, source string) evidence {
	c := l.chunk()
	w := writer{b: c.data}
	w.evidenceOf(r, source)
	return l.end(c, w.b)
}

// put takes evidence that is encoded already.
func (l *evidenceLog) put(text []byte) evidence {
	c := l.chunk()
	return l.end(c, append(c.data, text...))
}

func (l *evidenceLog) end(c *evidencePart, data []byte) evidence {
	l.bytes += len(data) - len(c.data)
	c.data = data
	c.numbers, c.ends = append(c.numbers, l.next), append(c.ends, uint32(len(data)))
	l.next++
	return l.next - 1
}

// chunk returns the last chunk, with room.
func (l *evidenceLog) chunk() *evidencePart {
	if n := len(l.chunks); n > 0 && len(l.chunks[n-1].data) < evidenceChunk {
		return &l.chunks[n-1]
	}
	var c evidencePart
	switch last := len(l.spare) - 1; {
	case last >= 0:
		c, l.spare = l.spare[last], l.spare[:last]
	case len(l.chunks) > 0: // the first one grows as it needs
		c.data = make([]byte, 0, evidenceChunk+maxEvidenceSize)
	}
	l.chunks = append(l.chunks, c)
	return &l.chunks[len(l.chunks)-1]
}

// free keeps some chunks for use again.
func (l *evidenceLog) free(list []evidencePart) {
	for _, c := range list {
		if len(l.spare) < evidenceSpare {
			l.spare = append(l.spare, evidencePart{c.numbers[:0], c.ends[:0], c.data[:0]})
		}
	}
}

// get returns encoded evidence, or nil when it is not here. It is valid until the log is swept.
func (l *evidenceLog) get(n evidence) []byte {
	at, _ := slices.BinarySearchFunc(l.chunks, n, func(c evidencePart, n evidence) int {
		if c.numbers[len(c.numbers)-1] < n {
			return -1
		}
		return 1
	})
	if at == len(l.chunks) {
		return nil
	}
	c := &l.chunks[at]
	i, found := slices.BinarySearch(c.numbers, n)
	if !found {
		return nil
	}
	return c.text(i)
}

func (c *evidencePart) text(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.data[from:c.ends[i]]
}

// forget drops everything: it is in the store.
func (l *evidenceLog) forget() {
	l.free(l.chunks)
	l.chunks, l.bytes, l.live = nil, 0, 0
}

// full reports whether it is time to sweep: when it is above the bound, and where all evidence is in memory when it has doubled.
func (l *evidenceLog) full(all bool) bool {
	return l.bytes > l.bound && l.bytes > l.live+evidenceChunk || all && l.bytes > max(2*l.live, 16*evidenceChunk)
}

// sweep keeps what is used, in order, and of that what the bound allows, the newest; it returns how many were shed. Used is
// sorted.
func (l *evidenceLog) sweep(used []evidence) (shed uint64) {
	old, bound := l.chunks, l.bound
	if l.size(used) > bound {
		bound /= 2 // so that it does not happen again at once
	}
	keep, from := 0, 0
	for i, x := range slices.Backward(used) { // the newest first
		n := len(l.get(x))
		if keep += n; keep <= bound {
			continue
		}
		if from == 0 {
			from = i + 1
		}
		if n > 0 {
			shed++
		}
	}
	used = used[from:]
	next := l.next
	l.chunks, l.bytes = nil, 0
	for i := range old {
		c := &old[i]
		for j, n := range c.numbers {
			for len(used) > 0 && used[0] < n {
				used = used[1:]
			}
			if len(used) > 0 && used[0] == n {
				l.next = n
				l.put(c.text(j))
			}
		}
		old[i] = evidencePart{} // so that not everything is there twice
	}
	l.next, l.live = next, l.bytes
	return shed
}

func (l *evidenceLog) size(list []evidence) (bytes int) {
	for _, n := range list {
		bytes += len(l.get(n))
	}
	return bytes
}

func (w *writer) evidenceOf(r *record.Record, source string) {
	w.byte(byte(r.Kind))
	w.fixed(uint64(r.Time))
	w.fixed(r.ID)
	w.text(source)
	w.text(clipText(viewString(r.Text), maxEvidenceText))
	n := min(len(r.Attrs), maxEvidenceAttrs)
	w.uint(uint64(n))
	for _, a := range r.Attrs[:n] {
		w.text(a.Key)
		w.text(clipText(a.Value, maxEvidenceValue))
	}
}

// openEvidence decodes evidence; what cannot be read is left empty.
func openEvidence(text []byte, stage string) Evidence {
	r := reader{b: text}
	x := Evidence{Stage: stage, Kind: record.Kind(r.byte()).String()}
	x.Time = when(int64(r.fixed()))
	x.Record = r.fixed()
	x.Source = r.text()
	x.Text = r.text()
	if n := r.count(2); n > 0 {
		x.Attrs = make(map[string]string, n)
		for range n {
			k := r.text()
			x.Attrs[k] = r.text()
		}
	}
	return x
}

// skipEvidence passes evidence.
func (r *reader) skipEvidence() {
	r.byte()
	r.fixed()
	r.fixed()
	r.text()
	r.text()
	for range r.count(2) {
		r.text()
		r.text()
	}
}

func (n evidence) storageKey() []byte { return n.appendStorageKey(nil) }

func (n evidence) appendStorageKey(key []byte) []byte {
	return binary.BigEndian.AppendUint64(append(key, keyEvidence), uint64(n))
}

// clipText makes s valid UTF-8 of at most n bytes.
func clipText(s string, n int) string {
	if len(s) > n {
		cut := n
		for cut > n-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "?") // one byte for one or more, so it does not grow
}
