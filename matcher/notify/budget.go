package notify

import (
	"fmt"
	"slices"
	"time"

	"github.com/forewarn/forewarn/signatures"
)

// Budget bounds how many messages a person gets.
type Budget struct {
	Messages int                 `yaml:"messages" json:"messages" doc:"How many messages, 1 to 1000. The last one of them is kept for a digest of everything that is over the budget."`
	Per      signatures.Duration `yaml:"per" json:"per" doc:"In any time of this length, such as 10m."`
}

func (b *Budget) check() error {
	switch {
	case b.Messages < 1 || b.Messages > 1000:
		return fmt.Errorf("budget: %d messages: use 1 to 1000, or leave the budget out", b.Messages)
	case time.Duration(b.Per) < time.Second || time.Duration(b.Per) > 24*time.Hour:
		return fmt.Errorf("budget: per %s: use a time from 1s to 24h, such as 10m", time.Duration(b.Per))
	}
	return nil
}

// spent are the times of the messages that still count against a budget, the oldest first.
type spent []time.Time

// room returns how many messages may be sent now, and when the next one may if none may now.
func (s *spent) room(b *Budget, now time.Time) (n int, next time.Time) {
	if b == nil {
		return 1 << 30, now
	}
	per := time.Duration(b.Per)
	*s = slices.DeleteFunc(*s, func(t time.Time) bool { return now.Sub(t) >= per })
	if n = b.Messages - len(*s); n > 0 {
		return n, now
	}
	return 0, (*s)[len(*s)-b.Messages].Add(per)
}

func (s *spent) spend(b *Budget, now time.Time) {
	if b != nil {
		*s = append(*s, now)
	}
}
