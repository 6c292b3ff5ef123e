package collector

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Checkpoints keep how far collectors are, over restarts. Implementations are safe for concurrent use; one name has one writer.
type Checkpoints interface {
	// Load returns what was saved under name last, and nil when there is nothing.
	Load(name string) ([]byte, error)
	// Save replaces what is kept under name. When it returns nil, that survives a crash.
	Save(name string, b []byte) error
}

// Directory keeps checkpoints as files of one directory, which it makes.
type Directory string

var _ Checkpoints = Directory("")

// Load implements [Checkpoints].
func (d Directory) Load(name string) ([]byte, error) {
	b, err := os.ReadFile(d.file(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("load checkpoint: %w", err)
	}
	return b, nil
}

// Save implements [Checkpoints]. The file is replaced in one step.
func (d Directory) Save(name string, b []byte) error {
	if err := d.save(name, b); err != nil {
		return fmt.Errorf("save checkpoint %s: %w", name, err)
	}
	return nil
}

func (d Directory) save(name string, b []byte) (err error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(string(d), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), d.file(name)); err != nil {
		return err
	}
	return syncDir(string(d))
}

// syncDir makes a rename in a directory survive a crash of the machine.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// file returns where a name is kept; a name may hold slashes.
func (d Directory) file(name string) string {
	return filepath.Join(string(d), strings.NewReplacer("%", "%25", "/", "%2F", ".", "%2E").Replace(name)+".checkpoint")
}
