package store

import (
	"fmt"
	"slices"
	"time"
)

// Bucket is a named part of the store in which another package keeps bytes of its own, such as the sightings. Buckets do not
// see each other.
type Bucket struct {
	s    *Store
	name string
}

// Bucket returns the bucket with that name, at most 255 bytes long; a longer one is cut. Nothing is made before the first Put.
func (s *Store) Bucket(name string) *Bucket { return &Bucket{s, name[:min(len(name), 255)]} }

// Put sets the value under key; it is forgotten after keep, or never when keep is 0.
func (b *Bucket) Put(key, value []byte, keep time.Duration) error {
	doing := "write to bucket " + b.name
	if err := b.s.room(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if len(value) > MaxValueBytes {
		return fmt.Errorf("%s: %d bytes are above the limit of %d", doing, len(value), MaxValueBytes)
	}
	w := write{key: bucketKey(b.name, key), value: value}
	if value == nil {
		w.value = []byte{}
	}
	if keep > 0 {
		w.expires = uint64(max(b.s.opt.Now().Add(keep).Unix(), 1))
	}
	return b.s.explain(doing, b.s.atOnce([]write{w}))
}

// Get returns a copy of the value under key, and whether there is one.
func (b *Bucket) Get(key []byte) ([]byte, bool, error) {
	v, err := b.s.value("read bucket "+b.name, bucketKey(b.name, key))
	return v, v != nil, err
}

// Delete removes a key; one that is not there is no error.
func (b *Bucket) Delete(key []byte) error {
	doing := "delete from bucket " + b.name
	if err := b.s.room(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return b.s.explain(doing, b.s.atOnce([]write{{key: bucketKey(b.name, key)}}))
}

// Range calls fn with every entry whose key begins with prefix, in key order. The slices are fn's own; an error of fn ends it and
// is returned as it is.
func (b *Bucket) Range(prefix []byte, fn func(key, value []byte) error) error {
	return b.s.scan("read bucket "+b.name, bucketKey(b.name, prefix), func(key, value []byte) error {
		return fn(slices.Concat(prefix, key), value)
	})
}
