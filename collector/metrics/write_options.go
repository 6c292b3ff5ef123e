package metrics

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/forewarn/forewarn/signatures"
)

// RemoteWriteOptions say where remote write is taken and from whom.
type RemoteWriteOptions struct {
	Listen       string              `yaml:"listen" json:"listen" doc:"The address, such as :9201."`
	Path         string              `yaml:"path,omitempty" json:"path,omitempty" doc:"The path; /api/v1/write without it."`
	TokenFile    string              `yaml:"token_file,omitempty" json:"token_file,omitempty" doc:"A file with the bearer token that senders must have."`
	User         string              `yaml:"user,omitempty" json:"user,omitempty" doc:"The user's name that senders must have, with password_file."`
	PasswordFile string              `yaml:"password_file,omitempty" json:"password_file,omitempty" doc:"A file with the user's password."`
	CertFile     string              `yaml:"cert_file,omitempty" json:"cert_file,omitempty" doc:"The certificate; with it senders must use https."`
	KeyFile      string              `yaml:"key_file,omitempty" json:"key_file,omitempty" doc:"Its key."`
	ClientCAFile string              `yaml:"client_ca_file,omitempty" json:"client_ca_file,omitempty" doc:"Senders must have a client certificate of one of these authorities."`
	BodyMB       int                 `yaml:"body_mb,omitempty" json:"body_mb,omitempty" doc:"The largest request as it is sent, in units of 1024 KB; 8 without it."`
	UnpackedMB   int                 `yaml:"unpacked_mb,omitempty" json:"unpacked_mb,omitempty" doc:"The largest request unpacked; 32 without it."`
	Requests     int                 `yaml:"requests,omitempty" json:"requests,omitempty" doc:"How many requests are worked on at once, which bounds memory; 8 without it. As many again wait for each of them."`
	Timeout      signatures.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty" doc:"How long a request may wait until its samples are accepted, before the sender is told to come again; 20s without it."`

	// Listener, if set, is served instead of what Listen says. The collector closes it.
	Listener net.Listener `yaml:"-" json:"-"`
}

const defaultWritePath = "/api/v1/write"

func (o *RemoteWriteOptions) check(p *problems) {
	if o.Listener == nil {
		p.address("remote_write.listen", o.Listen)
	}
	if o.Path != "" && (!strings.HasPrefix(o.Path, "/") || strings.ContainsAny(o.Path, " {}?#")) {
		p.add("remote_write.path", errors.New("a path begins with / and has no blanks, braces or query: write one such as "+defaultWritePath))
	}
	if o.TokenFile != "" && o.User != "" {
		p.add("remote_write", errors.New("token_file and user exclude each other: set one of them"))
	}
	if (o.User == "") != (o.PasswordFile == "") {
		p.add("remote_write", errors.New("user and password_file go together: set both or none"))
	}
	for name, file := range map[string]string{"token_file": o.TokenFile, "password_file": o.PasswordFile} {
		if file != "" {
			_, err := secret(file)
			p.add("remote_write."+name, err)
		}
	}
	_, err := o.tls()
	p.add("remote_write", err)
	p.number("remote_write.body_mb", o.BodyMB, 1024)
	p.number("remote_write.unpacked_mb", o.UnpackedMB, 1024)
	p.number("remote_write.requests", o.Requests, 1024)
	p.duration("remote_write.timeout", o.Timeout, minInterval)
}

// tls returns how connections are secured; nil when they are not. The certificate is read for each connection, so that it may be rotated.
func (o *RemoteWriteOptions) tls() (*tls.Config, error) {
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("cert_file and key_file go together: set both or none")
	}
	if o.CertFile == "" {
		if o.ClientCAFile != "" {
			return nil, errors.New("client_ca_file needs cert_file and key_file: without TLS there are no client certificates")
		}
		return nil, nil
	}
	if _, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile); err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		return &pair, err
	}}
	if o.ClientCAFile != "" {
		var pool *x509.CertPool
		pool, err := certificates(o.ClientCAFile)
		if err != nil {
			return nil, err
		}
		c.ClientCAs, c.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	return c, nil
}
