package console

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// frame is what the layout shows around a page.
type frame struct {
	Title    string
	Path     string // of the page, for the navigation
	Base     string
	Nav      []navItem
	Theme    string // light, dark, or empty: as the system has it
	Form     string // the token of this browser's forms
	Who      string
	SignOut  bool // there is a session that can be ended
	Writable bool
	Live     bool   // the page is told of changes
	Since    string // the moment of the view that the page is of
	Script   string
	Style    string
	Now      time.Time
	Pulse    pulse
	Version  string
	Data     any
}

type navItem struct {
	Label, Path, Key string
	Here             bool
}

// loadTemplates makes a template of every page, each with the layout and the parts.
func (k *Console) loadTemplates() error {
	root, err := template.New("").Funcs(k.functions()).ParseFS(web, "web/layout.html", "web/parts/*.html")
	if err != nil {
		return fmt.Errorf("read the console's templates: %w", err)
	}
	load := func(name string) (*template.Template, error) {
		t, err := root.Clone()
		if err == nil {
			t, err = t.ParseFS(web, "web/pages/"+name)
		}
		if err != nil {
			return nil, fmt.Errorf("read the console's templates: %w", err)
		}
		return t, nil
	}
	k.pages = map[string]*template.Template{}
	for _, p := range pages() {
		if k.pages[p.path], err = load(p.template); err != nil {
			return err
		}
	}
	if k.problem, err = load("problem.html"); err != nil {
		return err
	}
	k.signIn, err = load("sign-in.html")
	return err
}

// renderPage writes a page with its layout.
func (k *Console) renderPage(w http.ResponseWriter, r *http.Request, p *page, c content, since at) {
	k.write(w, r, k.pages[p.path], http.StatusOK, frame{Title: c.title, Path: p.path, Since: since.String(), Live: p.follow != nil, Script: p.script, Style: p.style, Data: c.data})
}

// render writes a page that is not in the table.
func (k *Console) render(w http.ResponseWriter, r *http.Request, t *template.Template, status int, c content) {
	k.write(w, r, t, status, frame{Title: c.title, Data: c.data})
}

func (k *Console) write(w http.ResponseWriter, r *http.Request, t *template.Template, status int, f frame) {
	f.Base, f.Version, f.Now, f.Writable = k.base, k.c.Version, k.c.Now(), k.c.Options.Writable
	f.Form = formToken(k.visit(w, r))
	if c, err := r.Cookie("forewarn-theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		f.Theme = c.Value
	}
	who := personOf(r)
	_, err := r.Cookie(k.cookieName("session"))
	f.Who, f.SignOut = who.name, err == nil && k.c.Options.Auth.TokenFile != "" && t != k.signIn
	if t != k.signIn {
		f.Pulse = k.pulse()
		for _, p := range pages() {
			if p.label != "" {
				f.Nav = append(f.Nav, navItem{p.label, k.base + p.path, p.key, p.path == f.Path})
			}
		}
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", &f); err != nil {
		k.c.Log.Error("a page of the console could not be made", "path", r.URL.Path, "error", err)
		http.Error(w, "the page could not be made; the console's log says why", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Encoding")
	body := b.Bytes()
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = squeeze(body)
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone when this fails
}

func squeeze(plain []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(plain) // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// part makes a named template of a page alone, for what its live view is told.
func (k *Console) part(path, name string, data any) (string, error) {
	var b strings.Builder
	if err := k.pages[path].ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("make %s of %s: %w", name, path, err)
	}
	return strings.TrimSpace(b.String()), nil
}
