package main

import (
	"context"
	"slices"

	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/matcher/notify"
)

// notifyEnv is what the configured destinations reach the world by. Only what one of them needs is connected to.
func (p *process) notifyEnv(ctx context.Context) (notify.Env, error) {
	env := notify.Env{Out: p.out, Style: p.style()}
	wants := func(kind string) bool {
		return slices.ContainsFunc(p.settings.Notify, func(d notify.Destination) bool { return d.Type == kind })
	}
	if wants("slack") && p.stream != nil {
		env.Threads = p.stream.Threads()
	}
	for _, d := range p.settings.Notify {
		if d.OnBus() {
			bus, err := p.stream.EventBus(ctx, d.EventSubjects())
			if err != nil {
				return env, err
			}
			env.Bus = bus
		}
	}
	if wants("kubernetes") {
		client, err := kube.Connect(p.settings.Kubernetes)
		if err != nil {
			return env, err
		}
		events, err := kube.NewEventWriter(client)
		if err != nil {
			return env, err
		}
		env.Objects = objectEvents{events}
	}
	return env, nil
}

// objectEvents hands a notifier's Events to the API server.
type objectEvents struct{ *kube.EventWriter }

// RecordEvent implements notify.EventRecorder.
func (o objectEvents) RecordEvent(ctx context.Context, e notify.ObjectEvent) error {
	err := o.Write(ctx, kube.WrittenEvent{
		Name: e.Name, APIVersion: e.On.APIVersion, Kind: e.On.Kind, Namespace: e.On.Namespace, Object: e.On.Name, UID: e.On.UID,
		Warning: e.Warning, Reason: e.Reason, Action: e.Action, Note: e.Note, Time: e.Time, Count: e.Count,
	})
	if kube.IsRefused(err) {
		return notify.Permanent(err)
	}
	return err
}
