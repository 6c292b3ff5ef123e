package main

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/signatures"
)

// tell adds what `kubectl forewarn` asks a process for. It holds what was seen in logs, so it is told to this machine alone: a forwarded port
// ends on the pod's loopback, and Kubernetes decides who may forward one.
func (p *process) tell(mux *http.ServeMux) {
	answer := func(path string, ask func(r *http.Request) (any, error)) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if !fromThisMachine(r) {
				http.Error(w, "this is told to the machine itself alone: use kubectl forewarn, or forward the port", http.StatusForbidden)
				return
			}
			v, err := ask(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v) // the client is gone when this fails
		})
	}
	answer("/overview", func(r *http.Request) (any, error) { return readOverview(r.Context(), p.stream, p.settings.windows()) })
	answer("/warnings", func(r *http.Request) (any, error) {
		ws, err := pipeline.Latest(r.Context(), p.stream)
		ws = slices.DeleteFunc(ws, func(w matcher.Warning) bool { return w.Retracted })
		for i := range ws {
			p.dress(&ws[i])
		}
		slices.SortFunc(ws, func(a, b matcher.Warning) int { return a.Opened.Compare(b.Opened) })
		return append([]matcher.Warning{}, ws...), err
	})
	answer("/signature", func(r *http.Request) (any, error) {
		if p.armory == nil {
			return (*signatures.Signature)(nil), nil
		}
		return p.armory.find(r.URL.Query().Get("id"))
	})
}

// fromThisMachine reports whether the client is on the loopback, and not behind a proxy there.
func fromThisMachine(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return err == nil && net.ParseIP(host).IsLoopback() && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == ""
}

// find returns the armed signature with the id, nil when there is none.
func (a *armory) find(id string) (*signatures.Signature, error) {
	a.looking.Lock()
	program := a.program
	a.looking.Unlock()
	if program == nil || !program.Has(id) {
		return nil, nil
	}
	for digest := range program.Digests() {
		s, err := program.Body(digest)
		if err != nil {
			return nil, err
		}
		if s.ID == id {
			return s, nil
		}
	}
	return nil, nil
}
