package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/bench"
)

func newBenchPeers(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "peers",
		Short: "List the workloads, and what can run beside the engine here",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			workloads, err := bench.Workloads()
			if err != nil {
				return err
			}
			peers, err := bench.Peers(c.Context())
			if err != nil {
				return err
			}
			type named struct {
				Name string `json:"name"`
				Says string `json:"says"`
			}
			list := struct {
				Workloads []named      `json:"workloads"`
				Peers     []bench.Peer `json:"peers"`
			}{Peers: peers}
			rows := [][]string{{"WORKLOAD", "WHAT IT IS"}}
			for _, w := range workloads {
				list.Workloads = append(list.Workloads, named{w.Name, w.Title})
				rows = append(rows, []string{w.Name, w.Title})
			}
			rows = append(rows, []string{""}, []string{"PEER", "HERE"})
			for _, p := range peers {
				here := "yes"
				if !p.Here {
					here = p.Why
				}
				rows = append(rows, []string{p.Name, here})
			}
			return g.print(list, func(w io.Writer) error { return table(w, rows) })
		},
	}
}
