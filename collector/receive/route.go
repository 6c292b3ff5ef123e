package receive

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RetryAfter is what a sender is told to wait when there is no room now. Senders add jitter of their own.
const RetryAfter = 2 * time.Second

// Route is one path that a [Server] answers by POST.
type Route struct {
	Path string // such as /v1/logs
	// Types are the media types that Handle reads. A request of another type, or without one when Types has no "", is answered with 415.
	Types []string
	// Encodings are what a body may be packed with, besides not at all. Unnamed, if set, is what it is packed with when the request does not say.
	Encodings []string
	Unnamed   string
	// Handle answers one request. When it returns without error, what the request held was accepted. An error that is an [*Error] is
	// answered as it says, any other with 503: the sender comes again. ctx ends when the sender went or has waited long enough.
	Handle func(ctx context.Context, q Request) (Reply, error)
	// Fail makes the answer to a request that was refused, of whatever type it was; nil answers in plain text.
	Fail func(media string, e *Error) Reply
}

// Request is one request whose body was read and unpacked.
type Request struct {
	Media  string            // the media type, in lower case, without parameters
	Params map[string]string // the media type's parameters
	Header http.Header
	Body   []byte // the handler's own
}

// Reply is an answer. The zero Reply is 200 without a body.
type Reply struct {
	Status int
	Media  string
	Body   []byte
	Header map[string]string
}

// answer does the work of one request, and returns what to reply.
func (s *Server) answer(rt *Route, w http.ResponseWriter, r *http.Request, media string, params map[string]string) (Reply, *Error) {
	if !s.guard.Allows(r.Header.Get("Authorization")) {
		w.Header().Set("WWW-Authenticate", s.guard.challenge())
		return Reply{}, Refuse(http.StatusUnauthorized, "the Authorization header is missing or wrong")
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return Reply{}, Refuse(http.StatusMethodNotAllowed, "the method %.20s is not answered here: use POST", r.Method)
	}
	if !slices.Contains(rt.Types, media) {
		return Reply{}, Refuse(http.StatusUnsupportedMediaType, "the Content-Type %.100q is not known here: use %s", r.Header.Get("Content-Type"), strings.Join(rt.Types, " or "))
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(s.guard.Options.Wait))
	defer cancel()
	if err := s.guard.Gate.Enter(ctx); err != nil {
		return Reply{}, Refuse(http.StatusServiceUnavailable, "%v", err)
	}
	defer s.guard.Gate.Leave()
	// Whoever has room must use it: a sender that dawdles would keep others out.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTime))
	body, e := readBody(r, rt, s.guard.Options.MaxBodyMB<<20)
	_ = connection.SetReadDeadline(time.Time{})
	if e != nil {
		return Reply{}, e
	}
	reply, err := rt.Handle(ctx, Request{media, params, r.Header, body})
	switch {
	case err == nil:
		return reply, nil
	case errors.As(err, &e):
		return Reply{}, e
	case ctx.Err() != nil:
		return Reply{}, Refuse(http.StatusServiceUnavailable, "%v", ErrBusy)
	}
	return Reply{}, Refuse(http.StatusServiceUnavailable, "not accepted now, send it again later: %v", err)
}

// serve answers one request, whatever becomes of it.
func (s *Server) serve(rt *Route, w http.ResponseWriter, r *http.Request) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		media = strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Type")))
	}
	reply, e := s.answer(rt, w, r, media, params)
	if e != nil {
		if e.Retryable() {
			w.Header().Set("Retry-After", strconv.Itoa(int(RetryAfter/time.Second)))
		}
		if rt.Fail != nil {
			reply = rt.Fail(media, e)
		} else {
			reply = Reply{Media: "text/plain; charset=utf-8", Body: []byte(e.Message + "\n")}
		}
		reply.Status = e.Status
		w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	if reply.Status == 0 {
		reply.Status = http.StatusOK
	}
	if s.observe != nil {
		s.observe(rt.Path, reply.Status)
	}
	for k, v := range reply.Header {
		w.Header().Set(k, v)
	}
	if reply.Media != "" {
		w.Header().Set("Content-Type", reply.Media)
	}
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body) // a sender that does not hear the answer comes again
}
