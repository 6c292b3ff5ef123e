package crd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Options of a [Watcher].
type Options struct {
	// Config reaches the API server. Required; it is copied.
	Config *rest.Config
	// Logger gets changes of state. Default: none.
	Logger *slog.Logger
	// MinDelay and MaxDelay bound the time between two tries while the API server does not answer. Default 500ms and 30s.
	MinDelay, MaxDelay time.Duration
	// MissingAfter is how long the API server must say that it has no such kind before resources that were known count as deleted: while it
	// starts it may say so of kinds that it has. Default 30s.
	MissingAfter time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Watcher follows the custom resources. Its methods may be called from any goroutine.
type Watcher struct {
	o      Options
	client dynamic.Interface

	mu     sync.Mutex
	known  map[Ref]*Resource
	synced map[Kind]bool
	moved  chan struct{} // has an element when a status may need writing
}

// NewWatcher makes a watcher that follows nothing until [Watcher.Run].
func NewWatcher(o Options) (*Watcher, error) {
	if o.Config == nil {
		return nil, errors.New("watch custom resources: no connection")
	}
	client, err := dynamic.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("watch custom resources: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, d := range []struct {
		at    *time.Duration
		value time.Duration
	}{{&o.MinDelay, 500 * time.Millisecond}, {&o.MaxDelay, 30 * time.Second}, {&o.MissingAfter, 30 * time.Second}} {
		if *d.at <= 0 {
			*d.at = d.value
		}
	}
	return &Watcher{o: o, client: client, known: map[Ref]*Resource{}, synced: map[Kind]bool{}, moved: make(chan struct{}, 1)}, nil
}

// Run follows both kinds until ctx ends, and then returns nil. It calls changed, from one goroutine at a time, whenever [Watcher.Resources] gives
// something else than before: once all of them are known, and then for each change of a spec. An API server that does not answer, or
// has no such kinds, is asked again.
func (w *Watcher) Run(ctx context.Context, changed func()) error {
	var wait sync.WaitGroup
	var one sync.Mutex
	tell := func() {
		one.Lock()
		defer one.Unlock()
		changed()
	}
	for _, kind := range Kinds() {
		wait.Go(func() { w.follow(ctx, kind, tell) })
	}
	wait.Wait()
	return nil
}

// Prime lists both kinds once, so that a process starts with what the cluster holds. Its error is no reason not to Run: that asks again.
func (w *Watcher) Prime(ctx context.Context) error {
	var all []error
	for _, kind := range Kinds() {
		if _, err := w.list(ctx, kind, func() {}); err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// Resources returns what is known, in the order of the names. complete is false until both kinds were listed: what is missing then may exist.
func (w *Watcher) Resources() (all []*Resource, complete bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all = slices.SortedFunc(maps.Values(w.known), func(a, b *Resource) int { return strings.Compare(a.Ref.String(), b.Ref.String()) })
	return all, w.complete()
}

func (w *Watcher) complete() bool { return len(w.synced) == len(Kinds()) }

// follow lists and watches one kind until ctx ends.
func (w *Watcher) follow(ctx context.Context, kind Kind, changed func()) {
	delay := w.o.MinDelay
	var missing time.Time // since when the API server says that it has no such kind
	failing := ""
	for ctx.Err() == nil {
		version, err := w.list(ctx, kind, changed)
		if apierrors.IsNotFound(err) {
			if missing.IsZero() {
				missing = w.o.Now()
				w.o.Logger.Warn("the cluster has no such custom resource: apply deploy/crds to arm signatures from it", "kind", string(kind))
			}
			if w.none(kind) || w.o.Now().Sub(missing) >= w.o.MissingAfter {
				w.replace(kind, nil, changed)
			}
		} else {
			missing = time.Time{}
		}
		if err == nil {
			if failing != "" {
				w.o.Logger.Info("custom resources can be read again", "kind", string(kind))
			}
			failing, delay = "", w.o.MinDelay
			err = w.watch(ctx, kind, version, changed)
		}
		if err != nil && ctx.Err() == nil && err.Error() != failing && !apierrors.IsNotFound(err) {
			failing = err.Error()
			w.o.Logger.Warn("custom resources cannot be read; what is known stays armed, and they are asked for again", "kind", string(kind), "error", err)
		}
		if !sleep(ctx, delay/2+rand.N(delay/2+1)) {
			return
		}
		if err != nil {
			delay = min(2*delay, w.o.MaxDelay)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// none reports whether no resource of the kind is known.
func (w *Watcher) none(kind Kind) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ref := range w.known {
		if ref.Kind == kind {
			return false
		}
	}
	return true
}

// pageSize bounds what one answer of the API server holds.
const pageSize = 250

// list reads all resources of the kind, and returns the version from which they can be watched.
func (w *Watcher) list(ctx context.Context, kind Kind, changed func()) (version string, err error) {
	var all []*unstructured.Unstructured
	o := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := w.client.Resource(kind.Resource()).List(ctx, o)
		if apierrors.IsResourceExpired(err) && o.Continue != "" { // it took too long to read the pages
			all, o = nil, metav1.ListOptions{}
			continue
		}
		if err != nil {
			return "", fmt.Errorf("list %s: %w", kind.Resource().Resource, err)
		}
		for i := range page.Items {
			all = append(all, &page.Items[i])
		}
		if o.Continue = page.GetContinue(); o.Continue == "" {
			w.replace(kind, all, changed)
			return page.GetResourceVersion(), nil
		}
	}
}

// watch follows the kind from the version on. It returns nil when the watch came to its end.
func (w *Watcher) watch(ctx context.Context, kind Kind, version string, changed func()) error {
	for ctx.Err() == nil {
		began := w.o.Now()
		seconds := int64(300 + rand.IntN(300))
		watching, err := w.client.Resource(kind.Resource()).Watch(ctx, metav1.ListOptions{ResourceVersion: version, AllowWatchBookmarks: true, TimeoutSeconds: &seconds})
		if err != nil {
			return fmt.Errorf("watch %s: %w", kind.Resource().Resource, err)
		}
		version, err = w.drain(ctx, kind, version, watching, changed)
		watching.Stop()
		if err != nil {
			return err
		}
		if w.o.Now().Sub(began) < time.Second {
			return nil // the server ends watches as soon as they begin: list again, after a while
		}
	}
	return nil
}

// drain takes what the watch says until it ends, and returns the version that it came to.
func (w *Watcher) drain(ctx context.Context, kind Kind, version string, watching watch.Interface, changed func()) (string, error) {
	for {
		select {
		case <-ctx.Done():
			return version, nil
		case e, open := <-watching.ResultChan():
			if !open {
				return version, nil
			}
			if e.Type == watch.Error {
				err := apierrors.FromObject(e.Object)
				if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
					return version, nil // list again
				}
				return version, fmt.Errorf("watch %s: %w", kind.Resource().Resource, err)
			}
			object, ok := e.Object.(*unstructured.Unstructured)
			if !ok {
				return version, fmt.Errorf("watch %s: the API server sent a %T", kind.Resource().Resource, e.Object)
			}
			version = object.GetResourceVersion()
			switch e.Type {
			case watch.Added, watch.Modified:
				w.put(kind, object, changed)
			case watch.Deleted:
				w.remove(kind, object, changed)
			case watch.Bookmark, watch.Error:
			}
		}
	}
}

// replace makes what is known of a kind the listed objects.
func (w *Watcher) replace(kind Kind, objects []*unstructured.Unstructured, changed func()) {
	w.mu.Lock()
	news := !w.synced[kind]
	w.synced[kind] = true
	news = news && w.complete()
	listed := make(map[Ref]bool, len(objects))
	for _, object := range objects {
		ref := Ref{kind, object.GetNamespace(), object.GetName()}
		listed[ref] = true
		was := w.known[ref]
		w.known[ref] = read(kind, object, was)
		news = news || was == nil || was.Hash != w.known[ref].Hash
	}
	for ref := range w.known {
		if ref.Kind == kind && !listed[ref] {
			delete(w.known, ref)
			news = true
		}
	}
	complete := w.complete()
	w.mu.Unlock()
	w.move()
	if news && complete {
		changed()
	}
}

func (w *Watcher) put(kind Kind, object *unstructured.Unstructured, changed func()) {
	w.mu.Lock()
	ref := Ref{kind, object.GetNamespace(), object.GetName()}
	was := w.known[ref]
	w.known[ref] = read(kind, object, was)
	news := was == nil || was.Hash != w.known[ref].Hash
	complete := w.complete()
	w.mu.Unlock()
	w.move()
	if news && complete {
		changed()
	}
}

func (w *Watcher) remove(kind Kind, object *unstructured.Unstructured, changed func()) {
	w.mu.Lock()
	delete(w.known, Ref{kind, object.GetNamespace(), object.GetName()})
	complete := w.complete()
	w.mu.Unlock()
	if complete {
		changed()
	}
}

// move tells the reporter that there may be something to write.
func (w *Watcher) move() {
	select {
	case w.moved <- struct{}{}:
	default: // it will look anyway
	}
}

// wrote notes the status of a resource that was just written, until the API server sends it.
func (w *Watcher) wrote(r *Resource, s Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, ok := w.known[r.Ref]
	if !ok || now.uid != r.uid {
		return
	}
	c := *now
	c.status = s
	w.known[r.Ref] = &c
}
