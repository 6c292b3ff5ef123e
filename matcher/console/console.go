// Package console is the web console: what is about to break, each warning with its evidence, and how forewarn itself is.
//
// Everything is in the binary: pages are HTML made by templates, with one style sheet and small modules of JavaScript, none of which a page needs to be
// read. A [View] holds the warnings in memory; it is fed from the stream, and every change of it is told to the pages that are open.
//
// What is shown came from logs of strangers. It is escaped wherever it goes, the content security policy allows no script and no style but the console's
// own, and a change needs a signed-in person, the page's own token, and a console that is set to be writable.
//
// README.md says how a page is added.
package console

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
)

// Config is what a console is made of. Options and View are required.
type Config struct {
	Options Options
	View    *View
	// Facts tells how forewarn itself is; without it the pages say that nothing is known.
	Facts Facts
	// Book knows what was seen before, and takes feedback; without it there is neither.
	Book Book
	// Arms knows the signatures that are armed; without it the catalogue is empty.
	Arms Arms
	// Scores tells how the signatures have done here; without it nothing is known.
	Scores func() []sightings.Scorecard
	// Runner runs the trials of the playground, such as a [Child]; without it there are none.
	Runner Runner
	// Archive tells a warning that the view does not hold, because it finished long ago: all of its revisions that are still kept, in their order, or none. Without it there are none.
	Archive func(ctx context.Context, id string) ([]pipeline.Told, error)
	// Held says what keeps people from being told of a warning, such as a silence, or "". Without it nothing does.
	Held func(w *matcher.Warning) string
	// Now is the clock that warnings are compared with. Default time.Now; a recording that is played has another.
	Now     func() time.Time
	Log     *slog.Logger // default: none
	Version string
}

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	c       Config
	base    string // the path of Options.URL, without a slash at its end
	assets  *assets
	pages   map[string]*template.Template // by the page's path
	problem *template.Template
	signIn  *template.Template
	keeper  *keeper

	crossOrigin *http.CrossOriginProtection

	health   *health
	rankings rankings
	digging  chan struct{} // one place: reading an archive is dear
	live     chan struct{} // one place for each page that is open
	handler  http.Handler
	listener net.Listener
}

// New checks the configuration and makes a console. Run it, or take its Handler.
func New(c Config) (*Console, error) {
	if err := c.Options.err(); err != nil {
		return nil, err
	}
	if c.View == nil {
		return nil, errors.New("a console needs a view of the warnings")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Book == nil {
		c.Book = noBook{}
	}
	if c.Arms == nil {
		c.Arms = noArms{}
	}
	k := &Console{c: c, base: c.Options.path(), health: newHealth(c.Facts), live: make(chan struct{}, maxLive), digging: make(chan struct{}, 1)}
	var err error
	if k.keeper, err = newKeeper(c.Options); err != nil {
		return nil, err
	}
	if k.assets, err = loadAssets(web); err != nil {
		return nil, err
	}
	if k.crossOrigin, err = newCrossOrigin(c.Options); err != nil {
		return nil, err
	}
	if err := k.loadTemplates(); err != nil {
		return nil, err
	}
	k.handler = k.routes()
	return k, nil
}

// Handler serves the console. It is for tests and for whoever listens for itself; [Console.Run] does both.
func (k *Console) Handler() http.Handler { return k.handler }

// Listen opens the address, so that what is wrong with it is known before Run, and returns it.
func (k *Console) Listen(ctx context.Context) (net.Addr, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", k.c.Options.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for the console on %s: %w", k.c.Options.Listen, err)
	}
	k.listener = l
	return l.Addr(), nil
}

// Close gives the address back that [Console.Listen] opened, when Run is not called.
func (k *Console) Close() error {
	if k.listener == nil {
		return nil
	}
	return k.listener.Close()
}

// Run serves until ctx is done; pages that are open are told to come again.
func (k *Console) Run(ctx context.Context) error {
	if k.listener == nil {
		if _, err := k.Listen(ctx); err != nil {
			return err
		}
	}
	// Open event streams end with ctx, so that a stop does not wait for them.
	server := &http.Server{
		Handler: k.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(k.c.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if server.Shutdown(closing) != nil {
			_ = server.Close() // what is still open is cut
		}
	})
	defer stop()
	var watching sync.WaitGroup
	watch, endWatch := context.WithCancel(ctx)
	watching.Go(func() { k.watchFeedback(watch) })
	defer watching.Wait()
	defer endWatch()
	k.c.Log.Info("the console is served", "address", k.Address(), "writable", k.c.Options.Writable)
	var err error
	if o := k.c.Options; o.CertFile != "" {
		err = server.ServeTLS(k.listener, o.CertFile, o.KeyFile)
	} else {
		err = server.Serve(k.listener)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the console: %w", err)
	}
	return nil
}

// Address is where a person finds the console: the configured URL, or else what is listened on.
func (k *Console) Address() string {
	switch {
	case k.c.Options.URL != "":
		return k.c.Options.URL
	case k.listener == nil:
		return "http://" + k.c.Options.Listen + "/"
	case k.c.Options.CertFile != "":
		return "https://" + k.listener.Addr().String() + "/"
	default:
		return "http://" + k.listener.Addr().String() + "/"
	}
}
