package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	eventsclient "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/client-go/rest"

	"github.com/forewarn/forewarn/collector/record"
)

// EventWriter writes Events of events.k8s.io/v1 on objects. It is safe for concurrent use.
//
// The API keeps note and reason of an Event as they were made; what can change is its series. So a further observation of the same name counts the series
// up, and one that was written before is passed over: which one was last stands in an annotation.
type EventWriter struct {
	events   eventsclient.EventsGetter
	instance string
}

// WrittenEvent is one observation.
type WrittenEvent struct {
	Name                                     string // of the Event: the same for all observations of a series
	APIVersion, Kind, Namespace, Object, UID string // of the object that it is about; Namespace is "" for one of the cluster
	Warning                                  bool   // its type: Warning, else Normal
	Reason, Action                           string
	Note                                     string // at most 1,024 bytes
	Time                                     time.Time
	Count                                    int // grows with each observation
}

// The annotations that say which observation was the first one of a series, and which was the last.
const (
	firstCount = "forewarn.dev/first"
	lastCount  = "forewarn.dev/last"
)

// EventWriterNeeds are what writing Events needs, in every namespace.
func EventWriterNeeds() Needs {
	return Needs{{APIGroups: []string{eventsv1.GroupName}, Resources: []string{"events"}, Verbs: []string{"create", "get", "patch"}}}
}

// NewEventWriter makes a writer; nothing is asked of the server.
func NewEventWriter(client *Client) (*EventWriter, error) {
	config := rest.CopyConfig(client.Config)
	config.ContentType = runtime.ContentTypeJSON
	config.Timeout = client.timeout
	events, err := eventsclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("write events: %w", err)
	}
	instance, err := os.Hostname()
	if err != nil || instance == "" {
		instance = "forewarn"
	}
	return &EventWriter{events, instance[:min(len(instance), 128)]}, nil
}

// Write makes the Event, or counts its series up. Its error IsRefused when the server will never take it.
func (w *EventWriter) Write(ctx context.Context, e WrittenEvent) error {
	in := e.Namespace
	if in == "" {
		in = metav1.NamespaceDefault // where Events of the cluster's objects are
	}
	count := strconv.Itoa(e.Count)
	kind := corev1.EventTypeNormal
	if e.Warning {
		kind = corev1.EventTypeWarning
	}
	event := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: e.Name, Namespace: in, Annotations: map[string]string{firstCount: count, lastCount: count}},
		EventTime:  metav1.NewMicroTime(e.Time), ReportingController: record.OwnEvents, ReportingInstance: w.instance,
		Action: e.Action, Reason: e.Reason, Note: e.Note, Type: kind,
		Regarding: corev1.ObjectReference{APIVersion: e.APIVersion, Kind: e.Kind, Namespace: e.Namespace, Name: e.Object, UID: types.UID(e.UID)},
	}
	what := fmt.Sprintf("event %s on %s %s", e.Name, e.Kind, e.Object)
	_, err := w.events.Events(in).Create(ctx, event, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return told("create "+what, err)
	}
	have, err := w.events.Events(in).Get(ctx, e.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("get %s: it is gone between two requests", what) // another try makes it anew
	}
	if err != nil {
		return told("get "+what, err)
	}
	first, _ := strconv.Atoi(have.Annotations[firstCount])
	last, _ := strconv.Atoi(have.Annotations[lastCount])
	if e.Count <= last {
		return nil // it was told before
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{lastCount: count}},
		"series":   eventsv1.EventSeries{Count: int32(min(e.Count-first+1, 1<<30)), LastObservedTime: metav1.NewMicroTime(e.Time)}, //nolint:gosec // bounded
	})
	if err != nil {
		return fmt.Errorf("encode %s: %w", what, err)
	}
	_, err = w.events.Events(in).Patch(ctx, e.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("patch %s: it is gone between two requests", what)
	}
	return told("patch "+what, err)
}

func told(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, advise(err))
}

// IsRefused reports whether the API server will never take the same request: it is wrong, it is not allowed, or the namespace is gone.
func IsRefused(err error) bool {
	var s apierrors.APIStatus
	if !errors.As(err, &s) {
		return false
	}
	switch s.Status().Code {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		return true
	}
	return false
}
