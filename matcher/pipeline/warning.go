package pipeline

import (
	"encoding/json"
	"fmt"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/store"
)

// Told is what a message of WARNINGS says: one revision of a warning.
type Told struct {
	Warning matcher.Warning
	// Was is the state that the revision before told, "" for a new warning.
	Was matcher.State
	// Settled is true when no late record can alter this revision any more.
	Settled bool
}

// toldJSON is the wire form: the warning's own JSON with the parts of its key and what the change adds.
type toldJSON struct {
	matcher.Warning
	KeyParts []keyPart     `json:"key_parts,omitempty"`
	Was      matcher.State `json:"was,omitempty"`
	Settled  bool          `json:"settled,omitempty"`
}

type keyPart struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// EncodeWarning returns the message of WARNINGS for a change.
func EncodeWarning(c *matcher.Change) ([]byte, error) {
	j := toldJSON{Warning: c.Warning, Was: c.Was, Settled: c.Settled}
	for _, a := range c.Warning.Key {
		j.KeyParts = append(j.KeyParts, keyPart{a.Key, a.Value})
	}
	b, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("encode revision %d of warning %s: %w", c.Warning.Revision, c.Warning.ID, err)
	}
	return b, nil
}

// DecodeWarning reads a message of WARNINGS. Fields that it does not know are of a newer forewarn and are passed over.
func DecodeWarning(data []byte) (Told, error) {
	var j toldJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return Told{}, fmt.Errorf("decode warning: %w", err)
	}
	if j.ID == "" {
		return Told{}, fmt.Errorf("decode warning: it has no id")
	}
	for _, p := range j.KeyParts {
		j.Key = append(j.Key, record.Attr{Key: p.Name, Value: p.Value})
	}
	return Told{j.Warning, j.Was, j.Settled}, nil
}

// WarningID is the message id of a revision: a revision that is published again is recognised by it.
func WarningID(id string, revision uint32) string { return fmt.Sprintf("%s-%d", id, revision) }

// Revision returns what the store keeps of a warning.
func Revision(w *matcher.Warning, body []byte) store.Revision {
	return store.Revision{
		ID: w.ID, Revision: w.Revision, Signature: w.Signature, Severity: string(w.Severity), State: string(w.State),
		Opened: w.Opened, Time: w.Time, Final: w.State.Final(), Body: body,
	}
}
