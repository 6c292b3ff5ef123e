package record

// Batch is a decoded view of one wire frame: the records of one source, in the order in which the source gave them.
//
// The zero Batch is empty and ready for [Batch.Decode], which reuses its memory. A Batch is not safe for concurrent
// use while it is decoded; reading it from several goroutines is.
type Batch struct {
	_ struct{} // the columns, see codec.go
}

// Header describes a batch as a whole.
type Header struct {
	// Source names the collector instance that the records come from, such as "logs/node-1". It is never empty.
	Source string
	// Scope says what the source speaks for, such as one node; empty means the whole cluster. A source that is silent makes
	// absence unknown only inside its scope.
	Scope Attrs
	// Kinds says which kinds of record the source can give, as a bit set: 1<<Kind.
	Kinds uint8
	// Mark is the source's heartbeat: it has given everything that happened up to this Unix nanosecond, as far as it can
	// know. A batch may carry a Mark and no records. 0 means that the batch says nothing of it.
	Mark int64
	// Ended says that the source gave everything it had and will say no more.
	Ended bool
}

// HasKind reports whether the source can give records of kind k.
func (h *Header) HasKind(k Kind) bool { return h.Kinds&(1<<k) != 0 }
