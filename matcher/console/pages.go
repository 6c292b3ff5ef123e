package console

import (
	"net/http"
)

// page is one page of the console. Its file makes it, its template is web/pages/<template>, and its line in pages lists it.
type page struct {
	path     string // of http.ServeMux, such as /warnings/{id}
	label    string // in the navigation; empty: it is not there
	key      string // with g before it this key leads there
	template string
	script   string // a module of web/ that it needs besides live.js; may be empty
	style    string // a sheet of web/ that it needs besides console.css; may be empty

	// show makes what the page says of a GET.
	show func(k *Console, r *http.Request) (content, error)
	// follow makes what the page is told when something changes, while it is open; nil: it stays as it is.
	follow func(k *Console, r *http.Request) (follower, error)
	// act does what a form of the page asks for, and returns where to go then. The console is writable and the form is its own when it is called. nil: there is
	// no form.
	act func(k *Console, r *http.Request) (to string, err error)
	// work answers a question that changes nothing, such as what a text would raise, as JSON; the body is at most workBytes long.
	work func(k *Console, r *http.Request) (any, error)
}

// content is what a page says.
type content struct {
	title string
	data  any // for the template, as .Data
}

// pages lists them all, in the order of the navigation.
func pages() []page {
	return []page{
		overviewPage,
		warningPage,
		signaturesPage,
		signatureDetailPage,
		blindSpotsPage,
		playgroundPage,
		healthPage,
	}
}

const (
	formBytes = 64 << 10
	workBytes = 4 << 20
)

// routes puts everything together, from the outside to the inside: headers and host, cross-site requests, who asks, the page.
func (k *Console) routes() http.Handler {
	inner := http.NewServeMux()
	for _, p := range pages() {
		path := p.path
		if path == "/" {
			path = "/{$}"
		}
		inner.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { k.get(w, r, &p) })
		if p.act != nil || p.work != nil {
			inner.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { k.post(w, r, &p) })
		}
	}
	k.api(inner)
	inner.HandleFunc("POST /sign-out", k.doSignOut)
	inner.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		k.fail(w, r, problem{http.StatusNotFound, "There is no such page.", "It may have had another address in an older forewarn."})
	})

	outer := http.NewServeMux()
	outer.HandleFunc("GET /readyz", k.ready)
	outer.Handle("GET /static/{hash}/{name}", k.assets)
	outer.HandleFunc("GET /sign-in", k.showSignIn)
	outer.HandleFunc("POST /sign-in", k.doSignIn)
	outer.Handle("/", k.signedIn(inner))
	return k.guard(k.stripBase(k.crossOrigin.Handler(outer)))
}

// ready answers whoever sends people here, such as a load balancer, which cannot sign in: with 503 until the console knows every warning that there was when it
// started, as a page before that would say that nothing is wrong.
func (k *Console) ready(w http.ResponseWriter, _ *http.Request) {
	if moment, _ := k.c.View.now(); !moment.caughtUp {
		http.Error(w, "the warnings are still being read", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n")) // the client is gone when this fails
}

// stripBase takes the URL's path off, whether the proxy did that or not.
func (k *Console) stripBase(next http.Handler) http.Handler {
	if k.base == "" {
		return next
	}
	stripped := http.StripPrefix(k.base, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p := r.URL.Path; {
		case p == k.base:
			http.Redirect(w, r, k.base+"/", http.StatusPermanentRedirect)
		case len(p) > len(k.base) && p[:len(k.base)+1] == k.base+"/":
			stripped.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (k *Console) get(w http.ResponseWriter, r *http.Request, p *page) {
	w.Header().Set("Vary", "Accept")
	if r.Header.Get("Accept") == "text/event-stream" {
		k.stream(w, r, p)
		return
	}
	since, _ := k.c.View.now() // before the page is made: what changes meanwhile is told again
	c, err := p.show(k, r)
	if err != nil {
		k.fail(w, r, err)
		return
	}
	k.renderPage(w, r, p, c, since)
}

func (k *Console) post(w http.ResponseWriter, r *http.Request, p *page) {
	limit := int64(formBytes)
	if p.work != nil {
		limit = workBytes
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if !personOf(r).api && !k.formHolds(r) {
		k.fail(w, r, errStaleForm)
		return
	}
	if p.work != nil {
		answer, err := p.work(k, r)
		if err != nil {
			k.failJSON(w, err)
			return
		}
		writeJSON(w, http.StatusOK, answer)
		return
	}
	if !k.c.Options.Writable {
		k.fail(w, r, errReadOnly)
		return
	}
	to, err := p.act(k, r)
	if err != nil {
		k.fail(w, r, err)
		return
	}
	http.Redirect(w, r, k.base+to, http.StatusSeeOther)
}
