package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Faults are servers on loopback that fail in ways a cluster meets. Values names them for the manifests of scenarios.
type Faults struct {
	Registry string // address of a registry that has no image, and lets nobody see those beneath private/
	Expired  string // URL of a webhook whose certificate has expired
	Silent   string // URL of a webhook that takes the connection and never answers
	Refused  string // URL where nothing listens
}

// NewFaults starts them; they stop after the test.
func NewFaults(tb testing.TB) Faults {
	tb.Helper()
	registry := httptest.NewServer(http.HandlerFunc(emptyRegistry))
	tb.Cleanup(registry.Close)

	expired := httptest.NewUnstartedServer(http.NotFoundHandler())
	pair, err := selfSigned(time.Now().Add(-time.Hour))
	if err != nil {
		tb.Fatalf("make an expired certificate: %v", err)
	}
	expired.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	expired.Config.ErrorLog = log.New(io.Discard, "", 0) // each caller refuses the handshake: that is the point
	expired.StartTLS()
	tb.Cleanup(expired.Close)

	var lc net.ListenConfig
	silent, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0") // the kernel takes connections, nobody reads them
	if err != nil {
		tb.Fatalf("listen: %v", err)
	}
	tb.Cleanup(func() { _ = silent.Close() })
	return Faults{
		Registry: strings.TrimPrefix(registry.URL, "http://"),
		Expired:  expired.URL + "/validate",
		Silent:   "https://" + silent.Addr().String() + "/validate",
		Refused:  "https://127.0.0.1:1/validate",
	}
}

// Values are the names that manifests use for the servers.
func (f Faults) Values() map[string]string {
	return map[string]string{"registry": f.Registry, "expired": f.Expired, "silent": f.Silent, "refused": f.Refused}
}

func emptyRegistry(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/v2/":
	case strings.HasPrefix(r.URL.Path, "/v2/private/"):
		w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`)
	}
}

func selfSigned(notAfter time.Time) (tls.Certificate, error) {
	cert, key, err := CertificatePEM(notAfter)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// CertificatePEM makes a certificate for localhost that ends at notAfter, signed by itself, and its key.
func CertificatePEM(notAfter time.Time) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(notAfter.UnixNano()),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    notAfter.Add(-90 * 24 * time.Hour),
		NotAfter:     notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), nil
}
