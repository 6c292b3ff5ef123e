package format

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strings"
	"time"
)

// authority tells until when a bundle of certificates is of use: as long as one of them is valid.
func (d *objectDecoder) authority(path string, bundle any) {
	encoded, _ := bundle.(string)
	if c := readCertificates([]byte(encoded)); c != nil {
		d.expiry(path, c.latest)
	}
}

// expiry puts when certificates expire, and how near that is: 30d, 7d, 1d or expired.
func (d *objectDecoder) expiry(path string, notAfter time.Time) {
	d.put(path+"notAfter", notAfter.UTC().Format(time.RFC3339), 0)
	near, since, due := nearness(notAfter.UnixNano(), d.now)
	d.put(path+"expires", near, since)
	if due != 0 && (d.due == 0 || due < d.due) {
		d.due = due
	}
}

// nearness says how near a time is, since when that has been so, and when it will be otherwise. A zero present is never near.
func nearness(end, now int64) (near string, since, due int64) {
	if now == 0 {
		return "", 0, 0
	}
	for _, step := range [...]struct {
		before int64
		name   string
	}{{30 * day, "30d"}, {7 * day, "7d"}, {day, "1d"}, {0, "expired"}} {
		if now < end-step.before {
			return near, since, end - step.before
		}
		near, since = step.name, end-step.before
	}
	return near, since, 0
}

// Pass tells what has changed by time alone: certificates that came nearer to their end. Call it now and then.
func (x *Objects) Pass(kind string) {
	now := x.in.now()
	var ids []string
	for id, due := range x.due {
		if due <= now {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		was, known := x.states.get(id)
		delete(x.due, id)
		if !known {
			continue
		}
		old := x.recall(id, was)
		d := objectDecoder{leaves: map[string]leaf{}, now: now, stamps: x.stamps}
		for _, l := range old.leaves {
			if !strings.HasSuffix(l.path, ".expires") {
				d.leaves[l.path] = l.leaf
			}
		}
		for _, l := range old.leaves {
			if end, ok := strings.CutSuffix(l.path, ".notAfter"); ok {
				d.expiry(end+".", timeOf(l.value))
			}
		}
		o := &object{id: id, kind: kind, attrs: old.attrs}
		sorted := d.sorted()
		x.begun = x.told
		x.differences(change{object: o, verb: "modified"}, old, sorted, when{known: true, at: now, last: was.last, told: old.times})
		list := x.list
		x.list = was.list
		x.remember(id, recalled{sorted, old.times, old.attrs}, was.last, d.due)
		x.list = list
	}
}

// certificateOf reads when the certificate in a Secret of type kubernetes.io/tls expires. Nothing else of the Secret's data is looked at.
func certificateOf(secret []byte) *certificates {
	if kind, _ := member(secret, "type"); string(unquoted(kind)) != "kubernetes.io/tls" {
		return nil
	}
	data, _ := member(secret, "data")
	crt, _ := member(data, "tls.crt")
	return readCertificates(unquoted(crt))
}

// certificates are when those of one text expire.
type certificates struct{ earliest, latest time.Time }

// readCertificates reads certificates in PEM in base64, as objects have them. It returns nil when there is none.
func readCertificates(encoded []byte) *certificates {
	text := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Decode(text, encoded)
	if err != nil {
		return nil
	}
	var c *certificates
	for rest := bytes.TrimSpace(text[:n]); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return c
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		one, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil:
			continue
		case c == nil:
			c = &certificates{one.NotAfter, one.NotAfter}
		case one.NotAfter.Before(c.earliest):
			c.earliest = one.NotAfter
		case one.NotAfter.After(c.latest):
			c.latest = one.NotAfter
		}
	}
}
