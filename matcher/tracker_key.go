package matcher

import (
	"bytes"
	"strings"
)

// splitKey is a correlation key in two parts: the first is shared with many others.
type splitKey struct{ first, last string }

// text is a copy of the whole key.
func (k splitKey) text() string {
	return string(append(append(make([]byte, 0, len(k.first)+len(k.last)), k.first...), k.last...))
}

func (k splitKey) compare(o splitKey) int {
	if k.first == o.first {
		return strings.Compare(k.last, o.last)
	}
	return strings.Compare(k.text(), o.text())
}

// What is shared of keys is remembered by number, as long as it is not more than this.
const (
	maxFirsts     = 1 << 16
	maxFirstBytes = 256
)

// firsts are the first parts of keys by their numbers. The number 0 is nothing: the key is not split.
type firsts struct {
	list    []string
	numbers map[string]uint32
	last    uint32 // the number that was found last
}

func newFirsts() firsts { return firsts{list: []string{""}, numbers: map[string]uint32{}} }

// split returns the number of a key's first part and its last part. With add, a new first part gets a number if there is one.
// Numbers are never taken back: when there are no more, there are none for ever, and a key is split as it was.
func (f *firsts) split(key []byte, add bool) (number uint32, last []byte) {
	n := sharedBy(key)
	if n == 0 || n > maxFirstBytes {
		return 0, key
	}
	if f.list[f.last] == string(key[:n]) {
		return f.last, key[n:]
	}
	number, known := f.numbers[string(key[:n])]
	if !known {
		if !add || len(f.list) == maxFirsts {
			return 0, key
		}
		number = uint32(len(f.list))
		text := string(key[:n])
		f.list = append(f.list, text)
		f.numbers[text] = number
	}
	f.last = number
	return number, key[n:]
}

// sharedBy is the length of what a key has in common with many others: the cluster, the namespace and the kind in front, and the name of
// the part after them.
func sharedBy(key []byte) int {
	for at := 0; ; {
		equals := bytes.IndexByte(key[at:], '=')
		if equals < 0 {
			return at
		}
		end := bytes.IndexByte(key[at:], keyEnd)
		switch string(key[at : at+equals]) {
		case "cluster", "namespace", "kind":
			if end > 0 && at+end+1 < len(key) {
				at += end + 1
				continue
			}
		}
		return at + equals + 1
	}
}
