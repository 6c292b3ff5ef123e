package format

// Values cuts a stream of JSON into the values that matter: the elements of a list's items, one by one, and every other value as a whole. It holds
// one of them at a time, however long the list. It is an [io.Writer] that never fails.
type Values struct{ split jsonSplitter }

// NewValues returns a cutter of values of maxBytes at most; longer ones are left out and counted. item takes an element with the kind of its
// list, or a whole value without one; head takes what a list says before its items. Both are given bytes that are valid during the call.
func NewValues(maxBytes int, counts *Counts, item func(value []byte, kind string), head func(value []byte)) *Values {
	return &Values{jsonSplitter{max: maxBytes, counts: counts, item: item, head: head, over: func() {}}}
}

// Write implements [io.Writer].
func (v *Values) Write(p []byte) (int, error) {
	v.split.write(p)
	return len(p), nil
}

// Partial reports whether a value has begun and not ended.
func (v *Values) Partial() bool { return v.split.depth > 0 }

// Member returns the member of a JSON object that stands at a path, as it is written but without quotes, and nil when there is none.
func Member(value []byte, path ...string) []byte {
	for _, name := range path {
		var ok bool
		if value, ok = member(value, name); !ok {
			return nil
		}
	}
	return unquoted(value)
}
