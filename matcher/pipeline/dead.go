package pipeline

import (
	"encoding/binary"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher/store"
)

// What is kept of messages that cannot be used.
const (
	deadBucket   = "dead"
	deadKeep     = 7 * 24 * time.Hour
	deadMax      = 256      // the newest
	deadBytes    = 64 << 10 // of each
	deadInStatus = 10
)

// DeadLetter is a message that could not be used. It was counted, kept and passed over.
type DeadLetter struct {
	Time      time.Time `json:"time"`
	Stream    string    `json:"stream"`
	Partition int       `json:"partition"`
	Sequence  uint64    `json:"sequence"`
	Reason    string    `json:"reason"`
	Size      int       `json:"size"`
	Data      []byte    `json:"data,omitempty"` // its beginning
}

// deadLetters keeps the newest of them in the store. It is safe for concurrent use.
type deadLetters struct {
	bucket *store.Bucket
	log    *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	next   uint64
	recent []DeadLetter // without their data, the newest last
	told   map[string]bool
}

func newDeadLetters(s *store.Store, log *slog.Logger, now func() time.Time) *deadLetters {
	d := &deadLetters{bucket: s.Bucket(deadBucket), log: log, now: now, told: map[string]bool{}}
	err := d.bucket.Range(nil, func(key, value []byte) error {
		if len(key) == 8 {
			d.next = max(d.next, binary.BigEndian.Uint64(key)+1)
		}
		var l DeadLetter
		if json.Unmarshal(value, &l) == nil {
			d.remember(l)
		}
		return nil
	})
	if err != nil {
		log.Warn("what could not be used before is not known", "error", err)
	}
	return d
}

func (d *deadLetters) remember(l DeadLetter) {
	l.Data = nil
	d.recent = append(d.recent, l)
	if len(d.recent) > deadInStatus {
		d.recent = d.recent[len(d.recent)-deadInStatus:]
	}
}

// put keeps a message and tells the first one of each stream: a broken sender would fill the log otherwise.
func (d *deadLetters) put(name string, partition int, m *stream.Message, why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := DeadLetter{
		Time: d.now().UTC(), Stream: name, Partition: partition, Sequence: m.Seq, Reason: why.Error(), Size: len(m.Data),
		Data: m.Data[:min(len(m.Data), deadBytes)],
	}
	if !d.told[name] {
		d.told[name] = true
		d.log.Warn("a message cannot be used and is passed over; later ones are only counted, see forewarn status",
			"stream", name, "partition", partition, "sequence", m.Seq, "reason", l.Reason)
	}
	number := d.next
	d.next++
	if v, err := json.Marshal(l); err == nil {
		if err := d.bucket.Put(binary.BigEndian.AppendUint64(nil, number), v, deadKeep); err != nil {
			d.log.Warn("a message that cannot be used was not kept", "error", err)
		}
	}
	if number >= deadMax {
		_ = d.bucket.Delete(binary.BigEndian.AppendUint64(nil, number-deadMax)) // it goes after deadKeep otherwise
	}
	d.remember(l)
}

func (d *deadLetters) last() []DeadLetter {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]DeadLetter(nil), d.recent...)
}
