package otlp

import "sync"

// sums add up series with delta temporality, so that they can be looked at as Prometheus' counters are. They are safe for concurrent use.
type sums struct {
	mu     sync.Mutex
	series remembered[sum]
}

type sum struct {
	at    int64
	value float64
}

// add adds what a series grew by up to a time, and returns its sum. A repeat adds nothing; what is older than what was added cannot be added any
// more. A series that was forgotten begins at 0 again, as a counter does whose process was restarted.
func (s *sums) add(key string, at int64, delta float64) (value float64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, _ := s.series.get(key)
	switch {
	case at < x.at:
		return 0, false
	case at > x.at:
		x = sum{at, x.value + delta}
	}
	s.series.put(key, x)
	return x.value, true
}

func (s *sums) forgot() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.series.forgot()
}
