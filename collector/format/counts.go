package format

// Count names one thing that is counted while reading.
type Count uint8

// What is counted. A loss means that something which was read is in no record, or not wholly.
const (
	Lines           Count = iota // lines read
	Joined                       // lines that were joined to the one before
	LongLine                     // loss: lines cut at Limits.LineBytes
	SkippedBytes                 // loss: bytes behind such cuts
	LongEntry                    // joined entries that were ended at a limit; what followed is an entry of its own
	UnframedLine                 // lines without the frame of their file's format, taken as plain text
	LostPart                     // loss: partial container lines whose end never came; what there was is given
	NoStamp                      // records that took their time from the one before or from the file
	FutureStamp                  // stamps more than a day ahead of the present, or before 1990, that were not believed
	BadItem                      // loss: Kubernetes objects, rows and samples that could not be read
	LargeItem                    // loss: Kubernetes objects beyond Limits.ItemBytes
	RepeatedItem                 // events and objects that told nothing new
	ForgottenObject              // objects and events whose state was forgotten at Limits.Objects
	Unsorted                     // pieces of lists that were too long to be put in order of time as a whole
	SkippedSample                // samples without a value (NaN)
	RefusedRecord                // loss: records beyond the limits of a batch
	BadInput                     // loss: compressed inputs that ended early or were damaged
	UnreadBytes                  // loss: bytes of followed files that went away or were cut before they were read
	VanishedFile                 // loss: followed files that went away while nothing read them: nobody knows what was written last
	RemovedSecret                // secrets that were taken out of texts
	numCounts
)

var countNames = [numCounts]string{
	Lines: "lines", Joined: "joined_lines", LongLine: "long_lines", SkippedBytes: "skipped_bytes", LongEntry: "long_entries",
	UnframedLine: "unframed_lines", LostPart: "lost_parts", NoStamp: "records_without_stamp", FutureStamp: "stamps_not_believed",
	BadItem: "bad_items", LargeItem: "large_items", RepeatedItem: "repeated_items", ForgottenObject: "forgotten_objects",
	Unsorted: "unsorted_pieces", SkippedSample: "skipped_samples", RefusedRecord: "refused_records", BadInput: "bad_inputs",
	UnreadBytes: "unread_bytes", VanishedFile: "vanished_files", RemovedSecret: "removed_secrets",
}

// String returns the name under which it is shown.
func (c Count) String() string {
	if c < numCounts {
		return countNames[c]
	}
	return "unknown"
}

// Loss reports whether counting c means that something which was read was lost.
func (c Count) Loss() bool {
	switch c {
	case LongLine, SkippedBytes, LostPart, BadItem, LargeItem, RefusedRecord, BadInput, UnreadBytes, VanishedFile:
		return true
	default:
		return false
	}
}

// Counts counts what happened to one input. Its zero value is ready; it belongs to one goroutine.
type Counts struct{ n [numCounts]uint64 }

// Add adds n to the count of c.
func (c *Counts) Add(what Count, n int) { c.n[what] += uint64(n) }

// Get returns the count of what.
func (c *Counts) Get(what Count) uint64 { return c.n[what] }

// Merge adds all of other's counts.
func (c *Counts) Merge(other *Counts) {
	for i, n := range other.n {
		c.n[i] += n
	}
}

// Each calls f for everything that was counted at least once.
func (c *Counts) Each(f func(what Count, n uint64)) {
	for i, n := range c.n {
		if n > 0 {
			f(Count(i), n)
		}
	}
}
