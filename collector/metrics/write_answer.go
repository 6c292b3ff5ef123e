package metrics

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// refusal is an answer other than 204.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) error {
	return refusal{status, fmt.Sprintf(format, args...)}
}

// answer writes the answer. What was written is counted in headers, as remote write 2.0 asks for; what no signature needs counts as written.
func (v *receiver) answer(w http.ResponseWriter, q *request, err error) {
	samples, histograms := 0, 0
	if q != nil {
		samples, histograms = q.samples, q.histograms
		if len(q.refused) > 0 && err == nil {
			err = refuse(http.StatusBadRequest, "%v", errors.Join(q.refused...))
		} else if err != nil {
			samples, histograms = 0, 0
		}
	}
	h := w.Header()
	h.Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(samples))
	h.Set("X-Prometheus-Remote-Write-Histograms-Written", strconv.Itoa(histograms))
	h.Set("X-Prometheus-Remote-Write-Exemplars-Written", "0")
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	no, ok := errors.AsType[refusal](err)
	if !ok {
		no = refusal{http.StatusInternalServerError, err.Error()}
	}
	switch no.status {
	case http.StatusUnauthorized:
		scheme := "Bearer"
		if v.o.User != "" {
			scheme = "Basic"
		}
		h.Set("WWW-Authenticate", scheme+` realm="forewarn"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(1+rand.IntN(5))) // many shards must not come back at the same moment
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodPost)
	}
	v.c.Meter.Lost(statusReason(no.status), 1)
	http.Error(w, no.text, no.status)
}

// statusReason is under which name a refused request is counted.
func statusReason(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "requests_unauthorized"
	case http.StatusRequestEntityTooLarge:
		return "requests_too_large"
	case http.StatusUnsupportedMediaType:
		return "requests_unsupported"
	case http.StatusServiceUnavailable:
		return "requests_put_off"
	default:
		return "requests_bad"
	}
}

// admit looks at everything but the body.
func (v *receiver) admit(w http.ResponseWriter, r *http.Request) error {
	switch {
	case r.URL.Path != cmp.Or(v.o.Path, defaultWritePath):
		return refuse(http.StatusNotFound, "there is nothing here: remote write goes to %s", cmp.Or(v.o.Path, defaultWritePath))
	case r.Method != http.MethodPost:
		return refuse(http.StatusMethodNotAllowed, "remote write is a POST")
	}
	if err := v.authorize(r); err != nil {
		return err
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "snappy") {
		return refuse(http.StatusUnsupportedMediaType, "content encoding %.40q: remote write is packed with snappy", encoding)
	}
	if _, err := protocol(r); err != nil {
		return err
	}
	if r.ContentLength > v.body {
		w.Header().Set("Connection", "close") // or the server reads what nobody wants
		return refuse(http.StatusRequestEntityTooLarge, "a body of %d bytes: at most %d are taken", r.ContentLength, v.body)
	}
	return nil
}

// protocol tells by the content type which message comes. Old senders of 1.0 name none.
func protocol(r *http.Request) (v2 bool, err error) {
	contentType := r.Header.Get("Content-Type")
	if contentType == "" {
		return false, nil
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/x-protobuf" {
		return false, refuse(http.StatusUnsupportedMediaType, "content type %.100q: remote write is application/x-protobuf", contentType)
	}
	switch params["proto"] {
	case "", "prometheus.WriteRequest":
		return false, nil
	case "io.prometheus.write.v2.Request":
		return true, nil
	default:
		return false, refuse(http.StatusUnsupportedMediaType, "message %.100q: prometheus.WriteRequest and io.prometheus.write.v2.Request are taken", params["proto"])
	}
}

func (v *receiver) authorize(r *http.Request) error {
	switch {
	case v.o.TokenFile != "":
		token, err := secret(v.o.TokenFile)
		if err != nil {
			return refuse(http.StatusServiceUnavailable, "the token that senders must have can't be read")
		}
		if got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && equalSecret(got, token) {
			return nil
		}
	case v.o.User != "":
		password, err := secret(v.o.PasswordFile)
		if err != nil {
			return refuse(http.StatusServiceUnavailable, "the password that senders must have can't be read")
		}
		if user, got, ok := r.BasicAuth(); ok && equalSecret(user, v.o.User) && equalSecret(got, password) {
			return nil
		}
	default:
		return nil
	}
	return refuse(http.StatusUnauthorized, "the credentials are missing or wrong")
}

func equalSecret(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
