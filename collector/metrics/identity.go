package metrics

import (
	"strconv"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// seriesID is the identity of the sample that a series has at a time: a sample that is sent or read again has the same. origin tells apart series of
// equal names and labels that are not the same series. The labels must come in the same order each time.
func seriesID(origin, name string, labels []format.Label, at int64) uint64 {
	parts := make([]string, 0, 3+2*len(labels))
	parts = append(parts, origin, name)
	for i := range labels {
		parts = append(parts, labels[i].Name, labels[i].Value)
	}
	return record.Identity(append(parts, strconv.FormatInt(at, 10))...)
}
