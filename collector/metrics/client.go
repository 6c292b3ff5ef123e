package metrics

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Access says how an HTTP server is spoken to. Files are read anew when they are used, so that what is in them may be rotated.
type Access struct {
	TokenFile    string `yaml:"token_file,omitempty" json:"token_file,omitempty" doc:"A file with a bearer token."`
	User         string `yaml:"user,omitempty" json:"user,omitempty" doc:"The user's name for basic authentication."`
	PasswordFile string `yaml:"password_file,omitempty" json:"password_file,omitempty" doc:"A file with the user's password."`
	CAFile       string `yaml:"ca_file,omitempty" json:"ca_file,omitempty" doc:"The certificates that the server's is checked with; the system's without it."`
	CertFile     string `yaml:"cert_file,omitempty" json:"cert_file,omitempty" doc:"The client certificate."`
	KeyFile      string `yaml:"key_file,omitempty" json:"key_file,omitempty" doc:"Its key."`
	ServerName   string `yaml:"server_name,omitempty" json:"server_name,omitempty" doc:"The name that the server's certificate must have; the URL's without it."`
	SkipVerify   bool   `yaml:"skip_verify,omitempty" json:"skip_verify,omitempty" doc:"Believe any certificate. Who can come between then sees the token and can make up samples."`
}

// Client makes a client. It follows no redirects, for they would carry the credentials elsewhere. The error holds every mistake.
func (a Access) Client() (*http.Client, error) {
	var errs []error
	if a.TokenFile != "" && a.User != "" {
		errs = append(errs, errors.New("token_file and user exclude each other: set one of them"))
	}
	if (a.User == "") != (a.PasswordFile == "") {
		errs = append(errs, errors.New("user and password_file go together: set both or none"))
	}
	if (a.CertFile == "") != (a.KeyFile == "") {
		errs = append(errs, errors.New("cert_file and key_file go together: set both or none"))
	}
	for _, file := range []string{a.TokenFile, a.PasswordFile} {
		if file != "" {
			_, err := secret(file)
			errs = append(errs, err)
		}
	}
	t := &tls.Config{ServerName: a.ServerName, InsecureSkipVerify: a.SkipVerify} //nolint:gosec // who sets it is told what it means
	if a.CAFile != "" {
		pool, err := certificates(a.CAFile)
		errs = append(errs, err)
		t.RootCAs = pool
	}
	if a.CertFile != "" && a.KeyFile != "" {
		_, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
		errs = append(errs, err)
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
			return &c, err
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &authorized{a, &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: t, DisableCompression: true, ForceAttemptHTTP2: true,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 2, MaxIdleConns: 2000, IdleConnTimeout: 2 * time.Minute,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func certificates(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return pool, nil
}

// secret reads a file that holds a token or a password.
func secret(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read credentials: %w", err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("read credentials: %s is empty", file)
	}
	return s, nil
}

// authorized adds credentials to requests.
type authorized struct {
	access Access
	next   http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (x *authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	a := &x.access
	if a.TokenFile == "" && a.User == "" {
		return x.next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	if a.TokenFile != "" {
		token, err := secret(a.TokenFile)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return x.next.RoundTrip(r)
	}
	password, err := secret(a.PasswordFile)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(a.User, password)
	return x.next.RoundTrip(r)
}

// CloseIdleConnections lets [http.Client.CloseIdleConnections] reach the transport.
func (x *authorized) CloseIdleConnections() {
	if c, ok := x.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// checkURL refuses what is no http or https URL, and one with a password, which would be shown in names and logs.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("it is no URL: write one such as http://host:9090/metrics") // the parser's error would show it
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("%q is no URL of HTTP: write one such as http://host:9090/metrics", raw)
	case u.User != nil:
		return fmt.Errorf("the URL of %s holds credentials: put them into files and name those", u.Host)
	}
	return nil
}
