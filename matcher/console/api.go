package console

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/sightings"
)

// api answers programs, which send the token as a bearer token:
//
//	GET  /api/warnings                 the open warnings, the most urgent first; filters as on the overview
//	GET  /api/warnings/{id}            one warning, with its outlook
//	GET  /api/signatures               the armed signatures with their scorecards; filters and sort as on the page, all at once
//	GET  /api/signatures/{id}          one signature, said aloud
//	GET  /api/blind-spots              which signatures cannot fire here, and for want of what
//	POST /api/playground               {"yaml": "...", "input": "...", "armed": "none"}: what signatures make of an input
//	POST /api/warnings/{id}/feedback   {"verdict": "acknowledged"}, {"verdict": "averted", "remedy": "..."}
func (k *Console) api(mux *http.ServeMux) {
	k.apiSignatures(mux)
	mux.HandleFunc("GET /api/warnings", func(w http.ResponseWriter, r *http.Request) {
		f := filterOf(r.URL.Query())
		all := []matcher.Warning{}
		for _, x := range k.ranking().open {
			if w := x.warning; f.fits(&w) {
				w.Outlook = k.outlook(&w)
				all = append(all, notify.Filled(&w))
			}
		}
		writeJSON(w, http.StatusOK, all)
	})
	mux.HandleFunc("GET /api/warnings/{id}", func(w http.ResponseWriter, r *http.Request) {
		e, err := k.find(r.Context(), r.PathValue("id"))
		if err != nil {
			k.failJSON(w, err)
			return
		}
		e.warning.Outlook = k.outlook(&e.warning)
		writeJSON(w, http.StatusOK, notify.Filled(&e.warning))
	})
	mux.HandleFunc("POST /api/warnings/{id}/feedback", func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, formBytes)
		f, err := k.apiFeedback(r)
		if err != nil {
			k.failJSON(w, err)
			return
		}
		writeJSON(w, http.StatusCreated, f)
	})
}

func (k *Console) apiFeedback(r *http.Request) (sightings.Feedback, error) {
	var f sightings.Feedback
	if !personOf(r).api && !k.formHolds(r) {
		return f, k.stale(r)
	}
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
		return f, problem{http.StatusBadRequest, "this is no feedback: " + err.Error(), `send {"verdict": "acknowledged"}`}
	}
	f.Warning, f.Time = r.PathValue("id"), time.Now().UTC()
	return f, k.give(r, &f)
}
