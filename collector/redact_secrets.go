package collector

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/forewarn/forewarn/signatures/literal"
	"github.com/forewarn/forewarn/signatures/literal/teddy"
)

// SecretOptions say what is taken out of records. The zero value takes out everything that is known to be secret.
type SecretOptions struct {
	KeepAll  bool            `yaml:"keep_all,omitempty" json:"keep_all,omitempty" doc:"Take nothing out."`
	Keep     []string        `yaml:"keep,omitempty" json:"keep,omitempty" doc:"Kinds of secret that are left where they are: field, url, header, jwt, private_key, token."`
	Email    bool            `yaml:"email,omitempty" json:"email,omitempty" doc:"Take out e-mail addresses too."`
	Patterns []SecretPattern `yaml:"patterns,omitempty" json:"patterns,omitempty" doc:"What else is secret."`
}

// SecretPattern is a kind of secret of the owner's own.
type SecretPattern struct {
	Name  string `yaml:"name" json:"name" doc:"What it is, for messages about it."`
	Regex string `yaml:"regex" json:"regex" doc:"An RE2 expression; all that it matches is taken out. One that needs no word of three letters is tried on every text, which costs time."`
}

type secretKind uint8

const (
	fieldKind secretKind = iota
	urlKind
	headerKind
	jwtKind
	privateKeyKind
	tokenKind
	numSecretKinds
)

func secretKinds() []string {
	return []string{fieldKind: "field", urlKind: "url", headerKind: "header", jwtKind: "jwt", privateKeyKind: "private_key", tokenKind: "token"}
}

// Secrets are compiled [SecretOptions]. They are immutable and safe for concurrent use.
type Secrets struct {
	filter

	on       [numSecretKinds]bool
	patterns []*regexp.Regexp
	always   uint64 // the patterns that no mark announces, as bits
}

// standardSecrets are what is taken out when nothing else is said. They are made once, because there may be thousands of sources.
var standardSecrets = sync.OnceValue(func() *Secrets {
	s, _ := NewSecrets(SecretOptions{}) // without patterns there is nothing to be wrong
	return s
})

// maxPatterns is the most patterns of one's own: one word of bits.
const maxPatterns = 64

// NewSecrets compiles options. Its error holds every mistake.
func NewSecrets(o SecretOptions) (*Secrets, error) {
	s := &Secrets{}
	var problems []error
	kinds := secretKinds()
	for k := range s.on {
		s.on[k] = !o.KeepAll
	}
	for _, name := range o.Keep {
		k := slices.Index(kinds, name)
		if k < 0 {
			problems = append(problems, fmt.Errorf("keep: no kind of secret is called %q: use %s", name, strings.Join(kinds, ", ")))
			continue
		}
		s.on[k] = false
	}
	s.known(o.Email && !o.KeepAll)
	if len(o.Patterns) > maxPatterns {
		problems = append(problems, fmt.Errorf("patterns: %d are too many: join some by |, there may be %d", len(o.Patterns), maxPatterns))
		o.Patterns = o.Patterns[:maxPatterns]
	}
	for i, p := range o.Patterns {
		if err := s.pattern(i, p); err != nil {
			problems = append(problems, fmt.Errorf("patterns[%d] %q: %w", i, p.Name, err))
		}
	}
	if o.KeepAll {
		s.patterns, s.always, s.marks = nil, 0, nil
	}
	s.build(teddy.Available())
	return s, errors.Join(problems...)
}

// pattern takes up one of the owner's, announced by the words that it needs, if each has a few letters.
func (s *Secrets) pattern(i int, p SecretPattern) error {
	if p.Name == "" {
		return errors.New("the name is missing: say what it is")
	}
	re, err := regexp.Compile(p.Regex)
	if err != nil {
		return fmt.Errorf("read the regex: %w", err)
	}
	if re.MatchString("") {
		return errors.New("the regex matches nothing at all, so it would match everywhere: let it need a letter")
	}
	s.patterns = append(s.patterns, re)
	bit := uint64(1) << i
	needs, err := literal.Parse(p.Regex)
	if err != nil {
		return fmt.Errorf("read the regex: %w", err)
	}
	announced := len(needs.Any) > 0
	for _, l := range needs.Any {
		announced = announced && len(l.Text) >= 3 && (!l.Fold || l.Text == strings.ToLower(l.Text))
	}
	if !announced {
		s.always |= bit
		return nil
	}
	for _, l := range needs.Any {
		s.add(mark{text: l.Text, fold: l.Fold, own: bit})
	}
	return nil
}

// known adds the marks of everything that is secret by itself.
func (s *Secrets) known(email bool) {
	if s.on[fieldKind] {
		for _, word := range [...]string{
			"password", "passwd", "passphrase", "_pass", "secret", "token", "amz-signature", "identified by", "key-data", "?sig=", "&sig=",
		} {
			s.add(mark{text: word, fold: true, rule: fieldSecret})
		}
		for _, end := range "\\\"'] \t=:" { // it is the end of a name; alone it would be found by three bytes
			s.add(mark{text: "pwd" + string(end), fold: true, rule: fieldSecret})
		}
		for _, word := range keyWords() {
			for _, join := range []string{"_key", "-key", "key"} {
				s.add(mark{text: word + join, fold: true, rule: fieldSecret})
			}
		}
	}
	if s.on[headerKind] {
		s.add(mark{text: "bearer ", fold: true, rule: bearer})
		s.add(mark{text: "basic ", fold: true, rule: basic})
		s.add(mark{text: "authorization", fold: true, rule: authorization})
		s.add(mark{text: "cookie", fold: true, rule: cookie})
	}
	if s.on[urlKind] {
		s.add(mark{text: "@", rule: urlPassword})
	}
	if email {
		s.add(mark{text: "@", rule: address})
	}
	if s.on[jwtKind] {
		s.add(mark{text: "eyJ", rule: token, body: body{least: 37, is: isTokenByte}})
		s.add(mark{text: "ZXlK", rule: token, body: body{least: 36, is: isTokenByte}})
	}
	if s.on[privateKeyKind] {
		s.add(mark{text: "PRIVATE KEY", rule: privateKey})
		s.add(mark{text: "LS0tLS1C", rule: encodedKey})
	}
	if s.on[tokenKind] {
		for _, t := range tokenMarks() {
			t.rule = token
			s.add(t)
		}
		for digit := range 10 {
			s.add(mark{text: string(rune('0'+digit)) + "Q~", rule: azureSecret, body: body{is: isAzureByte}})
		}
	}
}

// keyWords stand before "key" in the names of secrets.
func keyWords() []string {
	return []string{"api", "access", "private", "secret", "account", "signing", "encryption", "auth", "shared", "master"}
}

// body is what must follow the mark of a token.
type body struct {
	least, most int // bytes; most 0 is any number
	is          func(byte) bool
	alone       bool // the mark must not follow a letter or digit
}

// tokenMarks are the beginnings by which services make their tokens known.
func tokenMarks() []mark {
	var all []mark
	add := func(least, most int, is func(byte) bool, marks ...string) {
		for _, m := range marks {
			all = append(all, mark{text: m, body: body{least, most, is, true}})
		}
	}
	add(16, 16, isUpperOrDigit, "AKIA", "ASIA")                                                               // AWS key ids
	add(35, 0, isNameByte, "AIza")                                                                            // Google API keys
	add(20, 0, isTokenByte, "ya29.", "GOCSPX-")                                                               // Google OAuth
	add(30, 0, isNameByte, "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_")                             // GitHub
	add(20, 0, isTokenByte, "glpat-", "glptt-", "gldt-", "glrt-", "glcbt-", "glsoat-")                        // GitLab
	add(10, 0, isNameByte, "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xapp-")                              // Slack
	add(20, 0, isTokenByte, "hooks.slack.com/services/", "hooks.slack.com/workflows/")                        // and its webhooks
	add(16, 0, isTokenByte, "sk_live_", "rk_live_", "sk_test_", "rk_test_", "whsec_")                         // Stripe, Standard Webhooks
	add(32, 0, isNameByte, "dop_v1_", "doo_v1_", "dor_v1_", "shpat_", "shpss_", "shpca_", "shppa_")           // DigitalOcean, Shopify
	add(20, 0, isNameByte, "npm_", "dckr_pat_", "rubygems_", "glsa_", "lin_api_", "NRAK-", "sntrys_")         // registries, Grafana and others
	add(24, 0, isTokenByte, "pypi-AgE", "hvs.", "hvb.", "hvr.", ".atlasv1.", "ATATT3", "sk-proj-", "sk-ant-") // PyPI, Vault, Terraform, Atlassian, models
	add(40, 0, isTokenByte, "SG.")                                                                            // SendGrid
	add(40, 0, isUpperOrDigit, "AGE-SECRET-KEY-1")                                                            // age
	return all
}
