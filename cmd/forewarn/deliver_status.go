package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher/console"
)

// notifyStatus is the role in the keys of the delivering processes' statuses.
const notifyStatus = "notify"

// deliveryStatus is what a delivering process says of itself.
type deliveryStatus struct {
	Instance     string                `json:"instance"`
	Time         time.Time             `json:"time"`
	Stopped      bool                  `json:"stopped,omitempty"`
	Destinations []console.Destination `json:"destinations"`
}

// deliveryStatus returns nil for a process that does not deliver.
func (p *process) deliveryStatus() *deliveryStatus {
	if !p.roles.notify {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	st := &deliveryStatus{Instance: host + "-" + strconv.Itoa(os.Getpid()), Time: time.Now().UTC()}
	for _, d := range p.deliveries {
		c := d.Counts()
		st.Destinations = append(st.Destinations, console.Destination{Name: d.Name, Delivered: c.Delivered, Failed: c.Failed, Refused: c.Refused, LastError: c.LastError})
	}
	return st
}

// tellDeliveries tells every few seconds what became of the warnings, for the console, until ctx ends.
func (p *process) tellDeliveries(ctx context.Context) error {
	failing := false
	put := func(ctx context.Context, stopped bool) {
		st := p.deliveryStatus()
		st.Stopped = stopped
		b, err := json.Marshal(st)
		if err == nil {
			err = p.stream.PutStatus(ctx, stream.StatusKey(notifyStatus, st.Instance), b)
		}
		if err != nil && !failing && ctx.Err() == nil {
			p.log.Warn("the deliveries' status cannot be told", "error", err)
		}
		failing = err != nil
	}
	t := time.NewTicker(goneAfter / 3)
	defer t.Stop()
	for {
		put(ctx, false)
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			put(last, true)
			return nil
		case <-t.C:
		}
	}
}

// deliveriesTold decodes the statuses of the delivering processes that did not stop, by instance.
func deliveriesTold(raw map[string][]byte) (map[string]deliveryStatus, error) {
	all := map[string]deliveryStatus{}
	for _, b := range stream.StatusesOf(notifyStatus, raw) {
		var st deliveryStatus
		if err := json.Unmarshal(b, &st); err != nil {
			return nil, fmt.Errorf("decode the status of a delivering process: %w", err)
		}
		if !st.Stopped {
			all[st.Instance] = st
		}
	}
	return all, nil
}

// mergeDeliveries sums over the processes that serve a destination, one at a time.
func mergeDeliveries(all map[string]deliveryStatus) (merged []console.Destination) {
	by := map[string]int{}
	for _, st := range all {
		for _, d := range st.Destinations {
			i, known := by[d.Name]
			if !known {
				by[d.Name] = len(merged)
				merged = append(merged, d)
				continue
			}
			m := &merged[i]
			m.Delivered, m.Failed, m.Refused = m.Delivered+d.Delivered, m.Failed+d.Failed, m.Refused+d.Refused
			m.LastError = cmp.Or(m.LastError, d.LastError)
		}
	}
	slices.SortFunc(merged, func(a, b console.Destination) int { return cmp.Compare(a.Name, b.Name) })
	return merged
}
