//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/forewarn/forewarn/deploy/cluster"
)

// notRun are the tests that this machine could not run. They close the output, so that nobody takes them for passed.
var notRun struct {
	sync.Mutex
	why []string
}

func TestMain(m *testing.M) {
	if kubeconfig := os.Getenv(collectEnv); kubeconfig != "" {
		if err := collectProcess(kubeconfig, os.Getenv(checkpointsEnv)); err != nil {
			fmt.Fprintln(os.Stderr, "collect:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if _, err := cluster.Binary(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := m.Run()
	slices.Sort(notRun.why)
	for _, why := range notRun.why {
		fmt.Println("NOT RUN:", why)
	}
	if len(notRun.why) > 0 && os.Getenv("FOREWARN_E2E_NODE") == "required" {
		fmt.Println("FOREWARN_E2E_NODE=required: what was not run is a failure")
		code = max(code, 1)
	}
	os.Exit(code)
}

// needsNode skips a test, and says so at the end of all, where no real node can run. FOREWARN_E2E_NODE=required makes a failure of it.
func needsNode(t *testing.T) {
	t.Helper()
	if why := cluster.WhyNoNode(); why != "" {
		notRun.Lock()
		notRun.why = append(notRun.why, t.Name()+": "+why)
		notRun.Unlock()
		t.Skip(why)
	}
}

// scenarios are the manifests that bring failures about. They lie in a module of its own, which no embed reaches.
func scenarios() string { return filepath.Join("..", "testbed", "scenarios") }
