// Package remote is what a person's machine asks of a cluster: which pods run forewarn, a connection to one of them, and a pod's logs.
//
// It needs the rights of that person, not forewarn's: get pods and pods/log, and create pods/portforward where forewarn runs.
package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/forewarn/forewarn/collector/kube"
)

// Selector chooses the pods that can tell of all of forewarn.
const Selector = "app.kubernetes.io/name=forewarn,app.kubernetes.io/component=matcher"

// Pod names a pod.
type Pod struct{ Namespace, Name string }

// Find returns a pod of forewarn that is ready, in the namespace, or in any when it is empty.
func Find(ctx context.Context, client *kube.Client, namespace, selector string) (Pod, error) {
	path, where := "/api/v1/pods", "the cluster"
	if namespace != "" {
		path, where = "/api/v1/namespaces/"+url.PathEscape(namespace)+"/pods", "the namespace "+namespace
	}
	b, err := client.Get(ctx, path, url.Values{"labelSelector": {selector}})
	if apierrors.IsForbidden(err) && namespace == "" {
		return Pod{}, fmt.Errorf("find forewarn: %w: name its namespace, if you may look there", err)
	}
	if err != nil {
		return Pod{}, fmt.Errorf("find forewarn: %w", err)
	}
	var list corev1.PodList
	if err := json.Unmarshal(b, &list); err != nil {
		return Pod{}, fmt.Errorf("find forewarn: read the list of pods: %w", err)
	}
	if len(list.Items) == 0 {
		return Pod{}, fmt.Errorf("find forewarn: no pod in %s has the labels %s: is it installed, and with other labels?", where, selector)
	}
	for i := range list.Items {
		p := &list.Items[i]
		ready := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue })
		if ready && p.DeletionTimestamp == nil {
			return Pod{p.Namespace, p.Name}, nil
		}
	}
	p := &list.Items[0]
	return Pod{}, fmt.Errorf("find forewarn: none of its %d pods is ready: see kubectl describe pod -n %s %s", len(list.Items), p.Namespace, p.Name)
}

// Log is what one run of a container wrote.
type Log struct {
	Container string
	Restarts  int // how often it had been restarted before
	// Text has a line for each of its lines, which begins with an RFC 3339 time and a space.
	Text []byte
}

// Logs are those of a pod.
type Logs struct {
	Pod  Pod
	UID  string
	Logs []Log
	// Missing says of which runs there are no logs, and why.
	Missing []string
}

// ReadLogs reads what the containers of a pod wrote, all of them or the one that is named, now and before their last restart; since bounds how
// far back, 0 not at all.
func ReadLogs(ctx context.Context, client *kube.Client, pod Pod, container string, since time.Duration) (*Logs, error) {
	path := "/api/v1/namespaces/" + url.PathEscape(pod.Namespace) + "/pods/" + url.PathEscape(pod.Name)
	b, err := client.Get(ctx, path, nil)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no pod %s in the namespace %s: name another namespace, or see kubectl get pods", pod.Name, pod.Namespace)
	}
	if err != nil {
		return nil, err
	}
	var p corev1.Pod
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("read pod %s: %w", pod.Name, err)
	}
	out := &Logs{Pod: Pod{p.Namespace, p.Name}, UID: string(p.UID)}
	var names []string
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses) {
		names = append(names, s.Name)
		if container != "" && s.Name != container {
			continue
		}
		if s.RestartCount > 0 {
			out.read(ctx, client, path, s, true, since)
		}
		out.read(ctx, client, path, s, false, since)
	}
	if container != "" && !slices.Contains(names, container) {
		return nil, fmt.Errorf("pod %s has no container %q: it has %s", pod.Name, container, strings.Join(names, ", "))
	}
	if len(out.Logs) == 0 {
		return nil, errors.New("there are no logs: " + strings.Join(out.Missing, "; "))
	}
	return out, nil
}

func (l *Logs) read(ctx context.Context, client *kube.Client, path string, s corev1.ContainerStatus, previous bool, since time.Duration) {
	q := url.Values{"container": {s.Name}, "timestamps": {"true"}}
	restarts, which := int(s.RestartCount), s.Name
	if previous {
		q.Set("previous", "true")
		restarts--
		which += " before its last restart"
	}
	if since > 0 {
		q.Set("sinceSeconds", fmt.Sprint(int(max(since, time.Second).Seconds())))
	}
	b, err := client.Get(ctx, path+"/log", q)
	switch {
	case err != nil:
		l.Missing = append(l.Missing, which+": "+err.Error())
	case len(b) == 0:
		l.Missing = append(l.Missing, which+": it wrote nothing")
	default:
		l.Logs = append(l.Logs, Log{Container: s.Name, Restarts: restarts, Text: b})
	}
}
