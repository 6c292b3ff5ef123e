package store

import (
	"encoding/binary"
	"math"
)

// The first byte of a key is its table. These bytes are part of the format.
const (
	tableFormat   = 'F' // the format number
	tablePosition = 'P' // partition -> position and the next number of the outbox
	tableProgress = 'S' // partition, key -> the tracker's bytes
	tableOutbox   = 'O' // partition, number -> revision
	tableMarker   = 'R' // partition -> how many staged writes are to be applied
	tableStaged   = 'T' // partition, number -> a write
	tableWarning  = 'W' // warning id -> its last revision
	tableNewest   = 'N' // inverted opening time, warning id -> nothing
	tableBody     = 'B' // signature digest -> JSON
	tableFiles    = 'L' // set name, piece -> the files of a set
	tableIndex    = 'I' // set name, digest, piece -> the compiled form
	tableOldSet   = 'C' // what version 1 wrote in place of both; it is removed
	tablePosting  = 'A' // the same
	tableBucket   = 'X' // bucket, key -> bytes of the caller
)

func formatKey() []byte { return []byte{tableFormat} }

func partKey(table byte, partition int) []byte {
	return binary.BigEndian.AppendUint16(append(make([]byte, 0, 64), table), uint16(partition))
}

func progressKey(partition int, key []byte) []byte {
	return append(partKey(tableProgress, partition), key...)
}

func outboxKey(partition int, number uint64) []byte {
	return binary.BigEndian.AppendUint64(partKey(tableOutbox, partition), number)
}

func stagedKey(partition int, number uint32) []byte {
	return binary.BigEndian.AppendUint32(partKey(tableStaged, partition), number)
}

func warningKey(id string) []byte { return append([]byte{tableWarning}, id...) }

// newestKey sorts the warning that opened last first.
func newestKey(opened int64, id string) []byte {
	return append(newestPrefix(opened), id...)
}

func newestPrefix(opened int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tableNewest}, invert(opened))
}

// invert maps times so that later ones sort first, also those before 1970.
func invert(t int64) uint64 { return math.MaxUint64 - (uint64(t) ^ 1<<63) }

func bucketKey(bucket string, key []byte) []byte {
	k := append([]byte{tableBucket, byte(len(bucket))}, bucket...)
	return append(k, key...)
}
