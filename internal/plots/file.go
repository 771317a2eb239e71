package plots

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

var (
	// ErrFormat says that pictures of this kind cannot be drawn.
	ErrFormat = errors.New("pictures are .svg or .png")
	// ErrPlace says that no picture can be written there.
	ErrPlace = errors.New("no picture can be written there")
	// ErrEmpty says that the figures that a picture is to show are not there.
	ErrEmpty = errors.New("there is nothing to draw yet")
)

// Check returns an error that wraps ErrFormat or ErrPlace for a file that no picture
// can be drawn into, for who has long work to do before.
func Check(path string) error {
	if kind := strings.ToLower(filepath.Ext(path)); kind != ".svg" && kind != ".png" {
		return fmt.Errorf("%q: %w", path, ErrFormat)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%q is a folder: %w", path, ErrPlace)
	}
	folder := filepath.Dir(path)
	switch info, err := os.Stat(folder); {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%q: there is no folder %s, create it first: %w", path, folder, ErrPlace)
	case err != nil:
		return fmt.Errorf("%q: %w: %w", path, ErrPlace, err)
	case !info.IsDir():
		return fmt.Errorf("%q: %s is not a folder: %w", path, folder, ErrPlace)
	}
	return nil
}

const panelWidth, panelHeight = 12 * vg.Centimeter, 8.5 * vg.Centimeter

// panel makes one plot of a picture.
type panel func() (*plot.Plot, error)

// drawInto draws panels, so many a row, into path, .svg or .png. The file appears
// when it is whole, and replaces one that is there.
func drawInto(path string, columns int, panels []panel) error {
	if err := Check(path); err != nil {
		return err
	}
	columns = min(columns, len(panels))
	tiles := make([][]*plot.Plot, (len(panels)+columns-1)/columns)
	for row := range tiles {
		tiles[row] = make([]*plot.Plot, columns)
	}
	for k, panel := range panels {
		p, err := panel()
		if err != nil {
			return fmt.Errorf("drawing: %w", err)
		}
		tiles[k/columns][k%columns] = p
	}
	canvas := newCanvas(path, vg.Length(columns)*panelWidth, vg.Length(len(tiles))*panelHeight)
	layout := draw.Tiles{Rows: len(tiles), Cols: columns, PadTop: 8, PadBottom: 8, PadLeft: 8, PadRight: 14, PadX: 20, PadY: 18}
	for row, canvases := range plot.Align(tiles, layout, draw.New(canvas)) {
		for column, c := range canvases {
			if tiles[row][column] != nil {
				tiles[row][column].Draw(c)
			}
		}
	}
	return write(path, canvas)
}

type canvas interface {
	vg.CanvasSizer
	io.WriterTo
}

func newCanvas(path string, width, height vg.Length) canvas {
	if strings.EqualFold(filepath.Ext(path), ".svg") {
		c := vgsvg.New(width, height)
		c.SetColor(color.White) // else it is not to be read on a dark page
		c.Fill(vg.Rectangle{Max: vg.Point{X: width, Y: height}}.Path())
		return c
	}
	return vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(150), vgimg.UseBackgroundColor(color.White))}
}

func write(path string, c canvas) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("writing the picture: %w", err)
	}
	defer os.Remove(file.Name()) // of no effect once it is renamed
	var picture bytes.Buffer
	_, err = c.WriteTo(&picture)
	if err == nil {
		// Where there is no Liberation Sans another of its widths will do.
		_, err = file.Write(bytes.ReplaceAll(picture.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")))
	}
	if err := errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return fmt.Errorf("writing the picture: %w", err)
	}
	return os.Rename(file.Name(), path)
}
