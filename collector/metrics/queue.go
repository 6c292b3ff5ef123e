package metrics

// queue is a heap of the targets that wait, by when they are due.
type queue []*state //nolint:recvcheck // as container/heap has it: only what changes the length needs a pointer

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements [heap.Interface].
func (q *queue) Push(x any) {
	s := x.(*state)
	s.index = len(*q)
	*q = append(*q, s)
}

// Pop implements [heap.Interface].
func (q *queue) Pop() any {
	n := len(*q) - 1
	s := (*q)[n]
	s.index = -1
	*q = (*q)[:n]
	return s
}
