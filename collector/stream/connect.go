package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// connect connects, and checks that the server can do what is asked of it.
func (s *Stream) connect(ctx context.Context) error {
	o := s.opts
	where := Places(o.URL)
	settings := []nats.Option{
		nats.Name(o.Name), nats.Timeout(5 * time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, 250*time.Millisecond),
		// A network that swallows everything is noticed within half a minute.
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
		// Nothing is held back while disconnected: a held message would overtake those that were lost with the connection.
		// The publisher holds them all, in order.
		nats.ReconnectBufSize(-1),
		nats.SetCustomDialer(dialer{s}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				o.Logger.Warn("connection to NATS lost, connecting again", "server", where, "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { o.Logger.Info("connected to NATS again", "server", where) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			o.Logger.Warn("NATS reports an error", "server", where, "error", err)
		}),
	}
	target := o.URL
	if s.server != nil {
		where = "embedded"
		target = s.server.ClientURL()
		settings = append(settings, nats.InProcessServer(s.server))
		raw, err := FindURL(o.DataDir)
		if err != nil {
			return err
		}
		u, err := url.Parse(raw)
		if err != nil {
			return fmt.Errorf("read the embedded server's URL: %w", err)
		}
		settings = append(settings, nats.Token(u.User.Username()))
	}
	access, err := o.access()
	if err != nil {
		return err
	}
	conn, err := nats.Connect(target, append(settings, access...)...)
	if err != nil {
		return fmt.Errorf("connect to NATS at %s: %w", where, advise(err))
	}
	s.conn = conn
	if s.js, err = jetstream.New(conn); err != nil {
		return fmt.Errorf("use JetStream at %s: %w", where, err)
	}
	if v := conn.ConnectedServerVersion(); !atLeast(v, 2, 11) {
		return fmt.Errorf("connect to NATS at %s: it runs version %s, but forewarn needs 2.11 or later: upgrade the server", where, v)
	}
	if _, err := s.js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("use JetStream at %s: %w", where, advise(err))
	}
	return nil
}

// dialer counts attempts to connect before anything can be sent on the new connection.
type dialer struct{ s *Stream }

// Dial implements nats.CustomDialer.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	d.s.dials.Add(1)
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), network, address)
}

// access returns the settings that show who we are. Files are read here, so that a wrong path is told as such.
func (o Options) access() ([]nats.Option, error) {
	var settings []nats.Option
	if o.Token != "" {
		settings = append(settings, nats.Token(o.Token))
	}
	if o.CredsFile != "" {
		if _, err := os.Stat(o.CredsFile); err != nil {
			return nil, fmt.Errorf("read NATS credentials: %w", err)
		}
		settings = append(settings, nats.UserCredentials(o.CredsFile))
	}
	if o.CAFile+o.CertFile == "" {
		return settings, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the NATS certificate authority: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the NATS certificate authority: %s holds no certificate in PEM form", o.CAFile)
		}
	}
	if o.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the NATS client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return append(settings, nats.Secure(config)), nil
}

// advise adds what to do to the errors that a person can do something about.
func advise(err error) error {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	hint := ""
	switch {
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrTimeout):
		hint = "no server answers there: check the address, that it runs, and the network policy between"
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		hint = "the server refused who we are: check the user and password in the URL, the token or the credentials file"
	case errors.Is(err, nats.ErrSecureConnRequired):
		hint = "the server wants TLS: use a tls:// URL, and name its certificate authority if the system does not know it"
	case errors.Is(err, nats.ErrSecureConnWanted):
		hint = "the server does not do TLS: use a nats:// URL and no certificates"
	case errors.As(err, &authority):
		hint = "the server's certificate is not signed by a known authority: name the file of its certificate authority"
	case errors.As(err, &host):
		hint = "the server's certificate is for another name: use that name in the URL"
	case strings.Contains(err.Error(), "remote error: tls:"), strings.Contains(err.Error(), "closed by remote after TLS handshake"):
		// What the other side says of TLS has no type that could be asked for, and it may hang up before it is heard.
		hint = "the server wants a client certificate that it trusts: name the files of one and of its key"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		hint = "the server runs without JetStream: start it with -js, or with a jetstream block in its configuration"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		hint = "JetStream is not enabled for our account: enable it there, or use another account's credentials"
	default:
		return err
	}
	return fmt.Errorf("%w: %s", err, hint)
}

// Places returns the comma-separated URLs of servers without what is secret in them, for logs and messages.
func Places(urls string) string {
	list := strings.Split(urls, ",")
	for i, raw := range list {
		u, err := url.Parse(strings.TrimSpace(raw))
		if err != nil || u.Host == "" {
			if _, after, ok := strings.Cut(raw, "@"); ok {
				raw = after
			}
			list[i] = strings.TrimSpace(raw)
			continue
		}
		u.User = nil
		list[i] = u.String()
	}
	return strings.Join(list, ",")
}

func atLeast(v string, major, minor int) bool {
	parts := strings.SplitN(strings.TrimPrefix(v, "v"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	x, errX := strconv.Atoi(parts[0])
	y, errY := strconv.Atoi(parts[1])
	return errX == nil && errY == nil && (x > major || x == major && y >= minor)
}
