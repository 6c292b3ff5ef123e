package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/cespare/xxhash/v2"
)

// position is how far a file was read, and by what it is known again.
type position struct {
	Home   string `json:"home"` // the path under which its records were given
	Inode  uint64 `json:"inode"`
	Offset int64  `json:"offset"`         // up to which all records are stored
	Last   int64  `json:"last,omitempty"` // the time of the last entry before
	// Begun counts how often a file of this inode was begun anew, because it was cut. It is part of the identity of its records.
	Begun    int         `json:"begun,omitempty"`
	Identity uint64      `json:"identity,omitempty"` // of its records; 0 when none was given
	Format   string      `json:"format,omitempty"`
	Head     fingerprint `json:"head"` // the beginning of the file
	Tail     fingerprint `json:"tail"` // what was read last
}

// fingerprint is the sum of a piece of a file.
type fingerprint struct {
	At   int64  `json:"at,omitempty"`
	Size int    `json:"size,omitempty"`
	Sum  uint64 `json:"sum,omitempty"`
}

const (
	headSize = 256 // bytes of the beginning of a file by which it is known again
	tailSize = 64
)

func fingerprintOf(b []byte, at int64) fingerprint { return fingerprint{at, len(b), xxhash.Sum64(b)} }

// in reports whether the piece is in a file.
func (p fingerprint) in(f io.ReaderAt) bool {
	if p.Size == 0 {
		return true
	}
	b := make([]byte, p.Size)
	n, err := f.ReadAt(b, p.At)
	return n == p.Size && (err == nil || errors.Is(err, io.EOF)) && xxhash.Sum64(b) == p.Sum
}

// in reports whether the file is the one that was read, or a copy of it.
func (p *position) in(f io.ReaderAt) bool { return p.Head.in(f) && p.Tail.in(f) }

// positions are what was loaded, until the files are found again.
type positions struct {
	byInode map[uint64]*position
	byHome  map[string][]*position
	begun   map[uint64]int // how often files of an inode were begun, whose position a copy has taken
}

// savedPositions is the form of a checkpoint.
type savedPositions struct {
	Version int         `json:"version"`
	Files   []*position `json:"files"`
}

func loadPositions(from Checkpoints, name string) (p positions, err error) {
	p = positions{byInode: map[uint64]*position{}, byHome: map[string][]*position{}, begun: map[uint64]int{}}
	b, err := from.Load(name)
	if err != nil || b == nil {
		return p, err
	}
	var s savedPositions
	if err := json.Unmarshal(b, &s); err != nil {
		return p, fmt.Errorf("load checkpoint %s: %w; delete it to begin anew", name, err)
	}
	if s.Version != 1 {
		return p, fmt.Errorf("load checkpoint %s: its version is %d, and this build reads 1; delete it to begin anew", name, s.Version)
	}
	for _, x := range s.Files {
		p.byInode[x.Inode] = x
		p.byHome[x.Home] = append(p.byHome[x.Home], x)
	}
	return p, nil
}

// take returns the position of a file, nil when it has none. begun is how often a file of this inode was begun before.
func (p *positions) take(id fileID, home string, file io.ReaderAt) (x *position, begun int) {
	begun = p.begun[id.inode]
	if x = p.byInode[id.inode]; x != nil && filepath.Dir(x.Home) == filepath.Dir(home) {
		begun = x.Begun + 1
		if x.in(file) {
			p.drop(x)
			return x, 0
		}
	}
	// A copy of it, for rotation that copies and then cuts.
	for _, x := range p.byHome[home] {
		if x.Offset > 0 && x.Inode != id.inode && x.in(file) {
			p.drop(x)
			p.begun[x.Inode] = x.Begun + 1
			return x, 0
		}
	}
	return nil, begun
}

// count notes how often a file of an inode was begun, for the next one.
func (p *positions) count(id fileID, begun int) {
	if p.begun == nil {
		p.begun = map[uint64]int{}
	}
	p.begun[id.inode] = begun
}

func (p *positions) drop(x *position) {
	delete(p.byInode, x.Inode)
	list := p.byHome[x.Home]
	for i := range list {
		if list[i] == x {
			list[i] = list[len(list)-1]
			p.byHome[x.Home] = list[:len(list)-1]
			return
		}
	}
}

func (p *positions) left() int { return len(p.byInode) }
