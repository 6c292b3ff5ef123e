// Package recording stores batches in a file and gives them back, byte for byte, in the order in which they were written.
//
// A recording is what `forewarn record` makes of a stretch of the stream, and what `forewarn replay` and the demo run on.
//
//	header   8 bytes "fwrec\x00", version, LF; u32 length of Info as JSON; Info
//	block    u32 length of the packed payload; u32 length of it unpacked; u64 xxHash64 of the packed payload; payload
//	...
//	end      a block of length 0
//	payload  zstd of frames, each behind its u32 length
//
// Numbers are little endian. There is no index: a recording is read from its beginning. A recording whose writer was killed lacks its end: what was
// written as whole blocks is read, and [Reader.Problem] says that it is not all. A block that was damaged is left out, counted and
// said in the same way.
package recording

import (
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// Suffix is what recordings' names end with.
const Suffix = ".fwrec"

const (
	magic   = "fwrec\x00"
	version = 1

	headSize  = len(magic) + 2
	blockSize = 16
	// blockBytes is how much is collected before a block is written: more makes blocks smaller, less loses less when the
	// process is killed.
	blockBytes = 1 << 20
	// maxBlock is the most bytes that a block may have unpacked: one frame of the largest size, and what was collected before.
	maxBlock = record.MaxFrame + blockBytes + 1<<16
	maxInfo  = 1 << 20
)

// Info says what a recording is.
type Info struct {
	Created time.Time `json:"created"`
	Cluster string    `json:"cluster,omitempty"`
	Note    string    `json:"note,omitempty"`
	Tool    string    `json:"tool,omitempty"` // the version of forewarn that made it
}

// Is reports whether a file that begins with head is a recording, of whatever version.
func Is(head []byte) bool { return len(head) >= len(magic) && string(head[:len(magic)]) == magic }
