package figure

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/bench/report"
	"github.com/sublet-hpc/sublet/bench/stats"
)

// Input is a run and what its lines are called.
type Input struct {
	Label string
	Run   *record.Run
}

// curve is one line: a contestant's latency by size.
type curve struct {
	label    string
	p50, p99 plotter.XYs
}

// ErrNothing says that there is nothing to draw.
var ErrNothing = errors.New("there is no latency of payloads above 0 bytes in what was given")

// Width and Height are a figure's.
const (
	Width  = 18 * vg.Centimeter
	Height = 12 * vg.Centimeter
)

// Latency draws latency over payload size: medians as lines, the 99th percentiles dashed, for the sizes
// that have enough samples for one.
func Latency(title string, inputs []Input) (*plot.Plot, error) {
	curves := curvesOf(inputs)
	if len(curves) == 0 {
		return nil, ErrNothing
	}
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = "payload, there and back"
	p.Y.Label.Text = "round trip: median, and dashed 99th percentile"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = sizeTicks{}, timeTicks{}
	p.Add(plotter.NewGrid())
	p.Legend.Top, p.Legend.Left = true, true
	for i, c := range curves {
		if err := c.add(p, plotutil.Color(i), plotutil.Shape(i/len(plotutil.DefaultColors))); err != nil {
			return nil, err
		}
	}
	// A logarithmic axis needs some room, also where there is one size only.
	p.X.Min, p.X.Max = p.X.Min/1.5, p.X.Max*1.5
	p.Y.Min, p.Y.Max = p.Y.Min/1.5, p.Y.Max*3
	return p, nil
}

func (c *curve) add(p *plot.Plot, colored color.Color, shape draw.GlyphDrawer) error {
	line, points, err := plotter.NewLinePoints(c.p50)
	if err != nil {
		return err
	}
	line.Color, points.Color = colored, colored
	points.Shape = shape // the colors come again after a few
	p.Add(line, points)
	p.Legend.Add(c.label, line, points)
	if len(c.p99) == 0 {
		return nil
	}
	dashed, err := plotter.NewLine(c.p99)
	if err != nil {
		return err
	}
	dashed.Color, dashed.Dashes = colored, []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(dashed)
	return nil
}

// HasLatency tells whether there is something to draw in a run.
func HasLatency(run *record.Run) bool { return slices.ContainsFunc(run.Series, drawn) }

// drawn tells whether a series is: others have no place on the axes.
func drawn(s *record.Series) bool {
	return s.Kind == record.Latency && s.Bytes > 0 && s.Against == 0
}

func curvesOf(inputs []Input) []*curve {
	var curves []*curve
	byLabel := map[string]*curve{}
	for _, input := range inputs {
		for _, s := range input.Run.Series {
			if !drawn(s) {
				continue
			}
			label := labelOf(s)
			if len(inputs) > 1 {
				label = input.Label + ": " + label
			}
			c := byLabel[label]
			if c == nil {
				c = &curve{label: label}
				byLabel[label] = c
				curves = append(curves, c)
			}
			sum := stats.Summarize(s.Samples())
			c.p50 = append(c.p50, plotter.XY{X: float64(s.Bytes), Y: math.Max(float64(sum.P50), 1)})
			if sum.P99 != nil {
				c.p99 = append(c.p99, plotter.XY{X: float64(s.Bytes), Y: math.Max(float64(*sum.P99), 1)})
			}
		}
	}
	for _, c := range curves {
		for _, line := range []plotter.XYs{c.p50, c.p99} {
			slices.SortFunc(line, func(a, b plotter.XY) int { return int(a.X - b.X) })
		}
	}
	return curves
}

func labelOf(s *record.Series) string {
	label := s.Name + ", " + s.Transport
	if s.Provider != "" && s.Provider != s.Transport {
		label += " (" + s.Provider + ")"
	}
	if s.Mode != "hot" {
		label += ", " + s.Mode
	}
	if s.InFlight > 1 {
		label += fmt.Sprintf(", %d in flight", s.InFlight)
	}
	if !s.Touched {
		label += ", untouched"
	}
	return label
}

// sizeTicks are at powers of two, at most a dozen with a label.
type sizeTicks struct{}

// Ticks implements plot.Ticker.
func (sizeTicks) Ticks(lo, hi float64) []plot.Tick {
	first, last := int(math.Ceil(math.Log2(lo))), int(math.Floor(math.Log2(hi)))
	every := max(1, (last-first+11)/12)
	var ticks []plot.Tick
	for e := max(first, 0); e <= last; e++ {
		tick := plot.Tick{Value: math.Pow(2, float64(e))}
		if e%every == 0 {
			tick.Label = report.Size(1 << e)
		}
		ticks = append(ticks, tick)
	}
	return ticks
}

// timeTicks are at 1, 2 and 5 times powers of ten.
type timeTicks struct{}

// Ticks implements plot.Ticker.
func (timeTicks) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(lo)); e <= math.Log10(hi); e++ {
		for _, digit := range []float64{1, 2, 5} {
			if value := digit * math.Pow(10, e); value >= lo && value <= hi {
				ticks = append(ticks, plot.Tick{Value: value, Label: report.Clock(value)})
			}
		}
	}
	return ticks
}
