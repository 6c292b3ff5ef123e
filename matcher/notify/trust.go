package notify

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// trust returns what servers are checked by: the system's certificates and those of ca_file. It is nil without one.
func (m *maker) trust() *tls.Config {
	if m.CAFile == "" || m.env.Pretend {
		return nil
	}
	pem, err := os.ReadFile(m.CAFile)
	if err != nil {
		m.wrong("ca_file", fmt.Sprintf("read certificates: %v", err), "name a file of PEM certificates")
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without any
	}
	if !pool.AppendCertsFromPEM(pem) {
		m.wrong("ca_file", m.CAFile+" holds no certificate", "name a file of PEM certificates, each beginning with -----BEGIN CERTIFICATE-----")
		return nil
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}
