// Package receive is what collectors that are sent records share: one listening HTTP server with limits, authentication and TLS.
//
//	accept (at most MaxConnections) ──► path, method, Authorization ──► room (at most MaxRequests) ──► body (at most MaxBodyMB,
//	after decompression) ──► Route.Handle ──► answer
//
// A sender is told the truth by the status: 2xx when what it sent was accepted, a 4xx that it must not repeat when it can never be, and
// 503 with Retry-After when there is no room now. Nothing is dropped here to make room.
//
// Token and certificate files are read again when they change, so that they are rotated without a restart.
package receive

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/forewarn/forewarn/signatures"
)

// Options say where a receiver listens and whom it hears. They are a part of each receiver's section of the configuration file.
type Options struct {
	Listen       string `yaml:"listen" json:"listen" doc:"An address and a port, such as :4318 or 127.0.0.1:4318."`
	CertFile     string `yaml:"cert_file,omitempty" json:"cert_file,omitempty" doc:"The server's certificate; with it TLS alone is spoken. Read again when it changes."`
	KeyFile      string `yaml:"key_file,omitempty" json:"key_file,omitempty" doc:"Its key."`
	ClientCAFile string `yaml:"client_ca_file,omitempty" json:"client_ca_file,omitempty" doc:"Certificates that each client's must be signed by; without it clients need none."`
	TokenFile    string `yaml:"token_file,omitempty" json:"token_file,omitempty" doc:"Bearer tokens, one a line, any of which lets a request in; two of them while a token is rotated."`
	UsersFile    string `yaml:"users_file,omitempty" json:"users_file,omitempty" doc:"user:password, one a line, any of which lets a request in by basic authentication."`

	MaxBodyMB      int                 `yaml:"max_body_mb,omitempty" json:"max_body_mb,omitempty" doc:"The largest body after decompression, in units of 1048576 bytes; larger ones are refused for good. 16 without it."`
	MaxRequests    int                 `yaml:"max_requests,omitempty" json:"max_requests,omitempty" doc:"How many requests are read and handled at a time, which bounds memory together with max_body_mb; as many again wait. 16 without it."`
	MaxConnections int                 `yaml:"max_connections,omitempty" json:"max_connections,omitempty" doc:"How many connections are open at a time; more wait to be accepted. 1024 without it."`
	Wait           signatures.Duration `yaml:"wait,omitempty" json:"wait,omitempty" doc:"How long a request may wait for room and for what it holds to be accepted, before its sender is told to come again; 10s without it."`

	// Listener, if set, is served instead of what Listen says. The server closes it.
	Listener net.Listener `yaml:"-" json:"-"`
}

// withDefaults fills what was left out, and returns every mistake.
func (o Options) withDefaults() (Options, error) {
	var problems []error
	_, port, err := net.SplitHostPort(o.Listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil && o.Listener == nil {
		problems = append(problems, fmt.Errorf("listen %q is no address and port: write one such as :4318 or 127.0.0.1:4318", o.Listen))
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		problems = append(problems, errors.New("cert_file and key_file go together: set both or none"))
	}
	if o.ClientCAFile != "" && o.CertFile == "" {
		problems = append(problems, errors.New("client_ca_file needs TLS: set cert_file and key_file too"))
	}
	for _, n := range []struct {
		name         string
		value        *int
		without, top int
	}{{"max_body_mb", &o.MaxBodyMB, 16, 1024}, {"max_requests", &o.MaxRequests, 16, 4096}, {"max_connections", &o.MaxConnections, 1024, 1 << 20}} {
		if *n.value == 0 {
			*n.value = n.without
		}
		if *n.value < 0 || *n.value > n.top {
			problems = append(problems, fmt.Errorf("%s: %d is not between 1 and %d; leave it out for %d", n.name, *n.value, n.top, n.without))
		}
	}
	if o.Wait == 0 {
		o.Wait = signatures.Duration(10 * time.Second)
	}
	if o.Wait < 0 {
		problems = append(problems, errors.New("wait cannot be negative: leave it out for 10s"))
	}
	return o, errors.Join(problems...)
}

// Guard is what a server lets in and how much of it: TLS, authentication and room. Servers of any protocol may share one.
type Guard struct {
	Options Options // with defaults filled
	Gate    *Gate

	tokens *watched[credentials]
	users  *watched[credentials]
	certs  *certificates
}

// NewGuard checks the options and reads every file that they name. Its error holds every mistake. A file that cannot be read later leaves
// what it held before in force, which is logged once.
func NewGuard(o Options, log *slog.Logger) (*Guard, error) {
	o, err := o.withDefaults()
	g := &Guard{Options: o, Gate: NewGate(o.MaxRequests, o.MaxRequests)}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if o.TokenFile != "" {
		var e error
		g.tokens, e = watch(log, parseTokens, o.TokenFile)
		err = errors.Join(err, e)
	}
	if o.UsersFile != "" {
		var e error
		g.users, e = watch(log, parseUsers, o.UsersFile)
		err = errors.Join(err, e)
	}
	if o.CertFile != "" && o.KeyFile != "" {
		var e error
		g.certs, e = newCertificates(o, log)
		err = errors.Join(err, e)
	}
	if err != nil {
		return nil, err
	}
	return g, nil
}
