package notify

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"
)

// server is a mail server as RFC 5321 has it. Replies of 4xx and lost connections are worth another try, 5xx never is.
type server struct {
	address, host string
	username      string
	password      string
	implicit      bool // TLS from the first byte on, RFC 8314
	plain         bool // no TLS at all
	tls           *tls.Config
	dial          func(ctx context.Context, network, address string) (net.Conn, error)
}

func newSMTP(m *maker) *server {
	s := &server{address: m.SMTP, username: m.Username, dial: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}
	host, port, err := net.SplitHostPort(m.SMTP)
	if m.SMTP != "" && (err != nil || host == "" || port == "") {
		m.wrong("smtp", fmt.Sprintf("%q is not a host and a port", m.SMTP), "write it like mail.example.org:587")
	}
	s.host = host
	switch m.TLS {
	case "":
		s.implicit = port == "465"
	case "starttls":
	case "implicit":
		s.implicit = true
	case "none":
		s.plain = true
	default:
		m.wrong("tls", fmt.Sprintf("unknown %q", m.TLS), "use starttls, implicit or none")
	}
	s.password = m.secret("password_file", m.PasswordFile, "password-of-your-file")
	switch {
	case (m.Username == "") != (m.PasswordFile == ""):
		m.wrong("username", "username and password_file go together", "set both or none")
	case m.Username != "" && s.plain && !local(host):
		m.wrong("tls", "without TLS everybody on the way could read the password", "use starttls or implicit")
	}
	if s.tls = m.trust(); s.tls == nil {
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	s.tls.ServerName = host
	return s
}

func local(host string) bool { return host == "localhost" || net.ParseIP(host).IsLoopback() }

// Send implements Mailer.
func (s *server) Send(ctx context.Context, from string, to []string, message []byte) (failed map[string]error, err error) {
	conn, err := s.dial(ctx, "tcp", s.address)
	if err != nil {
		return nil, fmt.Errorf("mail server %s: %w", s.address, err)
	}
	defer func() { _ = conn.Close() }()
	if t, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(t); err != nil {
			return nil, fmt.Errorf("mail server %s: %w", s.address, err)
		}
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	failed, err = s.talk(conn, from, to, message)
	switch {
	case err == nil:
		return failed, nil
	case errors.Is(err, os.ErrDeadlineExceeded): // the connection's, which is that of ctx
		err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	case ctx.Err() != nil:
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return nil, fmt.Errorf("mail server %s: %w", s.address, err)
}

func (s *server) talk(conn net.Conn, from string, to []string, message []byte) (failed map[string]error, err error) {
	if s.implicit {
		conn = tls.Client(conn, s.tls)
	}
	c, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return nil, reply("greeting", err)
	}
	name, err := os.Hostname()
	if err != nil || strings.ContainsAny(name, " \r\n") || name == "" {
		name = "localhost"
	}
	if err := c.Hello(name); err != nil {
		return nil, reply("EHLO", err)
	}
	if !s.implicit && !s.plain {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return nil, errors.New("it offers no STARTTLS, and without it everybody on the way could read along: set tls to implicit, or to none where the way is your own")
		}
		if err := c.StartTLS(s.tls); err != nil {
			return nil, reply("STARTTLS", err)
		}
	}
	if err := s.login(c); err != nil {
		return nil, err
	}
	if err := c.Mail(from); err != nil {
		return nil, reply("MAIL FROM", err)
	}
	failed = map[string]error{}
	for _, a := range to {
		if err := c.Rcpt(a); err != nil {
			err = reply("RCPT TO "+a, err)
			if _, answered := errors.AsType[*textproto.Error](err); !answered {
				return nil, err
			}
			failed[a] = fmt.Errorf("mail server %s: %w", s.address, err)
		}
	}
	if len(failed) == len(to) {
		return failed, nil
	}
	w, err := c.Data()
	if err != nil {
		return nil, reply("DATA", err)
	}
	_, err = w.Write(message)
	if err := errors.Join(err, w.Close()); err != nil { // Close waits for the reply to the whole message
		return nil, reply("the message", err)
	}
	_ = c.Quit() // it has taken the message: what goes wrong now changes nothing
	return failed, nil
}

// login authenticates by what the server offers.
func (s *server) login(c *smtp.Client) error {
	if s.username == "" {
		return nil
	}
	if _, secure := c.TLSConnectionState(); !secure && !local(s.host) {
		return errors.New("the password stays here: the way is not secure")
	}
	ok, offered := c.Extension("AUTH")
	encode := func(x string) string { return base64.StdEncoding.EncodeToString([]byte(x)) }
	var err error
	switch mechanisms := strings.Fields(strings.ToUpper(offered)); {
	case ok && slices.Contains(mechanisms, "PLAIN"):
		err = command(c, 235, "AUTH PLAIN "+encode("\x00"+s.username+"\x00"+s.password))
	case ok && slices.Contains(mechanisms, "LOGIN"): // which some servers offer alone
		if err = command(c, 334, "AUTH LOGIN"); err == nil {
			err = command(c, 334, encode(s.username))
		}
		if err == nil {
			err = command(c, 235, encode(s.password))
		}
	default:
		return fmt.Errorf("it offers neither AUTH PLAIN nor LOGIN (but %q): leave username out, or use another port", offered)
	}
	return reply("AUTH", err)
}

// command says one line and waits for the code. net/smtp's own Auth leaves the dialogue when a server refuses.
func command(c *smtp.Client, code int, line string) error {
	id, err := c.Text.Cmd("%s", line)
	if err != nil {
		return err
	}
	c.Text.StartResponse(id)
	defer c.Text.EndResponse(id)
	_, _, err = c.Text.ReadResponse(code)
	return err
}

// reply sorts what a server answered to a step.
func reply(step string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", step, err)
	if e, ok := errors.AsType[*textproto.Error](err); ok && e.Code >= 500 {
		return Permanent(err)
	}
	return err
}
