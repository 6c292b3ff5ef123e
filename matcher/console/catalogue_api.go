package console

import (
	"encoding/json"
	"net/http"
)

// apiSignatures answers programs that ask about signatures.
func (k *Console) apiSignatures(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/signatures", func(w http.ResponseWriter, r *http.Request) {
		armed := k.c.Arms.Armed()
		s := searchOf(r.URL.Query())
		fitting := []Entry{}
		for _, e := range k.entries(&armed) {
			if of, ok := armed.Set.Get(e.ID); ok && s.fits(&e, of) {
				fitting = append(fitting, e)
			}
		}
		s.order(fitting)
		writeJSON(w, http.StatusOK, fitting)
	})
	mux.HandleFunc("GET /api/signatures/{id}", func(w http.ResponseWriter, r *http.Request) {
		d, err := k.detail(r.PathValue("id"))
		if err != nil {
			k.failJSON(w, err)
			return
		}
		writeJSON(w, http.StatusOK, d)
	})
	mux.HandleFunc("GET /api/blind-spots", func(w http.ResponseWriter, _ *http.Request) {
		armed := k.c.Arms.Armed()
		given, known := k.given()
		if !known || given.Processes == 0 {
			k.failJSON(w, problem{http.StatusServiceUnavailable, "no matching process says what it sees", "start forewarn run or forewarn match, and ask again in a few seconds"})
			return
		}
		writeJSON(w, http.StatusOK, FindBlindSpots(armed.Set.All(), given))
	})
	mux.HandleFunc("POST /api/playground", func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, workBytes)
		if !personOf(r).api && !k.formHolds(r) {
			k.failJSON(w, k.stale(r))
			return
		}
		var q question
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			k.failJSON(w, problem{http.StatusBadRequest, "this is no trial: " + err.Error(), `send {"yaml": "...", "input": "..."}`})
			return
		}
		out, err := k.runTrial(r, &q)
		if err != nil {
			k.failJSON(w, err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	})
}
