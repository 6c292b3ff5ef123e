package stream

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Options say where the server is and how much it keeps. Either URL or DataDir must be set.
type Options struct {
	// URL of an existing NATS server of version 2.11 or later with JetStream; several are separated by commas. It may carry a
	// user and password, or a token. Empty runs a server inside the process.
	URL string
	// CredsFile holds the credentials (a JWT and its key) for URL.
	CredsFile string
	// Token for URL, or what others must show to the embedded server with Listen.
	Token string
	// CAFile holds the certificates that the server's certificate is checked with, instead of the system's.
	CAFile string
	// CertFile and KeyFile are the client's own certificate.
	CertFile, KeyFile string
	// Name is what the server shows this client as. Default "forewarn".
	Name string

	// DataDir is where the embedded server keeps its files, and the file nats.url by which other commands find it.
	DataDir string
	// Listen is where the embedded server takes the connections of other machines' processes, such as 0.0.0.0:4222. They show Token,
	// which travels as it is. Empty: only processes of this machine find it, by the file nats.url.
	Listen string
	// SyncInterval is how often the embedded server flushes its files to the disk. What it acknowledged since then is lost in a
	// power failure, though not when the process is killed. Default 10 seconds.
	SyncInterval time.Duration

	// RecordPartitions and HitPartitions are fixed when the streams are made. Default 4 and 8.
	RecordPartitions, HitPartitions int
	// Records, Hits, Warnings and Intake bound what the streams keep, read or not.
	// Default 4 GiB and 24 hours, 1 GiB and 24 hours, 256 MiB and 30 days, 256 MiB and 24 hours.
	Records, Hits, Warnings, Intake Retention
	// Replicas is how many servers of a cluster keep each message. Default 1.
	Replicas int
	// DedupWindow is how long the server remembers message ids, and so the longest outage after which a publisher's retry is
	// recognised. Default 10 minutes.
	DedupWindow time.Duration
	// StatusTTL is how long a status stays when it is not put again. Default 5 minutes.
	StatusTTL time.Duration

	// Logger gets changes of state. Default: none.
	Logger *slog.Logger
}

// Retention bounds a stream. When one of the bounds is reached the oldest messages go. Zero is the default of the stream.
type Retention struct {
	MaxBytes int64
	MaxAge   time.Duration
}

func (r Retention) or(bytes int64, age time.Duration) Retention {
	if r.MaxBytes == 0 {
		r.MaxBytes = bytes
	}
	if r.MaxAge == 0 {
		r.MaxAge = age
	}
	return r
}

const (
	mebibyte = 1 << 20
	day      = 24 * time.Hour
	// maxPayload of the embedded server: batches are smaller by far, and single large records must fit.
	maxPayload = 8 * mebibyte
)

// withDefaults returns o with its defaults filled in, or all that is wrong with it.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("stream options: "+format, args...))
		}
	}
	o.Name = cmp.Or(o.Name, "forewarn")
	o.SyncInterval = cmp.Or(o.SyncInterval, 10*time.Second)
	o.RecordPartitions = cmp.Or(o.RecordPartitions, 4)
	o.HitPartitions = cmp.Or(o.HitPartitions, 8)
	o.Records = o.Records.or(4096*mebibyte, day)
	o.Hits = o.Hits.or(1024*mebibyte, day)
	o.Warnings = o.Warnings.or(256*mebibyte, 30*day)
	o.Intake = o.Intake.or(256*mebibyte, day)
	o.Replicas = cmp.Or(o.Replicas, 1)
	o.DedupWindow = cmp.Or(o.DedupWindow, 10*time.Minute)
	o.StatusTTL = cmp.Or(o.StatusTTL, 5*time.Minute)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}

	check(o.URL != "" || o.DataDir != "", "no URL and no data directory: give one of them")
	check(o.URL != "" || o.CredsFile+o.CAFile+o.CertFile+o.KeyFile == "" && (o.Token == "" || o.Listen != ""),
		"credentials and certificates are for a server at a URL, and there is no URL")
	check(o.Listen == "" || o.URL == "", "there is a URL, and so no embedded server that could listen on %s", o.Listen)
	check(o.Listen == "" || o.Token != "", "without a token anybody could connect to %s: give one", o.Listen)
	if _, _, err := o.listen(); err != nil {
		check(false, "%w", err)
	}
	check((o.CertFile == "") == (o.KeyFile == ""), "a client certificate needs both its file and its key's file")
	for name, n := range map[string]int{"record partitions": o.RecordPartitions, "hit partitions": o.HitPartitions} {
		check(n >= 1 && n <= 256, "%d %s: use 1 to 256", n, name)
	}
	check(o.Replicas >= 1 && o.Replicas <= 5, "%d replicas: use 1, 3 or 5", o.Replicas)
	check(o.SyncInterval > 0, "sync interval %s: it must be positive", o.SyncInterval)
	check(o.StatusTTL >= time.Second, "status time to live %s: use a second or more", o.StatusTTL)
	for name, r := range map[string]Retention{Records: o.Records, Hits: o.Hits, Warnings: o.Warnings, Intake: o.Intake} {
		check(r.MaxBytes >= mebibyte, "%s may keep %d bytes: use a mebibyte or more", name, r.MaxBytes)
		check(r.MaxAge >= o.DedupWindow && o.DedupWindow > 0, "%s keeps messages for %s, but their ids for %s: use a shorter de-duplication window",
			name, r.MaxAge, o.DedupWindow)
	}
	return o, errors.Join(errs...)
}

// listen is where the embedded server listens: on a free port of this machine without Listen.
func (o Options) listen() (host string, port int, err error) {
	if o.Listen == "" {
		return "127.0.0.1", server.RANDOM_PORT, nil
	}
	host, text, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return "", 0, fmt.Errorf("listen: %w: write an address and a port, such as 0.0.0.0:4222", err)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("listen: %q is no port: write an address and a port, such as 0.0.0.0:4222", text)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return cmp.Or(host, "0.0.0.0"), port, nil
}
