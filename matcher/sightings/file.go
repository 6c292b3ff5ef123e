package sightings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/forewarn/forewarn/matcher"
)

// File is what is exported and imported: see [Write] and [Read].
type File struct {
	Kind    string   `json:"kind"`
	Version int      `json:"version"`
	Tallies []*Tally `json:"tallies"`
}

const (
	fileKind     = "forewarn-sightings"
	fileVersion  = 1
	originDigits = 16
	digestDigits = 64
	maxMinors    = 64
	maxRemedies  = 64
	// MaxFile bounds what is read: a hundred thousand tallies and more.
	MaxFile = 64 << 20
)

// Write writes a file of tallies, one a line, so that two exports can be compared line by line.
func Write(w io.Writer, all []*Tally) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"kind\":%q,\"version\":%d,\"tallies\":[", fileKind, fileVersion)
	for i, t := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n" + t.encoding())
	}
	b.WriteString("\n]}\n")
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write sightings: %w", err)
	}
	return nil
}

// Read reads an exported file. It takes nothing that it does not know, for what is in a file may come from anywhere, and returns everything that is
// wrong with it, with its place.
func Read(name string, r io.Reader) ([]*Tally, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("%s: it has more than %d MiB: export fewer months or clusters at a time", name, MaxFile>>20)
	}
	var f File
	if err := decode(b, &f); err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	if f.Kind != fileKind {
		return nil, fmt.Errorf("%s: kind is %q, and must be %q: use a file that `forewarn sightings export` wrote", name, f.Kind, fileKind)
	}
	if f.Version != fileVersion {
		return nil, fmt.Errorf("%s: version is %d, and this forewarn reads %d: export it with a forewarn of the same age as this one", name, f.Version, fileVersion)
	}
	var all []error
	for i, t := range f.Tallies {
		if t == nil {
			all = append(all, fmt.Errorf("%s: tallies[%d]: there is nothing: remove it", name, i))
			continue
		}
		if err := t.check(); err != nil {
			all = append(all, fmt.Errorf("%s: tallies[%d]%w", name, i, err))
		}
	}
	return f.Tallies, errors.Join(all...)
}

// ReadTally reads one tally as strictly.
func ReadTally(b []byte) (*Tally, error) {
	var t Tally
	if err := decode(b, &t); err != nil {
		return nil, fmt.Errorf("read a tally:%w", err)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("read a tally: it%w", err)
	}
	return &t, nil
}

// decode reads one JSON value and nothing besides. Its error begins with the line and column.
func decode(b []byte, into any) error {
	at := func(offset int64) string {
		before := b[:min(max(offset, 0), int64(len(b)))]
		line := bytes.Count(before, []byte("\n")) + 1
		return fmt.Sprintf("%d:%d", line, len(before)-bytes.LastIndexByte(before, '\n'))
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		return fmt.Errorf("%s: something follows: a file holds one export", at(d.InputOffset()))
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%s: it is no JSON: %w: use a file that `forewarn sightings export` wrote", at(syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("%s: %s is a %s, and a %s is needed", at(kind.Offset), kind.Field, kind.Value, kind.Type)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: it ends early: was it copied whole?", at(int64(len(b))))
	}
	return fmt.Errorf("%s: %w: this is not what `forewarn sightings export` writes", at(d.InputOffset()), err)
}

var (
	monthShape = regexp.MustCompile(`^20[0-9]{2}-(0[1-9]|1[0-2])$`)
	minorShape = regexp.MustCompile(`^[1-9][0-9]?\.[0-9]{1,3}$`)
)

// check finds what cannot be in a tally. Its error begins with the field.
func (t *Tally) check() error {
	var bad error
	fail := func(field, format string, args ...any) {
		if bad == nil {
			bad = fmt.Errorf(".%s: "+format, append([]any{field}, args...)...)
		}
	}
	if !isHex(t.Origin, originDigits) {
		fail("origin", "%q: it is %d digits of 0-9a-f", short(t.Origin), originDigits)
	}
	if !isHex(t.Digest, digestDigits) {
		fail("digest", "%q: it is %d digits of 0-9a-f", short(t.Digest), digestDigits)
	}
	if !monthShape.MatchString(t.Month) {
		fail("month", "%q: write it as 2026-11", short(t.Month))
	}
	if len(t.Rungs) > maxRungs+1 {
		fail("rungs", "there are %d: a signature has at most %d stages", len(t.Rungs), matcher.MaxStages)
	}
	for _, n := range []uint64{t.Finished, t.Incomplete, t.Right, t.Wrong, t.Seen} {
		if n > maxCount {
			fail("finished", "nobody has seen %d of anything", n)
		}
	}
	if e := t.ends(0); e.Averted+e.Expired+e.Incident != t.Finished {
		fail("rungs", "they end %d, and finished is %d: was it edited?", e.Averted+e.Expired+e.Incident, t.Finished)
	}
	if max(t.Incomplete, t.Seen) > t.Finished || t.Right+t.Wrong > t.Finished {
		fail("finished", "%d are fewer than what is said of them: was it edited?", t.Finished)
	}
	if len(t.Kubernetes) > maxMinors {
		fail("kubernetes", "there are %d versions: at most %d are told", len(t.Kubernetes), maxMinors)
	}
	for _, minor := range slices.Sorted(maps.Keys(t.Kubernetes)) {
		if !minorShape.MatchString(minor) || t.Kubernetes[minor] > maxCount {
			fail("kubernetes", "%q: a minor version is such as 1.31", short(minor))
		}
	}
	last := -1
	for _, d := range t.Remedies {
		if d.Remedy <= last || d.Remedy >= maxRemedies || d.Helped > d.Done || d.Done > t.Finished {
			fail("remedies", "remedy %d, done %d times, helped %d times: they rise from 0 to %d, and none helped more often than it was done", d.Remedy, d.Done, d.Helped, maxRemedies-1)
		}
		last = d.Remedy
	}
	for i := range t.Rungs {
		r := &t.Rungs[i]
		if max(r.Averted, r.Expired, r.Incident) > maxCount || max(total(&r.Next), total(&r.ToIncident)) > t.Finished {
			fail("rungs", "rung %d counts more than the %d that finished", i, t.Finished)
		}
	}
	if t.Lead.Total() > t.Finished {
		fail("lead", "it counts more than the %d that finished", t.Finished)
	}
	return bad
}

func total(c *Curve) uint64 { return c.Came.Total() + c.Left.Total() }

// short keeps what a file holds from filling a terminal.
func short(s string) string {
	if len(s) > 40 || !utf8.ValidString(s) {
		return fmt.Sprintf("%.40s…", []byte(s))
	}
	return s
}
