package collector

import (
	"bytes"
	"strings"

	"github.com/forewarn/forewarn/collector/record"
)

// removed stands where a secret stood.
const removed = "[removed]"

// redactor takes secrets out of records before they leave the collector, as its [Secrets] say. What a record says otherwise stays as it is.
// Attributes it looks at record by record, texts batch by batch: nearly none has a secret, and one look at a batch costs a fraction of a look at each of
// thousands of texts. It belongs to one goroutine.
type redactor struct {
	secrets *Secrets
	buf     []byte
	told    []byte // the text of a change
	attrs   record.Attrs
	value   []byte
	placed  []placed
	places  []uint32
	texts   []byte // of the batch before, for the next one
	ends    []uint32
	keyLeft int // how many more texts may be lines of a private key that came line by line
}

func newRedactor(s *Secrets) *redactor {
	if s == nil {
		s = standardSecrets()
	}
	return &redactor{secrets: s}
}

// Cleaner returns what takes the secrets out of a record that no collector sent, and tells how many there were. It belongs to one goroutine, and
// what it changes is valid until its next call.
func (s *Secrets) Cleaner() func(r *record.Record) int { return newRedactor(s).whole }

// whole takes the secrets out of a record of its own, its text too, and returns how many there were.
func (r *redactor) whole(rec *record.Record) int {
	n := r.record(rec)
	text, more := r.redact(rec.Text)
	if more > 0 { // what stands for a secret may be longer than it
		rec.Text = text[:min(len(text), record.MaxText)]
	}
	return n + more
}

// record takes the secrets out of r's attributes, and out of the text of a change that says what they are; and returns how many there were. What is
// changed is the redactor's, valid until the next call; nothing that r referred to is written to.
func (r *redactor) record(rec *record.Record) int {
	if rec.Kind == record.Change && r.secrets.on[fieldKind] {
		if n := r.change(rec); n > 0 {
			return n
		}
	}
	attrs, n := r.attributes(rec.Attrs)
	rec.Attrs = attrs
	return n
}

// batch takes the secrets out of the texts of the records that a builder has, and returns how many there were. What stands for a secret may be
// longer than it: when the texts together have grown by room bytes, those that would grow still are cut to their length.
func (r *redactor) batch(b *record.Builder, room int) int {
	texts, ends := b.Texts()
	if len(ends) == 0 {
		return 0
	}
	r.placed, r.places = r.secrets.appendPlaced(r.placed[:0], r.places, texts)
	each := r.secrets.always != 0
	left, out := r.placed, r.texts[:0]
	start, copied, secrets := 0, 0, 0
	for i, end := range ends {
		stop := int(end)
		if len(left) > 0 && left[0].at < stop || stop-start == keyLine || r.keyLeft > 0 || each {
			k := 0
			for k < len(left) && left[k].at < stop {
				k++
			}
			text, n := r.text(texts[start:stop], left[:k], start)
			left = left[k:]
			if n > 0 {
				if secrets == 0 {
					r.ends = append(r.ends[:0], ends...)
				}
				text = text[:min(len(text), record.MaxText, stop-start+max(room, 0))]
				room -= len(text) - (stop - start)
				out = append(append(out, texts[copied:start]...), text...)
				copied = stop
				secrets += n
			}
		}
		if secrets > 0 {
			r.ends[i] = uint32(len(out) + stop - copied)
		}
		start = stop + 1
	}
	if secrets > 0 {
		out = append(out, texts[copied:]...)
		r.texts, r.ends = b.SetTexts(out, r.ends)
	}
	return secrets
}

// redact returns text without its secrets, and how many there were. Without any it returns text itself; else the result is
// valid until the next call.
func (r *redactor) redact(text []byte) ([]byte, int) {
	r.placed, r.places = r.secrets.appendPlaced(r.placed[:0], r.places, text)
	return r.text(text, r.placed, 0)
}

// text is redact for a text in which marks were found; it begins at origin of what they were found in.
func (r *redactor) text(text []byte, marks []placed, origin int) ([]byte, int) {
	s := r.secrets
	if (r.keyLeft > 0 || len(text) == keyLine) && s.on[privateKeyKind] && r.lineOfKey(text) {
		r.buf = append(r.buf[:0], removed...)
		return r.buf, 1
	}
	at, n, wanted := 0, 0, s.always
	for len(marks) > 0 {
		k := 1
		for k < len(marks) && marks[k].at == marks[0].at {
			k++
		}
		start, end, more := s.secret(text, marks[:k], origin, at)
		marks = marks[k:]
		wanted |= more
		if start < 0 {
			continue
		}
		if n == 0 {
			r.buf = r.buf[:0]
		}
		r.buf = append(append(r.buf, text[at:start]...), removed...)
		at = end
		n++
	}
	if n > 0 {
		r.buf = append(r.buf, text[at:]...)
		text = r.buf
	}
	if wanted != 0 {
		var more int
		text, more = r.own(text, wanted)
		n += more
	}
	if n > 0 && r.keyLeft == 0 && s.on[privateKeyKind] && opensKey(text) {
		r.keyLeft = keyLines
	}
	return text, n
}

// secret returns the first secret that marks at one place announce at or behind floor, -1 when none does. wanted are the owner's patterns
// that may match.
func (s *Secrets) secret(text []byte, marks []placed, origin, floor int) (from, to int, wanted uint64) {
	from = -1
	for _, x := range marks {
		m, start := &s.marks[x.mark], x.start-origin
		switch {
		case start < 0 || start+len(m.text) > len(text): // it goes over the border between two texts
		case start+len(m.text) < floor && m.rule != nil: // it is part of a secret; a text of nothing else must not cost its length for each
		case m.rule == nil:
			wanted |= m.own
		default:
			b, e := m.rule(text, m, start, start+len(m.text), floor)
			if b >= floor && e > b && (from < 0 || b < from || b == from && e > to) {
				from, to = b, e
			}
		}
	}
	return from, to, wanted
}

// own removes what the owner's own patterns find.
func (r *redactor) own(text []byte, wanted uint64) ([]byte, int) {
	n := 0
	for i, p := range r.secrets.patterns {
		if wanted&(1<<i) == 0 {
			continue
		}
		found := p.FindAllIndex(text, -1)
		if len(found) == 0 {
			continue
		}
		out := make([]byte, 0, len(text))
		at := 0
		for _, f := range found {
			if f[0] == f[1] || string(text[f[0]:f[1]]) == removed {
				continue
			}
			out = append(append(out, text[at:f[0]]...), removed...)
			at = f[1]
			n++
		}
		text = append(out, text[at:]...)
	}
	return text, n
}

// attributes returns a without the secrets in its values, and how many there were. Without any it returns a itself.
func (r *redactor) attributes(a record.Attrs) (record.Attrs, int) {
	n := 0
	for i := range a {
		key, value := a[i].Key, a[i].Value
		if len(value) < 3 || plainAttribute(key) {
			continue
		}
		without := value
		if r.secrets.on[fieldKind] && secretAttribute(key) && !harmless([]byte(value)) {
			without = removed
		} else if text, found := r.redactString(value); found > 0 {
			without = text
		}
		if without == value {
			continue
		}
		if n == 0 {
			r.attrs = append(r.attrs[:0], a...)
		}
		r.attrs[i].Value = without[:min(len(without), record.MaxValue)]
		n++
	}
	if n == 0 {
		return a, 0
	}
	return r.attrs, n
}

// redactString is redact for the value of an attribute. It is no line of what other texts are lines of.
func (r *redactor) redactString(value string) (string, int) {
	r.value = append(r.value[:0], value...)
	keep, left := r.buf, r.keyLeft // the text's
	r.buf, r.keyLeft = nil, 0
	text, n := r.redact(r.value)
	r.buf, r.keyLeft = keep, left
	if n == 0 {
		return value, 0
	}
	return string(text), n
}

// plainAttribute reports whether a key is one of those that each record has and that hold nothing but names and numbers.
func plainAttribute(key string) bool {
	switch key {
	case record.Cluster, record.Node, record.Namespace, record.Pod, record.PodUID, record.Container, record.RestartCount, record.WorkloadKind,
		record.WorkloadName, record.Component, record.Host, record.FilePath, record.Stream, record.SeverityText, record.EventReason,
		record.EventType, record.EventName, record.ObjectKind, record.ObjectName, record.ObjectUID, record.ObjectVersion, record.ObjectAPI,
		record.ChangePath, record.ChangeVerb, record.MetricName, record.AlertName, record.AlertState, record.Image, record.Volume, record.VolumeClaim:
		return true
	}
	return false
}

// secretAttribute reports whether the last word of a key names a secret. An attribute called secret alone is the name of a Secret.
func secretAttribute(key string) bool {
	last := key[strings.LastIndexByte(key, '.')+1:]
	return last != "secret" && secretName([]byte(last)) != notSecret
}

// change takes the values out of a change of a field that is called like a secret, or is the value of such an environment variable.
func (r *redactor) change(rec *record.Record) int {
	path, ok := rec.Attrs.Get(record.ChangePath)
	if !ok || !secretPath(path) {
		return 0
	}
	n := 0
	r.attrs = append(r.attrs[:0], rec.Attrs...)
	for i := range r.attrs {
		a := &r.attrs[i]
		if (a.Key == record.ChangeFrom || a.Key == record.ChangeTo) && !harmless([]byte(a.Value)) {
			a.Value = removed
			n++
		}
	}
	if n == 0 {
		return 0
	}
	rec.Attrs = r.attrs
	r.told = append(append(r.told[:0], path...), ": "...)
	r.told = append(append(append(r.told, r.attrs.Value(record.ChangeFrom)...), " -> "...), r.attrs.Value(record.ChangeTo)...)
	rec.Text = r.told
	return n
}

func secretPath(path string) bool {
	if name, ok := strings.CutSuffix(path, "].value"); ok {
		if i := strings.LastIndex(name, "env["); i >= 0 {
			return secretName([]byte(name[i+4:])) != notSecret
		}
	}
	path = strings.TrimSuffix(path, "]")
	return secretAttribute(path[strings.LastIndexAny(path, ".[")+1:])
}

// keyLine is how long the lines of a private key are, and keyLines how many of them there may be, with those of other sources between.
const (
	keyLine  = 64
	keyLines = 200
)

// lineOfKey reports whether a text is one line of the body of a private key, for sources that give each line as a record of its own. The
// lines of certificates look the same.
func (r *redactor) lineOfKey(text []byte) bool {
	if r.keyLeft > 0 {
		r.keyLeft--
		if bytes.HasPrefix(text, []byte("-----END")) {
			r.keyLeft = 0
			return false
		}
	}
	var upper, lower, digit bool
	padded := 0
	for _, c := range text {
		switch {
		case padded > 0 && c != '=':
			return false
		case c-'A' <= 'Z'-'A':
			upper = true
		case c-'a' <= 'z'-'a':
			lower = true
		case c-'0' <= 9 || c == '+' || c == '/':
			digit = true
		case c == '=':
			padded++
		default:
			return false
		}
	}
	mixed := upper && lower && digit
	if len(text) == keyLine && mixed {
		r.keyLeft = keyLines
		return true
	}
	return r.keyLeft > 0 && len(text)%4 == 0 && len(text) < keyLine && (padded > 0 || mixed)
}

// opensKey reports whether a private key begins in text and does not end in it.
func opensKey(text []byte) bool {
	i := bytes.LastIndex(text, []byte("PRIVATE KEY"))
	return i >= 0 && bytes.LastIndex(text[:i], []byte("-----BEGIN")) >= 0 && !bytes.Contains(text[i:], []byte("-----END"))
}
