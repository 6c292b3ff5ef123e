package receive

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// certificate writes a self-signed certificate and its key over the files of name in dir.
func certificate(t *testing.T, dir, name string) (certFile, keyFile string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	pair, err = tls.LoadX509KeyPair(certFile, keyFile)
	require.NoError(t, err)
	return certFile, keyFile, pair
}

func TestTLSWithClientCertificatesThatAreRotated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile, server := certificate(t, dir, "server")
	clientFile, _, client := certificate(t, dir, "client")
	s := NewServer(guard(t, Options{CertFile: certFile, KeyFile: keyFile, ClientCAFile: clientFile}), nil, nil, echo())
	addr, err := s.Listen(t.Context())
	require.NoError(t, err)
	ran := make(chan error, 1)
	go func() { ran <- s.Run(t.Context()) }()
	t.Cleanup(func() { require.Error(t, <-ran) })
	post := func(server tls.Certificate, clients ...tls.Certificate) (string, error) {
		pool := x509.NewCertPool()
		pool.AddCert(server.Leaf)
		c := http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: clients, MinVersion: tls.VersionTLS12}}}
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+addr.String()+"/in", strings.NewReader("x"))
		require.NoError(t, err)
		q.Header.Set("Content-Type", "text/x")
		resp, err := c.Do(q)
		if err != nil {
			return "", err
		}
		return resp.Proto, resp.Body.Close()
	}
	proto, err := post(server, client)
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", proto)
	_, err = post(server)
	require.Error(t, err, "a client without a certificate")
	_, err = post(server, server)
	require.Error(t, err, "a client with another's")

	_, _, next := certificate(t, dir, "server")
	require.Eventually(t, func() bool { _, err := post(next, client); return err == nil }, time.Minute, 50*time.Millisecond, "the new certificate is served")
}
