package stream

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

	token := cmp.Or(o.Token, rand.Text())
	host, port, err := o.listen()
	if err != nil {
		return err
	}
	var reserve int64
	for _, r := range []Retention{o.Records, o.Hits, o.Warnings, o.Intake} {
		reserve += r.MaxBytes
	}
	for _, b := range buckets() {
		reserve += b.bytes
	}
	// The streams bound themselves. Without this the server would refuse to make them on a disk with little room left, when
	// they are still empty.
	js := server.JetStreamConfig{
		StoreDir: dir, SyncInterval: o.SyncInterval, MaxStore: reserve + 2048*mebibyte, MaxMemory: 64 * mebibyte, CompressOK: true,
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "forewarn", Host: host, Port: port, Authorization: token,
		JetStream: true, StoreDir: dir, SyncInterval: o.SyncInterval, MaxPayload: maxPayload,
		// What is asked for ahead waits here for one connection: by default the server cuts it at 64 MiB.
		MaxPending:        512 * mebibyte,
		JetStreamMaxStore: js.MaxStore, JetStreamMaxMemory: js.MaxMemory,
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
	local := url.URL{Scheme: "nats", User: url.User(token), Host: onThisMachine(srv.Addr())}
	if err := writePrivate(filepath.Join(o.DataDir, URLFile), local.String()); err != nil {
		return fmt.Errorf("tell other commands where the server is: %w", err)
	}
	mending, end := context.WithCancel(context.WithoutCancel(ctx))
	mended := make(chan struct{})
	go func() {
		defer close(mended)
		s.mend(mending, js)
	}()
	s.endMending = func() { end(); <-mended }
	return nil
}

// mend starts the server's storage again when a write has failed. A full disk is enough for that, and the server would then refuse
// everything until its process is started again, room or not. Publishers and consumers only see it as a server that went away and came
// back.
func (s *Stream) mend(ctx context.Context, js server.JetStreamConfig) {
	wait := mendEvery
	for ill := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		err := s.storageError()
		if err == nil {
			ill, wait = 0, mendEvery
			continue
		}
		if ill++; ill == 1 {
			s.opts.Logger.Error("the embedded NATS server cannot write: make room on the disk, and see that it is writable; nothing is lost meanwhile",
				"data_dir", s.opts.DataDir, "error", err)
		}
		wait = min(2*wait, 30*mendEvery) // while the disk is full, each start is in vain
		again := js                      // the server writes to it
		if err := errors.Join(s.server.ShutdownJetStream(), s.server.EnableJetStream(&again)); err != nil {
			s.opts.Logger.Error("the storage of the embedded NATS server does not start: it is tried again", "after", wait, "error", err)
			continue
		}
		s.opts.Logger.Info("the storage of the embedded NATS server was started again", "data_dir", s.opts.DataDir)
	}
}

// mendEvery is how often it is looked whether the embedded server can write.
const mendEvery = time.Second

// storageError says why the server cannot store anything, nil when it can.
func (s *Stream) storageError() error {
	if !s.server.JetStreamEnabled() {
		return errors.New("its storage is off")
	}
	for _, e := range s.server.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if strings.Contains(e.Error, "write error") {
			return errors.New(e.Error)
		}
	}
	return nil
}

// onThisMachine is where a process of this machine reaches a listener.
func onThisMachine(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return a.String()
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
	if s.endMending != nil {
		s.endMending()
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
