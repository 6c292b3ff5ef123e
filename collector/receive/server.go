package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	headTime = 10 * time.Second // a request's head must come within this
	bodyTime = 30 * time.Second // and its body within this, once there is room for it
	idleTime = 2 * time.Minute  // a connection without a request is closed after this
	stopTime = 5 * time.Second  // how long requests under way may take when the server stops
)

// Server answers routes over HTTP/1.1, and over HTTP/2 with TLS.
type Server struct {
	guard    *Guard
	mux      *http.ServeMux
	observe  func(path string, status int)
	log      *slog.Logger
	listener net.Listener
}

// NewServer makes a server of routes. observe is told of every answer, and may be nil; it is called from any goroutine.
func NewServer(g *Guard, log *slog.Logger, observe func(path string, status int), routes ...Route) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{guard: g, mux: http.NewServeMux(), observe: observe, log: log}
	for _, rt := range routes {
		s.mux.HandleFunc(rt.Path, func(w http.ResponseWriter, r *http.Request) { s.serve(&rt, w, r) })
	}
	return s
}

// Handler returns the routes alone, without what listens.
func (s *Server) Handler() http.Handler { return s.mux }

// Listen opens the address, so that what is wrong with it is known before Run, and returns it.
func (s *Server) Listen(ctx context.Context) (net.Addr, error) {
	l, err := s.guard.Listen(ctx)
	if err != nil {
		return nil, err
	}
	s.listener = l
	return l.Addr(), nil
}

// Run serves until ctx is done, after [Server.Listen]. Then no connection is taken any more, and requests under way have 5 s to be
// answered; Run returns when that is over, with the cause of ctx.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if _, err := s.Listen(ctx); err != nil {
			return err
		}
	}
	h := &http.Server{
		Handler: s.mux, TLSConfig: s.guard.TLS("h2", "http/1.1"), ReadHeaderTimeout: headTime, IdleTimeout: idleTime, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() {
		if h.TLSConfig != nil {
			served <- h.ServeTLS(s.listener, "", "")
		} else {
			served <- h.Serve(s.listener)
		}
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", s.guard.Options.Listen, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := h.Shutdown(grace); err != nil {
		_ = h.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", s.guard.Options.Listen, err)
	}
	return context.Cause(ctx)
}

// Listen opens the guard's address, with its bound of connections.
func (g *Guard) Listen(ctx context.Context) (net.Listener, error) {
	l := g.Options.Listener
	if l == nil {
		var err error
		if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", g.Options.Listen); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", g.Options.Listen, err)
		}
	}
	return &bounded{Listener: l, room: make(chan struct{}, g.Options.MaxConnections), closed: make(chan struct{})}, nil
}

// bounded accepts a connection only when there is room for it; more wait in the system's queue.
type bounded struct {
	net.Listener

	room   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.room <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.room
		return nil, err
	}
	return &counted{Conn: c, leave: sync.OnceFunc(func() { <-b.room })}, nil
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// counted gives its room back when it is closed.
type counted struct {
	net.Conn

	leave func()
}

func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
