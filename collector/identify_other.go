//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package collector

import (
	"io/fs"

	"github.com/forewarn/forewarn/collector/record"
)

// fileID tells a file from others while it exists. Where the system has no numbers for files it is their name, so that one which is
// rotated is read again under its new name.
type fileID struct{ device, inode uint64 }

func identify(info fs.FileInfo) fileID {
	return fileID{0, record.Identity("name", info.Name())}
}
