package notify

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// Destination is one notifier's configuration, as the configuration file holds it.
type Destination struct {
	Name     string `yaml:"name" json:"name" doc:"Unique name of letters, digits, dashes and underscores, for status and logs; it also names the destination's place in the stream, so a new name starts with the newest warnings."`
	Type     string `yaml:"type" json:"type" doc:"terminal, json, webhook or alertmanager."`
	Severity string `yaml:"severity,omitempty" json:"severity,omitempty" doc:"The mildest severity that is sent: critical, high, medium, low or info (the default)."`

	URLs        []string            `yaml:"urls,omitempty" json:"urls,omitempty" doc:"webhook: one URL; alertmanager: the base URL of every peer."`
	SecretFiles []string            `yaml:"secret_files,omitempty" json:"secret_files,omitempty" doc:"webhook: files that each hold one whsec_ secret; two of them while a key is rotated."`
	TokenFile   string              `yaml:"token_file,omitempty" json:"token_file,omitempty" doc:"alertmanager: a file with a bearer token."`
	Interval    signatures.Duration `yaml:"interval,omitempty" json:"interval,omitempty" doc:"alertmanager: how often firing alerts are repeated; 1m without it."`
}

// nameLetters may stand in a destination's name, which names its place in the stream.
const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// Types lists the values of Destination.Type.
func Types() []string { return []string{"terminal", "json", "webhook", "alertmanager"} }

// New makes the destination's notifier. Terminal and json write to out. Every mistake is reported, joined.
func New(d Destination, out io.Writer, style Style, client *http.Client) (Notifier, error) {
	var n Notifier
	var err error
	switch d.Type {
	case "terminal":
		n = &Terminal{Out: out, Style: style}
	case "json":
		n = &JSONLines{Out: out}
	case "webhook":
		n, err = newWebhook(d, client)
	case "alertmanager":
		n, err = newAlertmanager(d, client)
	default:
		err = fmt.Errorf("unknown type %q: use %s", d.Type, strings.Join(Types(), ", "))
	}
	switch {
	case d.Name == "":
		err = errors.Join(errors.New("name is missing: give each destination a name"), err)
	case strings.Trim(d.Name, nameLetters) != "" || len(d.Name) > 64:
		err = errors.Join(errors.New("name: use at most 64 letters, digits, dashes and underscores"), err)
	}
	if d.Severity != "" && signatures.Severity(d.Severity).Rank() >= len(signatures.Severities()) {
		err = errors.Join(err, fmt.Errorf("unknown severity %q: use critical, high, medium, low or info", d.Severity))
	}
	if err != nil {
		return nil, fmt.Errorf("notifier %q: %w", d.Name, err)
	}
	return n, nil
}

// Wants reports whether a warning is severe enough for the destination.
func (d *Destination) Wants(w *matcher.Warning) bool {
	return d.Severity == "" || w.Severity.Rank() <= signatures.Severity(d.Severity).Rank()
}

func newWebhook(d Destination, client *http.Client) (Notifier, error) {
	if len(d.URLs) != 1 {
		return nil, fmt.Errorf("urls: a webhook has exactly one, there are %d", len(d.URLs))
	}
	var secrets []string
	for _, f := range d.SecretFiles {
		s, err := readSecret(f)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, s)
	}
	w, err := NewWebhook(d.URLs[0], secrets, client)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func newAlertmanager(d Destination, client *http.Client) (Notifier, error) {
	header := http.Header{}
	if d.TokenFile != "" {
		token, err := readSecret(d.TokenFile)
		if err != nil {
			return nil, err
		}
		header.Set("Authorization", "Bearer "+token)
	}
	a, err := NewAlertmanager(d.URLs, header, time.Duration(d.Interval), client)
	if err != nil {
		return nil, err
	}
	return a, nil
}

func readSecret(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("read secret: %s is empty", file)
	}
	return s, nil
}
