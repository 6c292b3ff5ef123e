package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/console"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/signatures"
)

// settings are the configuration file: what flags should not carry. The zero settings are sound.
type settings struct {
	DataDir    string   `yaml:"data_dir,omitempty" json:"data_dir,omitempty" doc:"Where state lives; one process a directory. Without it $XDG_STATE_HOME/forewarn, else ~/.local/state/forewarn."`
	Cluster    string   `yaml:"cluster,omitempty" json:"cluster,omitempty" doc:"The cluster's name, put onto every record (k8s.cluster.name)."`
	Node       string   `yaml:"node,omitempty" json:"node,omitempty" doc:"The name of the node that this runs on, put onto what is collected of it (k8s.node.name). Without it $NODE_NAME, else, outside of a pod, the host's name."`
	Signatures []string `yaml:"signatures,omitempty" json:"signatures,omitempty" doc:"Files and directories of signatures, besides the catalogue; one with a catalogue signature's id replaces it."`
	NoCatalog  bool     `yaml:"no_catalog,omitempty" json:"no_catalog,omitempty" doc:"Leave the shipped catalogue out."`
	Sources    sources  `yaml:"sources,omitempty" json:"sources,omitempty" doc:"Of CRE rules: for an event source, the components (service.name) whose logs it means, besides the one that it names itself."`
	Resources  bool     `yaml:"custom_resources,omitempty" json:"custom_resources,omitempty" doc:"Arm the signatures that the cluster holds as custom resources too (Signature and ClusterSignature of forewarn.dev)."`
	Applies    facts    `yaml:"applies,omitempty" json:"applies,omitzero" doc:"What is known of the cluster, so that signatures which do not apply are disarmed. It wins over what collectors find out."`

	Kubernetes kube.ConnectOptions `yaml:"kubernetes,omitempty" json:"kubernetes,omitzero" doc:"How the API server is reached, for collectors and for custom resources; without it as kubectl does, and inside a pod by its service account."`

	Collect collectSettings `yaml:"collect,omitempty" json:"collect,omitzero" doc:"What is collected besides files."`

	Secrets collector.SecretOptions `yaml:"secrets,omitempty" json:"secrets,omitzero" doc:"What collectors take out of records before they send them; without it everything that is known to be secret."`

	Files []fileSettings `yaml:"files,omitempty" json:"files,omitempty" doc:"Files to follow."`
	NATS  natsSettings   `yaml:"nats,omitempty" json:"nats,omitzero" doc:"An existing NATS with JetStream; without it one is embedded."`
	Match matchSettings  `yaml:"match,omitempty" json:"match,omitzero" doc:"How records are matched and followed."`
	Send  sendSettings   `yaml:"send,omitempty" json:"send,omitzero" doc:"How collectors send records; forewarn bench tune finds what suits a machine."`

	Notify      []notify.Destination `yaml:"notify,omitempty" json:"notify,omitempty" doc:"Where warnings go; without it, to the terminal."`
	Routes      []notify.Route       `yaml:"routes,omitempty" json:"routes,omitempty" doc:"Which warnings go where, in order; without them everything goes everywhere."`
	Inhibit     []notify.Inhibit     `yaml:"inhibit,omitempty" json:"inhibit,omitempty" doc:"Which open warnings explain others, so that people are not told of those."`
	Maintenance []notify.Maintenance `yaml:"maintenance,omitempty" json:"maintenance,omitempty" doc:"Windows that come again, in which warnings are held back; what is open at their end is told then."`
	Console     console.Options      `yaml:"console,omitempty" json:"console,omitzero" doc:"The web console."`
	Sightings   sightingSettings     `yaml:"sightings,omitempty" json:"sightings,omitzero" doc:"Finished warnings, from which it is told how long there is and what helped."`
	Retention   signatures.Duration  `yaml:"retention,omitempty" json:"retention,omitempty" doc:"How long finished warnings are kept; 90d without it."`
	Listen      string               `yaml:"listen,omitempty" json:"listen,omitempty" doc:"Where /metrics, /healthz and /readyz are served, such as 127.0.0.1:9464; nowhere without it."`
}

// sources are components by the event source of CRE rules.
type sources map[string][]string

type facts struct {
	Kubernetes string            `yaml:"kubernetes,omitempty" json:"kubernetes,omitempty" doc:"The cluster's version, such as v1.31.2."`
	Components map[string]string `yaml:"components,omitempty" json:"components,omitempty" doc:"Versions by component (service.name)."`
	Facts      map[string]string `yaml:"facts,omitempty" json:"facts,omitempty" doc:"Other attributes."`
}

type fileSettings struct {
	Path    string `yaml:"path" json:"path" doc:"A file, a directory or a glob pattern."`
	Zone    string `yaml:"zone,omitempty" json:"zone,omitempty" doc:"The zone of time stamps that name none; UTC without it."`
	FromEnd bool   `yaml:"from_end,omitempty" json:"from_end,omitempty" doc:"Begin at the end of the files that are there already."`
}

type natsSettings struct {
	URL              string `yaml:"url,omitempty" json:"url,omitempty" doc:"nats://host:4222, or several with commas."`
	Listen           string `yaml:"listen,omitempty" json:"listen,omitempty" doc:"Where the embedded server takes the connections of other machines' processes, such as 0.0.0.0:4222; they show the token of token_file. Without it only processes of this machine find it."`
	CredsFile        string `yaml:"creds_file,omitempty" json:"creds_file,omitempty" doc:"A credentials file."`
	TokenFile        string `yaml:"token_file,omitempty" json:"token_file,omitempty" doc:"A file with a token."`
	CAFile           string `yaml:"ca_file,omitempty" json:"ca_file,omitempty" doc:"The certificates that the server's is checked with."`
	CertFile         string `yaml:"cert_file,omitempty" json:"cert_file,omitempty" doc:"The client certificate."`
	KeyFile          string `yaml:"key_file,omitempty" json:"key_file,omitempty" doc:"Its key."`
	RecordPartitions int    `yaml:"record_partitions,omitempty" json:"record_partitions,omitempty" doc:"Fixed when the streams are made; 4 without it."`
	HitPartitions    int    `yaml:"hit_partitions,omitempty" json:"hit_partitions,omitempty" doc:"Fixed when the streams are made; 8 without it."`
	Replicas         int    `yaml:"replicas,omitempty" json:"replicas,omitempty" doc:"How many servers keep each message; 1 without it."`
}

type matchSettings struct {
	Lateness    signatures.Duration `yaml:"lateness,omitempty" json:"lateness,omitempty" doc:"How far records may come out of order and still be put right; 30s without it."`
	SilentAfter signatures.Duration `yaml:"silent_after,omitempty" json:"silent_after,omitempty" doc:"How far a source may fall behind the others before it counts as silent; 2m without it."`
	MaxProgress int                 `yaml:"max_progress,omitempty" json:"max_progress,omitempty" doc:"How many (signature, key) are followed at once in a partition."`
	MaxPending  int                 `yaml:"max_pending,omitempty" json:"max_pending,omitempty" doc:"How many records of one (signature, key) wait to be settled."`
	Workers     int                 `yaml:"workers,omitempty" json:"workers,omitempty" doc:"How many batches are scanned at once; as many as there are cores without it."`
	Fetch       int                 `yaml:"fetch,omitempty" json:"fetch,omitempty" doc:"How many batches of a partition are asked for ahead; 32 without it."`
	Window      int                 `yaml:"window,omitempty" json:"window,omitempty" doc:"How many batches of a partition are scanned before they are acknowledged together; 64 without it."`
}

type sendSettings struct {
	BatchKB  int  `yaml:"batch_kb,omitempty" json:"batch_kb,omitempty" doc:"The size of a batch, in units of 1024 bytes, from which on it is sent; 256 without it."`
	Compress bool `yaml:"compress,omitempty" json:"compress,omitempty" doc:"Make batches smaller; for networks."`
	InFlight int  `yaml:"in_flight,omitempty" json:"in_flight,omitempty" doc:"How many batches may be under way that are not stored yet; 256 without it."`
}

// settingsFlags are the flags of every command that runs a role.
type settingsFlags struct {
	file    string
	dataDir string
	nats    string
	paths   []string
}

func (f *settingsFlags) flags(s *pflag.FlagSet) {
	f.connection(s)
	s.StringArrayVarP(&f.paths, "signatures", "s", nil, "a file or directory of signatures, besides the catalogue; may be repeated")
}

// connection adds the flags by which a command finds the stream.
func (f *settingsFlags) connection(s *pflag.FlagSet) {
	s.StringVarP(&f.file, "config", "c", "", "the configuration file; forewarn config schema describes it")
	s.StringVar(&f.dataDir, "data-dir", "", "where state lives (default "+shortHome(defaultDataDir())+")")
	s.StringVar(&f.nats, "nats", "", "the URL of an existing NATS with JetStream; without it one is embedded")
}

func shortHome(dir string) string {
	if home, err := os.UserHomeDir(); err == nil {
		if rest, ok := strings.CutPrefix(dir, home); ok {
			return "~" + rest
		}
	}
	return dir
}

// load reads the configuration file, if one is named, and lets flags override it.
func (f *settingsFlags) load() (settings, error) { return f.loadFor(notify.Env{}) }

// loadFor is load with what destinations are checked by.
func (f *settingsFlags) loadFor(env notify.Env) (settings, error) {
	var s settings
	if f.file != "" {
		var err error
		if s, err = readSettingsFor(f.file, env); err != nil {
			return s, err
		}
	}
	if f.dataDir != "" {
		s.DataDir = f.dataDir
	}
	if s.DataDir == "" {
		s.DataDir = defaultDataDir()
	}
	if f.nats != "" {
		s.NATS.URL = f.nats
	}
	s.Signatures = append(s.Signatures, f.paths...)
	return s, nil
}

// readSettings reads and checks a configuration file. Its error holds every problem.
func readSettings(file string) (settings, error) { return readSettingsFor(file, notify.Env{}) }

func readSettingsFor(file string, env notify.Env) (settings, error) {
	var s settings
	src, err := os.ReadFile(file)
	if err != nil {
		return s, fmt.Errorf("read configuration: %w", err)
	}
	problems, place := signatures.Decode("the configuration", file, src, &s)
	if len(problems) == 0 {
		problems = s.check(place, env)
	}
	if len(problems) == 0 {
		return s, nil
	}
	var all []error
	for _, p := range problems {
		all = append(all, p)
	}
	return s, exitError{exitRefused, errors.Join(all...)}
}

// check finds what the types cannot say.
func (s *settings) check(place func(path, message, suggestion string) signatures.Problem, env notify.Env) []signatures.Problem {
	var problems []signatures.Problem
	for i := range s.Files {
		if _, err := time.LoadLocation(s.Files[i].Zone); err != nil {
			problems = append(problems, place(fmt.Sprintf("files[%d].zone", i), err.Error(), "use UTC, Local or a name such as Europe/Berlin"))
		}
	}
	names := map[string]bool{}
	for i, d := range s.Notify {
		path := fmt.Sprintf("notify[%d]", i)
		if names[d.Name] {
			problems = append(problems, place(path+".name", fmt.Sprintf("the name %q stands twice", d.Name), "give each destination a name of its own"))
		}
		names[d.Name] = true
		problems = append(problems, wrongDestination(d, env, path, place)...)
	}
	problems = append(problems, s.checkRules(place)...)
	problems = append(problems, s.checkCollect(place)...)
	problems = append(problems, s.checkConsole(place)...)
	problems = append(problems, s.Sightings.check(place)...)
	if (s.NATS.CertFile == "") != (s.NATS.KeyFile == "") {
		problems = append(problems, place("nats", "cert_file and key_file go together", "set both or none"))
	}
	switch {
	case s.NATS.Listen != "" && s.NATS.URL != "":
		problems = append(problems, place("nats.listen", "there is a url, and so no embedded server that could listen", "leave one of them out"))
	case s.NATS.Listen != "" && s.NATS.TokenFile == "":
		problems = append(problems, place("nats.listen", "without a token anybody could connect", "name a file with one in token_file"))
	}
	if err := checkListen(s.Listen); err != nil {
		problems = append(problems, place("listen", err.Error(), mendListen))
	}
	problems = append(problems, s.checkNumbers(place)...)
	if _, err := s.tracking(); err != nil {
		problems = append(problems, place("match", err.Error(), ""))
	}
	return problems
}

// checkCollect finds what does not go together in what is collected.
func (s *settings) checkCollect(place func(path, message, suggestion string) signatures.Problem) (problems []signatures.Problem) {
	switch c := &s.Collect; {
	case c.Topology == "" || c.Topology == topologyCluster || c.Topology == topologyOff:
	case c.Topology != topologyNode:
		problems = append(problems, place("collect.topology", fmt.Sprintf("%q is no source of topology", c.Topology), "use cluster, node or off"))
	case c.fromServer():
		problems = append(problems, place("collect.topology", "what is collected from the API server is of the whole cluster, and not of one node", "leave it out, or collect logs in a process of their own"))
	case s.nodeName() == "":
		problems = append(problems, place("collect.topology", "the node has no name", "set node, or in a pod $NODE_NAME from spec.nodeName"))
	}
	if _, err := collector.NewSecrets(s.Secrets); err != nil {
		problems = append(problems, place("secrets", err.Error(), "see `forewarn config schema`"))
	}
	wrong := s.Collect.check()
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		problems = append(problems, place("collect."+name, wrong[name].Error(), "see `forewarn config schema`"))
	}
	return problems
}

// checkNumbers finds numbers that are out of bounds, alone or together.
func (s *settings) checkNumbers(place func(path, message, suggestion string) signatures.Problem) (problems []signatures.Problem) {
	for _, n := range []struct {
		path      string
		value, to int
	}{{"match.workers", s.Match.Workers, 1024}, {"match.fetch", s.Match.Fetch, 4096}, {"match.window", s.Match.Window, 4096}, {"send.batch_kb", s.Send.BatchKB, record.MaxFrame >> 11}, {"send.in_flight", s.Send.InFlight, 4096}} {
		if n.value < 0 || n.value > n.to {
			problems = append(problems, place(n.path, fmt.Sprintf("%d is not between 1 and %d", n.value, n.to), "leave it out for the default"))
		}
	}
	size, fetch, partitions := cmp.Or(s.Send.BatchKB, 256), cmp.Or(s.Match.Fetch, 32), cmp.Or(s.NATS.RecordPartitions, 4)
	if ahead := size << 10 * fetch * partitions; s.NATS.URL != "" && ahead > maxAhead {
		problems = append(problems, place("match.fetch",
			fmt.Sprintf("batches of %d KiB, %d asked for ahead in each of %d partitions, are %s, and a NATS server cuts a connection for which 64 MB wait", size, fetch, partitions, bytesText(int64(ahead))),
			"lower match.fetch, send.batch_kb or nats.record_partitions"))
	}
	return problems
}

// maxAhead bounds what a matching process asks an existing server for at once; hits and warnings need room too.
const maxAhead = 48 << 20

// tracking returns the tracker's options, checked.
func (s *settings) tracking() (matcher.TrackerOptions, error) {
	o := matcher.TrackerOptions{
		Lateness: time.Duration(s.Match.Lateness), SilentAfter: time.Duration(s.Match.SilentAfter),
		MaxProgress: s.Match.MaxProgress, MaxPending: s.Match.MaxPending,
	}
	if o.Lateness < 0 {
		return o, errors.New("lateness cannot be negative: leave it out for 30s, or set what your slowest source needs")
	}
	_, err := matcher.NewTracker(&matcher.Program{}, o)
	return o, err
}

// streams returns how to reach the stream.
func (s *settings) streams(g *globals) (stream.Options, error) {
	o := stream.Options{
		URL: s.NATS.URL, CredsFile: s.NATS.CredsFile, CAFile: s.NATS.CAFile, CertFile: s.NATS.CertFile, KeyFile: s.NATS.KeyFile,
		RecordPartitions: s.NATS.RecordPartitions, HitPartitions: s.NATS.HitPartitions, Replicas: s.NATS.Replicas,
		DataDir: s.DataDir, Listen: s.NATS.Listen, Logger: g.log,
	}
	if s.NATS.TokenFile != "" {
		b, err := os.ReadFile(s.NATS.TokenFile)
		if err != nil {
			return o, fmt.Errorf("read the NATS token: %w", err)
		}
		o.Token = strings.TrimSpace(string(b))
	}
	return o, nil
}

const mendListen = "write an address and a port, such as 127.0.0.1:9464"

// checkListen takes nothing too, where nobody listens.
func checkListen(address string) error {
	if address == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return err //nolint:wrapcheck // it tells the address
}
