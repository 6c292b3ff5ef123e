package sightings

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

// Histogram counts durations in buckets of which eight are an octave, which tells a duration to a tenth of it and no closer: coarse enough to tell
// nobody when something happened, and fine enough that intervals hold what they promise (of four an octave they hold too much when a step always takes
// about as long). Bucket 0 is everything below a second, bucket i from 2^((i-1)/8) to 2^(i/8) seconds, the last one everything above. Only buckets that
// count something are there, in order.
type Histogram []Bin //nolint:recvcheck // it is encoded by value, and grows by pointer

// Bin is one bucket of a histogram.
type Bin struct {
	Bucket int
	Count  uint64
}

const (
	perOctave  = 8
	lastBucket = 28 * perOctave // eight years
	maxCount   = 1 << 40        // of anything, so that sums of what others say stay exact
)

func bucketOf(d time.Duration) int {
	s := d.Seconds()
	if s < 1 {
		return 0
	}
	return min(1+int(math.Log2(s)*perOctave), lastBucket)
}

// bounds of a bucket in seconds. The last bucket has an end so that it can be drawn.
func bounds(bucket int) (from, to float64) {
	if bucket == 0 {
		return 0, 1
	}
	return math.Exp2(float64(bucket-1) / perOctave), math.Exp2(float64(bucket) / perOctave)
}

// add counts a duration n times.
func (h *Histogram) add(d time.Duration, n uint64) { h.put(bucketOf(d), n) }

func (h *Histogram) put(bucket int, n uint64) {
	if n == 0 {
		return
	}
	i, has := slices.BinarySearchFunc(*h, bucket, func(b Bin, x int) int { return cmp.Compare(b.Bucket, x) })
	if !has {
		*h = slices.Insert(*h, i, Bin{Bucket: bucket})
	}
	(*h)[i].Count = min((*h)[i].Count+n, maxCount)
}

// plus adds what another one counts.
func (h *Histogram) plus(o Histogram) {
	for _, b := range o {
		h.put(b.Bucket, b.Count)
	}
}

// Total is how many durations were counted.
func (h Histogram) Total() (n uint64) {
	for _, b := range h {
		n += b.Count
	}
	return n
}

// Quantile is the duration below which a share of all lie; false when nothing was counted.
func (h Histogram) Quantile(q float64) (time.Duration, bool) {
	left := q * float64(h.Total())
	for i, b := range h {
		if n := float64(b.Count); left > n && i < len(h)-1 {
			left -= n
			continue
		}
		return seconds(within(b.Bucket, min(left/float64(b.Count), 1))), true
	}
	return 0, false
}

// within is the point of a bucket at a share of its width, which is even in the logarithm.
func within(bucket int, share float64) float64 {
	from, to := bounds(bucket)
	if from == 0 {
		return to * share
	}
	return from * math.Pow(to/from, share)
}

// share is where in a bucket a point of seconds lies, 0 before it and 1 behind it.
func share(bucket int, at float64) float64 {
	from, to := bounds(bucket)
	switch {
	case at <= from:
		return 0
	case at >= to:
		return 1
	case from == 0:
		return at / to
	default:
		return math.Log(at/from) / math.Log(to/from)
	}
}

func seconds(s float64) time.Duration {
	if s >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(s * float64(time.Second))
}

// MarshalJSON writes pairs of bucket and count.
func (h Histogram) MarshalJSON() ([]byte, error) {
	pairs := make([][2]uint64, 0, len(h))
	for _, b := range h {
		pairs = append(pairs, [2]uint64{uint64(b.Bucket), b.Count})
	}
	return json.Marshal(pairs)
}

// UnmarshalJSON reads pairs of bucket and count.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var pairs [][]uint64
	if err := json.Unmarshal(b, &pairs); err != nil {
		return fmt.Errorf("a histogram is a list of pairs of bucket and count: %w", err)
	}
	*h = nil
	for _, p := range pairs {
		if len(p) != 2 {
			return fmt.Errorf("a histogram is a list of pairs of bucket and count, and here are %d numbers", len(p))
		}
		if p[0] > lastBucket || p[1] == 0 || p[1] > maxCount || len(*h) > 0 && uint64((*h)[len(*h)-1].Bucket) >= p[0] {
			return fmt.Errorf("bucket %d with count %d: buckets rise from 0 to %d, and each counts something", p[0], p[1], lastBucket)
		}
		*h = append(*h, Bin{int(p[0]), p[1]})
	}
	return nil
}
