//go:build !linux

package node

import (
	"errors"
	"io"
	"os"
	"time"
)

func openDevice(path string) (io.ReadCloser, error) { return os.Open(path) }

func uptime() (time.Duration, error) {
	return 0, errors.New("the kernel's messages are read on Linux only")
}
