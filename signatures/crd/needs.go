package crd

import rbacv1 "k8s.io/api/rbac/v1"

// Needs are what a process that arms custom resources and writes their statuses must be allowed to do in the cluster.
func Needs() []rbacv1.PolicyRule {
	var all, statuses []string
	for _, k := range Kinds() {
		all = append(all, k.Resource().Resource)
		statuses = append(statuses, k.Resource().Resource+"/status")
	}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{Group}, Resources: all, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{Group}, Resources: statuses, Verbs: []string{"patch"}},
	}
}
