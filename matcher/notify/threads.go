package notify

import (
	"context"
	"sync"
)

// Threads keeps, for a destination that changes its messages in place, where the message of each thread is. Several processes may serve a destination one
// after another, so it is asked before each message and never cached here.
type Threads interface {
	// Recall returns what was last remembered of key, nil if nothing was.
	Recall(ctx context.Context, key string) ([]byte, error)
	Remember(ctx context.Context, key string, place []byte) error
}

// memory is Threads for the life of a process. The zero value is ready for use.
type memory struct {
	mu     sync.Mutex
	places map[string][]byte
}

// Recall implements Threads.
func (m *memory) Recall(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.places[key], nil
}

// Remember implements Threads.
func (m *memory) Remember(_ context.Context, key string, place []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.places == nil {
		m.places = map[string][]byte{}
	}
	m.places[key] = place
	return nil
}
