package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// checkpointsBucket and factsBucket hold what has no age: it is replaced, and kept.
const (
	checkpointsBucket = "FOREWARN_CHECKPOINTS"
	factsBucket       = "FOREWARN_FACTS"
)

// ErrOtherWriter says that a checkpoint was saved by another process since this one loaded or saved it: that one collects now.
var ErrOtherWriter = errors.New("another process has saved it since: load it again before going on")

// Checkpoints keep how far collectors are where every process of a cluster finds it, so that whoever takes over goes on there. A process
// that was replaced and does not know is refused by [ErrOtherWriter]. It is a collector.Checkpoints, and safe for concurrent use.
type Checkpoints struct {
	ctx context.Context //nolint:containedctx // the interface has none: it is the process's, and ends every call
	kv  jetstream.KeyValue

	mu    sync.Mutex
	heads map[string]head // what this process knows of, by key
}

// head is what is kept under a checkpoint's key: the value itself, or, when that is long, where its parts are.
type head struct {
	Value []byte `json:"value,omitempty"`
	Parts int    `json:"parts,omitempty"`
	ID    string `json:"id,omitempty"` // of the parts

	revision uint64
}

const (
	// partBytes is well below what servers take by default in one message, which is a mebibyte.
	partBytes = 512 << 10
	// checkpointPatience bounds one call.
	checkpointPatience = 30 * time.Second
)

// Checkpoints returns the checkpoints that are kept in the server. They work until ctx is done.
func (s *Stream) Checkpoints(ctx context.Context) (*Checkpoints, error) {
	kv, err := s.js.KeyValue(ctx, checkpointsBucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", checkpointsBucket, err)
	}
	return &Checkpoints{ctx: ctx, kv: kv, heads: map[string]head{}}, nil
}

// Load returns what was saved under name last, and nil when there is nothing. What is saved next replaces that, or fails.
func (c *Checkpoints) Load(name string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(c.ctx, checkpointPatience)
	defer cancel()
	key := checkpointKey(name)
	for {
		h, err := c.head(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("load checkpoint %s: %w", name, err)
		}
		value, err := c.value(ctx, key, h)
		if errors.Is(err, jetstream.ErrKeyNotFound) { // another one was saved in between
			if now, same := c.head(ctx, key); same == nil && now.revision != h.revision {
				continue
			}
			err = fmt.Errorf("a part of it is gone: %w", err)
		}
		if err != nil {
			return nil, fmt.Errorf("load checkpoint %s: %w", name, err)
		}
		c.heads[key] = h
		return value, nil
	}
}

func (c *Checkpoints) head(ctx context.Context, key string) (h head, err error) {
	e, err := c.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(e.Value(), &h); err != nil {
		return h, fmt.Errorf("it is none of ours: %w", err)
	}
	h.revision = e.Revision()
	return h, nil
}

func (c *Checkpoints) value(ctx context.Context, key string, h head) ([]byte, error) {
	if h.Parts == 0 {
		return h.Value, nil
	}
	var all []byte
	for i := range h.Parts {
		e, err := c.kv.Get(ctx, partKey(key, h.ID, i))
		if err != nil {
			return nil, err
		}
		all = append(all, e.Value()...)
	}
	return all, nil
}

// Save replaces what is kept under name. When it returns nil, the server has it.
func (c *Checkpoints) Save(name string, b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.save(checkpointKey(name), b); err != nil {
		return fmt.Errorf("save checkpoint %s: %w", name, err)
	}
	return nil
}

func (c *Checkpoints) save(key string, b []byte) error {
	ctx, cancel := context.WithTimeout(c.ctx, checkpointPatience)
	defer cancel()
	old := c.heads[key]
	h := head{Value: b}
	if len(b) > partBytes {
		h = head{ID: nuid.Next()}
		for ; len(b) > 0; h.Parts++ {
			n := min(partBytes, len(b))
			if _, err := c.kv.Put(ctx, partKey(key, h.ID, h.Parts), b[:n]); err != nil {
				return err
			}
			b = b[n:]
		}
	}
	value, err := json.Marshal(h)
	if err != nil {
		return err
	}
	h.revision, err = c.kv.Update(ctx, key, value, old.revision)
	if err != nil {
		var refused *jetstream.APIError
		if errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
			err = ErrOtherWriter
		}
		return errors.Join(err, c.removeParts(ctx, key, h))
	}
	h.Value = nil
	c.heads[key] = h
	return c.removeParts(ctx, key, old)
}

func (c *Checkpoints) removeParts(ctx context.Context, key string, h head) error {
	for i := range h.Parts {
		if err := c.kv.Purge(ctx, partKey(key, h.ID, i)); err != nil {
			return fmt.Errorf("remove what it replaces: %w", err)
		}
	}
	return nil
}

func partKey(key, id string, i int) string { return fmt.Sprintf("%s.%s.%d", key, id, i) }

// checkpointKey writes a name with the characters that keys may have.
func checkpointKey(name string) string {
	var b strings.Builder
	b.WriteString("of/") // never empty
	for _, x := range []byte(name) {
		if x >= 'a' && x <= 'z' || x >= 'A' && x <= 'Z' || x >= '0' && x <= '9' || x == '-' || x == '_' || x == '/' {
			b.WriteByte(x)
		} else {
			fmt.Fprintf(&b, "=%02X", x)
		}
	}
	return b.String()
}
