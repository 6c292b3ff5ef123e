//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package collector

import (
	"io/fs"
	"syscall"
)

// fileID tells a file from others while it exists, whatever its name is.
type fileID struct{ device, inode uint64 }

func identify(info fs.FileInfo) fileID {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fileID{uint64(st.Dev), st.Ino} //nolint:unconvert // Dev is signed, or of 32 bits, on some systems
	}
	return fileID{}
}
