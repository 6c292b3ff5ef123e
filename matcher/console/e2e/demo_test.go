//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// output is what a process wrote so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// forewarn builds the program and starts it. It is asked to stop at the end of the test, and must stop well.
func forewarn(t *testing.T, args ...string) *output {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "forewarn")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", repository(t), "-o", bin, "./cmd/forewarn")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	var out output
	cmd := exec.Command(bin, args...) //nolint:noctx // it is asked to stop below
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait(), out.String())
	})
	return &out
}

// From the demo to feedback: a person starts it, sees a failure coming, opens it and says what it was.
func TestFromTheDemoToFeedback(t *testing.T) {
	out := forewarn(t, "demo", "--for", "8s", "--console", "127.0.0.1:0")
	var at string
	require.Eventually(t, func() bool {
		m := regexp.MustCompile(`Watch it in a browser: (http://\S+)`).FindStringSubmatch(out.String())
		if m != nil {
			at = m[1]
		}
		return m != nil
	}, 30*time.Second, 20*time.Millisecond, "it says where the console is")
	b := startBrowser(t)
	x := newTab(t, b, desk)
	x.open(at)
	x.until("a warning comes while the page is open", `document.querySelector("#open .card")`)
	x.until("all ladders were climbed", `document.querySelectorAll("#open .card.st-incident").length === 3`)
	const card = `#open .card:has(a.open[href]):nth-child(1)`
	title := ask[string](x, `document.querySelector("#open a.open").textContent`)
	require.Contains(t, x.all(card + " .when")[0], "forewarned")
	x.do(chromedp.Click(chromedp.CSS("#open a.open")))
	x.until("it is opened", `document.querySelector("#warning-head h1")?.textContent === `+fmt.Sprintf("%q", title))
	require.NotEmpty(t, x.all("#warning-evidence .records li"), "with its evidence")
	require.NotEmpty(t, x.all("#warning-remedies li"))

	x.do(chromedp.SendKeys(chromedp.CSS("#by"), "jo"), chromedp.Click(chromedp.CSS(`button[value=acknowledged]`)))
	x.until("it is on the page", `document.querySelector(".said")?.textContent.includes("acknowledged by jo")`)
	x.do(chromedp.Click(chromedp.CSS(`[name=remedy][value="0"]`)), chromedp.SendKeys(chromedp.CSS("#by"), "sam"), chromedp.Click(chromedp.CSS(`button[value=averted]`)))
	x.until("what helped is on the page", `document.querySelector(".said")?.textContent.includes("averted: look:")`)
	x.open(at)
	x.until("it is on the overview", `[...document.querySelectorAll("#open .card")].some((c) => c.textContent.includes("acknowledged by jo"))`)
	x.open(at + "health")
	x.until("the pipeline is seen", `document.querySelector("#health").textContent.includes("Nothing waits.") && document.querySelector("#health").textContent.includes("demo")`)
}
