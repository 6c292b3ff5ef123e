//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/forewarn/forewarn/deploy/cluster"
	"github.com/forewarn/forewarn/deploy/rbac"
	"github.com/forewarn/forewarn/signatures/crd"
)

// eventually waits for what a cluster and other processes do, on a machine that does much else.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 2*time.Minute, 100*time.Millisecond, "%s", what)
}

func resourceOf(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: crd.Group, Version: crd.Version, Resource: plural}
}

// audited are the flags by which an API server writes down what the service accounts of the namespace forewarn ask for.
func audited(t *testing.T) (flags []string, log string) {
	t.Helper()
	dir := t.TempDir()
	policy, log := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "audit.log")
	require.NoError(t, os.WriteFile(policy, []byte(`apiVersion: audit.k8s.io/v1
kind: Policy
rules: [{level: Metadata, userGroups: ["system:serviceaccounts:forewarn"]}, {level: None}]
`), 0o600))
	return []string{"--audit-policy-file=" + policy, "--audit-log-path=" + log}, log
}

// asAccount writes the configuration of a part of the chart, changed so that it runs outside of a pod as the part's service account.
func asAccount(t *testing.T, c *cluster.Cluster, all []*unstructured.Unstructured, part string, change func(tree map[string]any)) (config string) {
	t.Helper()
	_, kubeconfig, err := c.Token(t.Context(), "forewarn", "forewarn-"+part)
	require.NoError(t, err)
	access, err := clientcmd.LoadFromFile(kubeconfig)
	require.NoError(t, err)
	access.Contexts[access.CurrentContext].Namespace = "forewarn" // as the file in a pod says
	require.NoError(t, clientcmd.WriteToFile(*access, kubeconfig))
	i := slices.IndexFunc(all, func(o *unstructured.Unstructured) bool {
		return o.GetKind() == "ConfigMap" && o.GetName() == "forewarn-"+part
	})
	require.GreaterOrEqual(t, i, 0)
	text, _, err := unstructured.NestedString(all[i].Object, "data", "forewarn.yaml")
	require.NoError(t, err)
	var tree map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &tree))
	delete(tree, "nats")
	delete(tree, "listen")
	delete(tree, "console") // its token is a mounted Secret
	tree["data_dir"] = t.TempDir()
	tree["kubernetes"] = map[string]any{"kubeconfig": kubeconfig}
	change(tree)
	b, err := yaml.Marshal(tree)
	require.NoError(t, err)
	config = filepath.Join(t.TempDir(), "forewarn.yaml")
	require.NoError(t, os.WriteFile(config, b, 0o600))
	return config
}

// signature makes a Signature, or a ClusterSignature without a namespace, of the YAML of its spec.
func signature(t *testing.T, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	kind := "Signature"
	if namespace == "" {
		kind = "ClusterSignature"
	}
	var tree map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(spec), &tree))
	b, err := json.Marshal(map[string]any{
		"apiVersion": "forewarn.dev/v1alpha1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": namespace}, "spec": tree,
	})
	require.NoError(t, err)
	o := &unstructured.Unstructured{}
	require.NoError(t, o.UnmarshalJSON(b))
	return o
}

// statusOf reads what forewarn wrote into a resource.
func statusOf(t *testing.T, c *cluster.Cluster, o *unstructured.Unstructured) (s crd.Status) {
	t.Helper()
	got, err := c.Dynamic.Resource(crd.Kind(o.GetKind()).Resource()).Namespace(o.GetNamespace()).Get(t.Context(), o.GetName(), metav1.GetOptions{})
	if err != nil {
		return s // the API server may be away
	}
	b, err := json.Marshal(got.Object["status"])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &s))
	return s
}

const broken = "title: The cart breaks\nseverity: high\nby: pod\nclear: {quiet: 1h}\nstages: [{name: broken, when: {event: {reason: %s}}}]\n"

// say makes an event about a pod, as a controller would.
func say(t *testing.T, c *cluster.Cluster, namespace, reason string) {
	t.Helper()
	now := metav1.Now()
	_, err := c.Client.CoreV1().Events(namespace).Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: "cart."},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: "cart-1", APIVersion: "v1"},
		Reason:         reason, Message: "it breaks", Type: corev1.EventTypeWarning, Source: corev1.EventSource{Component: "e2e"},
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func TestTheChartsMatcherArmsCustomResourcesWithItsRightsAlone(t *testing.T) {
	flags, log := audited(t)
	c := cluster.New(t, cluster.Options{APIServerFlags: flags})
	installCRDs(t, c)
	all := install(t, c, "kustomize/embedded/forewarn.yaml")
	for _, ns := range []string{"shop", "bank"} {
		_, err := c.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	config := asAccount(t, c, all, "matcher", func(tree map[string]any) {
		collect, ok := tree["collect"].(map[string]any)
		require.True(t, ok)
		collect["events"] = map[string]any{"probe": "1s"} // else it comes too late for this test
	})
	stop := forewarn(t, "run", "-c", config, "-o", "json")

	shop, bank := signature(t, "shop", "cart", fmt.Sprintf(broken, "CartBroken")), signature(t, "bank", "cart", fmt.Sprintf(broken, "CartBroken"))
	wide := signature(t, "", "cart", fmt.Sprintf(broken, "CartBroken"))
	bad := signature(t, "bank", "bad", fmt.Sprintf(broken, "{regex: '('}"))
	for _, o := range []*unstructured.Unstructured{shop, bank, wide, bad} {
		require.NoError(t, c.ApplyObject(t.Context(), o))
	}
	unknown := signature(t, "bank", "unknown", strings.Replace(fmt.Sprintf(broken, "X"), "name: broken", "name: broken, wen: 1", 1))
	require.ErrorContains(t, c.ApplyObject(t.Context(), unknown), "wen", "the API server refuses what the schema does not have")
	for _, o := range []*unstructured.Unstructured{shop, bank, wide} {
		eventually(t, o.GetKind()+" "+o.GetNamespace()+" is armed", func() bool { return statusOf(t, c, o).State == crd.Armed })
	}
	eventually(t, "the bad one is refused", func() bool { return statusOf(t, c, bad).State == crd.Refused })
	require.Contains(t, statusOf(t, c, bad).Reason, "spec.stages[0].when.event.reason.regex: ")

	t.Run("a namespaced one sees its namespace alone", func(t *testing.T) {
		say(t, c, "shop", "CartBroken")
		for _, o := range []*unstructured.Unstructured{shop, wide} {
			eventually(t, "it warned", func() bool { return statusOf(t, c, o).LastWarning != nil })
			require.Equal(t, "shop/cart-1", statusOf(t, c, o).LastWarning.Key)
		}
		require.Nil(t, statusOf(t, c, bank).LastWarning)
		require.NotEqual(t, statusOf(t, c, shop).LastWarning.ID, statusOf(t, c, wide).LastWarning.ID)
	})
	t.Run("one that becomes bad goes on as it was, through a restart of the API server", func(t *testing.T) {
		require.NoError(t, c.RestartAPIServer(t.Context()))
		worse := signature(t, "bank", "cart", fmt.Sprintf(broken, "{regex: '('}"))
		require.NoError(t, c.ApplyObject(t.Context(), worse))
		eventually(t, "it is refused", func() bool { return statusOf(t, c, bank).State == crd.Refused })
		require.Contains(t, statusOf(t, c, bank).Reason, "what it said before is still armed")
		say(t, c, "bank", "CartBroken")
		eventually(t, "it warns", func() bool { return statusOf(t, c, bank).LastWarning != nil })
	})
	stop()
	rightsUsed(t, log, "matcher", map[string]string{
		"core events list": "only where events.k8s.io is not served", "core events watch": "only where events.k8s.io is not served",
	}, "signatures", "collector")
}

func TestTheChartsNodeAgentGivesRecordsToTheMatcherWithItsRightsAlone(t *testing.T) {
	flags, log := audited(t)
	c := cluster.New(t, cluster.Options{APIServerFlags: flags})
	installCRDs(t, c)
	all := install(t, c, "kustomize/embedded/forewarn.yaml")
	wide := signature(t, "", "cart-breaks", strings.Replace(fmt.Sprintf(broken, "X"), "{event: {reason: X}}", "{log: {contains: it breaks}}", 1))
	require.NoError(t, c.ApplyObject(t.Context(), wide))

	dir, token := t.TempDir(), filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("secret\n"), 0o600))
	forewarn(t, "run", "-o", "json", "-c", asAccount(t, c, all, "matcher", func(tree map[string]any) {
		tree["nats"] = map[string]any{"listen": "127.0.0.1:0", "token_file": token}
		tree["data_dir"] = dir
	}))
	var url []byte
	eventually(t, "the server listens", func() bool {
		var err error
		url, err = os.ReadFile(filepath.Join(dir, "nats.url"))
		return err == nil
	})
	_, address, _ := strings.Cut(strings.TrimSpace(string(url)), "@") // the agent brings the token of its own Secret
	pods := t.TempDir()
	stop := forewarn(t, "collect", "-c", asAccount(t, c, all, "node", func(tree map[string]any) {
		tree["nats"] = map[string]any{"url": "nats://" + address, "token_file": token}
		tree["node"] = "node1"
		collect, ok := tree["collect"].(map[string]any)
		require.True(t, ok)
		collect["logs"] = map[string]any{"paths": []any{pods}}
	}))
	eventually(t, "it is armed", func() bool { return statusOf(t, c, wide).State == crd.Armed })
	container := filepath.Join(pods, "shop_cart-1_0f", "cart")
	require.NoError(t, os.MkdirAll(container, 0o700))
	line := time.Now().UTC().Format(time.RFC3339Nano) + " stdout F it breaks\n"
	require.NoError(t, os.WriteFile(filepath.Join(container, "0.log"), []byte(line), 0o600))
	eventually(t, "it warned", func() bool { return statusOf(t, c, wide).LastWarning != nil })
	require.Equal(t, "shop/cart-1", statusOf(t, c, wide).LastWarning.Key)
	stop()
	rightsUsed(t, log, "node", nil, "node")
}

// rightsUsed compares what a part asked the API server for with what its roles allow: nothing was refused, and everything was needed. spare are rights that this
// cluster gives no reason to use, with the reason.
func rightsUsed(t *testing.T, log, part string, spare map[string]string, roles ...string) {
	t.Helper()
	used, taken, refused := map[string]bool{}, map[string]bool{}, map[string]bool{}
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		var e struct {
			Verb string
			User struct{ Username string }
			Ref  struct{ APIGroup, Resource, Subresource string } `json:"objectRef"`
			Code struct{ Code int }                               `json:"responseStatus"`
			URI  string                                           `json:"requestURI"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		if e.User.Username != "system:serviceaccount:forewarn:forewarn-"+part {
			continue
		}
		path, _, _ := strings.Cut(e.URI, "?")
		if e.Code.Code == http.StatusForbidden {
			refused[e.Verb+" "+path] = true
			continue
		}
		taken[e.Verb+" "+path] = true
		if e.Ref.Resource == "" {
			used[path+" "+e.Verb] = true
			continue
		}
		used[right(e.Ref.APIGroup, strings.TrimSuffix(e.Ref.Resource+"/"+e.Ref.Subresource, "/"), e.Verb)] = true
	}
	for what := range refused { // an API server that begins does not know all roles yet, and refuses what it takes a moment later
		require.True(t, taken[what], "%s: the role lacks it", what)
	}
	grants, err := rbac.Grants()
	require.NoError(t, err)
	for _, g := range grants {
		if !slices.Contains(roles, g.Name) {
			continue
		}
		for _, r := range g.Needs {
			for _, verb := range r.Verbs {
				for _, url := range r.NonResourceURLs {
					wanted(t, used, spare, url+" "+verb)
				}
				for _, group := range r.APIGroups {
					for _, resource := range r.Resources {
						wanted(t, used, spare, right(group, resource, verb))
					}
				}
			}
		}
	}
}

func right(group, resource, verb string) string {
	if group == "" {
		group = "core"
	}
	return group + " " + resource + " " + verb
}

func wanted(t *testing.T, used map[string]bool, spare map[string]string, right string) {
	t.Helper()
	if spare[right] != "" {
		require.False(t, used[right], "%s was used: it is not spare", right)
		return
	}
	require.True(t, used[right], "%s is granted and nobody used it; used were %v", right, used)
}
