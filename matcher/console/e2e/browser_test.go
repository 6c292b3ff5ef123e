//go:build e2e

// Package e2e shows the console to a real Chromium.
package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/console/scene"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

// chromium finds the browser: $CHROMIUM, or one on the PATH.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	require.FailNow(t, "no Chromium was found", "install it, or name it in CHROMIUM; make console-e2e does the former on Debian")
	return ""
}

// startBrowser starts one browser; its tabs are separate.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewExecAllocator(t.Context(),
		chromedp.ExecPath(chromium(t)), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute),
	)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(ctx)
	t.Cleanup(stop)
	require.NoError(t, chromedp.Do(ctx))
	return ctx
}

// tab is a page that is open.
type tab struct {
	context.Context
	t *testing.T

	mu   sync.Mutex
	errs []string // what the page complained of
}

// window says how a page is looked at.
type window struct {
	width, height int64
	dark          bool
}

var (
	desk  = window{1280, 900, false}
	night = window{1280, 900, true}
	phone = window{375, 812, false}
)

// newTab opens a page with cookies of its own. What the page complains of fails the test at its end.
func newTab(t *testing.T, browser context.Context, w window) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	ctx, timeout := context.WithTimeout(ctx, 90*time.Second)
	x := &tab{Context: ctx, t: t}
	t.Cleanup(func() {
		timeout()
		cancel()
		require.Empty(t, x.complaints(), "the page complains")
	})
	require.NoError(t, chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			x.complain(e.ExceptionDetails.Text + " " + e.ExceptionDetails.Exception.Description)
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError || e.Entry.Source == log.EntrySourceSecurity {
				x.complain(e.Entry.Text + " " + e.Entry.URL)
			}
		}
	}))
	scheme := "light"
	if w.dark {
		scheme = "dark"
	}
	call(x, log.Enable, cdp.Empty{})
	call(x, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: w.width, Height: w.height, DeviceScaleFactor: 1, Mobile: w.width < 600})
	call(x, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
	return x
}

func (x *tab) complain(s string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.errs = append(x.errs, s)
}

// complaints returns what the page complained of, and forgets it.
func (x *tab) complaints() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := x.errs
	x.errs = nil
	return all
}

func call[P, R any](x *tab, c cdp.Command[P, R], p P) R {
	x.t.Helper()
	r, err := chromedp.Call(x.Context, c, p)
	require.NoError(x.t, err)
	return r
}

func (x *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	x.t.Helper()
	require.NoError(x.t, chromedp.Do(x.Context, steps...))
}

// ask evaluates an expression.
func ask[T any](x *tab, expression string) T {
	x.t.Helper()
	v, err := chromedp.Run(x.Context, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(x.t, err, expression)
	return v
}

// until waits for an expression to be true. The page's own policy forbids to wait inside of it.
func (x *tab) until(what, expression string) {
	x.t.Helper()
	require.Eventually(x.t, func() bool {
		ok, err := chromedp.Run(x.Context, chromedp.Evaluate[bool]("!!("+expression+")"))
		return err == nil && ok
	}, 20*time.Second, 50*time.Millisecond, what)
}

// press types keys, one after another.
func (x *tab) press(keys ...string) {
	x.t.Helper()
	for _, k := range keys {
		x.do(chromedp.KeyEvent(k))
	}
}

// open loads a page and waits until its scripts have run.
func (x *tab) open(url string) {
	x.t.Helper()
	x.do(chromedp.Navigate(url))
	x.until("the scripts have run", `!document.querySelector("[data-help]") || !document.querySelector("[data-help]").hidden`)
}

// stage is a console with the scene of a cluster.
type stage struct {
	*httptest.Server

	gone  atomic.Bool // it answers nothing, as one that starts again
	cast  *scene.Cast
	told  []pipeline.Told
	view  *console.View
	book  *scene.Book
	facts *scene.Facts
}

// newStage serves a console. change may alter its configuration; without a view it shows no warning.
func newStage(t *testing.T, change func(*console.Config)) *stage {
	t.Helper()
	cast, err := scene.New(time.Now())
	require.NoError(t, err)
	told, book, facts, err := cast.Cluster()
	require.NoError(t, err)
	s := &stage{cast: cast, told: told, view: &console.View{}, book: book, facts: facts}
	c := console.Config{Options: console.Options{Writable: true}, View: s.view, Book: book, Facts: facts, Version: "v0.9.0"}
	if change != nil {
		change(&c)
	}
	if c.View != nil {
		for _, x := range told {
			s.view.Tell(x)
		}
	}
	c.View = s.view
	s.view.CaughtUp()
	k, err := console.New(c)
	require.NoError(t, err)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.gone.Load() {
			panic(http.ErrAbortHandler)
		}
		k.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// repository is the root of the repository.
func repository(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	require.NoError(t, err)
	return filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "..", "..", "..")
}
