package collector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// trail is one followed path: the files that have its name, or had it until they were rotated away.
type trail struct {
	home  string                    // its real path
	src   *source                   // what its records have in common, and where they go
	keep  func(*record.Record) bool // decides about each record; nil keeps all
	tails []*tail                   // oldest first; the last one has the name
	ready bool                      // it waits for its turn
}

// tail is one file of a trail. While it rests it has no parser, and everything up to at was given.
type tail struct {
	trail   *trail
	id      fileID
	name    string // its real path when it was last found
	file    *os.File
	at      int64 // bytes read
	size    int64 // when it was last looked at
	eof     bool  // nothing was left when it was read last
	read    time.Time
	held    bool      // it may hold something back
	readAt  time.Time // as read, by the clock of the records
	owed    int64     // the size up to which the promise under way waits for it; 0 when it does not
	absent  int       // looks in a row that did not find it
	written time.Time // when it was last looked at

	parser   format.Parser
	family   *format.Family
	sample   []byte // read and not parsed: the format is not known yet
	from     int64  // where the parser, or the sample, begins
	identity uint64
	begun    int
	last     int64 // the time of the last entry before from

	head, end []byte // of what was read
	heir      *tail  // what went on with what this one holds back
	kept      int64  // from where that stands here
	keptLast  int64
}

// newTail makes the tail of a file that was just found. pos is how far it was read, nil when it was not.
func newTail(tr *trail, f *found, pos *position, begun int) *tail {
	t := &tail{trail: tr, id: identify(f.info), name: f.real, size: f.info.Size(), begun: begun}
	if pos != nil {
		t.at, t.from, t.last, t.begun, t.identity, t.family = pos.Offset, pos.Offset, pos.Last, pos.Begun, pos.Identity, format.Named(pos.Format)
	}
	return t
}

// open opens the file if it is not open. It is an error that it has become another one.
func (t *tail) open() error {
	if t.file != nil {
		return nil
	}
	file, err := os.Open(t.name)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && identify(info) != t.id {
		err = errMoved
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	t.file = file
	return nil
}

// recall reads what the file is known by, as far as it was read.
func (t *tail) recall() error {
	t.head, t.end = make([]byte, min(headSize, t.at)), make([]byte, min(tailSize, t.at))
	if _, err := t.file.ReadAt(t.head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if _, err := t.file.ReadAt(t.end, t.at-int64(len(t.end))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

var errMoved = errors.New("another file has its name now")

// pull reads at most so many bytes.
func (t *tail) pull(chunk []byte, most int64, now time.Time) (n int64) {
	for n < most {
		k, err := t.file.ReadAt(chunk, t.at)
		if k > 0 {
			t.take(chunk[:k])
			n += int64(k)
		}
		if t.eof = err != nil || k == 0; t.eof {
			break
		}
	}
	if n > 0 {
		t.read = now
		t.size = max(t.size, t.at)
		t.trail.src.raw.n.Add(n)
	}
	return n
}

func (t *tail) take(p []byte) {
	if t.at < headSize && int64(len(t.head)) == t.at {
		t.head = append(t.head, p[:min(len(p), headSize-len(t.head))]...)
	}
	if len(p) >= tailSize {
		t.end = append(t.end[:0], p[len(p)-tailSize:]...)
	} else {
		t.end = append(t.end, p...)
		t.end = t.end[max(0, len(t.end)-tailSize):]
	}
	t.at += int64(len(p))
	if t.parser == nil && t.identity != 0 {
		t.resume()
	}
	if t.parser != nil {
		t.parser.Write(p)
		return
	}
	t.sample = append(t.sample, p...)
	if len(t.sample) >= format.Sample {
		t.detect()
	}
}

// resume makes a parser of a file whose format and identity are known.
func (t *tail) resume() {
	head := make([]byte, 4<<10)
	n, _ := t.file.ReadAt(head, 0) // without it stamps that have no year are found a little later
	t.parse(head[:n], 0)
}

// remember says of which kinds the file's records are, before one comes: that nothing is added to it after a restart does not make it silent.
func (t *tail) remember() {
	if t.identity != 0 && t.from > 0 {
		t.resume()
		t.rest()
	}
}

// detect decides on the format with what there is, and parses it.
func (t *tail) detect() {
	if t.parser != nil || len(t.sample) == 0 {
		return
	}
	t.family, t.identity = format.Detect(t.sample), t.identify(t.sample)
	text := bytes.TrimPrefix(t.sample, []byte("\xef\xbb\xbf"))
	t.parse(t.sample, int64(len(t.sample)-len(text)))
	t.parser.Write(text)
	t.sample = nil
}

// skip begins behind what is there already.
func (t *tail) skip() error {
	head := make([]byte, format.Sample)
	n, err := t.file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	t.at, t.from = t.size, t.size
	t.head = append(t.head, head[:min(n, headSize)]...)
	if n > 0 {
		t.family, t.identity = format.Detect(head[:n]), t.identify(head[:n])
		t.parse(head[:n], 0)
	}
	return nil
}

// parse opens the parser.
func (t *tail) parse(head []byte, skipped int64) {
	if t.family == nil { // of a checkpoint that another version wrote
		t.family = format.Detect(head)
	}
	tr := t.trail
	in := tr.src.input
	in.Identity, in.Offset, in.Last, in.Sink = t.identity, uint64(t.from+skipped), t.last, tr.src.batches
	if t.family.SharesAttrs() {
		in.Sink = shared{tr.src.batches}
	}
	if tr.keep != nil {
		in.Sink = filtered{tr.keep, in.Sink}
	}
	t.parser = t.family.Open(in, head)
	tr.src.given(t.family, t.parser.Kinds())
	if t.from > 0 {
		return
	}
	if before := tr.before(t); before != nil {
		before.bequeath(t)
	}
}

// bequeath lets the file after go on with what this one holds back.
func (t *tail) bequeath(to *tail) {
	heir, ok := to.parser.(format.Heir)
	if !ok || t.parser == nil || t.family != to.family || !t.eof || !bytes.HasSuffix(t.end, []byte("\n")) {
		return
	}
	offset, last := t.settled()
	heir.Inherit(t.parser)
	t.parser.Close()
	t.parser, t.from, t.last = nil, t.at, last
	if heir.Inherited() {
		t.heir, t.kept, t.keptLast = to, offset, last
	}
}

// settled returns up to where everything was given, and the time of the last entry before.
func (t *tail) settled() (offset, last int64) {
	if t.heir != nil {
		if heir, ok := t.heir.parser.(format.Heir); ok && heir.Inherited() {
			return t.kept, t.keptLast
		}
		t.heir = nil
	}
	if t.parser == nil {
		return t.from, t.last
	}
	if r, ok := t.parser.(format.Resumer); ok {
		at, last := r.Settled()
		return int64(at), last
	}
	return t.from, t.last
}

// settle gives out what is held back because more could come, if nothing more came for a while.
func (t *tail) settle(quiet bool) {
	if t.parser == nil && decidable(t.sample) {
		t.detect()
	}
	if t.parser != nil && t.eof && quiet {
		t.parser.Flush()
	}
}

// finish gives out everything: nothing will come.
func (t *tail) finish() {
	t.detect()
	if t.parser != nil {
		_, t.last = t.settled()
		t.parser.Close()
		t.parser = nil
	}
	if t.identity != 0 {
		t.from = t.at
	}
	t.close()
}

// rest frees the parser when it holds nothing back.
func (t *tail) rest() {
	r, ok := t.parser.(format.Resumer)
	if !ok {
		return
	}
	if at, last := r.Settled(); int64(at) == t.at {
		t.parser, t.from, t.last = nil, t.at, last
	}
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close() // it was only read
		t.file = nil
	}
}

// unchanged reports whether the file begins as it did when it was read.
func (t *tail) unchanged() bool {
	if t.file == nil || len(t.head) == 0 {
		return true
	}
	now := make([]byte, len(t.head))
	n, _ := t.file.ReadAt(now, 0)
	return bytes.Equal(now[:n], t.head)
}

// likeness is how much of what was read of one file is in another one.
type likeness int

const (
	other likeness = iota
	partly
	whole
)

// isCopy reports whether another file of some size holds what was read of this one.
func (t *tail) isCopy(file io.ReaderAt, size int64) likeness {
	if len(t.head) == 0 {
		return other
	}
	head := make([]byte, min(int64(len(t.head)), size))
	if n, _ := file.ReadAt(head, 0); n < len(head) || !bytes.HasPrefix(t.head, head) {
		return other
	}
	if size < t.at {
		return partly
	}
	if p := t.position(); p.in(file) {
		return whole
	}
	return other
}

func (t *tail) position() position {
	p := position{Home: t.trail.home, Inode: t.id.inode, Begun: t.begun, Identity: t.identity}
	p.Offset, p.Last = t.settled()
	if t.family != nil {
		p.Format = t.family.Name
	}
	p.Head, p.Tail = fingerprintOf(t.head, 0), fingerprintOf(t.end, t.at-int64(len(t.end)))
	return p
}

// identify tells the file from all others, whatever its name becomes: by the name under which it was written, its number, and its first
// line, because numbers are used again. The device is left out: its number may be another one after a boot.
func (t *tail) identify(sample []byte) uint64 {
	var numbers [16]byte
	binary.LittleEndian.PutUint64(numbers[:], t.id.inode)
	binary.LittleEndian.PutUint64(numbers[8:], uint64(t.begun))
	return record.Identity("file", t.trail.home, string(numbers[:]), firstLine(sample))
}

// before returns the file before t, nil when t is the oldest.
func (tr *trail) before(t *tail) *tail {
	for i, x := range tr.tails {
		if x == t && i > 0 {
			return tr.tails[i-1]
		}
	}
	return nil
}

// after returns the file after t, nil when t is the newest.
func (tr *trail) after(t *tail) *tail {
	for i, x := range tr.tails[:len(tr.tails)-1] {
		if x == t {
			return tr.tails[i+1]
		}
	}
	return nil
}

func (tr *trail) remove(t *tail) {
	for i, x := range tr.tails {
		if x == t {
			tr.tails = append(tr.tails[:i:i], tr.tails[i+1:]...)
			return
		}
	}
}

// current returns the file that has the name, or had it last.
func (tr *trail) current() *tail { return tr.tails[len(tr.tails)-1] }

// problem counts that a file could not be read, once.
func (t *tail) problem(f *Files, err error) {
	f.problem(fmt.Errorf("follow %s: %w", t.name, err))
}
