package collector

import (
	"io"
	"os"
)

// Sample returns up to size bytes of the text of the files that the paths name, some of each of at most 16 of them. It is for choosing what to
// look for before the text itself is read, and tells of no error: what can't be read, is packed or is no regular file gives nothing. Secrets
// are in it still, so it must not leave the process.
func Sample(paths []string, size int) []byte {
	const most = 16
	var files []string
	for _, p := range paths {
		if found, err := expand(p); err == nil {
			files = append(files, found...)
		}
	}
	count := min(len(files), most)
	var text []byte
	for i := range count {
		text = append(text, head(files[i*len(files)/count], size/count)...)
	}
	return text
}

// head returns the first bytes of a regular file that is not packed.
func head(path string, size int) []byte {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // it only reads
	text, err := io.ReadAll(io.LimitReader(f, int64(size)))
	if err != nil || packed(text) {
		return nil
	}
	return text
}
