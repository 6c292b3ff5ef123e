package stream

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
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// certificate writes a certificate and its key, signed by parent or by itself, and returns their files.
func certificate(t *testing.T, dir, name string, parent *tls.Certificate) (certFile, keyFile string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: parent == nil, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	issuer, signer := template, any(key)
	if parent != nil {
		issuer, signer = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
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

func TestTLSAndClientCertificates(t *testing.T) {
	dir := t.TempDir()
	caFile, _, ca := certificate(t, dir, "ca", nil)
	_, _, serverPair := certificate(t, dir, "server", &ca)
	clientFile, clientKey, _ := certificate(t, dir, "client", &ca)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	n := newNATS(t, func(o *server.Options) {
		o.TLSConfig = &tls.Config{
			Certificates: []tls.Certificate{serverPair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
		}
		o.TLSTimeout = 5
		o.Authorization = "token-7"
	})
	url := strings.Replace(n.url(""), "nats:", "tls:", 1)

	s := open(t, Options{URL: url, CAFile: caFile, CertFile: clientFile, KeyFile: clientKey, Token: "token-7"})
	publish(t, publisher(t, s, PublisherConfig{}), 0, 0, 3)
	require.Equal(t, numbers(0, 3), contents(t, s, AllRecords))

	for want, o := range map[string]Options{
		"name the file of its certificate authority": {URL: url},
		"read the NATS client certificate":           {URL: url, CAFile: caFile, CertFile: clientFile, KeyFile: caFile},
		"refused who we are":                         {URL: url, CAFile: caFile, CertFile: clientFile, KeyFile: clientKey, Token: "token-8"},
		"wants a client certificate":                 {URL: url, CAFile: caFile, Token: "token-7"},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := Open(t.Context(), o)
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "token-")
		})
	}
}
