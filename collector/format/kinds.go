package format

import "strconv"

// specField reports whether a part of spec is compared.
func specField(kind, key string) bool {
	switch key {
	case "replicas", "paused", "suspend", "unschedulable", "nodeName", "taints", "volumeName", "storageClassName", "holderIdentity",
		"leaseTransitions", "minReplicas", "maxReplicas", "hard", "minAvailable", "maxUnavailable", "parallelism", "completions", "resources":
		return true
	}
	switch kind {
	case "Service":
		return key == "type" || key == "selector" || key == "ports" || key == "externalName"
	case "Ingress":
		return key == "ingressClassName" || key == "tls" || key == "rules" || key == "defaultBackend"
	case "CronJob":
		return key == "schedule" || key == "concurrencyPolicy"
	case "Job":
		return key == "backoffLimit" || key == "activeDeadlineSeconds"
	case "APIService":
		return key == "service"
	}
	return false
}

// specPart reports whether a part of spec is needed.
func specPart(kind, key string) bool {
	switch key {
	case "containers", "template", "claimRef", "scaleTargetRef", "source":
		return true
	case "caBundle":
		return kind == "APIService"
	case "versions", "conversion":
		return kind == "CustomResourceDefinition"
	}
	return specField(kind, key)
}

// rootPart reports whether a part of an object besides metadata, spec and status is needed.
func rootPart(kind, key string) bool {
	switch kind {
	case "EndpointSlice":
		return key == "endpoints"
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		return key == "webhooks"
	}
	return false
}

// kind takes apart what only some kinds have.
func (d *objectDecoder) kind(o *object) {
	switch o.kind {
	case "EndpointSlice":
		d.endpoints(o.parts["endpoints"])
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		for i, x := range list(o.parts["webhooks"]) {
			hook, _ := x.(map[string]any)
			path := "webhooks[" + firstOf(text(hook["name"]), strconv.Itoa(i)) + "]."
			d.put(path+"failurePolicy", text(hook["failurePolicy"]), 0)
			d.put(path+"timeoutSeconds", text(hook["timeoutSeconds"]), 0)
			d.client(path+"clientConfig.", child(hook, "clientConfig"))
		}
	case "APIService":
		d.authority("spec.caBundle.", child(o.parts, "spec")["caBundle"])
	case "CustomResourceDefinition":
		spec := child(o.parts, "spec")
		for i, x := range list(spec["versions"]) {
			v, _ := x.(map[string]any)
			path := "spec.versions[" + firstOf(text(v["name"]), strconv.Itoa(i)) + "]."
			for _, key := range [...]string{"served", "storage", "deprecated"} {
				d.put(path+key, text(v[key]), 0)
			}
		}
		conversion := child(spec, "conversion")
		d.put("spec.conversion.strategy", text(conversion["strategy"]), 0)
		d.client("spec.conversion.webhook.clientConfig.", child(child(conversion, "webhook"), "clientConfig"))
	case "Secret":
		if o.certificate != nil {
			d.expiry("tls.", o.certificate.earliest)
		}
	}
}

// endpoints counts the addresses of an EndpointSlice: which they are would be a change for every pod, and they are the pods'.
func (d *objectDecoder) endpoints(v any) {
	ready, serving, total := 0, 0, 0
	for _, x := range list(v) {
		e, _ := x.(map[string]any)
		n := max(len(list(e["addresses"])), 1)
		conditions := child(e, "conditions")
		is := func(key string, unsaid any) bool { // a condition that is not said is what its documentation says
			if v := conditions[key]; v != nil {
				return v == true
			}
			return unsaid == true
		}
		total += n
		if is("ready", true) {
			ready += n
		}
		if is("serving", is("ready", true)) {
			serving += n
		}
	}
	d.put("endpoints.ready", strconv.Itoa(ready), 0)
	d.put("endpoints.serving", strconv.Itoa(serving), 0)
	d.put("endpoints.total", strconv.Itoa(total), 0)
}

// client is how the API server reaches a webhook.
func (d *objectDecoder) client(path string, config map[string]any) {
	d.put(path+"url", text(config["url"]), 0)
	service := child(config, "service")
	for _, key := range [...]string{"namespace", "name", "port"} {
		d.put(path+"service."+key, text(service[key]), 0)
	}
	d.authority(path+"caBundle.", config["caBundle"])
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}
