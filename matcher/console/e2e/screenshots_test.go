//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "take the screenshots of the README anew")

// The README shows the console as it is: what it shows is made here, and is small enough to be loaded with a page.
func TestScreenshotsOfTheReadme(t *testing.T) {
	b := startBrowser(t)
	s, workshop := newStage(t, nil), newWorkshop(t)
	for _, v := range []struct {
		name, path string
		window     window
	}{
		{"overview", "/", window{1280, 860, false}}, {"overview-dark", "/", window{1280, 860, true}},
		{"warning", "/warnings/" + s.told[0].Warning.ID, window{1280, 1240, false}}, {"phone", "/", phone}, {"health", "/health", window{1280, 860, false}},
		{"playground", "/playground?signature=etcd-slow-disk&test=1", window{1280, 1240, false}},
	} {
		x := newTab(t, b, v.window)
		if v.name == "playground" {
			x.open(workshop.URL + v.path)
			x.until("it was tried", tried)
		} else {
			x.open(s.URL + v.path)
			x.until("it is told how things are", `document.body.dataset.told`)
		}
		shot, err := png.Decode(bytes.NewReader(call(x, page.CaptureScreenshot, page.CaptureScreenshotParams{}).Data))
		require.NoError(t, err)
		var small bytes.Buffer
		require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, fewColors(shot)))
		require.Less(t, small.Len(), 150_000, v.name)
		file := filepath.Join(repository(t), "matcher", "console", "screenshots", v.name+".png")
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o750))
			require.NoError(t, os.WriteFile(file, small.Bytes(), 0o600))
		}
		_, err = os.Stat(file)
		require.NoError(t, err, "run the test with -update")
	}
}

// fewColors is the picture in at most 256 colours, the most frequent ones that are unlike one another, each pixel in the nearest of them: what a page is drawn in are few, and their mixtures at the edges of letters.
func fewColors(m image.Image) image.Image {
	count := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA {
		r, g, b, _ := m.At(x, y).RGBA()
		return color.RGBA{uint8(r>>8) &^ 3, uint8(g>>8) &^ 3, uint8(b>>8) &^ 3, 255}
	}
	bounds := m.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	byCount := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range byCount {
		if len(palette) == 256 {
			break
		}
		if len(palette) == 0 || distance(c, palette[palette.Index(c)]) > 200 { // so that what is rare is there too
			palette = append(palette, c)
		}
	}
	nearest := map[color.RGBA]uint8{}
	for c := range count {
		nearest[c] = uint8(palette.Index(c))
	}
	few := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			few.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	return few
}

func distance(a, b color.Color) int {
	x, y := color.RGBAModel.Convert(a).(color.RGBA), color.RGBAModel.Convert(b).(color.RGBA)
	sq := func(a, b uint8) int { return (int(a) - int(b)) * (int(a) - int(b)) }
	return sq(x.R, y.R) + sq(x.G, y.G) + sq(x.B, y.B)
}
