package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
)

// page reads one page of a list and gives its items one by one, so that no more than one is held. It returns the list's resource version, and
// where the next page begins, empty after the last one. An error of item is returned as it is; what the server or the connection did is a
// readError or errExpired.
func (c *Client) page(ctx context.Context, path string, p url.Values, item func(object []byte) error) (version, next string, err error) {
	body, err := c.Open(ctx, path, p)
	if err != nil {
		return "", "", failed(err)
	}
	defer func() { _ = body.Close() }()
	d := json.NewDecoder(body)
	bad := func(err error) error { return readError{fmt.Errorf("read the list %s: %w", path, err)} }
	if _, err := d.Token(); err != nil {
		return "", "", bad(err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", "", bad(err)
		}
		switch key {
		case "metadata":
			var m struct{ ResourceVersion, Continue string }
			err = d.Decode(&m)
			version, next = m.ResourceVersion, m.Continue
		case "items":
			var refused error
			if refused, err = items(d, item); refused != nil {
				return "", "", refused
			}
		default:
			var skipped json.RawMessage
			err = d.Decode(&skipped)
		}
		if err != nil {
			return "", "", bad(err)
		}
	}
	if _, err := d.Token(); err != nil { // a list that was cut off is none
		return "", "", bad(err)
	}
	return version, next, nil
}

func items(d *json.Decoder, item func(object []byte) error) (refused, err error) {
	open, err := d.Token()
	if err != nil || open == nil { // "items": null is an empty list
		return nil, err
	}
	for d.More() {
		var object json.RawMessage
		if err := d.Decode(&object); err != nil {
			return nil, err
		}
		if err := item(object); err != nil {
			return err, nil
		}
	}
	_, err = d.Token()
	return nil, err
}

// all reads a list in pages of so many items. A list that expires between two pages ends with errExpired.
func (c *Client) all(ctx context.Context, path string, p url.Values, limit int, item func(object []byte) error) error {
	if p == nil {
		p = url.Values{}
	}
	p.Set("limit", strconv.Itoa(limit))
	for {
		_, next, err := c.page(ctx, path, p, item)
		if err != nil || next == "" {
			return err
		}
		p.Set("continue", next)
	}
}
