package sightings

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
)

// Ledger is where entries are kept that every process follows; a [stream.Ledger] is one.
type Ledger interface {
	Put(ctx context.Context, key string, value []byte) (sequence uint64, err error)
	// Replace fails with [stream.ErrConflict] when the entry has not the sequence, 0 for none, any more.
	Replace(ctx context.Context, key string, value []byte, was uint64) (sequence uint64, err error)
	Get(ctx context.Context, key string) (stream.Entry, bool, error)
	Remove(ctx context.Context, key string) error
	Follow(ctx context.Context, changed func(stream.Entry), whole func()) error
}

var _ Ledger = (*stream.Ledger)(nil)

// History is the log of warnings.
type History interface {
	// Read calls fn with each revision of a warning that comes after a position, in order, and with its own position; it returns at the end of the log.
	Read(ctx context.Context, after uint64, fn func(w *matcher.Warning, position uint64) error) error
}

// Keeper keeps a [Book] as the ledgers are, and the ledgers as warnings end. Any number of processes may keep books of the same ledgers. Create it as a
// literal; Open comes first, and Run may be called once after it.
type Keeper struct {
	Book      *Book  // required
	Sightings Ledger // required
	Feedback  Ledger // required
	// History, if set, makes this Keeper count the warnings that end. Several processes may: a warning is one entry, whoever writes it.
	History History
	// Shared, if set, is the ledger that clusters share: what others put there is read, and what this cluster counted is put there when Open was
	// called with History. It may return an error as long as it cannot be reached; it is tried again.
	Shared func(ctx context.Context) (Ledger, error)
	// Kubernetes, if set, returns the cluster's version, or "".
	Kubernetes func() string
	Log        *slog.Logger
	// Every is how often History is asked, and ShareEvery how often what was counted is shared. Defaults: a second and a minute.
	Every, ShareEvery time.Duration

	counted, given, failed atomic.Uint64
	lastError              atomic.Pointer[string]
}

// Status says what became of sightings in this process.
type Status struct {
	Counted   uint64 `json:"counted"`  // finished warnings that it counted or corrected
	Feedback  uint64 `json:"feedback"` // what people said through it
	Failed    uint64 `json:"failed"`   // times that sightings could not be followed, stored or shared, and were tried again
	LastError string `json:"last_error,omitempty"`
}

// Status may be called at any time, from any goroutine.
func (k *Keeper) Status() Status {
	s := Status{Counted: k.counted.Load(), Feedback: k.given.Load(), Failed: k.failed.Load()}
	if e := k.lastError.Load(); e != nil {
		s.LastError = *e
	}
	return s
}

const (
	originKey   = "origin"
	positionKey = "position"
	sighted     = "s." // + warning
	monthly     = "c." // + digest.month: a closed month of this cluster
	foreign     = "o." // + origin.digest.month: a tally of another cluster

	// keepMonths is how many whole months single sightings stay for feedback before their month is closed; WARNINGS forgets sooner than that.
	keepMonths = 3
	// patience is how long Open waits for what is stored.
	patience = 30 * time.Second
)

// Open reads everything that is stored into the Book, so that the first warning that is told has its outlook, and follows it until ctx is done.
func (k *Keeper) Open(ctx context.Context) error {
	if k.Log == nil {
		k.Log = slog.New(slog.DiscardHandler)
	}
	if k.Every <= 0 {
		k.Every = time.Second
	}
	if k.ShareEvery <= 0 {
		k.ShareEvery = time.Minute
	}
	opening, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	origin, err := k.origin(opening)
	if err != nil {
		return fmt.Errorf("open sightings: %w", err)
	}
	k.Book.mu.Lock()
	k.Book.origin, k.Book.give = origin, k.give
	k.Book.mu.Unlock()
	if err := k.load(opening, k.Sightings, k.takeSighting); err != nil {
		return fmt.Errorf("open sightings: %w", err)
	}
	if err := k.load(opening, k.Feedback, k.takeFeedback); err != nil {
		return fmt.Errorf("open feedback: %w", err)
	}
	return nil
}

// load takes what a ledger holds now.
func (k *Keeper) load(ctx context.Context, l Ledger, take func(stream.Entry)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	whole := false
	err := l.Follow(ctx, take, func() { whole = true; cancel() })
	if err == nil && !whole {
		err = context.Cause(ctx)
	}
	return err
}

// Run follows the ledgers, counts what ends and shares it, until ctx is done. What fails is logged and tried again: warnings are told without it.
func (k *Keeper) Run(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error {
		return k.again(ctx, "follow sightings", func() error { return k.Sightings.Follow(ctx, k.takeSighting, nil) })
	})
	group.Go(func() error {
		return k.again(ctx, "follow feedback", func() error { return k.Feedback.Follow(ctx, k.takeFeedback, nil) })
	})
	if k.History != nil {
		group.Go(func() error { return k.again(ctx, "count finished warnings", func() error { return k.count(ctx) }) })
	}
	if k.Shared != nil {
		group.Go(func() error { return k.again(ctx, "share sightings", func() error { return k.share(ctx) }) })
	}
	return group.Wait()
}

// again calls do until ctx is done, with a wait after a failure.
func (k *Keeper) again(ctx context.Context, what string, do func() error) error {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		began := time.Now()
		err := do()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was asked to end
		}
		if time.Since(began) > time.Minute {
			wait = time.Second
		}
		k.failed.Add(1)
		if err != nil {
			text := what + ": " + err.Error()
			k.lastError.Store(&text)
		}
		k.Log.Warn("sightings are behind; it is tried again", "what", what, "in", wait, "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// origin is the random number of this cluster, which whoever comes first makes.
func (k *Keeper) origin(ctx context.Context) (string, error) {
	for {
		e, has, err := k.Sightings.Get(ctx, originKey)
		if err != nil {
			return "", err
		}
		if has {
			if !isHex(string(e.Value), originDigits) {
				return "", fmt.Errorf("the origin %q is none of ours: remove the key %s of the bucket of sightings, and another one is made", e.Value, originKey)
			}
			return string(e.Value), nil
		}
		b := make([]byte, originDigits/2)
		_, _ = rand.Read(b) // it never fails
		if _, err := k.Sightings.Replace(ctx, originKey, []byte(hex.EncodeToString(b)), 0); err != nil && !errors.Is(err, stream.ErrConflict) {
			return "", err
		}
	}
}

// takeSighting takes an entry of the ledger of sightings.
func (k *Keeper) takeSighting(e stream.Entry) {
	var err error
	switch {
	case strings.HasPrefix(e.Key, sighted) && e.Value == nil:
		k.Book.drop(strings.TrimPrefix(e.Key, sighted))
	case e.Value == nil:
	case strings.HasPrefix(e.Key, sighted):
		var s Sighting
		if err = json.Unmarshal(e.Value, &s); err == nil {
			k.Book.take(s, e.Sequence)
		}
	case strings.HasPrefix(e.Key, monthly):
		var c Closed
		if err = json.Unmarshal(e.Value, &c); err == nil {
			k.Book.shut(&c)
		}
	case strings.HasPrefix(e.Key, foreign):
		err = k.takeTally(e)
	}
	if err != nil {
		k.Log.Warn("an entry of the sightings cannot be read and counts nothing", "key", e.Key, "error", err)
	}
}

// takeTally takes what another cluster counted.
func (k *Keeper) takeTally(e stream.Entry) error {
	t, err := ReadTally(e.Value)
	if err == nil {
		k.Book.share(t)
	}
	return err
}

func (k *Keeper) takeFeedback(e stream.Entry) {
	warning, key, _ := strings.Cut(e.Key, ".")
	if e.Value == nil {
		k.Book.unhear(warning, key)
		return
	}
	var f Feedback
	err := json.Unmarshal(e.Value, &f)
	if err == nil {
		err = f.Check()
	}
	if err != nil || f.Warning != warning {
		k.Log.Warn("an entry of the feedback cannot be read and counts nothing", "key", e.Key, "error", err)
		return
	}
	k.Book.hear(key, f, e.Sequence)
}

// give stores what a person says in place of what they said before; an acknowledgement has a place of its own.
func (k *Keeper) give(ctx context.Context, f Feedback) error {
	h := fnv.New64a()
	_, _ = h.Write([]byte(f.By)) // a hash takes everything
	key := "j" + strconv.FormatUint(h.Sum64(), 36)
	if f.Verdict == Acknowledged {
		key = "a" + key[1:]
	}
	b, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode feedback: %w", err)
	}
	seq, err := k.Feedback.Put(ctx, f.Warning+"."+key, b)
	if err != nil {
		return fmt.Errorf("store feedback: %w", err)
	}
	k.given.Add(1)
	k.Book.hear(key, f, seq)
	return nil
}
