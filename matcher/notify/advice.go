package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/textproto"
	"strings"
	"syscall"
)

// Advice says what a person can do about an error of a destination, or "".
func Advice(d *Destination, err error) string {
	var authority x509.UnknownAuthorityError
	var name *net.DNSError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	var mail *textproto.Error
	status := statusOf(err)
	switch {
	case errors.As(err, &authority):
		return "the server's certificate is of an authority that is not known here: name its certificates in ca_file"
	case errors.As(err, &host):
		return "the server's certificate is for another name: use that name"
	case errors.As(err, &record):
		return "the server does not speak TLS there: use http instead of https, or another port (email: another value of tls)"
	case errors.As(err, &name):
		return "the host is not known: check the name, and the DNS of this machine"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: check host and port"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer came in time: check that a firewall or network policy lets this machine out, and whether a proxy is needed (HTTPS_PROXY)"
	case errors.As(err, &mail) && (mail.Code == 535 || mail.Code == 534 || mail.Code == 530):
		return "the mail server does not accept the login: check username and password_file"
	case errors.As(err, &mail) && (mail.Code == 550 || mail.Code == 553 || mail.Code == 554):
		return "the mail server refuses the sender or the recipient: check from and to, and whether it relays for this machine"
	case status == 401 || status == 403:
		return "the destination does not accept who we are: check " + d.credentials()
	case status == 404 || status == 410 || status == 405:
		return "there is nothing at that address any more: check " + d.place()
	case status == 400 || status == 422:
		return "the destination refuses the message: its answer above says why; with templates, see `forewarn notify preview --destination " + d.Name + "`"
	case status == 413:
		return "the message is too large for it, or for a proxy on the way"
	case status == 429:
		return "it is asked too often: wait, and give it a budget in routes"
	case status >= 500:
		return "the destination is in trouble itself: warnings wait until it is well again"
	case status >= 300 && status < 400:
		return "configure the URL that it redirects to"
	}
	return ""
}

func (d *Destination) credentials() string {
	for _, f := range [][2]string{{"key_file", d.KeyFile}, {"token_file", d.TokenFile}, {"password_file", d.PasswordFile}, {"url_file", d.URLFile}} {
		if f[1] != "" {
			return f[0] + " (" + f[1] + ")"
		}
	}
	return "whether it wants a token_file"
}

func (d *Destination) place() string {
	if d.URLFile != "" {
		return "the URL in " + d.URLFile
	}
	return "urls (" + strings.Join(redactedAll(d.URLs), ", ") + ")"
}

func redactedAll(urls []string) []string {
	var out []string
	for _, u := range urls {
		out = append(out, redacted(u))
	}
	return out
}

// statusError is an HTTP status that is no success.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

func statusOf(err error) int {
	if s, ok := errors.AsType[*statusError](err); ok {
		return s.status
	}
	return 0
}
