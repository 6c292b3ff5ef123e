package receive

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
)

// certificates are what TLS needs, read again when the files change.
type certificates struct {
	pair    *watched[*tls.Certificate]
	clients *watched[*x509.CertPool] // nil asks clients for none
}

func newCertificates(o Options, log *slog.Logger) (*certificates, error) {
	c := &certificates{}
	var err, e error
	c.pair, err = watch(log, func(contents [][]byte) (*tls.Certificate, error) {
		pair, err := tls.X509KeyPair(contents[0], contents[1])
		return &pair, err
	}, o.CertFile, o.KeyFile)
	if o.ClientCAFile != "" {
		c.clients, e = watch(log, func(contents [][]byte) (*x509.CertPool, error) {
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(contents[0]) {
				return nil, errors.New("no certificate is in it")
			}
			return pool, nil
		}, o.ClientCAFile)
	}
	return c, errors.Join(err, e)
}

// TLS returns the server's side of TLS with the protocols that it may agree on (such as h2), nil when it speaks plain text.
func (g *Guard) TLS(protocols ...string) *tls.Config {
	if g.certs == nil {
		return nil
	}
	base := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return g.certs.pair.get(), nil },
	}
	if g.certs.clients == nil {
		return base
	}
	base.ClientAuth = tls.RequireAndVerifyClientCert
	whole := base.Clone()
	whole.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := base.Clone()
		c.ClientCAs = g.certs.clients.get()
		return c, nil
	}
	return whole
}
