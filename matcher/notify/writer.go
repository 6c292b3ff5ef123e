package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// Terminal writes warnings for people to read. A write error is returned for another try: a pipe may come back.
type Terminal struct {
	Out   io.Writer
	Style Style
}

// Notify writes each warning, followed by an empty line, and the totals of a digest.
func (t *Terminal) Notify(_ context.Context, n Notice) error {
	for i := range n.Warnings {
		if _, err := io.WriteString(t.Out, Text(&n.Warnings[i], t.Style)+"\n"); err != nil {
			return fmt.Errorf("write warning %s: %w", n.Warnings[i].ID, err)
		}
	}
	if n.Digest != nil {
		if _, err := io.WriteString(t.Out, n.Digest.Text()+"\n"); err != nil {
			return fmt.Errorf("write the digest of %s: %w", n.ID, err)
		}
	}
	return nil
}

// JSONLines writes one JSON object a line for each revision of a warning.
type JSONLines struct{ Out io.Writer }

// Notify writes each warning as one line, in one write.
func (j *JSONLines) Notify(_ context.Context, n Notice) error {
	for i := range n.Warnings {
		b, err := json.Marshal(&n.Warnings[i])
		if err != nil {
			return Permanent(fmt.Errorf("encode warning %s: %w", n.Warnings[i].ID, err))
		}
		if _, err := j.Out.Write(append(b, '\n')); err != nil {
			return fmt.Errorf("write warning %s: %w", n.Warnings[i].ID, err)
		}
	}
	return nil
}
