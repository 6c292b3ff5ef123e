package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// certificateLife is longer than any run, and shorter than what a client would still trust in a year.
const certificateLife = 7 * 24 * time.Hour

// authority signs every certificate of one cluster and keeps them as files in dir.
type authority struct {
	dir    string
	server string // the API server's URL, for kubeconfigs
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

// newAuthority makes the authority and the certificates that the control plane itself needs.
func newAuthority(dir, server string) (*authority, error) {
	a := &authority{dir: dir, server: server}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := a.template("controlplane-ca", nil)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	a.key = key
	if err := a.write("ca", der, key); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		name, user string
		groups     []string
		serving    []net.IP
	}{
		{"apiserver", "kube-apiserver", nil, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)}},
		{"sa", "service-accounts", nil, nil}, // only its key is used: it signs tokens
		{"proxy", "front-proxy-client", nil, nil},
		{"kubelet-client", "kube-apiserver-kubelet-client", []string{"system:masters"}, nil},
		{"admin", "kubernetes-admin", []string{"system:masters"}, nil},
		{"kube-controller-manager", "system:kube-controller-manager", nil, nil},
		{"kube-scheduler", "system:kube-scheduler", nil, nil},
	} {
		if err := a.issue(c.name, c.user, c.groups, c.serving); err != nil {
			return nil, fmt.Errorf("issue a certificate to %s: %w", c.name, err)
		}
	}
	return a, nil
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) template(user string, groups []string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) // crypto/rand ends the process rather than fail
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: user, Organization: groups},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

// issue writes name.crt and name.key: a client certificate, that also serves at the addresses given.
func (a *authority) issue(name, user string, groups []string, serving []net.IP) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := a.template(user, groups)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if serving != nil {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		template.IPAddresses = serving
		template.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	return a.write(name, der, key)
}

func (a *authority) write(name string, cert []byte, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.file(name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(a.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

// kubeconfig writes a kubeconfig for the holder of name.crt and returns its path.
func (a *authority) kubeconfig(name string) (string, error) {
	var encoded [3]string
	for i, f := range []string{"ca.crt", name + ".crt", name + ".key"} {
		b, err := os.ReadFile(a.file(f))
		if err != nil {
			return "", err
		}
		encoded[i] = base64.StdEncoding.EncodeToString(b)
	}
	path := a.file(name + ".kubeconfig")
	return path, os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: testbed, cluster: {server: %q, certificate-authority-data: %q}}]
users: [{name: %[3]q, user: {client-certificate-data: %[4]q, client-key-data: %[5]q}}]
contexts: [{name: testbed, context: {cluster: testbed, user: %[3]q}}]
current-context: testbed
`, a.server, encoded[0], name, encoded[1], encoded[2]), 0o600)
}

// client speaks to the API server as the administrator.
func (a *authority) client() (*http.Client, error) {
	pair, err := tls.LoadX509KeyPair(a.file("admin.crt"), a.file("admin.key"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &http.Client{
		Timeout:   requestTimeout,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}},
	}, nil
}
