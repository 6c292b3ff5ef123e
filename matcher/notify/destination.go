package notify

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// Destination is one notifier's configuration, as the configuration file holds it. Which keys a type takes stands in kinds.go; every secret is
// the name of a file that holds it.
type Destination struct {
	Name     string `yaml:"name" json:"name" doc:"Unique name of letters, digits, dashes and underscores, for status and logs; it also names the destination's place in the stream, so a new name starts with the newest warnings."`
	Type     string `yaml:"type" json:"type" doc:"terminal, json, webhook, alertmanager, slack, pagerduty, teams, email, cloudevents or kubernetes."`
	Severity string `yaml:"severity,omitempty" json:"severity,omitempty" doc:"The mildest severity that is sent: critical, high, medium, low or info (the default)."`

	URLs         []string            `yaml:"urls,omitempty" json:"urls,omitempty" doc:"webhook, cloudevents: one URL; alertmanager: the base URL of every peer; slack with token_file, pagerduty: the base of the API where it is not the usual one."`
	URLFile      string              `yaml:"url_file,omitempty" json:"url_file,omitempty" doc:"slack, teams, webhook: a file with the URL, where the URL itself is the secret."`
	SecretFiles  []string            `yaml:"secret_files,omitempty" json:"secret_files,omitempty" doc:"webhook: files that each hold one key to sign with, whsec_ (HMAC-SHA256) or whsk_ (Ed25519); two of them while a key is rotated."`
	TokenFile    string              `yaml:"token_file,omitempty" json:"token_file,omitempty" doc:"alertmanager, webhook, cloudevents: a file with a bearer token; slack: with a bot's token (xoxb-...)."`
	KeyFile      string              `yaml:"key_file,omitempty" json:"key_file,omitempty" doc:"pagerduty: a file with the integration key of Events API v2, 32 characters."`
	Username     string              `yaml:"username,omitempty" json:"username,omitempty" doc:"alertmanager, webhook, email: the name that goes with password_file."`
	PasswordFile string              `yaml:"password_file,omitempty" json:"password_file,omitempty" doc:"alertmanager, webhook, email: a file with the password."`
	CAFile       string              `yaml:"ca_file,omitempty" json:"ca_file,omitempty" doc:"The certificates that the server's is checked with, besides the system's; for every type that connects to one."`
	Interval     signatures.Duration `yaml:"interval,omitempty" json:"interval,omitempty" doc:"alertmanager: how often firing alerts are repeated; 1m without it."`

	Channel string `yaml:"channel,omitempty" json:"channel,omitempty" doc:"slack with token_file: the channel, by its id (C0123456789) or name."`
	Region  string `yaml:"region,omitempty" json:"region,omitempty" doc:"pagerduty: us (the default) or eu, where the account is."`

	SMTP string   `yaml:"smtp,omitempty" json:"smtp,omitempty" doc:"email: host and port of the mail server, such as mail.example.org:587."`
	TLS  string   `yaml:"tls,omitempty" json:"tls,omitempty" doc:"email: starttls (the default), implicit (the default on port 465) or none."`
	From string   `yaml:"from,omitempty" json:"from,omitempty" doc:"email: the sender, such as forewarn <forewarn@example.org>."`
	To   []string `yaml:"to,omitempty" json:"to,omitempty" doc:"email: who gets it."`

	Subject string `yaml:"subject,omitempty" json:"subject,omitempty" doc:"cloudevents without urls: the NATS subject in front; .<state>.<signature> follows. forewarn.events without it."`
	Source  string `yaml:"source,omitempty" json:"source,omitempty" doc:"cloudevents: the source attribute of every event, a URI reference; /forewarn without it, with the cluster's name behind it where that is known."`
	Mode    string `yaml:"mode,omitempty" json:"mode,omitempty" doc:"cloudevents: structured (the default: everything is in the body) or binary (the attributes are headers)."`

	Templates Templates `yaml:"templates,omitempty" json:"templates,omitzero" doc:"Own words for what people read; see them with forewarn notify preview."`
}

// nameLetters may stand in a destination's name, which names its place in the stream.
const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// KeyError is one thing that is wrong in a destination: at which key, what, and how to mend it.
type KeyError struct{ Key, Message, Mend string }

func (m *KeyError) Error() string {
	s := m.Message
	if m.Key != "" {
		s = m.Key + ": " + s
	}
	if m.Mend != "" {
		s += ": " + m.Mend
	}
	return s
}

// Mistakes returns those that an error of [New] is made of.
func Mistakes(err error) (all []*KeyError) {
	switch e := err.(type) { //nolint:errorlint // the tree of wrapped errors is walked by hand, so that none of it is missed
	case nil:
	case *KeyError:
		return []*KeyError{e}
	case interface{ Unwrap() []error }:
		for _, x := range e.Unwrap() {
			all = append(all, Mistakes(x)...)
		}
	default:
		if _, ok := errors.AsType[*KeyError](err); ok {
			return Mistakes(errors.Unwrap(err))
		}
		return []*KeyError{{Message: err.Error()}}
	}
	return all
}

// New makes the destination's notifier. Every mistake is reported, joined; see [Mistakes]. Nothing is connected to.
func New(d Destination, env Env) (Notifier, error) {
	m := &maker{Destination: d, env: env}
	var n Notifier
	if k := kindOf(d.Type); k == nil {
		m.wrong("type", fmt.Sprintf("unknown type %q", d.Type), "use "+strings.Join(Types(), ", "))
	} else {
		m.keys(k)
		n = k.make(m)
	}
	switch {
	case d.Name == "":
		m.wrong("name", "name is missing", "give each destination a name")
	case strings.Trim(d.Name, nameLetters) != "" || len(d.Name) > 64:
		m.wrong("name", fmt.Sprintf("%q is no name", d.Name), "use at most 64 letters, digits, dashes and underscores")
	}
	if d.Severity != "" && signatures.Severity(d.Severity).Rank() >= len(signatures.Severities()) {
		m.wrong("severity", fmt.Sprintf("unknown severity %q", d.Severity), "use critical, high, medium, low or info")
	}
	if len(m.mistakes) > 0 {
		return nil, fmt.Errorf("notifier %q: %w", d.Name, errors.Join(m.mistakes...))
	}
	return n, nil
}

// Wants reports whether a warning is severe enough for the destination.
func (d *Destination) Wants(w *matcher.Warning) bool {
	return d.Severity == "" || w.Severity.Rank() <= signatures.Severity(d.Severity).Rank()
}

// keys finds keys that the type does not take, and those that it cannot do without.
func (m *maker) keys(k *kind) {
	v := reflect.ValueOf(m.Destination)
	for i := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		switch set := !v.Field(i).IsZero(); {
		case slices.Contains([]string{"name", "type", "severity"}, key):
		case set && !slices.Contains(k.takes, key):
			m.wrong(key, "a destination of type "+k.name+" does not take it", strings.TrimSuffix("leave it out; it takes "+strings.Join(k.takes, ", "), "; it takes "))
		case !set && slices.Contains(k.needs, key):
			m.wrong(key, key+" is missing: a destination of type "+k.name+" needs it", k.mend[key])
		}
	}
}
