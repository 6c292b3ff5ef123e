package notify

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// kind is a type of destination: which keys it takes and how it is made.
type kind struct {
	name  string
	takes []string          // keys of Destination, besides name, type and severity
	needs []string          // those of them that must be there
	mend  map[string]string // what to say when one is not
	make  func(*maker) Notifier
}

// kinds is the table of all types.
func kinds() []kind {
	return []kind{
		{name: "terminal", takes: []string{"templates"}, make: makeTerminal},
		{name: "json", make: makeJSON},
		{name: "webhook", takes: []string{"urls", "url_file", "secret_files", "token_file", "username", "password_file", "ca_file", "templates"}, make: makeWebhook},
		{
			name: "alertmanager", takes: []string{"urls", "token_file", "username", "password_file", "ca_file", "interval", "templates"}, needs: []string{"urls"},
			mend: map[string]string{"urls": "name every peer, such as http://alertmanager-0:9093"}, make: makeAlertmanager,
		},
		{name: "slack", takes: []string{"url_file", "token_file", "channel", "urls", "ca_file", "templates"}, make: makeSlack},
		{
			name: "pagerduty", takes: []string{"key_file", "region", "urls", "ca_file", "templates"}, needs: []string{"key_file"},
			mend: map[string]string{"key_file": "name a file with the integration key of an Events API v2 integration"}, make: makePagerDuty,
		},
		{
			name: "teams", takes: []string{"url_file", "ca_file", "templates"}, needs: []string{"url_file"},
			mend: map[string]string{"url_file": "name a file with the URL of the workflow"}, make: makeTeams,
		},
		{
			name: "email", takes: []string{"smtp", "tls", "from", "to", "username", "password_file", "ca_file", "templates"}, needs: []string{"smtp", "from", "to"},
			mend: map[string]string{"smtp": "write host and port, such as mail.example.org:587", "from": "write an address", "to": "list who gets it"}, make: makeEmail,
		},
		{name: "cloudevents", takes: []string{"urls", "token_file", "ca_file", "subject", "source", "mode"}, make: makeCloudEvents},
		{name: "kubernetes", takes: []string{"templates"}, make: makeKubernetes},
	}
}

func kindOf(name string) *kind {
	for _, k := range kinds() {
		if k.name == name {
			return &k
		}
	}
	return nil
}

// Types lists the values of Destination.Type.
func Types() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// Env is what notifiers reach the world by. The zero Env is sound: what is missing is replaced as the fields say.
type Env struct {
	Out     io.Writer // of terminal and json; nil discards
	Style   Style     // of terminal
	Client  *http.Client
	Threads Threads       // where places in Slack are kept; nil keeps them in memory, for the life of the process
	Bus     Bus           // of cloudevents without urls; nil fails each delivery
	Objects EventRecorder // of kubernetes; nil fails each delivery
	Mail    Mailer        // of email; nil speaks SMTP
	// Pretend puts made-up secrets in the place of those that files hold, so that what would be sent can be shown where the files are not.
	Pretend bool
}

// maker makes one notifier, and collects what is wrong with its configuration.
type maker struct {
	Destination

	env      Env
	mistakes []error
}

func (m *maker) wrong(key, message, mend string) {
	m.mistakes = append(m.mistakes, &KeyError{key, message, mend})
}

// secret reads the file that a key names; example is what it could hold. It is "" when no file is named.
func (m *maker) secret(key, file, example string) string {
	if file == "" {
		return ""
	}
	if m.env.Pretend {
		return example
	}
	b, err := os.ReadFile(file)
	if err != nil {
		m.wrong(key, fmt.Sprintf("read secret: %v", err), "make the file, or mend its name; it holds the secret alone")
		return ""
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		m.wrong(key, fmt.Sprintf("read secret: %s is empty", file), "write the secret into it")
	}
	return s
}

// address returns the one URL of urls or url_file. Its errors never show what a file holds.
func (m *maker) address() string {
	switch {
	case m.URLFile != "" && len(m.URLs) > 0:
		m.wrong("url_file", "there is urls, too", "leave one of them out")
	case m.URLFile != "":
		u := m.secret("url_file", m.URLFile, "https://hooks.example.org/secret/of-your-file")
		if u != "" && checkURL("", u) != nil {
			m.wrong("url_file", m.URLFile+" does not hold an absolute http or https URL", "write it like https://host/path, and nothing else")
		}
		return u
	case len(m.URLs) != 1:
		m.wrong("urls", fmt.Sprintf("a %s has exactly one URL, there are %d", m.Type, len(m.URLs)), "write one URL, or name a file that holds it in url_file")
	default:
		m.checkURLs()
		return m.URLs[0]
	}
	return ""
}

func (m *maker) checkURLs() {
	for _, u := range m.URLs {
		if checkURL("urls", u) != nil {
			m.wrong("urls", fmt.Sprintf("%q is not an absolute http or https URL", u), "write it like https://host/path")
		}
	}
}

// authorization returns the header of token_file, or of username and password_file.
func (m *maker) authorization() http.Header {
	h := http.Header{}
	token := m.secret("token_file", m.TokenFile, "token-of-your-file")
	password := m.secret("password_file", m.PasswordFile, "password-of-your-file")
	switch {
	case (m.Username == "") != (m.PasswordFile == ""):
		m.wrong("username", "username and password_file go together", "set both or none")
	case m.TokenFile != "" && m.PasswordFile != "":
		m.wrong("token_file", "there is a password_file, too", "leave one of them out")
	case token != "":
		h.Set("Authorization", "Bearer "+token)
	case password != "":
		r := http.Request{Header: h}
		r.SetBasicAuth(m.Username, password)
	}
	return h
}

// client is an HTTP client that trusts ca_file too and follows no redirect: a POST that is redirected becomes a GET, and its answer would
// look as if the warning had been taken.
func (m *maker) client() *http.Client {
	c := *cmp.Or(m.env.Client, &http.Client{})
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if t := m.trust(); t != nil {
		var transport *http.Transport
		switch rt := c.Transport.(type) {
		case nil:
			transport = http.DefaultTransport.(*http.Transport).Clone()
		case *http.Transport:
			transport = rt.Clone()
		default:
			return &c // not a network
		}
		transport.TLSClientConfig = t
		c.Transport = transport
	}
	return &c
}

// interval returns what a key says, or the default.
func (m *maker) interval(or time.Duration) time.Duration {
	d := time.Duration(m.Interval)
	if d < 0 {
		m.wrong("interval", fmt.Sprintf("%s is negative", d), "leave it out for "+or.String())
	}
	return cmp.Or(d, or)
}
