// Package rbac makes the rules of the roles that the chart grants, out of what the code declares that it needs.
package rbac

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/signatures/crd"
)

// Grant is what one role may do.
type Grant struct {
	// Name of the role; Scope is cluster or namespace.
	Name, Scope string
	Needs       kube.Needs
}

// File is where the chart keeps the rules, under deploy/helm/forewarn.
func (g Grant) File() string { return "files/rbac/" + g.Name + "-" + g.Scope + ".yaml" }

// Grants are all roles.
func Grants() ([]Grant, error) {
	var leases kube.LeaseOptions
	var changes kube.ChangesOptions
	changed, err := changes.Needs()
	if err != nil {
		return nil, err
	}
	return []Grant{
		{"signatures", "cluster", crd.Needs()},
		{"signatures", "namespace", kube.LeaseNeeds(leases.LeaseName("signatures"))},
		{"collector", "cluster", slices.Concat(kube.EventsNeeds(), changed, kube.InventoryNeeds())},
		{"collector", "namespace", kube.LeaseNeeds(leases.LeaseName("cluster"))},
		{"node", "cluster", kube.FollowNodeNeeds()},
		{"events", "cluster", kube.EventWriterNeeds()},
	}, nil
}

// YAML writes the rules as the chart includes them: rules of the same verbs are joined by group, everything is in order, so that the same needs give
// the same text.
func (g Grant) YAML() ([]byte, error) {
	type rule struct {
		APIGroups       []string `yaml:"apiGroups,omitempty,flow"`
		Resources       []string `yaml:"resources,omitempty,flow"`
		ResourceNames   []string `yaml:"resourceNames,omitempty,flow"`
		NonResourceURLs []string `yaml:"nonResourceURLs,omitempty,flow"`
		Verbs           []string `yaml:"verbs,flow"`
	}
	joined := map[string]*rule{}
	for _, r := range split(g.Needs) {
		key := fmt.Sprint(r.APIGroups, r.ResourceNames, len(r.NonResourceURLs) > 0, r.Verbs)
		if joined[key] == nil {
			joined[key] = &rule{APIGroups: r.APIGroups, ResourceNames: r.ResourceNames, Verbs: r.Verbs}
		}
		joined[key].Resources = append(joined[key].Resources, r.Resources...)
		joined[key].NonResourceURLs = append(joined[key].NonResourceURLs, r.NonResourceURLs...)
	}
	var all []*rule
	for _, r := range joined {
		slices.Sort(r.Resources)
		slices.Sort(r.NonResourceURLs)
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *rule) int {
		return cmp.Or(slices.Compare(a.APIGroups, b.APIGroups), slices.Compare(a.Resources, b.Resources), slices.Compare(a.NonResourceURLs, b.NonResourceURLs), slices.Compare(a.ResourceNames, b.ResourceNames))
	})
	var out bytes.Buffer
	out.WriteString("# Made of what the code declares by `go generate ./deploy/rbac`.\n")
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(all); err != nil {
		return nil, fmt.Errorf("write the rules of %s: %w", g.Name, err)
	}
	return out.Bytes(), e.Close()
}

// split makes one rule for each group and resource, and joins the verbs of those that are named several times.
func split(needs kube.Needs) []rbacv1.PolicyRule {
	verbs := map[string]*rbacv1.PolicyRule{}
	add := func(r rbacv1.PolicyRule, more []string) {
		key := strings.Join([]string{fmt.Sprint(r.APIGroups), fmt.Sprint(r.Resources), fmt.Sprint(r.ResourceNames), fmt.Sprint(r.NonResourceURLs)}, "\x00")
		if verbs[key] == nil {
			verbs[key] = &r
		}
		verbs[key].Verbs = append(verbs[key].Verbs, more...)
	}
	for _, r := range needs {
		for _, url := range r.NonResourceURLs {
			add(rbacv1.PolicyRule{NonResourceURLs: []string{url}}, r.Verbs)
		}
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				names := slices.Sorted(slices.Values(r.ResourceNames))
				add(rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: names}, r.Verbs)
			}
		}
	}
	var out []rbacv1.PolicyRule
	for _, r := range verbs {
		slices.Sort(r.Verbs)
		r.Verbs = slices.Compact(r.Verbs)
		out = append(out, *r)
	}
	return out
}
