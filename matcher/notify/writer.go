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
}

// Notify writes each warning, followed by an empty line.
func (t *Terminal) Notify(_ context.Context, ws []matcher.Warning) error {
	for i := range ws {
		if _, err := io.WriteString(t.Out, Text(&ws[i], t.Style)+"\n"); err != nil {
			return fmt.Errorf("write warning %s: %w", ws[i].ID, err)
		}
	}
	return nil
}

// JSONLines writes one JSON object a line for each revision of a warning.
type JSONLines struct{ Out io.Writer }

// Notify writes each warning as one line, in one write.
func (j *JSONLines) Notify(_ context.Context, ws []matcher.Warning) error {
	for i := range ws {
		b, err := json.Marshal(&ws[i])
		if err != nil {
			return Permanent(fmt.Errorf("encode warning %s: %w", ws[i].ID, err))
		}
		if _, err := j.Out.Write(append(b, '\n')); err != nil {
			return fmt.Errorf("write warning %s: %w", ws[i].ID, err)
		}
	}
	return nil
}
