package console

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Options are the section `console` of the configuration.
type Options struct {
	Listen   string `yaml:"listen,omitempty" json:"listen,omitempty" doc:"Where the console is served, such as 127.0.0.1:9465; nowhere without it. Other addresses than the machine's own need auth."`
	URL      string `yaml:"url,omitempty" json:"url,omitempty" doc:"Where people find the console, such as https://forewarn.example.org; links in messages begin with it. A path belongs to it when a proxy passes it on."`
	Auth     Auth   `yaml:"auth,omitempty" json:"auth,omitzero" doc:"Who may see it."`
	CertFile string `yaml:"cert_file,omitempty" json:"cert_file,omitempty" doc:"The certificate to serve HTTPS with; without it plain HTTP, for a proxy in front."`
	KeyFile  string `yaml:"key_file,omitempty" json:"key_file,omitempty" doc:"Its key."`
	Writable bool   `yaml:"writable,omitempty" json:"writable,omitempty" doc:"Let people give feedback in the console; without it the console only shows."`
}

// Auth says who may see the console. With both, either is enough.
type Auth struct {
	TokenFile string `yaml:"token_file,omitempty" json:"token_file,omitempty" doc:"A file with a token of 16 characters or more, that people sign in with and programs send as a bearer token. It is read again when it changes, and everybody who signed in with the old one is signed out."`
	Proxy     *Proxy `yaml:"proxy,omitempty" json:"proxy,omitempty" doc:"A proxy in front that signs people in, such as oauth2-proxy, and names them in a header."`
}

// Proxy is a proxy that signs people in.
type Proxy struct {
	Header  string   `yaml:"header" json:"header" doc:"The header with the person's name, such as X-Forwarded-User; the proxy must remove it from what comes in."`
	Trusted []string `yaml:"trusted" json:"trusted" doc:"Addresses or networks (CIDR) of the proxy; the header of anybody else counts for nothing."`
}

// any reports whether somebody has to sign in.
func (a *Auth) any() bool { return a.TokenFile != "" || a.Proxy != nil }

// Fault is something wrong with the options.
type Fault struct{ Path, Message, Mend string }

// Check returns everything that is wrong, with paths below the section.
func (o *Options) Check() (faults []Fault) {
	wrong := func(path, mend, format string, args ...any) {
		faults = append(faults, Fault{path, fmt.Sprintf(format, args...), mend})
	}
	if o.Listen != "" {
		host, port, err := net.SplitHostPort(o.Listen)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		switch {
		case err != nil:
			wrong("listen", "write an address and a port, such as 127.0.0.1:9465", "%v", err)
		case !loopback(host) && !o.Auth.any():
			wrong("listen", "set auth.token_file or auth.proxy, or listen on 127.0.0.1", "%s can be reached from other machines, and anybody could read what the logs say", o.Listen)
		}
	}
	if o.URL != "" {
		if u, err := url.Parse(o.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			wrong("url", "write it as people open it, such as https://forewarn.example.org", "%q is no address of a page", o.URL)
		}
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		wrong("cert_file", "set both or none", "cert_file and key_file go together")
	}
	if p := o.Auth.Proxy; p != nil {
		if p.Header == "" || http.CanonicalHeaderKey(p.Header) == "Cookie" || strings.ContainsAny(p.Header, " :\r\n") {
			wrong("auth.proxy.header", "name the header that your proxy sets, such as X-Forwarded-User", "%q is no header that names a person", p.Header)
		}
		if len(p.Trusted) == 0 {
			wrong("auth.proxy.trusted", "list the proxy's addresses, such as 10.0.0.0/8 or 127.0.0.1", "without it anybody could send the header")
		}
		for i, t := range p.Trusted {
			if _, err := network(t); err != nil {
				wrong(fmt.Sprintf("auth.proxy.trusted[%d]", i), "write an address or a network, such as 10.0.0.0/8", "%v", err)
			}
		}
	}
	return faults
}

func (o *Options) err() error {
	var all []error
	for _, f := range o.Check() {
		all = append(all, fmt.Errorf("console.%s: %s: %s", f.Path, f.Message, f.Mend))
	}
	return errors.Join(all...)
}

// path is the path of the URL, without a slash at its end.
func (o *Options) path() string {
	u, err := url.Parse(o.URL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.EscapedPath(), "/")
}

// secure reports whether people reach the console over HTTPS.
func (o *Options) secure() bool { return o.CertFile != "" || strings.HasPrefix(o.URL, "https://") }

// network reads an address or a CIDR.
func network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err == nil && p.Bits() == 0 {
		return p, fmt.Errorf("%s is everybody", s)
	}
	return p, err
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
