//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// shoot takes a picture of the window, or of the whole page.
func (x *tab) shoot(path string, whole bool) {
	x.t.Helper()
	var b []byte
	var err error
	if whole {
		b, err = chromedp.Run(x.Context, chromedp.FullScreenshot(100))
		require.NoError(x.t, err)
	} else {
		b = call(x, page.CaptureScreenshot, page.CaptureScreenshotParams{}).Data
	}
	require.NoError(x.t, os.MkdirAll(filepath.Dir(path), 0o750))
	require.NoError(x.t, os.WriteFile(path, b, 0o600))
}

func TestLook(t *testing.T) {
	b := startBrowser(t)
	s := newStage(t, nil)
	dir := os.Getenv("LOOK")
	for name, v := range map[string]window{"light": desk, "dark": night, "phone": phone} {
		x := newTab(t, b, v)
		x.open(s.URL + "/")
		x.shoot(filepath.Join(dir, "overview-"+name+".png"), true)
		x.do(chromedp.Click("#open li:nth-child(2) a.open"))
		x.until("warning", `!!document.getElementById("warning-head")`)
		x.shoot(filepath.Join(dir, "warning-"+name+".png"), true)
		x.open(s.URL + "/health")
		x.shoot(filepath.Join(dir, "health-"+name+".png"), true)
	}
}
