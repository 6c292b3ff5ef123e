package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/bench"
)

// wholeConfig has every setting.
const wholeConfig = `sightings: {share: {url: "tls://shared:4222", creds_file: /etc/forewarn/shared.creds, ca_file: /etc/forewarn/ca.crt, bucket: SIGHTINGS}}
data_dir: /var/lib/forewarn
cluster: prod-eu
signatures: [/etc/forewarn/signatures]
no_catalog: true
custom_resources: true
kubernetes: {kubeconfig: /etc/forewarn/kubeconfig, context: prod, qps: 10, burst: 20, timeout: 30s}
applies:
  kubernetes: v1.31.2
  components: {etcd: 3.5.12}
  facts: {cni: cilium}
files:
  - {path: /var/log/pods, zone: Europe/Berlin, from_end: true}
collect:
  lease: {namespace: ops, name: fw, duration: 20s}
  topology: cluster
  events: {namespace: shop, probe: 5s, max_events: 1000}
  changes: {kinds: [cert-manager.io/v1/certificates], certificates: true}
  logs: {include: [{namespace: shop, labels: {app: cart}}], limit: {lines_per_second: 1000}}
  journal: {units: [kubelet.service], priority: warning}
  kernel: {}
  metrics: {scrape: {static: [{urls: ["http://etcd-0:2381/metrics"]}]}, remote_write: {server: {listen: ":9201"}}}
  pod_logs: {include: [{namespace: shop, labels: {app: cart}}], exclude: [{container: istio-*}], streams: 50, back: 1m}
  inventory: {every: 5m}
  targets: {kubelet: [cadvisor], annotated: true}
  otlp: {grpc: {listen: ":4317"}, http: {listen: ":4318"}}
  alerts: {server: {listen: ":9095"}, delay: 2m}
secrets: {keep: [jwt], email: true, patterns: [{name: badge, regex: "badge-[0-9]{6}"}]}
nats:
  url: nats://nats-0:4222,nats://nats-1:4222
  creds_file: /etc/forewarn/nats.creds
  ca_file: /etc/forewarn/ca.pem
  cert_file: /etc/forewarn/tls.crt
  key_file: /etc/forewarn/tls.key
  record_partitions: 4
  hit_partitions: 8
  replicas: 3
match: {lateness: 1m, silent_after: 3m, max_progress: 100000, max_pending: 1000, workers: 2, fetch: 64, window: 128}
send: {batch_kb: 128, compress: true, in_flight: 128}
notify:
  - {name: screen, type: terminal}
  - {name: alerts, type: alertmanager, urls: ["http://alertmanager:9093"], interval: 1m}
  - {name: hook, type: webhook, urls: ["https://hooks.example.org/forewarn"], severity: high}
routes:
  - {name: night, match: ["namespace=~pay.*", "severity!=info"], to: [screen, alerts], continue: true, group_by: [namespace], group_wait: 30s, group_interval: 10m, budget: {messages: 3, per: 10m}}
  - {to: [hook]}
inhibit:
  - {source: [signature=node-not-ready], target: ["signature=~pod-.*"], equal: [node]}
maintenance:
  - {name: patching, match: [namespace=batch], days: [sat-sun, wed], from: "22:00", to: "02:00", zone: Europe/Berlin}
retention: 30d
listen: 127.0.0.1:9464
`

func TestConfigCheckTakesEverySetting(t *testing.T) {
	path := file(t, "forewarn.yaml", wholeConfig)
	require.Equal(t, answer{0, path + ": sound\n", ""}, cli(t, "config", "check", path))
	j, y := cli(t, "config", "check", "-o", "json", path), cli(t, "config", "check", "-o", "yaml", path)
	requireSame(t, j.out, y.out)
	// What it understood is again a configuration that says the same.
	again := file(t, "again.yaml", y.out)
	require.Equal(t, y.out, cli(t, "config", "check", "-o", "yaml", again).out)
	require.Zero(t, cli(t, "config", "check", file(t, "empty.yaml", "")).code, "nothing needs to be set")
}

func TestTheSchemaOfTheConfigurationAgreesWithTheCheck(t *testing.T) {
	s := compiled(t, "config", "schema")
	require.NoError(t, s.Validate(instance(t, wholeConfig)))
	require.Error(t, s.Validate(instance(t, "data_dirr: x\n")))
	require.Error(t, s.Validate(instance(t, "match: {lateness: [1m]}\n")))
	require.Error(t, s.Validate(instance(t, "files: [{zone: UTC}]\n")), "a file without a path")
	require.Error(t, s.Validate(instance(t, "notify: [{type: terminal}]\n")), "a destination without a name")
}

func TestConfigCheckTellsEveryMistakeAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"form": {"data_dirr: /x\ncluster: [a]\nmatch: {lateness: banana, max_progress: many}\n", []string{
			":1:1: unknown key \"data_dirr\"", "    ^\n  did you mean \"data_dir\"?", ":2:10: want a text, not a list", ":3:19: \"banana\" is not a duration", ":3:41: ",
		}},
		"meaning": {"files:\n  - {path: /x, zone: Nowhere/Land}\nnotify:\n  - {name: a, type: webhok}\n  - {name: a, type: json}\n  - {name: b, type: json, severity: bad}\nnats: {cert_file: x}\nmatch: {silent_after: -1s}\n", []string{
			":2:22: unknown time zone Nowhere/Land", "use UTC, Local or a name", ":4:5: ", "unknown type \"webhok\"", ":5:12: the name \"a\" stands twice",
			":6:5: ", "unknown severity \"bad\"", ":7:1: cert_file and key_file go together", ":8:1: ", "silent after",
		}},
		"missing": {"files:\n  - {zone: UTC}\n", []string{":2:", "path"}},
		"destinations": {"notify:\n  - {name: a, type: webhook}\n  - {name: b, type: alertmanager}\n  - {name: c, type: webhook, urls: [\"::\"]}\n", []string{
			"a webhook has exactly one", ":3:5: ", ":4:5: ",
		}},
		"no port":           {"listen: nowhere\n", []string{":1:9: ", "such as 127.0.0.1:9464"}},
		"an open server":    {"nats: {listen: \"0.0.0.0:4222\"}\n", []string{":1:16: ", "without a token anybody could connect", "token_file"}},
		"two servers":       {"nats: {listen: \"0.0.0.0:4222\", url: \"nats://x\", token_file: t}\n", []string{":1:16: ", "no embedded server"}},
		"no such port":      {"listen: 127.0.0.1:99999\n", []string{":1:9: "}},
		"collect":           {"collect:\n  topology: star\n  changes: {kinds: [pods]}\n  logs: {zone: Nowhere}\n", []string{":2:13: \"star\" is no source", ":3:", ":4:"}},
		"a node's topology": {"collect: {topology: node, events: {}}\n", []string{":1:21: ", "the whole cluster"}},
		"targets alone":     {"collect: {targets: {annotated: true}}\n", []string{":1:11: ", "nothing scrapes them"}},
		"numbers":           {"match: {workers: -1}\nsend: {in_flight: 5000}\n", []string{":1:18: -1 is not between 1 and 1024", ":2:19: 5000 is not between"}},
		"sharing nowhere":   {"sightings: {share: {bucket: \"a b\", cert_file: x, url: \"\"}}\n", []string{":1:13: there is no url", "name the shared NATS", "cert_file and key_file", "is no name of a bucket"}},
		"too much":          {"nats: {url: nats://n}\nmatch: {fetch: 64}\n", []string{":2:16: batches of 256 KiB, 64 asked for ahead in each of 4 partitions, are 67.1 MB", "lower match.fetch"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, "forewarn.yaml", c.text)
			a := cli(t, "config", "check", path)
			require.Equal(t, exitRefused, a.code, a.out)
			require.Empty(t, a.out)
			for _, want := range c.want {
				require.Contains(t, a.err, want)
			}
			require.Contains(t, a.err, path)
			// A command that needs the configuration refuses it with the same words.
			b := cli(t, "run", "-c", path, "--data-dir", t.TempDir())
			require.Equal(t, exitRefused, b.code)
			require.Equal(t, "forewarn: "+a.err, b.err)
		})
	}
}

func TestConfigCheckOfSeveralFilesTellsOfEach(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.yaml")
	require.NoError(t, os.WriteFile(good, []byte("cluster: a\n"), 0o600))
	bad := filepath.Join(dir, "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("clutser: a\n"), 0o600))
	a := cli(t, "config", "check", bad, good, filepath.Join(dir, "missing.yaml"))
	require.Equal(t, exitRefused, a.code)
	require.Equal(t, good+": sound\n", a.out)
	require.Contains(t, a.err, bad+":1:1: ")
	require.Contains(t, a.err, "missing.yaml: no such file")
}

func TestWhatTuneRecommendsIsASoundConfiguration(t *testing.T) {
	tuned := bench.Tuned{Recommended: bench.Setting{BatchKB: 128, Workers: 2, Partitions: 8, InFlight: 64, Fetch: 16, Window: 32, Compress: true}}
	path := filepath.Join(t.TempDir(), "tuned.yaml")
	require.NoError(t, os.WriteFile(path, []byte(tuned.Config()), 0o600))
	require.Equal(t, answer{0, path + ": sound\n", ""}, cli(t, "config", "check", path))
}
