package notify

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

// mailServer speaks the server's side of RFC 5321, strictly: a client that leaves the dialogue is answered 503, and a line that does not end in CR LF or is
// longer than 1,000 bytes ends the connection.
type mailServer struct {
	net.Listener

	tls      *tls.Config
	implicit bool
	offer    []string // what EHLO offers besides STARTTLS
	noTLS    bool
	answers  map[string][]string // by command word, what is answered instead, one a time; "hang up" does

	mu     sync.Mutex
	mails  []received
	wrong  []string // what no client may do
	logins []string
}

type received struct {
	from string
	to   []string
	data string // with dots unstuffed
	tls  bool
}

func newMailServer(t *testing.T) *mailServer {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &mailServer{Listener: l, answers: map[string][]string{}, offer: []string{"8BITMIME", "AUTH LOGIN PLAIN"}}
	return s
}

// start serves until the test ends. The fields must not be changed after it.
func (s *mailServer) start(t *testing.T) {
	t.Helper()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = c.Close() }()
				if s.implicit {
					c = tls.Server(c, s.tls)
				}
				s.talk(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = s.Close()
		serving.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		require.Empty(t, s.wrong)
	})
}

// scripted returns what a command is answered out of order.
func (s *mailServer) scripted(word string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.answers[word]
	if len(a) == 0 {
		return "", false
	}
	s.answers[word] = a[1:]
	return a[0], true
}

func (s *mailServer) protest(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

var (
	mailFrom = regexp.MustCompile(`^MAIL FROM:<([^<> ]*)>( BODY=8BITMIME)?( SMTPUTF8)?$`)
	rcptTo   = regexp.MustCompile(`^RCPT TO:<([^<> ]+)>$`)
)

func (s *mailServer) talk(c net.Conn) {
	r := bufio.NewReader(c)
	say := func(line string) { _, _ = io.WriteString(c, line+"\r\n") }
	read := func() (string, bool) {
		line, err := r.ReadString('\n')
		switch {
		case err != nil:
			return "", false
		case !strings.HasSuffix(line, "\r\n") || len(line) > 1000 || strings.Contains(strings.TrimSuffix(line, "\r\n"), "\r"):
			s.protest("a line that RFC 5321 has not: %q", line)
			return "", false
		}
		return strings.TrimSuffix(line, "\r\n"), true
	}
	if a, ok := s.scripted("greeting"); ok {
		if a != "hang up" {
			say(a)
		}
		return
	}
	say("220 mail.example.org ESMTP")
	var m received
	greeted, user := false, ""
	_, secure := c.(*tls.Conn)
	for {
		line, ok := read()
		if !ok {
			return
		}
		word, rest, _ := strings.Cut(line, " ")
		word = strings.ToUpper(word)
		if a, ok := s.scripted(word); ok {
			if a == "hang up" {
				return
			}
			say(a)
			continue
		}
		switch {
		case word == "EHLO" && rest != "":
			greeted = true
			offers := append([]string{"mail.example.org"}, s.offer...)
			if !secure && !s.noTLS {
				offers = append(offers, "STARTTLS")
			}
			for i, o := range offers {
				say("250" + map[bool]string{true: " ", false: "-"}[i == len(offers)-1] + o)
			}
		case word == "HELO" && rest != "":
			greeted = true
			say("250 mail.example.org")
		case word == "STARTTLS" && greeted && !secure:
			say("220 go ahead")
			t := tls.Server(c, s.tls)
			if t.HandshakeContext(context.Background()) != nil {
				return
			}
			c, r, secure, greeted = t, bufio.NewReader(t), true, false
		case word == "AUTH" && greeted:
			how, first, _ := strings.Cut(rest, " ")
			switch how {
			case "PLAIN":
				b, _ := base64.StdEncoding.DecodeString(first)
				user = strings.ReplaceAll(string(b), "\x00", "/")
			case "LOGIN":
				for _, ask := range []string{"Username:", "Password:"} {
					say("334 " + base64.StdEncoding.EncodeToString([]byte(ask)))
					answer, _ := read()
					b, _ := base64.StdEncoding.DecodeString(answer)
					user += "/" + string(b)
				}
			}
			if !secure {
				s.protest("a password without TLS")
			}
			s.mu.Lock()
			s.logins = append(s.logins, how+" "+user)
			s.mu.Unlock()
			say("235 2.7.0 welcome")
		case mailFrom.MatchString(line) && greeted && m.from == "":
			m.from = mailFrom.FindStringSubmatch(line)[1]
			say("250 2.1.0 ok")
		case rcptTo.MatchString(line) && m.from != "":
			m.to = append(m.to, rcptTo.FindStringSubmatch(line)[1])
			say("250 2.1.5 ok")
		case line == "DATA" && len(m.to) > 0:
			say("354 go on")
			var data strings.Builder
			for {
				line, ok := read()
				if !ok {
					return
				}
				if line == "." {
					break
				}
				data.WriteString(strings.TrimPrefix(line, ".") + "\n")
			}
			if a, ok := s.scripted("message"); ok {
				say(a)
				continue
			}
			m.data, m.tls = data.String(), secure
			s.mu.Lock()
			s.mails = append(s.mails, m)
			s.mu.Unlock()
			m = received{}
			say("250 2.0.0 queued")
		case line == "QUIT":
			say("221 bye")
			return
		default:
			s.protest("out of order: %q", line)
			say("503 5.5.1 bad sequence of commands")
		}
	}
}

func (s *mailServer) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.mails...)
}

// secure gives the server a certificate, and returns the file of who signed it.
func (s *mailServer) secure(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return file
}

func (s *mailServer) destination(to ...string) Destination {
	return Destination{Name: "mail", Type: "email", SMTP: s.Addr().String(), From: "forewarn <forewarn@example.org>", To: to, TLS: "none"}
}

func TestEmailIsSentByTLSWithAPassword(t *testing.T) {
	for _, c := range []struct{ name, tls, offer, login string }{
		{"STARTTLS and PLAIN", "", "AUTH PLAIN LOGIN", "PLAIN /me/secret"},
		{"STARTTLS and LOGIN", "starttls", "AUTH LOGIN", "LOGIN /me/secret"},
		{"TLS from the start", "implicit", "AUTH LOGIN PLAIN", "PLAIN /me/secret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newMailServer(t)
			s.offer, s.implicit = []string{c.offer}, c.tls == "implicit"
			d := s.destination("a@example.org")
			d.CAFile, d.TLS, d.Username, d.PasswordFile = s.secure(t), c.tls, "me", secretFile(t, "secret")
			s.start(t)
			require.NoError(t, made(t, d, Env{}).Notify(t.Context(), Single(Example(start))))
			require.Len(t, s.got(), 1)
			require.True(t, s.got()[0].tls)
			require.Equal(t, []string{c.login}, s.logins)
			require.Equal(t, "forewarn@example.org", s.got()[0].from)
		})
	}
}

func TestEmailNeverGoesWithoutTLSUnlessItIsSaid(t *testing.T) {
	s := newMailServer(t)
	s.noTLS = true
	s.start(t)
	d := s.destination("a@example.org")
	d.TLS = "starttls"
	err := made(t, d, Env{}).Notify(t.Context(), Single(Example(start)))
	require.ErrorContains(t, err, "offers no STARTTLS")
	require.Empty(t, s.got())

	other := newMailServer(t)
	other.secure(t)
	other.start(t)
	d = other.destination("a@example.org")
	d.TLS = "starttls"
	require.ErrorContains(t, made(t, d, Env{}).Notify(t.Context(), Single(Example(start))), "certificate", "who signed it is not known")
	require.Empty(t, other.got())
}

func TestRepliesOfMailServersDecideWhetherAnotherTryIsWorthIt(t *testing.T) {
	for _, c := range []struct {
		command, answer string
		permanent       bool
	}{
		{"greeting", "421 4.3.2 shutting down", false},
		{"greeting", "554 5.7.1 you are on a list", true},
		{"greeting", "hang up", false},
		{"EHLO", "421 4.7.0 too many connections", false},
		{"AUTH", "454 4.7.0 later", false},
		{"AUTH", "535 5.7.8 who are you", true},
		{"MAIL", "452 4.3.1 no room", false},
		{"MAIL", "550 5.7.1 not for you", true},
		{"RCPT", "450 4.2.1 greylisted", false},
		{"RCPT", "550 5.1.1 no such user", true},
		{"DATA", "451 4.3.0 later", false},
		{"DATA", "554 5.6.0 no", true},
		{"message", "451 4.3.0 later", false},
		{"message", "552 5.3.4 too large", true},
		{"message", "554 5.7.1 spam", true},
		{"DATA", "hang up", false},
	} {
		t.Run(c.command+" "+c.answer, func(t *testing.T) {
			s := newMailServer(t)
			d := s.destination("a@example.org")
			d.CAFile, d.TLS, d.Username, d.PasswordFile = s.secure(t), "starttls", "me", secretFile(t, "very-secret")
			s.answers[c.command] = []string{c.answer}
			s.start(t)
			n := made(t, d, Env{})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := n.Notify(ctx, Single(warning(1, matcher.Forming)))
			require.Error(t, err)
			require.Equal(t, c.permanent, IsPermanent(err), "%v", err)
			require.NotContains(t, err.Error(), "very-secret")
			require.NoError(t, n.Notify(t.Context(), Single(warning(2, matcher.Forming))))
			require.Len(t, s.got(), 1)
		})
	}
}

func TestEachRecipientGetsItOnce(t *testing.T) {
	s := newMailServer(t)
	s.answers["RCPT"] = []string{"450 4.2.1 greylisted", "550 5.1.1 no such user"}
	s.start(t)
	n := made(t, s.destination("slow@example.org", "gone@example.org", "there@example.org"), Env{})
	notice := Single(warning(1, matcher.Forming))
	err := n.Notify(t.Context(), notice)
	require.ErrorContains(t, err, "slow@example.org")
	require.False(t, IsPermanent(err))
	err = n.Notify(t.Context(), notice)
	require.ErrorContains(t, err, "gone@example.org")
	require.True(t, IsPermanent(err), "there is nobody left to try")
	require.Len(t, s.got(), 2)
	require.Equal(t, []string{"there@example.org"}, s.got()[0].to)
	require.Equal(t, []string{"slow@example.org"}, s.got()[1].to)
}

func TestAMailServerThatHangsIsLeft(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	n := made(t, Destination{Type: "email", SMTP: l.Addr().String(), From: "f@example.org", To: []string{"a@example.org"}, TLS: "none"}, Env{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = n.Notify(ctx, Single(warning(1, matcher.Forming)))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.False(t, IsPermanent(err))
}

// readMail reads a message as a mail program does.
func readMail(t *testing.T, data string) (header mail.Header, text, html string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(data))
	require.NoError(t, err)
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	parts := multipart.NewReader(m.Body, params["boundary"])
	var all []string
	for {
		p, err := parts.NextPart()
		if err == io.EOF { //nolint:errorlint // NextPart returns it as it is
			break
		}
		require.NoError(t, err)
		b, err := io.ReadAll(p)
		require.NoError(t, err)
		all = append(all, string(b))
	}
	require.Len(t, all, 2)
	return m.Header, all[0], all[1]
}

func TestEmailIsWhatMailProgramsRead(t *testing.T) {
	s := newMailServer(t)
	s.start(t)
	n := made(t, s.destination("On call <a@example.org>", "b@example.org"), Env{}).(*Email)
	n.now = func() time.Time { return start }
	w := Example(start)
	w.Title = "Größe: .\r\nBcc: evil@example.org\r\n\r\n<script>alert(1)</script>" + strings.Repeat(" long", 100)
	w.Evidence[1].Text = "first\r\n.\r\nRCPT TO:<evil@example.org>"
	w.Impact = ".begins with a dot"
	w.Revision = 1
	require.NoError(t, n.Notify(t.Context(), Single(w)))
	w.Revision, w.State = 2, matcher.InIncident
	require.NoError(t, n.Notify(t.Context(), Single(w)))
	require.NoError(t, n.Notify(t.Context(), several(30)))
	got := s.got()
	require.Len(t, got, 3)
	require.Equal(t, []string{"a@example.org", "b@example.org"}, got[0].to)
	first, text, page := readMail(t, got[0].data)
	require.Empty(t, first.Get("Bcc"), "no header can be put in")
	require.NotContains(t, page, "<script>")
	require.Contains(t, text, ".begins with a dot")
	require.Contains(t, page, `<a href="https://forewarn.example.org/warnings/0e8a3f0c9a11b2c4?verdict=false-alarm#feedback">False alarm</a>`)
	subject, err := new(mime.WordDecoder).DecodeHeader(first.Get("Subject"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(subject, "[forewarn] Größe: . Bcc: evil@example.org <script>"), subject)
	require.LessOrEqual(t, len([]rune(subject)), 200)

	second, text, _ := readMail(t, got[1].data)
	require.Equal(t, first.Get("Subject"), second.Get("Subject"), "Gmail wants that of a thread")
	require.Equal(t, first.Get("Message-ID"), second.Get("In-Reply-To"))
	require.Equal(t, first.Get("Message-ID"), second.Get("References"))
	require.NotEqual(t, first.Get("Message-ID"), second.Get("Message-ID"))
	require.Contains(t, strings.SplitN(text, "\n", 2)[0], "INCIDENT")
	require.Equal(t, "high", second.Get("Importance"))
	third, text, _ := readMail(t, got[2].data)
	require.NotEqual(t, first.Get("Message-ID"), third.Get("References"))
	require.Contains(t, text, "and 10 more")

	w = Example(start)
	message, err := n.message(Single(w))
	require.NoError(t, err)
	golden(t, "email.eml", message)
	again, err := n.message(Single(w))
	require.NoError(t, err)
	require.True(t, bytes.Equal(message, again), "a repeat is the same message")
}
