package collector

import (
	"fmt"
	"os"
	"sync/atomic"
)

// pipe is a named pipe or a device. Opening one may wait for its writer, so it is opened when it is read.
type pipe struct {
	path string
	file atomic.Pointer[os.File]
}

// Read implements io.Reader.
func (p *pipe) Read(b []byte) (int, error) {
	f := p.file.Load()
	if f == nil {
		var err error
		if f, err = os.Open(p.path); err != nil {
			return 0, fmt.Errorf("open: %w", err)
		}
		p.file.Store(f)
	}
	return f.Read(b)
}

// Close implements io.Closer.
func (p *pipe) Close() error {
	if f := p.file.Load(); f != nil {
		return f.Close()
	}
	return nil
}
