package notify

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Silence holds back the warnings that it matches, for a time. They are followed and counted as ever, and what is still open
// when it ends is told then.
type Silence struct {
	ID      string    `json:"id"`
	Match   []string  `json:"match"`
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	By      string    `json:"by"`
	Comment string    `json:"comment"`
	Created time.Time `json:"created"`

	match Matchers
}

// SilenceKeep is how long a silence is kept after its end, so that it can be looked up.
const SilenceKeep = 5 * 24 * time.Hour

// NewSilence checks a silence and gives it an id. Its error holds every mistake.
func NewSilence(s Silence, now time.Time) (Silence, error) {
	s.Created = now
	if s.Start.IsZero() {
		s.Start = now
	}
	var errs []error
	match, err := ParseMatchers(s.Match)
	errs = append(errs, err)
	s.match = match
	switch {
	case len(s.Match) == 0:
		errs = append(errs, errors.New("no matcher: a silence needs one, such as namespace=payments; to hold back everything write severity=~\".*\""))
	case !s.End.After(now):
		errs = append(errs, fmt.Errorf("it ended at %s, which is past: give an end that is to come", stamp(s.End)))
	case !s.End.After(s.Start):
		errs = append(errs, fmt.Errorf("it ends (%s) before it starts (%s): give an end after the start", stamp(s.End), stamp(s.Start)))
	}
	if strings.TrimSpace(s.By) == "" {
		errs = append(errs, errors.New("nobody is named: say who it is by"))
	}
	if strings.TrimSpace(s.Comment) == "" {
		errs = append(errs, errors.New("no comment: say why, for whoever is woken when it ends"))
	}
	if err := errors.Join(errs...); err != nil {
		return s, fmt.Errorf("silence: %w", err)
	}
	var id [6]byte
	_, _ = rand.Read(id[:]) // it never fails
	s.ID = hex.EncodeToString(id[:])
	return s, nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// DecodeSilence reads what Encode wrote.
func DecodeSilence(b []byte) (Silence, error) {
	var s Silence
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("decode silence: %w", err)
	}
	var err error
	if s.match, err = ParseMatchers(s.Match); err != nil {
		return s, fmt.Errorf("decode silence %s: %w", s.ID, err)
	}
	if s.ID == "" || len(s.Match) == 0 {
		return s, errors.New("decode silence: it has no id or no matcher")
	}
	return s, nil
}

// Encode returns the silence as it is stored.
func (s *Silence) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode silence %s: %w", s.ID, err)
	}
	return b, nil
}

// Active reports whether it holds at a time.
func (s *Silence) Active(now time.Time) bool { return !now.Before(s.Start) && now.Before(s.End) }

// Holds reports whether it holds back a warning with these labels at a time.
func (s *Silence) Holds(l Labels, now time.Time) bool { return s.Active(now) && s.match.Matches(l) }

// State says in a word what a silence does now.
func (s *Silence) State(now time.Time) string {
	switch {
	case now.Before(s.Start):
		return "pending"
	case now.Before(s.End):
		return "active"
	default:
		return "expired"
	}
}
