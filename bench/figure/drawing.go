package figure

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A figure is as wide as a page's text, or wider where its legend has long lines; the legend stands on the
// right, where it hides nothing.
const (
	plotWidth = 12.5 * vg.Centimeter
	height    = 9 * vg.Centimeter
	margin    = 2 * vg.Millimeter
	dpi       = 220 // of a PNG
)

// Drawing is a figure that can be saved.
type Drawing struct {
	plot   *plot.Plot
	legend plot.Legend
}

func newDrawing(title string) *Drawing {
	d := &Drawing{plot: plot.New(), legend: plot.NewLegend()}
	p := d.plot
	p.Title.Text, p.Title.Padding = title, vg.Points(4)
	for _, text := range []*draw.TextStyle{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &d.legend.TextStyle} {
		text.Font.Variant, text.Font.Size = "Sans", vg.Points(8)
	}
	p.Title.TextStyle.Font.Size, p.X.Label.TextStyle.Font.Size, p.Y.Label.TextStyle.Font.Size = vg.Points(9), vg.Points(9), vg.Points(9)
	p.X.Padding, p.Y.Padding = 0, 0
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	d.legend.Top, d.legend.Left, d.legend.ThumbnailWidth, d.legend.Padding = true, true, vg.Points(22), vg.Points(3)
	return d
}

// style is what a curve looks like.
type style struct {
	color color.Color
	shape draw.GlyphDrawer
}

// Colors that people who are color-blind can tell apart (Okabe and Ito's), without the yellow, which paper
// swallows.
var colors = []color.Color{
	color.RGBA{0, 114, 178, 255},
	color.RGBA{213, 94, 0, 255},
	color.RGBA{0, 158, 115, 255},
	color.RGBA{204, 121, 167, 255},
	color.RGBA{230, 159, 0, 255},
	color.RGBA{86, 180, 233, 255},
	color.RGBA{0, 0, 0, 255},
}

var shapes = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.PlusGlyph{}, draw.CrossGlyph{},
}

// look is that of curve i: no two of the first 56 have the same color and shape.
func look(i int) style { return style{colors[i%len(colors)], shapes[i%len(shapes)]} }

var dashes = []vg.Length{vg.Points(3), vg.Points(2)}

// explain adds a line without a curve to the legend.
func (d *Drawing) explain(text string, dashed []vg.Length) {
	line := &plotter.Line{LineStyle: draw.LineStyle{Color: color.Gray{110}, Width: vg.Points(1), Dashes: dashed}}
	d.legend.Add(text, line)
}

// size is that of the whole figure.
func (d *Drawing) size(legend vg.Length) (width, high vg.Length) {
	return plotWidth + legend + 2*margin, height
}

// legendWidth is how wide the legend's longest line is.
func (d *Drawing) legendWidth() vg.Length {
	return d.legend.Rectangle(draw.Canvas{}).Size().X
}

// Save writes an SVG or a PNG, as the path ends.
func (d *Drawing) Save(path string) (err error) {
	width, high := d.size(d.legendWidth())
	var canvas vg.CanvasSizer
	var content io.WriterTo
	switch filepath.Ext(path) {
	case ".svg":
		svg := vgsvg.New(width, high)
		canvas, content = svg, svg
	case ".png":
		image := vgimg.NewWith(vgimg.UseWH(width, high), vgimg.UseDPI(dpi))
		canvas, content = image, vgimg.PngCanvas{Canvas: image}
	default:
		return fmt.Errorf("%s: a figure ends in .svg or .png", path)
	}
	d.draw(draw.New(canvas))
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = content.WriteTo(file)
	return errors.Join(err, file.Close())
}

func (d *Drawing) draw(c draw.Canvas) {
	c.SetColor(color.White)
	c.Fill(c.Path())
	c = draw.Crop(c, margin, -margin, margin, -margin)
	legend := d.legendWidth()
	d.plot.Draw(draw.Crop(c, 0, -legend, 0, 0))
	title := d.plot.Title.TextStyle.Rectangle(d.plot.Title.Text).Size().Y + d.plot.Title.Padding
	d.legend.Draw(draw.Crop(c, plotWidth, 0, 0, -title))
}
