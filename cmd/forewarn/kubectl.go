package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/collector/kube/remote"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/signatures"
)

// isPlugin reports whether the program was called by a name by which kubectl finds plugins.
func isPlugin(argv0 string) bool {
	return strings.HasPrefix(strings.TrimSuffix(filepath.Base(argv0), ".exe"), "kubectl-forewarn")
}

// plugin are the flags of kubectl that the plugin takes too, and where forewarn is.
type plugin struct {
	*globals
	kubeconfig, context string
	namespace           string
	home                string // the namespace of forewarn; empty looks in all
	selector            string
	port                int
}

// newPlugin returns the commands of `kubectl forewarn`.
func newPlugin(io stdio) *cobra.Command {
	p := &plugin{globals: &globals{stdio: io}}
	root := &cobra.Command{
		Use:   "kubectl-forewarn",
		Short: "Ask the forewarn of a cluster, and look for failures in a pod's logs",
		Long: `kubectl forewarn asks the forewarn that runs in the cluster for its warnings and its status. It forwards a port of one of its pods, as kubectl port-forward does: whoever
may do that (create pods/portforward in its namespace) may ask. logs needs no forewarn in the cluster: it reads a pod's logs and looks for known failures on this machine.

The file is the same as forewarn's: link it as kubectl-forewarn into a directory of your PATH.`,
		Example: `  kubectl forewarn warnings
  kubectl forewarn logs -n shop cart-7d9f-x2x1k`,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl forewarn"},
		Version:     version, SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return p.check() },
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage("%w\nsee `%s --help`", err, c.CommandPath()) })
	root.SetVersionTemplate("forewarn {{.Version}}\n")
	f := root.PersistentFlags()
	p.flags(f)
	f.StringVar(&p.kubeconfig, "kubeconfig", "", "the kubeconfig file; without it as kubectl does")
	f.StringVar(&p.context, "context", "", "the context of the kubeconfig; its current one without it")
	f.StringVarP(&p.namespace, "namespace", "n", "", "the namespace of the pod whose logs are read; that of the context without it")
	f.StringVar(&p.home, "forewarn-namespace", "", "where forewarn runs; without it any namespace is looked in")
	f.StringVar(&p.selector, "forewarn-selector", remote.Selector, "the labels of the pods to ask")
	f.IntVar(&p.port, "forewarn-port", 9464, "the port of forewarn's listen setting")
	root.AddCommand(p.newWarnings(), p.newExplain(), p.newStatus(), p.newLogs())
	strict(root)
	return root
}

func (p *plugin) connect() (*kube.Client, error) {
	return kube.Connect(kube.ConnectOptions{Kubeconfig: p.kubeconfig, Context: p.context, UserAgent: "kubectl-forewarn/" + version})
}

// askFor is how long forewarn may take to answer.
const askFor = 30 * time.Second

// ask asks a forewarn of the cluster for what is at each path.
func (p *plugin) ask(ctx context.Context, questions map[string]any) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	client, err := p.connect()
	if err != nil {
		return err
	}
	pod, err := remote.Find(ctx, client, p.home, p.selector)
	if err != nil {
		return err
	}
	return remote.Forward(ctx, client, pod, p.port, func(ctx context.Context, base string) error {
		for path, into := range questions {
			if err := fetch(ctx, base+path, into); err != nil {
				return fmt.Errorf("ask pod %s/%s: %w", pod.Namespace, pod.Name, err)
			}
		}
		return nil
	})
}

func fetch(ctx context.Context, from string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: it is this machine
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<12)) // what there is of it
		return fmt.Errorf("%s: %s", answer.Status, strings.TrimSpace(string(text)))
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

func (p *plugin) newStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what the cluster's forewarn has armed, sees, and lost",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var o overview
			if err := p.ask(c.Context(), map[string]any{"/overview": &o}); err != nil {
				return err
			}
			return p.tellOverview(&o)
		},
	}
}

func (p *plugin) newWarnings() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "warnings",
		Short: "List the open warnings",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var ws []matcher.Warning
			var o overview
			if err := p.ask(c.Context(), map[string]any{"/warnings": &ws, "/overview": &o}); err != nil {
				return err
			}
			if !all {
				ws = slices.DeleteFunc(ws, func(w matcher.Warning) bool { return w.State.Final() })
			}
			return p.print(filled(ws), func(w io.Writer) error { return warningTable(w, ws, o.Silenced, p.style().Location) })
		},
	}
	c.Flags().BoolVarP(&all, "all", "a", false, "those that are over too")
	return c
}

func warningTable(w io.Writer, ws []matcher.Warning, quiet []silenced, zone *time.Location) error {
	if len(ws) == 0 {
		_, err := fmt.Fprintln(w, "no open warning; kubectl forewarn status tells whether everything was seen")
		return err
	}
	rows := [][]string{{"ID", "STATE", "SEVERITY", "SINCE", "ABOUT", "TITLE"}}
	for i := range ws {
		x := &ws[i]
		state := string(x.State)
		if slices.ContainsFunc(quiet, func(s silenced) bool { return s.ID == x.ID }) {
			state += ", silenced"
		}
		rows = append(rows, []string{x.ID, state, string(x.Severity), x.Opened.In(zone).Format("2006-01-02 15:04:05"), x.KeyText, x.Title})
	}
	return table(w, rows)
}

// explained is what is known of a warning or a signature.
type explained struct {
	Warnings  []matcher.Warning     `json:"warnings"`
	Signature *signatures.Signature `json:"signature,omitempty"`
}

func (p *plugin) newExplain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain WARNING|SIGNATURE",
		Short: "Tell a warning with its evidence and remedies, or a signature and its warnings",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var x explained
			if err := p.ask(c.Context(), map[string]any{"/warnings": &x.Warnings}); err != nil {
				return err
			}
			id := args[0]
			x.Warnings = slices.DeleteFunc(x.Warnings, func(w matcher.Warning) bool { return w.Signature != id && !strings.HasPrefix(w.ID, id) })
			if len(x.Warnings) > 0 {
				id = x.Warnings[0].Signature
			}
			if err := p.ask(c.Context(), map[string]any{"/signature?id=" + url.QueryEscape(id): &x.Signature}); err != nil {
				return err
			}
			if len(x.Warnings) == 0 && x.Signature == nil {
				return fmt.Errorf("there is no warning and no armed signature %q: see kubectl forewarn warnings --all and kubectl forewarn status", args[0])
			}
			told := x
			told.Warnings = filled(x.Warnings)
			return p.print(told, func(w io.Writer) error {
				for i := range x.Warnings {
					if _, err := io.WriteString(w, notify.Text(&x.Warnings[i], p.style())+"\n\n"); err != nil {
						return fmt.Errorf("write output: %w", err)
					}
				}
				if x.Signature == nil {
					return nil
				}
				_, err := io.WriteString(w, describe(x.Signature))
				return err
			})
		},
	}
}

func (p *plugin) newLogs() *cobra.Command {
	var container string
	var since time.Duration
	scan := newScan(p.globals)
	c := &cobra.Command{
		Use:   "logs POD",
		Short: "Look for the stages of known failures in a pod's logs, now and before its last restart",
		Long: `logs reads what the containers of a pod wrote, now and before their last restart, through the API server, and looks for the stages of known failures in it as
forewarn scan does: on this machine, with the shipped catalogue or --signatures. It needs get on pods and pods/log.`,
		Example: `  kubectl forewarn logs -n shop cart-7d9f-x2x1k
  kubectl forewarn logs cart-7d9f-x2x1k -c cart --since 1h --explain oom-kill-loop`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			client, err := p.connect()
			if err != nil {
				return err
			}
			namespace := p.namespace
			if namespace == "" {
				namespace = client.Namespace()
			}
			logs, err := remote.ReadLogs(c.Context(), client, remote.Pod{Namespace: namespace, Name: strings.TrimPrefix(args[0], "pod/")}, container, since)
			if err != nil {
				return err
			}
			for _, m := range logs.Missing {
				_, _ = fmt.Fprintln(p.err, "forewarn: no logs of "+m)
			}
			dir, err := os.MkdirTemp("", "forewarn-logs-")
			if err != nil {
				return fmt.Errorf("keep logs: %w", err)
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			if err := keepLogs(dir, logs); err != nil {
				return err
			}
			scan.SetContext(c.Context())
			return scan.RunE(scan, []string{dir})
		},
	}
	c.Flags().AddFlagSet(scan.Flags())
	_ = c.Flags().MarkHidden("follow") // what was read is over; the flag is there
	c.Flags().StringVarP(&container, "container", "c", "", "one container; all of them without it")
	spanVar(c.Flags(), &since, "since", 0, "only what was written in this time, such as 1h")
	return c
}

// keepLogs writes logs as a node has them, so that records say which pod, container and restart they are of.
func keepLogs(dir string, logs *remote.Logs) error {
	for _, l := range logs.Logs {
		to := filepath.Join(dir, logs.Pod.Namespace+"_"+logs.Pod.Name+"_"+logs.UID, l.Container)
		if err := os.MkdirAll(to, 0o700); err != nil {
			return fmt.Errorf("keep logs: %w", err)
		}
		if err := os.WriteFile(filepath.Join(to, strconv.Itoa(l.Restarts)+".log"), asCRI(l.Text), 0o600); err != nil {
			return fmt.Errorf("keep logs: %w", err)
		}
	}
	return nil
}

// asCRI gives each line the words that a container runtime puts behind its time. A line without a time has that of the line before.
func asCRI(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/8)
	last := "1970-01-01T00:00:00Z"
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if stamp, rest, _ := strings.Cut(line, " "); isStamp(stamp) {
			last, line = stamp, rest
		}
		out = append(out, last+" stdout F "+line+"\n"...)
	}
	return out
}

func isStamp(word string) bool {
	_, err := time.Parse(time.RFC3339Nano, word)
	return err == nil
}
