package console

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/forewarn/forewarn/matcher"
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
		var open []ranked
		for _, e := range k.c.View.since(0) {
			if !e.warning.State.Final() && f.fits(&e.warning) {
				e.warning.Outlook = k.outlook(&e.warning)
				open = append(open, ranked{e, rank(&e.warning, forecastOf(&e.warning, e.warning.Outlook))})
			}
		}
		slices.SortFunc(open, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
		all := make([]matcher.Warning, 0, len(open))
		for i := range open {
			all = append(all, open[i].warning)
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
		writeJSON(w, http.StatusOK, e.warning)
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
		return f, errStaleForm
	}
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
		return f, problem{http.StatusBadRequest, "this is no feedback: " + err.Error(), `send {"verdict": "acknowledged"}`}
	}
	f.Warning, f.Time = r.PathValue("id"), time.Now().UTC()
	return f, k.give(r, &f)
}
