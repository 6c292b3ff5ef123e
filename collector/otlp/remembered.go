package otlp

// remembered is a map of bounded size. When it is full the older half is forgotten: two maps change places. It belongs to one goroutine at a time.
type remembered[V any] struct {
	limit    int
	new, old map[string]V
	lost     int
}

func (m *remembered[V]) get(key string) (v V, ok bool) {
	if v, ok = m.new[key]; !ok {
		v, ok = m.old[key]
	}
	return v, ok
}

func (m *remembered[V]) put(key string, v V) {
	if _, known := m.new[key]; !known && len(m.new) >= max(m.limit/2, 1) {
		for key := range m.old {
			if _, kept := m.new[key]; !kept {
				m.lost++
			}
		}
		m.old, m.new = m.new, nil
	}
	if m.new == nil {
		m.new = map[string]V{}
	}
	m.new[key] = v
}

// forgot returns how many keys were forgotten since it was asked last.
func (m *remembered[V]) forgot() int {
	n := m.lost
	m.lost = 0
	return n
}
