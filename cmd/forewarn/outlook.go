package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
	"github.com/forewarn/forewarn/signatures"
)

// sightingSettings are what is done with finished warnings besides counting them.
type sightingSettings struct {
	Share shareSettings `yaml:"share,omitempty" json:"share,omitzero" doc:"A NATS of its own in which clusters share what they counted: digests of signatures and numbers, never names, addresses or text. Without it nothing leaves the cluster."`
}

type shareSettings struct {
	URL       string `yaml:"url" json:"url" doc:"nats://host:4222, or several with commas."`
	CredsFile string `yaml:"creds_file,omitempty" json:"creds_file,omitempty" doc:"A credentials file."`
	TokenFile string `yaml:"token_file,omitempty" json:"token_file,omitempty" doc:"A file with a token."`
	CAFile    string `yaml:"ca_file,omitempty" json:"ca_file,omitempty" doc:"The certificates that the server's is checked with."`
	CertFile  string `yaml:"cert_file,omitempty" json:"cert_file,omitempty" doc:"The client certificate."`
	KeyFile   string `yaml:"key_file,omitempty" json:"key_file,omitempty" doc:"Its key."`
	Bucket    string `yaml:"bucket,omitempty" json:"bucket,omitempty" doc:"The bucket that is shared, made when it is not there; FOREWARN_SHARED_SIGHTINGS without it."`
}

// check finds what the types cannot say.
func (s *sightingSettings) check(place func(path, message, suggestion string) signatures.Problem) (problems []signatures.Problem) {
	x := &s.Share
	if *x == (shareSettings{}) {
		return nil
	}
	if x.URL == "" {
		problems = append(problems, place("sightings.share", "there is no url to share sightings at", "name the shared NATS in url, or leave share out"))
	}
	if (x.CertFile == "") != (x.KeyFile == "") {
		problems = append(problems, place("sightings.share", "cert_file and key_file go together", "set both or none"))
	}
	if strings.ContainsFunc(x.Bucket, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		problems = append(problems, place("sightings.share.bucket", fmt.Sprintf("%q is no name of a bucket", x.Bucket), "use letters, digits, dashes and underscores"))
	}
	return problems
}

// openSightings reads what is known of finished warnings, before the first warning is told. A process that delivers counts those that end.
func (p *process) openSightings(ctx context.Context) error {
	p.book = &sightings.Book{Now: p.clock}
	k, err := keeperOf(ctx, p.stream, p.book)
	if err != nil {
		return err
	}
	k.Log = p.log
	if p.roles.notify {
		found := p.openFacts(ctx)
		k.History = history{p.stream}
		k.Kubernetes = func() string {
			known := found.now()
			configured := p.settings.Applies.over(known)
			return configured.Kubernetes
		}
		p.factsOfSightings = found
	}
	if p.settings.Sightings.Share.URL != "" {
		p.sharing = &sharing{process: p}
		k.Shared = p.sharing.ledger
	}
	p.keeper = k
	if err := p.registry.Register(k); err != nil {
		return err
	}
	return k.Open(ctx)
}

// keeperOf makes the keeper of the stream's sightings.
func keeperOf(ctx context.Context, s *stream.Stream, b *sightings.Book) (*sightings.Keeper, error) {
	counted, err := s.Sightings(ctx)
	if err != nil {
		return nil, err
	}
	said, err := s.Feedback(ctx)
	if err != nil {
		return nil, err
	}
	return &sightings.Keeper{Book: b, Sightings: counted, Feedback: said}, nil
}

// runSightings keeps the book until ctx ends.
func (p *process) runSightings(ctx context.Context) error {
	var facts sync.WaitGroup
	if p.factsOfSightings != nil {
		facts.Go(func() { _ = p.factsOfSightings.run(ctx, func() {}) }) // it ends with ctx and without an error
	}
	err := p.keeper.Run(ctx)
	facts.Wait()
	if p.sharing != nil {
		err = errors.Join(err, p.sharing.close())
	}
	return err
}

// history is the log of warnings.
type history struct{ stream *stream.Stream }

var _ sightings.History = history{}

// Read implements sightings.History.
func (h history) Read(ctx context.Context, after uint64, fn func(*matcher.Warning, uint64) error) error {
	return h.stream.Read(ctx, stream.Warnings, stream.WarningsSubject, after+1, 0, func(m stream.Message) error {
		told, err := pipeline.DecodeWarning(m.Data)
		if err != nil {
			return nil //nolint:nilerr // the feeds of the destinations count and tell what is no warning
		}
		return fn(&told.Warning, m.Seq)
	})
}

// sharing is the connection to the NATS that clusters share.
type sharing struct {
	process *process
	stream  *stream.Stream
}

// ledger connects when it was not, and opens the shared bucket.
func (s *sharing) ledger(ctx context.Context) (sightings.Ledger, error) {
	x := s.process.settings.Sightings.Share
	if s.stream == nil {
		o := stream.Options{URL: x.URL, CredsFile: x.CredsFile, CAFile: x.CAFile, CertFile: x.CertFile, KeyFile: x.KeyFile, Logger: s.process.log, Name: "forewarn sightings"}
		if x.TokenFile != "" {
			b, err := os.ReadFile(x.TokenFile)
			if err != nil {
				return nil, fmt.Errorf("read the token of the shared NATS: %w", err)
			}
			o.Token = strings.TrimSpace(string(b))
		}
		var err error
		if s.stream, err = stream.Open(ctx, o); err != nil {
			return nil, err
		}
	}
	name := x.Bucket
	if name == "" {
		name = stream.SharedSightings
	}
	return s.stream.Shared(ctx, name)
}

func (s *sharing) close() error {
	if s.stream == nil {
		return nil
	}
	return s.stream.Close()
}

// dress fills in what is known of a warning besides what the tracker told: before anybody is shown it.
func (p *process) dress(w *matcher.Warning) { dress(w, p.book, p.settings.consoleURL()) }

func dress(w *matcher.Warning, b *sightings.Book, console string) {
	w.Outlook = b.Outlook(w)
	w.Links = nil
	if console != "" {
		w.Links = append(w.Links, matcher.Link{Title: "Console", URL: strings.TrimSuffix(console, "/") + "/warnings/" + url.PathEscape(w.ID)})
	}
	for _, r := range w.References {
		if u, err := url.Parse(r); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
			w.Links = append(w.Links, matcher.Link{Title: u.Host, URL: r})
		}
	}
}

// consoleURL is where people reach the console, or "".
func (s *settings) consoleURL() string { return s.Console.URL }
