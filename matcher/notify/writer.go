package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/forewarn/forewarn/matcher"
)

// Terminal writes warnings for people to read. A write error is returned for another try: a pipe may come back.
type Terminal struct {
	Out   io.Writer
	Style Style
	words wording
}

func makeTerminal(m *maker) Notifier {
	return &Terminal{Out: m.out(), Style: m.env.Style, words: *m.wording()}
}

func (m *maker) out() io.Writer {
	if m.env.Out == nil {
		return io.Discard
	}
	return m.env.Out
}

// Notify writes the warning, followed by an empty line. Of several warnings it writes one a line, and the totals of a digest.
func (t *Terminal) Notify(_ context.Context, n Notice) error {
	text, ok := t.words.Body(n)
	switch {
	case ok:
	case n.single():
		text = Text(&n.Warnings[0], t.Style)
	default:
		text = listing(n, 1<<20)
	}
	if _, err := io.WriteString(t.Out, text+"\n"); err != nil {
		return fmt.Errorf("write notice %s: %w", n.ID, err)
	}
	return nil
}

// JSONLines writes one JSON object a line for each revision of a warning, also of those that are told together.
type JSONLines struct {
	Out   io.Writer
	steps steps
}

func makeJSON(m *maker) Notifier { return &JSONLines{Out: m.out()} }

// Notify writes each warning as one line, in one write, and a digest as a line that has no warning's id.
func (j *JSONLines) Notify(_ context.Context, n Notice) error {
	write := func(v any) error {
		b, err := json.Marshal(v)
		if err != nil {
			return Permanent(fmt.Errorf("encode notice %s: %w", n.ID, err))
		}
		if _, err := j.Out.Write(append(b, '\n')); err != nil {
			return fmt.Errorf("write notice %s: %w", n.ID, err)
		}
		return nil
	}
	return j.steps.each(n, func(w *matcher.Warning) error { return write(Filled(w)) }, func(d *Digest) error {
		return write(digestTold{n.Thread, d})
	})
}

// digestTold is how tools are told a digest.
type digestTold struct {
	Thread string  `json:"thread"`
	Digest *Digest `json:"digest"`
}
