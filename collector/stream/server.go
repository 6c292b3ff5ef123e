package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// URLFile is the name of the file in the data directory which holds the embedded server's URL with its token, as long as
// it runs. Only the owner may read it.
const URLFile = "nats.url"

// FindURL returns the URL of the server that runs embedded in another process on the data directory.
func FindURL(dataDir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dataDir, URLFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("nothing runs on the data directory %s: start `forewarn run` or name another directory", dataDir)
	}
	if err != nil {
		return "", fmt.Errorf("find the server of the data directory %s: %w", dataDir, err)
	}
	return string(b), nil
}

func (s *Stream) startServer(ctx context.Context) error {
	o := s.opts
	dir := filepath.Join(o.DataDir, "nats")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(o.DataDir, "nats.lock"))
	if err != nil {
		return err
	}
	s.unlock = unlock

	token := rand.Text()
	var reserve int64
	for _, r := range []Retention{o.Records, o.Hits, o.Warnings, o.Intake} {
		reserve += r.MaxBytes
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "forewarn", Host: "127.0.0.1", Port: server.RANDOM_PORT, Authorization: token,
		JetStream: true, StoreDir: dir, SyncInterval: o.SyncInterval, MaxPayload: maxPayload,
		// The streams bound themselves. Without this the server would refuse to make them on a disk with little room left, when
		// they are still empty.
		JetStreamMaxStore: reserve + 1024*mebibyte, JetStreamMaxMemory: 64 * mebibyte,
		NoSigs: true, DisableJetStreamBanner: true,
	})
	if err != nil {
		return err
	}
	s.server = srv
	srv.SetLoggerV2(logger{o.Logger}, false, false, false)
	srv.Start()
	wait := 30 * time.Second // opening many files after a crash takes its time
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline))
	}
	if !srv.ReadyForConnections(wait) {
		return fmt.Errorf("it is not ready after %s: see its log lines", wait.Round(time.Second))
	}
	if !srv.JetStreamEnabled() {
		return errors.New("it has no JetStream: see its log lines, and check that the disk is writable and has room")
	}
	url := "nats://" + token + "@" + srv.Addr().String()
	if err := writePrivate(filepath.Join(o.DataDir, URLFile), url); err != nil {
		return fmt.Errorf("tell other commands where the server is: %w", err)
	}
	return nil
}

// writePrivate replaces the file at once, and never lets anybody else read it.
func writePrivate(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func (s *Stream) stopServer() error {
	if s.server == nil {
		return nil
	}
	s.server.Shutdown()
	s.server.WaitForShutdown()
	if err := os.Remove(filepath.Join(s.opts.DataDir, URLFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// logger gives the server's warnings and errors to slog; its notices are many and say nothing to our user.
type logger struct{ to *slog.Logger }

func (l logger) Warnf(format string, v ...any) {
	l.to.Warn("embedded NATS server", "says", fmt.Sprintf(format, v...))
}

func (l logger) Errorf(format string, v ...any) {
	l.to.Error("embedded NATS server", "says", fmt.Sprintf(format, v...))
}

func (l logger) Fatalf(format string, v ...any) {
	l.to.Error("embedded NATS server", "says", fmt.Sprintf(format, v...))
}

// Noticef, Debugf and Tracef say nothing.
func (l logger) Noticef(string, ...any) {}

// Debugf says nothing.
func (l logger) Debugf(string, ...any) {}

// Tracef says nothing.
func (l logger) Tracef(string, ...any) {}
