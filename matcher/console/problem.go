package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// problem is an error that is the asker's to know: what is wrong, and what to do.
type problem struct {
	status     int
	text, mend string
}

func (p problem) Error() string { return p.text }

var (
	errStaleForm = problem{http.StatusForbidden, "This form is not one of this browser's, or is too old.", "Load the page again, and send it once more."}
	errNoToken   = problem{http.StatusForbidden, "A program sends the console's token, and this was sent without it.", "Name a file with a token in console.auth.token_file, and send it as a bearer token."}
	errReadOnly  = problem{http.StatusForbidden, "This console only shows.", "Set console.writable to let people give feedback here, or use forewarn feedback."}
)

// fail answers with what is wrong: a page for people, JSON for programs. What is nobody's to know is logged and told as such.
func (k *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	var p problem
	if !errors.As(err, &p) {
		k.c.Log.Error("the console could not answer", "path", r.URL.Path, "error", err)
		p = problem{http.StatusInternalServerError, "The console could not find out.", "Its log says why. It is tried again when the page is loaded again."}
	}
	if strings.HasPrefix(r.URL.Path, "/api/") || !strings.Contains(r.Header.Get("Accept"), "text/html") && r.Header.Get("Accept") != "" && r.Header.Get("Accept") != "*/*" {
		k.failJSON(w, p)
		return
	}
	k.render(w, r, k.problem, p.status, content{title: p.text, data: struct{ Text, Mend string }{p.text, p.mend}})
}

func (k *Console) failJSON(w http.ResponseWriter, err error) {
	var p problem
	if !errors.As(err, &p) {
		k.c.Log.Error("the console could not answer", "error", err)
		p = problem{http.StatusInternalServerError, "the console could not find out", "its log says why"}
	}
	writeJSON(w, p.status, map[string]string{"error": p.text, "mend": p.mend})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone when this fails
}
